//! The metadata of the server and its keys.

use serde_json::{Value, json};

use super::relying_party::Answer;
use crate::harness::{Database, TestApp};
use reqwest::Method;

const DOCUMENT: &str = "/.well-known/openid-configuration";

/// The metadata of a server at an address such as people use.
async fn metadata() -> (Database, TestApp, Value) {
    let database = Database::sqlite();
    let issuer = ("TOKENSMITH_ISSUER", "https://login.example.com");
    let app = TestApp::start_with(&database, &[issuer]).await;
    let answer = Answer::to(app.request(Method::GET, DOCUMENT)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.content_type, "application/json");
    let document = answer.json();
    (database, app, document)
}

fn contains(document: &Value, member: &str, value: &str) -> bool {
    let values = document[member].as_array().unwrap();
    values.contains(&value.into())
}

#[tokio::test]
async fn the_metadata_says_what_a_client_has_to_know() {
    let (_database, _app, document) = metadata().await;
    assert_eq!(document["issuer"], "https://login.example.com");
    for (member, value) in [
        ("response_types_supported", "code"),
        ("response_modes_supported", "query"),
        ("grant_types_supported", "authorization_code"),
        ("grant_types_supported", "refresh_token"),
        ("subject_types_supported", "public"),
        ("id_token_signing_alg_values_supported", "RS256"),
        ("scopes_supported", "openid"),
        ("scopes_supported", "offline_access"),
        (
            "token_endpoint_auth_methods_supported",
            "client_secret_basic",
        ),
        (
            "token_endpoint_auth_methods_supported",
            "client_secret_post",
        ),
        ("code_challenge_methods_supported", "S256"),
        ("claims_supported", "sub"),
        ("claims_supported", "email_verified"),
        ("claims_supported", "phone_number"),
        ("ui_locales_supported", "en"),
    ] {
        assert!(contains(&document, member, value), "{member}: {document}");
    }
    assert!(!contains(
        &document,
        "id_token_signing_alg_values_supported",
        "none"
    ));
    assert_eq!(document["claims_parameter_supported"], true);
    for (name, value) in document.as_object().unwrap() {
        let is_url = ["_endpoint", "_uri", "issuer", "_documentation"];
        if is_url.iter().any(|end| name.ends_with(end)) {
            let url = value.as_str().unwrap();
            assert!(
                url.starts_with("https://login.example.com"),
                "{name}: {url}"
            );
        }
    }
    for endpoint in [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
    ] {
        assert!(document[endpoint].is_string(), "{endpoint}");
    }
}

#[tokio::test]
async fn the_keys_are_public_and_each_has_a_name_of_its_own() {
    let (_database, app, _) = metadata().await;
    let answer = Answer::to(app.request(Method::GET, "/.well-known/jwks.json")).await;
    let keys = answer.json();
    let keys = keys["keys"].as_array().unwrap();
    let mut names: Vec<_> = keys
        .iter()
        .map(|key| key["kid"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), keys.len());
    for key in keys {
        assert_eq!(key["use"], "sig");
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert_eq!(key.get(private), None, "{private}");
        }
    }
}

#[tokio::test]
async fn the_metadata_says_how_a_client_signs_people_out() {
    let (_database, _app, document) = metadata().await;
    assert_eq!(
        document["end_session_endpoint"],
        "https://login.example.com/oauth/logout"
    );
}

#[tokio::test]
async fn the_metadata_says_that_clients_are_told_of_a_logout() {
    let (_database, _app, document) = metadata().await;
    assert_eq!(document["backchannel_logout_supported"], json!(true));
    assert_eq!(
        document["backchannel_logout_session_supported"],
        json!(true)
    );
}
