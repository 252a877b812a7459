//! Where a code may be sent: nowhere but where the client has said beforehand.

use super::relying_party::{Answer, RelyingParty, request_of};
use crate::harness::Database;
use crate::harness::authorize::{AuthorizationRequest, REDIRECT_URI};

const WITH_QUERY: &str = "http://127.0.0.1/callback-with?foo=bar";

/// Nothing is sent anywhere; the person reads what is wrong.
async fn assert_is_shown(suite: &mut RelyingParty, request: &AuthorizationRequest) {
    let page = suite.app.authorize(&mut suite.person, request).await;
    let seen = (page.status.as_u16(), page.location());
    assert_eq!(seen, (400, None), "{:?}", request.parameters);
    assert!(page.forms().is_empty(), "{}", page.text);
}

#[tokio::test]
async fn a_redirect_uri_that_is_not_registered_is_an_error_page() {
    let mut suite = RelyingParty::start().await;
    for unregistered in [
        "http://127.0.0.1/callback/k7fS3xQp0Z",
        "http://127.0.0.1/CALLBACK",
        "http://127.0.0.1/callback/",
        "http://127.0.0.1/",
        "http://localhost/callback",
        "https://127.0.0.1/callback",
        "https://elsewhere.example/callback",
        "javascript:alert(1)",
    ] {
        let request = suite.request().with("redirect_uri", unregistered);
        assert_is_shown(&mut suite, &request).await;
    }
    // Not even when somebody is signed in and nothing need be asked.
    suite.log_in(&suite.request()).await;
    let silent = [("prompt", "none"), ("redirect_uri", "http://127.0.0.1/x")];
    let request = suite.request().with_all(&silent);
    assert_is_shown(&mut suite, &request).await;
}

#[tokio::test]
async fn a_redirect_uri_has_to_be_named() {
    let mut suite = RelyingParty::start().await;
    let request = suite.request().without("redirect_uri");
    assert_is_shown(&mut suite, &request).await;
}

#[tokio::test]
async fn a_query_must_not_be_added() {
    let mut suite = RelyingParty::start().await;
    let added = format!("{REDIRECT_URI}?foo=bar");
    let request = suite.request().with("redirect_uri", &added);
    assert_is_shown(&mut suite, &request).await;
}

#[tokio::test]
async fn a_query_must_be_the_registered_one() {
    let registration = ["--redirect-uri", WITH_QUERY];
    let mut suite = RelyingParty::start_with(Database::sqlite(), &[], &registration).await;
    for other in [
        "http://127.0.0.1/callback-with?foo=baz",
        "http://127.0.0.1/callback-with?foo=bar&foo=baz",
        "http://127.0.0.1/callback-with?foo=bar&",
        "http://127.0.0.1/callback-with?",
        "http://127.0.0.1/callback-with",
    ] {
        let request = suite.request().with("redirect_uri", other);
        assert_is_shown(&mut suite, &request).await;
    }
}

#[tokio::test]
async fn a_registered_query_is_kept() {
    let registration = ["--redirect-uri", WITH_QUERY];
    let mut suite = RelyingParty::start_with(Database::sqlite(), &[], &registration).await;
    let request = request_of(&suite.client).with("redirect_uri", WITH_QUERY);
    let callback = suite.callback(&request).await;
    assert_eq!(callback.parameters[0], ("foo".to_owned(), "bar".to_owned()));
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", callback.code()),
        ("redirect_uri", WITH_QUERY),
    ];
    let app = &suite.app;
    let answer = Answer::to(app.form(&suite.client, "/oauth/token", &fields)).await;
    suite.granted(&request, &answer).await;
}

#[tokio::test]
async fn a_redirect_uri_with_a_fragment_cannot_be_registered() {
    let suite = RelyingParty::start().await;
    let fragment = format!("{REDIRECT_URI}#foobar");
    let arguments = ["client", "create", "--grant", "authorization_code"];
    let said = suite
        .app
        .run(&[&arguments[..], &["--redirect-uri", &fragment]].concat());
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(said.err.contains("fragment"), "{}", said.err);
}
