//! Item 30: what a browser keeps, and what it is worth to somebody else.

use std::sync::Arc;

use tokensmith::crypto::{MasterKey, MasterKeyedTokens, SystemEntropy};
use tokensmith::domain::id::LoginId;
use tokensmith::domain::ports::SessionTokens;

use super::{Person, Scene, is_signed_in};
use crate::harness::person::Cookie;
use crate::harness::{Database, on_every_database};

const LOGIN: &str = "tokensmith-login";
const BROWSER: &str = "tokensmith-browser";

/// A browser that sends this and nothing else.
fn with_cookie(scene: &Scene, name: &str, value: &str) -> Person {
    let mut person = Person::new(&scene.app);
    person.cookies.push(Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        path: "/".to_owned(),
        domain: None,
        http_only: true,
        secure: false,
        same_site: Some("Lax".to_owned()),
        max_age: None,
    });
    person
}

async fn opens(scene: &Scene, value: &str) -> bool {
    is_signed_in(&mut with_cookie(scene, LOGIN, value)).await
}

fn login_cookie(person: &Person) -> String {
    person.cookie(LOGIN).unwrap().value.clone()
}

#[tokio::test]
async fn attack_30_cookies_are_bound_to_host_and_tls_and_kept_from_scripts_and_other_sites() {
    let issuer = "https://login.example.com";
    let scene = Scene::with(&[("TOKENSMITH_ISSUER", issuer)]).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    for name in ["__Host-tokensmith-browser", "__Host-tokensmith-login"] {
        let cookie = ada.cookie(name).unwrap();
        assert!(cookie.secure && cookie.http_only, "{cookie:?}");
        assert_eq!((&*cookie.path, &cookie.domain), ("/", &None), "{cookie:?}");
        assert_eq!(cookie.same_site.as_deref(), Some("Lax"), "{cookie:?}");
    }
    assert_eq!(ada.cookies.len(), 2);
    let login = ada.cookie("__Host-tokensmith-login").unwrap();
    assert_eq!(login.max_age, Some(7 * 86_400));
    // Under a name that any sub-domain could set it is worth nothing.
    assert!(!opens(&scene, &login.value.clone()).await);

    let page = ada.get("/logout").await;
    ada.submit(&page, "logout", &[]).await;
    assert_eq!(ada.cookie("__Host-tokensmith-login"), None);
}

#[tokio::test]
async fn attack_30_over_loopback_without_tls_cookies_have_plain_names_and_are_no_less_kept() {
    let scene = Scene::new().await;
    let ada = scene.browser_of(&scene.ada).await;
    for name in [BROWSER, LOGIN] {
        let cookie = ada.cookie(name).unwrap();
        assert!(!cookie.secure && cookie.http_only, "{cookie:?}");
        assert_eq!((&*cookie.path, &cookie.domain), ("/", &None), "{cookie:?}");
        assert_eq!(cookie.same_site.as_deref(), Some("Lax"), "{cookie:?}");
    }
    assert_eq!(ada.cookies.len(), 2);
}

#[tokio::test]
async fn attack_30_a_cookie_from_before_a_sign_in_is_worth_nothing_afterwards() {
    let scene = Scene::new().await;
    let mallory = scene.app.user("mallory").await;
    // Planted in the victim's browser, which then signs in.
    let planted = login_cookie(&scene.browser_of(&mallory).await);
    let mut victim = with_cookie(&scene, LOGIN, &planted);
    let page = victim.get("/login?to=account").await;
    let page = match page.location() {
        Some(to) => {
            // As whom the attacker has signed the victim in; who sees it signs out or in again.
            let request = scene.request().with("prompt", "login");
            assert_eq!(to.path(), "/account");
            scene.app.authorize(&mut victim, &request).await
        }
        None => page,
    };
    scene.app.sign_in(&mut victim, &page, &scene.ada).await;
    assert_ne!(login_cookie(&victim), planted);
    assert!(victim.get("/account").await.text.contains(&scene.ada.name));
    assert!(
        !opens(&scene, &planted).await,
        "the other person's login has ended"
    );

    // Whoever has copied the cookie loses it when the person signs in once more.
    let stolen = login_cookie(&victim);
    assert!(opens(&scene, &stolen).await);
    let again = scene.request().with("prompt", "login");
    let page = scene.app.authorize(&mut victim, &again).await;
    let page = scene.app.sign_in(&mut victim, &page, &scene.ada).await;
    assert!(super::callback(&page, &again).code.is_some());
    assert_ne!(login_cookie(&victim), stolen);
    assert!(!opens(&scene, &stolen).await);
    assert!(is_signed_in(&mut victim).await);
}

#[tokio::test]
async fn attack_30_the_cookie_of_an_ended_login_opens_nothing() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let kept = login_cookie(&ada);
    let page = ada.get("/logout").await;
    ada.submit(&page, "logout", &[]).await;
    assert!(!opens(&scene, &kept).await, "signed out");

    let mut one = scene.browser_of(&scene.ada).await;
    let other = login_cookie(&scene.browser_of(&scene.ada).await);
    let page = one.get("/account/devices").await;
    one.submit(&page, "end-others", &[]).await;
    assert!(!opens(&scene, &other).await, "ended from elsewhere");
    assert!(is_signed_in(&mut one).await);

    let administrator = scene.app.admin_token().await;
    let path = format!("/users/{}/disable", scene.ada.id);
    let post = reqwest::Method::POST;
    scene.app.admin(&administrator, post, &path, None).await;
    assert!(!is_signed_in(&mut one).await, "disabled");
}

on_every_database! {
    async fn attack_30_a_login_that_is_idle_or_old_opens_nothing(database) {
        let scene = Scene::on(database, &[]).await;
        for statement in [
            "UPDATE logins SET idle_expires_at = last_seen_at",
            "UPDATE logins SET expires_at = last_seen_at",
        ] {
            let mut ada = scene.browser_of(&scene.ada).await;
            scene.database.execute(statement).await;
            assert!(!is_signed_in(&mut ada).await, "{statement}");
            let page = scene.app.authorize(&mut ada, &scene.request()).await;
            assert!(page.has_id("submit"), "{statement}: who is there has to sign in");
        }
    }
}

#[tokio::test]
async fn attack_30_a_cookie_that_was_tampered_with_opens_nothing() {
    let scene = Scene::new().await;
    let good = login_cookie(&scene.browser_of(&scene.ada).await);
    assert!(opens(&scene, &good).await);
    let mallory = scene.app.user("mallory").await;
    let theirs = login_cookie(&scene.browser_of(&mallory).await);
    let (head, tail) = good.split_at("tsl1_".len() + 22);
    for length in [0, 5, 20, 27, good.len() - 1] {
        assert!(
            !opens(&scene, &good[..length]).await,
            "{length} characters of it"
        );
    }
    for bad in [
        format!("{good}A"),
        format!("{good}="),
        format!("{head}{}", "A".repeat(tail.len())),
        format!("{}{tail}", &theirs[..head.len()]),
        format!("{head}{}", &theirs[head.len()..]),
        good.to_lowercase(),
        good.replace("tsl1_", "tsr1_"),
        format!("tsl1_{}", "A".repeat(10_000)),
        scene.ada.id.clone(),
    ] {
        assert!(!opens(&scene, &bad).await, "{bad}");
    }
    let token = scene.app.login(&scene.shop, &scene.ada).await;
    for bad in [token.access_token, token.refresh_token] {
        assert!(!opens(&scene, &bad).await, "a token is no cookie");
    }
}

#[tokio::test]
async fn attack_30_a_stolen_database_forges_no_cookie_without_the_master_key() {
    let scene = Scene::new().await;
    let good = login_cookie(&scene.browser_of(&scene.ada).await);
    let store = scene.database.open().await;
    let user = scene.ada.id.parse().unwrap();
    let now = tokensmith::domain::Timestamp::from_timestamp(crate::harness::now(), 0).unwrap();
    let row = store.list_logins(user, now).await.unwrap().remove(0);
    let forge = |keys: &std::path::Path, login: LoginId| {
        let entropy = Arc::new(SystemEntropy::default());
        let source = tokensmith::crypto::MasterKeySource::KeysDirectory(keys.to_owned());
        let master = MasterKey::load(&source)
            .unwrap()
            .unwrap_or_else(|| MasterKey::create(keys, &*entropy).unwrap());
        let tokens = MasterKeyedTokens::new(&master, entropy).unwrap();
        tokens.login_cookie(login, &row.secret).to_string()
    };
    let elsewhere = Database::sqlite();
    let forged = forge(elsewhere.home.path(), row.id);
    assert_eq!(forged.len(), good.len());
    assert!(!opens(&scene, &forged).await);
    let own = forge(&scene.database.home.path().join("keys"), row.id);
    assert_eq!(own, good, "with both it is no forgery");
    assert!(
        !opens(
            &scene,
            &forge(&scene.database.home.path().join("keys"), LoginId([7; 16]))
        )
        .await
    );
}

#[tokio::test]
async fn attack_30_a_copied_cookie_dies_with_a_new_password_and_with_signing_out_elsewhere() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let copied = login_cookie(&ada);
    assert!(opens(&scene, &copied).await);
    let mut other = scene.browser_of(&scene.ada).await;
    let page = ada.get("/account/devices").await;
    let page = ada.submit(&page, "end-others", &[]).await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert!(!opens(&scene, &copied).await, "signed out everywhere else");
    assert!(!is_signed_in(&mut other).await);
    assert!(is_signed_in(&mut ada).await);

    let copied = login_cookie(&ada);
    let page = ada.get("/account").await;
    let fields = [
        ("current_password", scene.ada.password.as_str()),
        ("new_password", "nine kites above the pier"),
    ];
    let page = ada.submit(&page, "change-password", &fields).await;
    assert_eq!(page.header("location"), "/account?done=password");
    assert!(!opens(&scene, &copied).await, "a new password");
    assert!(is_signed_in(&mut ada).await);
}
