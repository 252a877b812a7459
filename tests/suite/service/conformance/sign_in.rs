//! When a person is asked to sign in, and how the page looks.

use super::relying_party::RelyingParty;
use crate::harness::authorize::{Callback, REDIRECT_URI};

/// Makes the sign-in five seconds older than it is, in place of waiting.
const FIVE_SECONDS_AGO: &str = "UPDATE logins SET auth_time = auth_time - 5000";

#[tokio::test]
async fn the_page_may_be_asked_to_fill_the_window() {
    let mut suite = RelyingParty::start().await;
    suite.log_in(&suite.request().with("display", "page")).await;
}

#[tokio::test]
async fn the_page_may_be_asked_to_be_a_popup() {
    let mut suite = RelyingParty::start().await;
    suite
        .log_in(&suite.request().with("display", "popup"))
        .await;
}

#[tokio::test]
async fn a_client_may_have_the_person_sign_in_again() {
    let mut suite = RelyingParty::start().await;
    suite.callback(&suite.request()).await;
    suite.database.execute(FIVE_SECONDS_AGO).await;
    let first = suite.log_in(&suite.request()).await;
    let request = suite.request().with("prompt", "login");
    let page = suite.first_page(&request).await;
    assert!(page.has_id("password"), "{}", page.text);
    let second = suite.go_on(&request, page).await;
    assert_eq!(first.claims["sub"], second.claims["sub"]);
    let auth_times = [first, second].map(|it| it.claims["auth_time"].as_i64().unwrap());
    assert!(auth_times[0] < auth_times[1], "{auth_times:?}");
}

#[tokio::test]
async fn a_silent_request_without_a_sign_in_is_refused() {
    let mut suite = RelyingParty::start().await;
    let state = "s".repeat(128);
    let request = suite
        .request()
        .with_all(&[("prompt", "none"), ("state", &state)]);
    let page = suite.app.authorize(&mut suite.person, &request).await;
    let callback = Callback::from_page(&page, REDIRECT_URI).unwrap();
    assert_eq!(callback.error.as_deref(), Some("login_required"));
    assert_eq!(callback.state, Some(state));
    assert_eq!(callback.iss.as_ref(), Some(&suite.app.issuer));
    assert_eq!(callback.code, None);
}

#[tokio::test]
async fn a_silent_request_after_a_sign_in_is_granted() {
    let mut suite = RelyingParty::start().await;
    let first = suite.log_in(&suite.request()).await;
    let request = suite.request().with("prompt", "none");
    let page = suite.app.authorize(&mut suite.person, &request).await;
    let callback = Callback::from_page(&page, REDIRECT_URI).unwrap();
    let second = suite.exchange(&request, &callback).await;
    for same in ["sub", "auth_time"] {
        assert_eq!(first.claims[same], second.claims[same], "{same}");
    }
}

#[tokio::test]
async fn a_sign_in_that_is_too_old_is_repeated() {
    let mut suite = RelyingParty::start().await;
    suite.callback(&suite.request()).await;
    suite.database.execute(FIVE_SECONDS_AGO).await;
    let first = suite.log_in(&suite.request()).await;
    let request = suite.request().with("max_age", "1");
    let page = suite.first_page(&request).await;
    assert!(page.has_id("password"), "{}", page.text);
    let second = suite.go_on(&request, page).await;
    let auth_times = [first, second].map(|it| it.claims["auth_time"].as_i64().unwrap());
    assert!(auth_times[0] < auth_times[1], "{auth_times:?}");
}

#[tokio::test]
async fn a_sign_in_that_is_young_enough_is_good() {
    let mut suite = RelyingParty::start().await;
    let first = suite
        .log_in(&suite.request().with("max_age", "15000"))
        .await;
    let request = suite.request().with("max_age", "10000");
    let page = suite.app.authorize(&mut suite.person, &request).await;
    let callback = Callback::from_page(&page, REDIRECT_URI).unwrap();
    let second = suite.exchange(&request, &callback).await;
    for same in ["sub", "auth_time"] {
        assert_eq!(first.claims[same], second.claims[same], "{same}");
    }
}

#[tokio::test]
async fn an_id_token_says_whom_a_silent_request_is_about() {
    let mut suite = RelyingParty::start().await;
    let first = suite.log_in(&suite.request()).await;
    let hint = [("prompt", "none"), ("id_token_hint", &*first.id_token)];
    let request = suite.request().with_all(&hint);
    let page = suite.app.authorize(&mut suite.person, &request).await;
    let callback = Callback::from_page(&page, REDIRECT_URI).unwrap();
    let second = suite.exchange(&request, &callback).await;
    for same in ["sub", "auth_time"] {
        assert_eq!(first.claims[same], second.claims[same], "{same}");
    }

    // Somebody else is signed in.
    let bob = suite.app.user("bob").await;
    let page = suite
        .first_page(&suite.request().with("prompt", "login"))
        .await;
    let page = suite.app.sign_in(&mut suite.person, &page, &bob).await;
    assert!(
        page.has_id("allow") || page.location().is_some(),
        "{}",
        page.text
    );
    let page = suite.app.authorize(&mut suite.person, &request).await;
    let callback = Callback::from_page(&page, REDIRECT_URI).unwrap();
    assert_eq!(callback.error.as_deref(), Some("login_required"));
}

#[tokio::test]
async fn the_name_that_a_client_expects_is_filled_in() {
    let mut suite = RelyingParty::start().await;
    let request = suite.request().with("login_hint", "ada");
    let page = suite.first_page(&request).await;
    let filled_in = page.attribute_of_id("username", "value");
    assert_eq!(filled_in.as_deref(), Some("ada"), "{}", page.text);
    suite.go_on(&request, page).await;
}

#[tokio::test]
async fn the_page_is_in_the_language_that_a_client_asks_for() {
    let mut suite = RelyingParty::start().await;
    for (asked, shown) in [("de en", "de"), ("en", "en"), ("se", "en")] {
        let request = suite.request().with("ui_locales", asked);
        let page = suite.first_page(&request).await;
        assert_eq!(page.header("content-language"), shown, "{asked}");
    }
    suite
        .log_in(&suite.request().with("ui_locales", "se"))
        .await;
}

#[tokio::test]
async fn an_authentication_class_may_be_wished_for() {
    let mut suite = RelyingParty::start().await;
    let granted = suite
        .log_in(&suite.request().with("acr_values", "1 2"))
        .await;
    assert_eq!(granted.claims["acr"], "1");
    // One that nobody can reach is a wish still.
    let granted = suite
        .log_in(&suite.request().with("acr_values", "urn:x:gold"))
        .await;
    assert_eq!(granted.claims["acr"], "1");
}
