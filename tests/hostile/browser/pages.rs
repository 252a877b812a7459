//! Items 38 and 41: what pages and logs give away.

use futures_util::future::join_all;

use super::{AuthorizationRequest, BRIEF, Person, Scene, callback};
use crate::harness::client_site::ClientSite;
use crate::harness::person::{Page, Visit};
use crate::harness::{on_every_database, wait};

/// Fills the login page in and sends it.
async fn try_login(scene: &Scene, name: &str, password: &str) -> Page {
    let mut person = Person::new(&scene.app);
    let page = person.get("/login").await;
    let typed = [("username", name), ("password", password)];
    person.submit(&page, "submit", &typed).await
}

on_every_database! {
    async fn attack_38_the_login_page_does_not_say_who_has_an_account(database) {
        let scene = Scene::on(database, &[]).await;
        let bob = scene.app.user("bob").await;
        let administrator = scene.app.admin_token().await;
        let post = reqwest::Method::POST;
        let disable = format!("/users/{}/disable", bob.id);
        scene.app.admin(&administrator, post, &disable, None).await;
        let mut seen = Vec::new();
        for (name, password) in [
            ("ada", "not the one at all"),
            ("nobody", "not the one at all"),
            ("bob", &*bob.password),
            ("ada@example.com", "x"),
            ("ada", &"x".repeat(5_000)),
        ] {
            let page = try_login(&scene, name, password).await;
            assert_eq!(page.status, 400, "{name}");
            assert_eq!(page.header("set-cookie"), "", "{name}");
            let value = page.attribute_of_id("username", "value");
            assert_eq!(value.as_deref(), Some(name));
            let sealed = page.form_with("submit").0.fields[0].1.clone();
            let text = page.text.replace(&sealed, "…").replace(&format!("value=\"{name}\""), "…");
            seen.push(text);
        }
        assert!(seen.iter().all(|text| *text == seen[0]), "{seen:#?}");
        assert!(!seen[0].contains("not the one at all"), "a password does not come back");
    }
}

/// As if somebody had guessed for long: the next try is due in a quarter of an hour.
const GUESSED_FOR_LONG: &str = "UPDATE login_attempts SET attempts = 20 WHERE attempts >= 5";

on_every_database! {
    async fn attack_38_guessing_in_the_browser_is_slowed_down_for_known_and_unknown_alike(database) {
        let scene = Scene::on(database, &[]).await;
        for name in ["ada", "nobody"] {
            for _ in 0..5 {
                assert_eq!(try_login(&scene, name, "wrong").await.status, 400);
            }
            scene.database.execute(GUESSED_FOR_LONG).await;
            let page = try_login(&scene, name, &scene.ada.password).await;
            assert_eq!(page.status, 429, "{name}, right or wrong");
            assert!(page.header("retry-after").parse::<u64>().unwrap() > 60);
            assert!(page.has_id("error") && page.has_id("submit"));
        }
        // Through whichever door.
        let phone = scene.app.phone().await;
        assert_eq!(scene.app.challenge(&phone, &scene.ada, &[]).await.status, 429);
    }
}

#[tokio::test]
async fn attack_38_many_guesses_at_once_are_no_way_around_the_count() {
    let scene = Scene::new().await;
    let mut guessers = Vec::new();
    for _ in 0..30 {
        let mut guesser = Person::new(&scene.app);
        let page = guesser.get("/login").await;
        guessers.push((guesser, page));
    }
    let guesses = guessers.iter_mut().map(async |(guesser, page)| {
        let typed = [("username", "ada"), ("password", "a guess")];
        guesser.submit(page, "submit", &typed).await.status.as_u16()
    });
    let statuses = join_all(guesses).await;
    let looked_at = statuses.iter().filter(|status| **status == 400).count();
    assert!(
        looked_at <= 6,
        "{looked_at} passwords were tried: {statuses:?}"
    );
}

#[tokio::test]
async fn attack_38_whoever_is_signed_in_as_somebody_else_guesses_no_faster() {
    let scene = Scene::new().await;
    let mallory = scene.app.user("mallory").await;
    let mut own = scene.browser_of(&mallory).await;
    let again = scene.request().with("prompt", "login");
    let page = scene.app.authorize(&mut own, &again).await;
    let typed = [("username", "ada"), ("password", "a guess")];
    for _ in 0..5 {
        assert_eq!(own.submit(&page, "submit", &typed).await.status, 400);
    }
    scene.database.execute(GUESSED_FOR_LONG).await;
    assert_eq!(own.submit(&page, "submit", &typed).await.status, 429);
}

#[tokio::test]
async fn attack_38_accounts_are_made_where_that_is_allowed_and_not_by_the_hundred() {
    let closed = Scene::new().await;
    let mut person = Person::new(&closed.app);
    let login = person.get("/login").await;
    assert!(!login.has_id("sign-up"));
    let request = login.form_with("submit").0.fields[0].1.clone();
    let form = [
        ("request", request.as_str()),
        ("username", "grace"),
        ("password", "three otters in a canoe"),
    ];
    assert_eq!(person.post_form("/signup", &form).await.status, 403);
    assert_eq!(person.get("/signup").await.status, 403);

    let open = [
        ("TOKENSMITH_SIGNUP", "true"),
        ("TOKENSMITH_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let scene = Scene::with(&open).await;
    let sign_up = async |name: &str| {
        let mut person = Person::new(&scene.app);
        let page = person.get("/signup").await;
        let mut fields = page.form_with("submit").0.fields;
        for (field, value) in &mut fields {
            match field.as_str() {
                "username" => name.clone_into(value),
                "password" => "three otters in a canoe".clone_into(value),
                _ => {}
            }
        }
        let visit = Visit::post("/signup", &fields).header("x-forwarded-for", "192.0.2.7");
        person.send(visit).await
    };
    let taken = sign_up("ADA").await;
    assert_eq!(taken.status, 409);
    assert_eq!(taken.header("set-cookie"), "");
    assert!(taken.has_id("error"));
    assert_eq!(sign_up("grace").await.status, 303);
    let mut blocked = None;
    for number in 0..60 {
        let page = sign_up(&format!("grace{}", number % 2)).await;
        if page.status == 429 {
            blocked = Some(page);
            break;
        }
    }
    let blocked = blocked.expect("the sixtieth attempt from one address");
    assert!(blocked.has_id("error"));
}

/// The log, once the requests up to now are in it.
async fn written_log(scene: &Scene) -> String {
    scene.app.get("/nowhere-at-all").await;
    wait::until("the log is written", || async {
        let log = scene.app.log();
        log.contains("unmatched").then_some(log)
    })
    .await
}

#[tokio::test]
async fn attack_41_no_secret_of_a_login_is_in_the_log() {
    let scene = Scene::with(&[
        ("TOKENSMITH_LOG", "debug,tokensmith=trace"),
        ("TOKENSMITH_PRIVATE_RECEIVERS", "127.0.0.0/8"),
    ])
    .await;
    let site = ClientSite::start();
    let receiver = site.backchannel();
    let options = ["--backchannel-logout-uri", receiver.as_str()];
    let third = scene.app.app_for_people("third", &options).await;
    let request =
        AuthorizationRequest::of(&third).with_all(&[BRIEF, ("login_hint", "h1nt-of-ada")]);
    let mut ada = Person::new(&scene.app);
    let login = scene.app.authorize(&mut ada, &request).await;
    let wrong = [("username", "ada"), ("password", "wr0ng-but-close")];
    ada.submit(&login, "submit", &wrong).await;
    let page = scene.app.sign_in(&mut ada, &login, &scene.ada).await;
    let sealed = page.location().unwrap();
    let consent = ada.follow(sealed.as_str()).await;
    let page = ada.submit(&consent, "allow", &[]).await;
    let answer = callback(&page, &request);
    let tokens = scene.redeem(&third, answer.code(), &[]).await.json();
    scene
        .redeem(
            &third,
            answer.code(),
            &[(
                "code_verifier",
                "v3rifier-v3rifier-v3rifier-v3rifier-v3rifier",
            )],
        )
        .await;
    let id_token = tokens["id_token"].as_str().unwrap();
    let pushed: Vec<_> = request
        .parameters
        .iter()
        .map(|(name, value)| (&**name, value))
        .collect();
    let pushed = scene
        .app
        .send(scene.app.form(&third, "/oauth/par", &pushed))
        .await
        .json();
    let by_name = AuthorizationRequest::of(&third)
        .with("request_uri", pushed["request_uri"].as_str().unwrap());
    scene.app.authorize(&mut ada, &by_name).await;
    let access_token = tokens["access_token"].as_str().unwrap();
    let in_url = format!("/oauth/userinfo?access_token={access_token}");
    scene.app.get(&in_url).await;
    let csrf = ada.get("/account").await.form_with("save-profile").0.fields[0]
        .1
        .clone();
    let cookies: Vec<String> = ada.cookies.iter().map(|it| it.value.clone()).collect();
    assert_eq!(cookies.len(), 2);
    let signed_out = ada
        .cross_site_get(&format!("/oauth/logout?id_token_hint={id_token}"))
        .await;
    assert_eq!(signed_out.status, 303);
    let logout_token = site.logout_token().await;
    ada.get("/login?request=the-1ast-request").await;

    let log = written_log(&scene).await;
    let request_of = |page: &Page, button: &str| page.form_with(button).0.fields[0].1.clone();
    let mut secrets = vec![
        ("the code", answer.code().to_owned()),
        ("the password", "herons".to_owned()),
        ("a wrong password", "wr0ng-but-close".to_owned()),
        ("the secret of the client", third.secret.clone()),
        ("a verifier", "v3rifier-v3rifier".to_owned()),
        ("the state", "af0ifjsldkj".to_owned()),
        ("the nonce", "n-0S6_WzA2Mj".to_owned()),
        ("a login_hint", "h1nt-of-ada".to_owned()),
        ("a sealed request", request_of(&login, "submit")),
        ("a sealed consent", request_of(&consent, "allow")),
        ("the token of a form", csrf),
        (
            "a request_uri",
            pushed["request_uri"].as_str().unwrap().to_owned(),
        ),
        ("a query", "the-1ast-request".to_owned()),
        (
            "the logout token",
            logout_token.rsplit('.').next().unwrap().to_owned(),
        ),
    ];
    secrets.extend(cookies.into_iter().map(|cookie| ("a cookie", cookie)));
    for name in ["access_token", "refresh_token", "id_token"] {
        let token = tokens[name].as_str().unwrap();
        secrets.push((name, token.rsplit('.').next().unwrap().to_owned()));
    }
    for (what, secret) in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{what}");
    }
    assert!(
        log.contains("/oauth/authorize") && log.contains("\"third\""),
        "it logs something"
    );
}
