//! What is told about a person, and where.

use reqwest::Method;
use serde_json::{Value, json};

use super::relying_party::{Answer, RelyingParty};

#[tokio::test]
async fn userinfo_is_there_for_get() {
    let mut suite = RelyingParty::start().await;
    let granted = suite.log_in(&suite.request()).await;
    let told = suite.userinfo(&granted.access_token).await;
    assert_is_about_ada(&suite, &told);
    let nothing = suite.get("/oauth/userinfo").await;
    assert_eq!(nothing.status, 401);
    assert!(nothing.challenge.starts_with("Bearer"), "{nothing:?}");
}

#[tokio::test]
async fn userinfo_is_there_for_post_with_the_token_in_the_header() {
    let mut suite = RelyingParty::start().await;
    let granted = suite.log_in(&suite.request()).await;
    let request = suite.app.request(Method::POST, "/oauth/userinfo");
    let told = Answer::to(request.bearer_auth(&granted.access_token)).await;
    assert_is_about_ada(&suite, &told);
}

#[tokio::test]
async fn userinfo_is_there_for_post_with_the_token_in_the_form() {
    let mut suite = RelyingParty::start().await;
    let granted = suite.log_in(&suite.request()).await;
    let request = suite.app.request(Method::POST, "/oauth/userinfo");
    let told = Answer::to(request.form(&[("access_token", &granted.access_token)])).await;
    assert_is_about_ada(&suite, &told);
    // RFC 6750 §2: in one way only.
    let request = suite.app.request(Method::POST, "/oauth/userinfo");
    let request = request.bearer_auth(&granted.access_token);
    let twice = Answer::to(request.form(&[("access_token", &granted.access_token)])).await;
    assert_eq!(twice.status, 400, "{twice:?}");
}

fn assert_is_about_ada(suite: &RelyingParty, told: &Answer) {
    assert_eq!(told.status, 200, "{told:?}");
    assert!(
        told.content_type.starts_with("application/json"),
        "{told:?}"
    );
    assert_eq!(told.json(), json!({ "sub": suite.ada.id }), "{told:?}");
}

#[tokio::test]
async fn the_scope_profile_stands_for_the_name_and_the_like() {
    let profile = json!({ "name": "Ada Lovelace", "preferred_username": "ada" });
    assert_scope_stands_for("openid profile", profile).await;
}

#[tokio::test]
async fn the_scope_email_stands_for_the_address_and_whether_it_is_verified() {
    let email = json!({ "email": "ada@example.com", "email_verified": true });
    assert_scope_stands_for("openid email", email).await;
}

#[tokio::test]
async fn the_scope_address_stands_for_an_object_with_the_address() {
    let formatted = "12 St James's Square\nLondon";
    let address = json!({ "address": { "formatted": formatted } });
    assert_scope_stands_for("openid address", address).await;
}

#[tokio::test]
async fn the_scope_phone_stands_for_the_number_and_whether_it_is_verified() {
    let phone = json!({ "phone_number": "+442079460000", "phone_number_verified": false });
    assert_scope_stands_for("openid phone", phone).await;
}

#[tokio::test]
async fn all_scopes_together_stand_for_all_claims() {
    let all = json!({
        "name": "Ada Lovelace",
        "preferred_username": "ada",
        "email": "ada@example.com",
        "email_verified": true,
        "address": { "formatted": "12 St James's Square\nLondon" },
        "phone_number": "+442079460000",
        "phone_number_verified": false,
    });
    assert_scope_stands_for("openid email phone address profile", all).await;
}

/// Userinfo tells exactly these claims, and the ID token none of them: there is an access token to
/// ask with (`OpenID` Connect Core §5.4).
async fn assert_scope_stands_for(scope: &str, mut claims: Value) {
    let mut suite = RelyingParty::start().await;
    let granted = suite.log_in(&suite.request().with("scope", scope)).await;
    for name in claims.as_object().unwrap().keys() {
        assert_eq!(granted.claims.get(name), None, "{name}");
    }
    claims["sub"] = suite.ada.id.clone().into();
    assert_eq!(suite.userinfo(&granted.access_token).await.json(), claims);
}

#[tokio::test]
async fn an_essential_claim_is_told() {
    let mut suite = RelyingParty::start().await;
    let essential = r#"{"userinfo":{"name":{"essential":true}}}"#;
    let granted = suite
        .log_in(&suite.request().with("claims", essential))
        .await;
    assert_eq!(granted.claims.get("name"), None, "for userinfo");
    let told = suite.userinfo(&granted.access_token).await.json();
    assert_eq!(told, json!({ "sub": suite.ada.id, "name": "Ada Lovelace" }));

    let in_the_token = r#"{"id_token":{"email":null,"auth_time":{"essential":true}}}"#;
    let granted = suite
        .log_in(&suite.request().with("claims", in_the_token))
        .await;
    assert_eq!(granted.claims["email"], "ada@example.com");
    let told = suite.userinfo(&granted.access_token).await.json();
    assert_eq!(told, json!({ "sub": suite.ada.id }));
}

#[tokio::test]
async fn a_wish_for_the_language_of_claims_is_no_error() {
    let mut suite = RelyingParty::start().await;
    suite
        .log_in(&suite.request().with("claims_locales", "se"))
        .await;
}
