//! Item 30: markup in whatever others have written, on the pages and in the answers.

use super::{AuthorizationRequest, Person, Scene, assert_shown, callback};
use crate::harness::person::{Page, Visit};

/// Closes whatever it may stand in.
const MARKUP: &str = r#""'></title></textarea><script>alert(1)</script>&amp;"#;

/// No page gives back what others have written as anything but text.
fn assert_is_text(page: &Page, what: &str) {
    assert!(
        !page.text.contains("<script>alert"),
        "{what}: {}",
        page.text
    );
    let scripts = page
        .document()
        .elements
        .into_iter()
        .filter(|it| it.name == "script");
    for script in scripts {
        let ours = ["/form-post.js", "/account.js"];
        assert!(ours.contains(&script.attribute("src")), "{what}");
    }
}

#[tokio::test]
async fn attack_30_markup_that_others_have_written_comes_back_as_text() {
    let scene = Scene::with(&[("TOKENSMITH_SIGNUP", "true")]).await;
    let name = format!("Shop{MARKUP}");
    let arguments = [
        "--grant",
        "authorization_code",
        "--name",
        &name,
        "--scope",
        "openid </code><script>alert(1)</script>",
        "--redirect-uri",
        "https://app.example.com/callback?a=b;c",
        "--logo-uri",
        "https://logo.example.com/a;script-src%20*",
    ];
    let evil = scene.app.register("evil", &arguments).await;
    let request = AuthorizationRequest::of(&evil).without("scope");
    let request = request.with_all(&[
        ("redirect_uri", "https://app.example.com/callback?a=b;c"),
        ("login_hint", MARKUP),
        ("ui_locales", MARKUP),
        ("state", MARKUP),
        ("nonce", MARKUP),
    ]);
    let mut ada = Person::new(&scene.app);
    let login = scene.app.authorize(&mut ada, &request).await;
    assert_is_text(&login, "login");
    assert_eq!(
        login.attribute_of_id("username", "value").as_deref(),
        Some(MARKUP)
    );
    let wrong = [("username", MARKUP), ("password", MARKUP)];
    let again = ada.submit(&login, "submit", &wrong).await;
    assert_is_text(&again, "a wrong password");
    assert_eq!(
        again.attribute_of_id("username", "value").as_deref(),
        Some(MARKUP)
    );
    let sign_up = ada
        .follow(&login.attribute_of_id("sign-up", "href").unwrap())
        .await;
    assert_is_text(&sign_up, "sign-up");
    let typed = [("username", MARKUP), ("email", MARKUP), ("password", "x")];
    assert_is_text(
        &ada.submit(&sign_up, "submit", &typed).await,
        "a wrong sign-up",
    );

    let page = scene.app.sign_in(&mut ada, &login, &scene.ada).await;
    let consent = ada.follow(page.location().unwrap().as_str()).await;
    assert!(consent.has_id("allow"), "{}", consent.text);
    assert_is_text(&consent, "consent");
    let policy = consent.header("content-security-policy");
    assert!(
        policy.contains("img-src 'self' https://logo.example.com;"),
        "{policy}"
    );
    assert!(!policy.contains("script-src"), "{policy}");
    let page = ada.submit(&consent, "allow", &[]).await;
    assert_eq!(callback(&page, &request).state.as_deref(), Some(MARKUP));

    let account = ada.get("/account").await;
    assert_is_text(&account, "account");
    let typed = [("name", MARKUP), ("address", MARKUP)];
    ada.submit(&account, "save-profile", &typed).await;
    let account = ada.get("/account").await;
    assert_is_text(&account, "a profile");
    assert!(account.has_id("revoke-evil"));
    let devices = ada
        .send(Visit::get("/account/devices").header("user-agent", MARKUP))
        .await;
    assert_is_text(&devices, "devices");
    assert_is_text(&ada.get("/oauth/logout?client_id=evil").await, "logout");
    assert_is_text(
        &ada.get("/oauth/logout?client_id=evil&state=<script>alert(1)")
            .await,
        "state",
    );
}

#[tokio::test]
async fn attack_30_an_error_repeats_nothing_of_what_was_sent() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    for name in ["client_id", "redirect_uri"] {
        let page = scene
            .app
            .authorize(&mut ada, &scene.request().with(name, MARKUP))
            .await;
        assert_shown(&page, name);
        assert_is_text(&page, name);
    }
    for name in [
        "response_type",
        "response_mode",
        "prompt",
        "claims",
        "max_age",
        "resource",
        "scope",
        "id_token_hint",
        "code_challenge",
        "code_challenge_method",
        "request",
        "request_uri",
    ] {
        let request = scene.request().with(name, MARKUP);
        let answer = scene.answer(&mut ada, &request).await;
        let description = answer.error_description.unwrap();
        assert!(!description.contains("alert"), "{name}: {description}");
        // RFC 6749 §4.1.2.1: printable, without the quote and the backslash.
        let is_allowed = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
        assert!(description.bytes().all(is_allowed), "{name}: {description}");
        if name != "response_mode" {
            let posted = request
                .with("response_mode", "form_post")
                .with("state", MARKUP);
            let page = scene.app.authorize(&mut ada, &posted).await;
            assert_is_text(&page, name);
            assert_eq!(callback(&page, &posted).state.as_deref(), Some(MARKUP));
        }
    }
    for path in [
        "/login?request=",
        "/consent?request=",
        "/<script>alert(1)</script>?",
    ] {
        assert_is_text(&ada.get(&format!("{path}{MARKUP}")).await, path);
    }
    assert_is_text(
        &ada.get(&format!("/oauth/logout?id_token_hint={MARKUP}"))
            .await,
        "a hint",
    );
    assert_is_text(
        &ada.get(&format!("/account?done={MARKUP}")).await,
        "a notice",
    );
}
