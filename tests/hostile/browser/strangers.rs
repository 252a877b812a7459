//! Item 30: mix-up of servers, and requests that somebody else has begun.

use super::{AuthorizationRequest, Person, Scene, assert_shown, callback, is_signed_in};
use crate::harness::login::TestUser;
use crate::harness::person::{Page, Visit};

/// The fields of the form that has the button, filled in with credentials.
fn filled(page: &Page, button: &str, user: &TestUser) -> Vec<(String, String)> {
    let mut fields = page.form_with(button).0.fields;
    for (name, value) in &mut fields {
        match name.as_str() {
            "username" => user.name.clone_into(value),
            "password" => user.password.clone_into(value),
            _ => {}
        }
    }
    fields
}

#[tokio::test]
async fn attack_30_every_answer_says_whose_it_is() {
    let scene = Scene::new().await;
    let third = scene.app.app_for_people("third", &[]).await;
    let request = AuthorizationRequest::of(&third);
    let with = |name: &str, value: &str| request.clone().with(name, value);
    let mut nobody = Person::new(&scene.app);
    let page = scene.app.authorize(&mut nobody, &request).await;
    let cancelled = nobody.submit(&page, "cancel", &[]).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let page = scene.app.authorize(&mut ada, &request).await;
    let denied = ada.submit(&page, "deny", &[]).await;
    let allowed = ada.submit(&page, "allow", &[]).await;
    let mut answers = vec![
        (callback(&cancelled, &request), Some("access_denied")),
        (callback(&denied, &request), Some("access_denied")),
        (callback(&allowed, &request), None),
    ];
    for (name, value, error) in [
        ("prompt", "none", "consent_required"),
        ("prompt", "none login", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "nothing", "invalid_scope"),
        ("resource", "https://other.example.com", "invalid_target"),
        ("request", "e30.e30.", "request_not_supported"),
        (
            "request_uri",
            "https://third.example/r",
            "request_uri_not_supported",
        ),
        ("registration", "{}", "registration_not_supported"),
        (
            "claims",
            r#"{"id_token":{"acr":{"essential":true,"value":"9"}}}"#,
            "unmet_authentication_requirements",
        ),
    ] {
        answers.push((
            scene.answer(&mut ada, &with(name, value)).await,
            Some(error),
        ));
        let posted = with(name, value).with("response_mode", "form_post");
        if name != "response_mode" {
            answers.push((scene.answer(&mut ada, &posted).await, Some(error)));
        }
    }
    let silent = with("prompt", "none");
    answers.push((
        scene.answer(&mut nobody, &silent).await,
        Some("login_required"),
    ));
    for (answer, error) in answers {
        assert_eq!(answer.error.as_deref(), error, "{answer:?}");
        assert_eq!(
            answer.iss.as_deref(),
            Some(&*scene.app.issuer),
            "{answer:?}"
        );
        assert_eq!(answer.state.as_deref(), Some("af0ifjsldkj"), "{answer:?}");
        assert_eq!(answer.code.is_some(), error.is_none(), "{answer:?}");
    }
}

#[tokio::test]
async fn attack_30_what_one_browser_began_another_does_not_finish() {
    let scene = Scene::new().await;
    let mut mallory = Person::new(&scene.app);
    let planted = scene.app.authorize(&mut mallory, &scene.request()).await;
    let form = filled(&planted, "submit", &scene.ada);
    let sealed = form[0].1.clone();

    // The victim has been here before, or never, or is signed in.
    let mut known = Person::new(&scene.app);
    known.get("/login").await;
    let new = Person::new(&scene.app);
    let signed_in = scene.browser_of(&scene.ada).await;
    for mut victim in [known, new, signed_in] {
        let before = victim.cookies.clone();
        for path in ["/login", "/signup", "/consent"] {
            let link = format!("{path}?request={sealed}");
            assert_shown(&victim.cross_site_get(&link).await, &link);
            assert_shown(&victim.follow(&link).await, &link);
            assert_shown(&victim.post_form(path, &form).await, path);
        }
        let mut consent = form.clone();
        consent.push(("decision".to_owned(), "allow".to_owned()));
        assert_shown(&victim.post_form("/consent", &consent).await, "consent");
        assert_eq!(victim.cookies, before, "nothing has happened");
    }
    // Nor does the victim's browser lend its own request to the attacker.
    let mut victim = Person::new(&scene.app);
    let page = scene.app.authorize(&mut victim, &scene.request()).await;
    let stolen = filled(&page, "submit", &scene.ada);
    assert_shown(&mallory.post_form("/login", &stolen).await, "stolen");
    let mut bare = Person::new(&scene.app);
    assert_shown(
        &bare.post_form("/login", &stolen).await,
        "stolen, without cookies",
    );
    let page = victim.post_form("/login", &stolen).await;
    assert!(
        callback(&page, &scene.request()).code.is_some(),
        "its own it finishes"
    );
}

#[tokio::test]
async fn attack_30_nobody_is_signed_in_as_the_attacker() {
    let scene = Scene::new().await;
    let mallory = scene.app.user("mallory").await;
    let mut attacker = Person::new(&scene.app);
    let page = attacker.get("/login").await;
    let form = filled(&page, "submit", &mallory);
    let visit = || Visit::post("/login", &form).sent_from_elsewhere();
    let says = |site: &str| visit().header("sec-fetch-site", site);
    let silent = || {
        let names = ["site", "mode", "dest", "user"].map(|name| format!("sec-fetch-{name}"));
        names
            .iter()
            .fold(visit(), |visit, name| visit.header(name, ""))
    };
    let mut ada = scene.browser_of(&scene.ada).await;
    let mut nobody = Person::new(&scene.app);
    nobody.get("/login").await;
    for victim in [&mut ada, &mut nobody] {
        let before = victim.cookies.clone();
        let all = before
            .iter()
            .map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let all = all.collect::<Vec<_>>().join("; ");
        for (visit, status) in [
            (visit(), 403),
            (says("same-site"), 403),
            (says("nonsense"), 403),
            // An old browser says nothing of the kind, but keeps the cookies back …
            (silent(), 400),
            (silent().header("origin", ""), 400),
            // … and if it does not even do that, the form is still not its own.
            (silent().header("cookie", &all), 400),
            (
                silent().header("origin", "null").header("cookie", &all),
                400,
            ),
        ] {
            let said = format!("{visit:?}");
            let page = victim.send(visit).await;
            assert_eq!(page.status, status, "{said}");
            assert!(page.has_id("error"), "{said}");
            assert_eq!(page.header("set-cookie"), "", "{said}");
        }
        assert_eq!(victim.cookies, before);
    }
    assert!(ada.get("/account").await.text.contains(&scene.ada.name));
    assert!(!is_signed_in(&mut nobody).await);

    // Its own form an old browser sends all the same.
    let own = Visit::post("/login", &form).header("sec-fetch-site", "");
    assert_eq!(attacker.send(own.header("origin", "")).await.status, 303);
}

#[tokio::test]
async fn attack_30_no_other_site_says_yes_for_a_person() {
    let scene = Scene::new().await;
    let third = scene.app.app_for_people("third", &[]).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let request = AuthorizationRequest::of(&third);
    let page = scene.app.authorize(&mut ada, &request).await;
    let (form, _) = page.form_with("allow");
    let mut fields = form.fields;
    fields.push(("decision".to_owned(), "allow".to_owned()));
    let forged = ada.cross_site_post("/consent", &fields).await;
    assert_eq!(
        (forged.status.as_u16(), forged.header("location")),
        (403, "")
    );
    let by_link = format!("/consent?request={}&decision=allow", fields[0].1);
    let shown = ada.cross_site_get(&by_link).await;
    assert!(shown.has_id("allow"), "a link asks and does not answer");

    // A consent page of the attacker, who is signed in elsewhere as Ada's neighbour.
    let mallory = scene.app.user("mallory").await;
    let mut attacker = scene.browser_of(&mallory).await;
    let page = scene.app.authorize(&mut attacker, &request).await;
    let mut theirs = page.form_with("allow").0.fields;
    theirs.push(("decision".to_owned(), "allow".to_owned()));
    assert_shown(
        &ada.post_form("/consent", &theirs).await,
        "another browser's",
    );

    let page = scene.app.authorize(&mut ada, &request).await;
    assert!(
        page.has_id("allow"),
        "and nothing was agreed to by all that"
    );
}

#[tokio::test]
async fn attack_30_what_one_person_was_asked_another_does_not_agree_to() {
    let scene = Scene::new().await;
    let bob = scene.app.user("bob").await;
    let third = scene.app.app_for_people("third", &[]).await;
    let request = AuthorizationRequest::of(&third).with("scope", "openid orders:read");
    let mut browser = scene.browser_of(&scene.ada).await;
    let asked_ada = scene.app.authorize(&mut browser, &request).await;
    assert!(asked_ada.text.contains(&scene.ada.name));

    let page = browser.get("/logout").await;
    browser.submit(&page, "logout", &[]).await;
    let signed_out = browser.submit(&asked_ada, "allow", &[]).await;
    let to = signed_out.location().unwrap();
    assert_eq!((to.path(), callback_code(&signed_out)), ("/login", None));

    let page = browser.get("/login").await;
    scene.app.sign_in(&mut browser, &page, &bob).await;
    let posted = browser.submit(&asked_ada, "allow", &[]).await;
    let to = posted.location().unwrap();
    assert_eq!((to.path(), callback_code(&posted)), ("/consent", None));
    let asked_bob = browser.follow(to.as_str()).await;
    assert!(asked_bob.has_id("allow"), "{}", asked_bob.text);
    assert!(asked_bob.text.contains(&bob.name) && !asked_bob.text.contains(&scene.ada.name));
    let answer = callback(&browser.submit(&asked_bob, "allow", &[]).await, &request);
    let reply = scene.redeem(&third, answer.code(), &[]).await;
    let said = crate::harness::login::claims(reply.json()["id_token"].as_str().unwrap());
    assert_eq!(said["sub"], bob.id.as_str());
}

fn callback_code(page: &Page) -> Option<String> {
    let location = page.location()?;
    let mut pairs = location.query_pairs();
    pairs
        .find(|(name, _)| name == "code")
        .map(|(_, code)| code.into_owned())
}

#[tokio::test]
async fn attack_30_no_other_site_changes_an_account() {
    let scene = Scene::new().await;
    let mallory = scene.app.user("mallory").await;
    let csrf_of = async |person: &mut Person| {
        let page = person.get("/account").await;
        page.form_with("save-profile").0.fields[0].clone()
    };
    let mut attacker = scene.browser_of(&mallory).await;
    let foreign = csrf_of(&mut attacker).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let own = csrf_of(&mut ada).await;
    assert_eq!((&*own.0, &*foreign.0), ("csrf", "csrf"));
    assert_ne!(own.1, foreign.1);
    let third = scene.app.app_for_people("third", &[]).await;
    let request = AuthorizationRequest::of(&third).with("scope", "openid");
    let page = scene.app.authorize(&mut ada, &request).await;
    ada.submit(&page, "allow", &[]).await;

    let (name, typed) = ("name".to_owned(), "Mallory was here".to_owned());
    let password = scene.ada.password.clone();
    let forms: Vec<(&str, Vec<(String, String)>)> = vec![
        ("/account/profile", vec![(name, typed.clone())]),
        (
            "/account/password",
            vec![
                ("current_password".to_owned(), password),
                ("new_password".to_owned(), "nine crows at dusk".to_owned()),
            ],
        ),
        (
            "/account/consents",
            vec![("client_id".to_owned(), "third".to_owned())],
        ),
        (
            "/account/devices",
            vec![("end".to_owned(), "others".to_owned())],
        ),
        ("/logout", vec![]),
    ];
    for (path, fields) in &forms {
        let with = |csrf: &str| {
            let mut fields = fields.clone();
            fields.push(("csrf".to_owned(), csrf.to_owned()));
            fields
        };
        let forged = ada.cross_site_post(path, &with(&own.1)).await;
        assert_eq!(forged.status, 403, "{path}");
        for csrf in ["", "x", foreign.1.as_str(), &own.1[..own.1.len() - 1]] {
            assert_shown(&ada.post_form(path, &with(csrf)).await, path);
        }
        assert_shown(&ada.post_form(path, fields).await, path);
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(with(&own.1))
            .finish();
        let by_link = ada.cross_site_get(&format!("{path}?{query}")).await;
        assert!(
            [200, 303, 405].contains(&by_link.status.as_u16()),
            "{path}: {}",
            by_link.text
        );
    }
    let page = ada.get("/account").await;
    assert!(
        page.has_id("revoke-third") && !page.text.contains(&typed),
        "{}",
        page.text
    );
    scene.browser_of(&scene.ada).await;
}

#[tokio::test]
async fn attack_30_no_page_is_shown_in_a_frame_or_runs_what_is_written_into_it() {
    let scene = Scene::with(&[("TOKENSMITH_SIGNUP", "true")]).await;
    let third = scene.app.app_for_people("third", &[]).await;
    let request = AuthorizationRequest::of(&third);
    let mut nobody = Person::new(&scene.app);
    let mut ada = scene.browser_of(&scene.ada).await;
    let form_post = scene.request().with("response_mode", "form_post");
    let login = nobody.get("/login").await;
    let wrong = [("username", "nobody"), ("password", "nothing")];
    let pages = [
        nobody.submit(&login, "submit", &wrong).await,
        login,
        nobody.get("/signup").await,
        nobody.get("/logout").await,
        scene.app.authorize(&mut nobody, &request).await,
        scene
            .app
            .authorize(&mut nobody, &request.clone().without("client_id"))
            .await,
        scene.app.authorize(&mut ada, &request).await,
        scene.app.authorize(&mut ada, &form_post).await,
        ada.get("/account").await,
        ada.get("/account/devices").await,
        ada.get("/logout").await,
        ada.get("/nowhere").await,
        ada.get("/login?request=x").await,
        ada.cross_site_post("/login", &wrong).await,
    ];
    for page in pages {
        let about = format!("{} {}", page.url, page.status);
        let policy = page.header("content-security-policy");
        let directives: Vec<&str> = policy.split(';').map(str::trim).collect();
        for needed in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(directives.contains(&needed), "{about}: {policy}");
        }
        for forbidden in ["unsafe", "*", "data:", "script-src http"] {
            assert!(!policy.contains(forbidden), "{about}: {policy}");
        }
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("content-type", "text/html; charset=utf-8"),
            ("access-control-allow-origin", ""),
        ] {
            assert_eq!(page.header(name), value, "{about}: {name}");
        }
        for element in page.document().elements {
            let inline = element.name == "script" && !element.has("src");
            let handler = element.attributes.keys().any(|name| name.starts_with("on"));
            assert!(
                !inline && !handler && !element.has("style"),
                "{about}: {element:?}"
            );
        }
    }
}
