//! Signing out at a client's wish, and telling clients of it.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::relying_party::{Granted, LOGGED_OUT, RelyingParty};
use crate::harness::client_site::ClientSite;
use crate::harness::login::claims;
use crate::harness::person::Page;
use crate::harness::{Database, now};

/// A browser in which ada is signed in.
async fn signed_in() -> (RelyingParty, Granted) {
    let mut suite = RelyingParty::start().await;
    let granted = suite.log_in(&suite.request()).await;
    (suite, granted)
}

/// Sends the browser to the end session endpoint.
async fn sign_out(suite: &mut RelyingParty, parameters: &[(&str, &str)]) -> Page {
    let url = suite.end_session(parameters);
    suite.person.cross_site_get(&url).await
}

/// Nobody is sent anywhere. Ada may be asked whether she wants to sign out.
async fn assert_stays_here(suite: &mut RelyingParty, page: Page) {
    assert_eq!(page.location(), None);
    if page.has_id("logout") {
        let done = suite.person.submit(&page, "logout", &[]).await;
        let next = done.location().unwrap();
        assert!(next.as_str().starts_with(&suite.app.issuer), "{next}");
    } else {
        assert_eq!(page.status, 400, "{}", page.text);
    }
}

/// The person is signed out, asked or not, and reads so.
async fn assert_is_told(suite: &mut RelyingParty, mut page: Page) {
    if page.has_id("logout") {
        page = suite.person.submit(&page, "logout", &[]).await;
    }
    if let Some(next) = page.location() {
        assert!(next.as_str().starts_with(&suite.app.issuer), "{next}");
        page = suite.person.follow(next.as_str()).await;
    }
    assert!(page.has_id("signed-out"), "{}", page.text);
    assert!(!suite.is_signed_in().await);
}

#[tokio::test]
async fn a_client_signs_its_user_out_and_gets_the_browser_back() {
    let (mut suite, granted) = signed_in().await;
    assert!(suite.is_signed_in().await);
    let parameters = [
        ("id_token_hint", &*granted.id_token),
        ("post_logout_redirect_uri", LOGGED_OUT),
        ("state", "a b&c"),
    ];
    let page = sign_out(&mut suite, &parameters).await;
    let back = page.location().unwrap();
    assert_eq!(back.as_str(), format!("{LOGGED_OUT}?state=a+b%26c"));
    assert!(!suite.is_signed_in().await);
}

#[tokio::test]
async fn the_wish_may_be_posted() {
    let (mut suite, granted) = signed_in().await;
    let parameters = [
        ("id_token_hint", &*granted.id_token),
        ("post_logout_redirect_uri", LOGGED_OUT),
    ];
    let posted = suite
        .person
        .cross_site_post("/oauth/logout", &parameters)
        .await;
    let again = posted.location().unwrap();
    let page = suite.person.cross_site_get(again.as_str()).await;
    assert_eq!(page.location().unwrap().as_str(), LOGGED_OUT);
    assert!(!suite.is_signed_in().await);
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let (mut suite, granted) = signed_in().await;
    let elsewhere = "http://127.0.0.1/logged-out/k7fS3xQp0Z";
    let parameters = [
        ("id_token_hint", &*granted.id_token),
        ("post_logout_redirect_uri", elsewhere),
        ("state", "s"),
    ];
    let page = sign_out(&mut suite, &parameters).await;
    assert_stays_here(&mut suite, page).await;
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_with_a_query_added() {
    let (mut suite, granted) = signed_in().await;
    let added = format!("{LOGGED_OUT}?foo=bar");
    let parameters = [
        ("id_token_hint", &*granted.id_token),
        ("post_logout_redirect_uri", &*added),
        ("state", "s"),
    ];
    let page = sign_out(&mut suite, &parameters).await;
    assert_stays_here(&mut suite, page).await;
}

#[tokio::test]
async fn an_id_token_without_its_signature_is_no_hint() {
    let (mut suite, granted) = signed_in().await;
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let payload = granted.id_token.split('.').nth(1).unwrap();
    for unsigned in [format!("{none}.{payload}."), format!("{none}.{payload}")] {
        let parameters = [
            ("id_token_hint", &*unsigned),
            ("post_logout_redirect_uri", LOGGED_OUT),
            ("state", "s"),
        ];
        let page = sign_out(&mut suite, &parameters).await;
        assert_stays_here(&mut suite, page).await;
    }
}

#[tokio::test]
async fn an_id_token_of_somebody_elses_signature_is_no_hint() {
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    const PEM: &str = include_str!("../../../../src/crypto/vault/fixtures/rsa2048-pkcs1.pem");
    let (mut suite, granted) = signed_in().await;
    let mut header = Header::new(Algorithm::RS256);
    header.kid = jsonwebtoken::decode_header(&granted.id_token).unwrap().kid;
    let key = EncodingKey::from_rsa_der(pem::parse(PEM).unwrap().contents());
    #[expect(clippy::disallowed_methods, reason = "a signer with another key")]
    let forged = jsonwebtoken::encode(&header, &granted.claims, &key).unwrap();
    let parameters = [
        ("id_token_hint", &*forged),
        ("post_logout_redirect_uri", LOGGED_OUT),
        ("state", "s"),
    ];
    let page = sign_out(&mut suite, &parameters).await;
    assert_stays_here(&mut suite, page).await;
    assert!(suite.is_signed_in().await, "a forgery does nothing");
}

#[tokio::test]
async fn nobody_is_sent_anywhere_for_a_client_that_does_not_say_who_it_is() {
    let (mut suite, _) = signed_in().await;
    let parameters = [("post_logout_redirect_uri", LOGGED_OUT), ("state", "s")];
    let page = sign_out(&mut suite, &parameters).await;
    assert_stays_here(&mut suite, page).await;
}

#[tokio::test]
async fn a_wish_without_parameters_signs_out_here() {
    let (mut suite, _) = signed_in().await;
    let page = sign_out(&mut suite, &[]).await;
    assert_is_told(&mut suite, page).await;
}

#[tokio::test]
async fn a_wish_with_nothing_but_a_state_signs_out_here() {
    let (mut suite, _) = signed_in().await;
    let page = sign_out(&mut suite, &[("state", "s")]).await;
    assert_is_told(&mut suite, page).await;
}

#[tokio::test]
async fn a_wish_without_an_address_to_return_to_signs_out_here() {
    let (mut suite, granted) = signed_in().await;
    let parameters = [("id_token_hint", &*granted.id_token), ("state", "s")];
    let page = sign_out(&mut suite, &parameters).await;
    assert_is_told(&mut suite, page).await;
}

#[tokio::test]
async fn without_a_state_the_browser_comes_back_without_one() {
    let (mut suite, granted) = signed_in().await;
    let parameters = [
        ("id_token_hint", &*granted.id_token),
        ("post_logout_redirect_uri", LOGGED_OUT),
    ];
    let page = sign_out(&mut suite, &parameters).await;
    assert_eq!(page.location().unwrap().as_str(), LOGGED_OUT);
    assert!(!suite.is_signed_in().await);
}

#[tokio::test]
async fn a_parameter_without_a_value_counts_as_omitted() {
    let (mut suite, _) = signed_in().await;
    let parameters = [
        ("id_token_hint", ""),
        ("client_id", ""),
        ("post_logout_redirect_uri", ""),
        ("state", ""),
    ];
    let page = sign_out(&mut suite, &parameters).await;
    assert_is_told(&mut suite, page).await;
}

#[tokio::test]
async fn a_client_is_told_of_the_logout_behind_the_browsers_back() {
    let site = ClientSite::start();
    let receiver = site.backchannel();
    let settings = [("TOKENSMITH_PRIVATE_RECEIVERS", "127.0.0.0/8")];
    let registration = ["--backchannel-logout-uri", &receiver];
    let database = Database::sqlite();
    let mut suite = RelyingParty::start_with(database, &settings, &registration).await;
    let granted = suite.log_in(&suite.request()).await;
    let parameters = [
        ("id_token_hint", &*granted.id_token),
        ("post_logout_redirect_uri", LOGGED_OUT),
        ("state", "s"),
    ];
    let page = sign_out(&mut suite, &parameters).await;
    let back = page.location().unwrap();
    assert_eq!(back.as_str(), format!("{LOGGED_OUT}?state=s"));

    let token = site.logout_token().await;
    let said = logout_token(&suite, &token).await;
    let names: BTreeSet<_> = said
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = ["aud", "events", "exp", "iat", "iss", "jti", "sid", "sub"];
    assert_eq!(names, expected.into(), "and no nonce");
    assert_eq!(said["iss"], suite.app.issuer.as_str());
    assert_eq!(said["aud"], suite.client.id.as_str());
    for same in ["sub", "sid"] {
        assert_eq!(said[same], granted.claims[same], "{same}");
    }
    let event = "http://schemas.openid.net/event/backchannel-logout";
    assert_eq!(said["events"], serde_json::json!({ event: {} }));
    assert!((now() - said["iat"].as_i64().unwrap()).abs() < 60);
    assert!(said["exp"].as_i64() > said["iat"].as_i64());
    assert!(!suite.is_signed_in().await);
}

/// The claims of a logout token whose signature is right.
async fn logout_token(suite: &RelyingParty, token: &str) -> Value {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("logout+jwt"));
    let keys = suite.get("/.well-known/jwks.json").await;
    let keys: JwkSet = serde_json::from_str(&keys.text).unwrap();
    let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[&suite.client.id]);
    #[expect(clippy::disallowed_methods, reason = "a verifier other than ours")]
    let decoded = jsonwebtoken::decode::<Value>(token, &key, &validation);
    assert_eq!(decoded.unwrap().claims, claims(token));
    claims(token)
}
