//! Request objects (`OpenID` Connect Core §6), which this server refuses by name.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::relying_party::RelyingParty;
use crate::harness::authorize::{AuthorizationRequest, Callback, REDIRECT_URI};

/// A request object without a signature, with everything that the request says.
fn unsigned(request: &AuthorizationRequest) -> String {
    let parameters = request.parameters.iter();
    let claims: Map<String, Value> = parameters
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    let encode = |json: String| URL_SAFE_NO_PAD.encode(json);
    let claims = Value::Object(claims).to_string();
    format!(
        "{}.{}.",
        encode(r#"{"alg":"none"}"#.to_owned()),
        encode(claims)
    )
}

async fn answer(suite: &mut RelyingParty, request: &AuthorizationRequest) -> Callback {
    let page = suite.app.authorize(&mut suite.person, request).await;
    Callback::from_page(&page, REDIRECT_URI).unwrap_or_else(|| panic!("{}", page.text))
}

#[tokio::test]
async fn an_unsigned_request_object_is_refused_by_name() {
    let mut suite = RelyingParty::start().await;
    let request = suite.request();
    // What has to be said beside it as well (§6.1); the state is inside only.
    let request = request
        .clone()
        .without("state")
        .without("nonce")
        .with("request", &unsigned(&request));
    let callback = answer(&mut suite, &request).await;
    assert_eq!(callback.error.as_deref(), Some("request_not_supported"));
    let metadata = suite.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["request_parameter_supported"], false);
}

#[tokio::test]
async fn a_request_object_by_reference_is_refused_by_name_and_not_fetched() {
    let mut suite = RelyingParty::start().await;
    let site = crate::harness::client_site::ClientSite::start();
    let reference = format!("{}#{}", site.callback(), "a".repeat(43));
    let request = suite.request().with("request_uri", &reference);
    let callback = answer(&mut suite, &request).await;
    assert_eq!(callback.error.as_deref(), Some("request_uri_not_supported"));
    assert!(site.arrivals().is_empty(), "server-side request forgery");
    let metadata = suite.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["request_uri_parameter_supported"], false);
}

#[tokio::test]
async fn a_redirect_uri_inside_a_request_object_does_not_make_up_for_a_wrong_one() {
    let mut suite = RelyingParty::start().await;
    let request = suite.request();
    let wrong = request.clone().with_all(&[
        ("redirect_uri", "http://127.0.0.1/callback/k7fS3xQp0Z"),
        ("request", &unsigned(&request)),
    ]);
    let page = suite.app.authorize(&mut suite.person, &wrong).await;
    assert_eq!((page.status.as_u16(), page.location()), (400, None));
}
