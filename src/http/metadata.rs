//! `GET /.well-known/oauth-authorization-server` (RFC 8414).

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::Endpoints;
use super::published::{self, Published};
use crate::domain::client::{ClientAuthMethod, GrantType};
use crate::domain::issuer::Issuer;

/// How long the metadata may be kept; it changes with releases only.
const MAX_AGE: Duration = Duration::from_mins(5);

/// The metadata of this server.
pub(super) fn document(issuer: &Issuer) -> Published {
    let methods = ClientAuthMethod::ALL.map(ClientAuthMethod::as_str);
    // RFC 7662 §2.1: who asks about tokens has to prove who it is.
    let confidential: Vec<&str> = ClientAuthMethod::ALL
        .into_iter()
        .filter(|method| *method != ClientAuthMethod::None)
        .map(ClientAuthMethod::as_str)
        .collect();
    let document = json!({
        "issuer": issuer.as_str(),
        "token_endpoint": issuer.endpoint("/oauth/token"),
        "jwks_uri": issuer.endpoint("/.well-known/jwks.json"),
        "grant_types_supported": GrantType::ALL.map(GrantType::as_str),
        // RFC 8414 §2 requires the member; without an authorization endpoint there is none.
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": methods,
        // draft-ietf-oauth-first-party-apps §4.
        "authorization_challenge_endpoint": issuer.endpoint("/oauth/challenge"),
        // RFC 7636: `plain` protects nothing.
        "code_challenge_methods_supported": ["S256"],
        "revocation_endpoint": issuer.endpoint("/oauth/revoke"),
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint": issuer.endpoint("/oauth/introspect"),
        "introspection_endpoint_auth_methods_supported": confidential,
        "service_documentation": issuer.endpoint("/docs"),
    });
    Published::new(document.to_string())
}

pub(super) async fn get(endpoints: web::Data<Endpoints>, request: HttpRequest) -> HttpResponse {
    let Published { body, etag } = &endpoints.metadata;
    published::answer(
        &request,
        "/.well-known/oauth-authorization-server",
        body,
        etag,
        &published::cache_control(MAX_AGE),
    )
}
