//! `GET /.well-known/openid-configuration` (`OpenID` Connect Discovery 1.0 §4) and
//! `/.well-known/oauth-authorization-server` (RFC 8414): one document at both.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::Endpoints;
use super::published::{self, Published};
use crate::domain::authorization::{ACR_VALUES, Prompt, ResponseMode};
use crate::domain::claims::PersonClaim;
use crate::domain::client::{ClientAuthMethod, GrantType};
use crate::domain::issuer::Issuer;
use crate::web::Language;

/// How long the metadata may be kept; it changes with releases only.
const MAX_AGE: Duration = Duration::from_mins(5);

/// The scopes that this server gives a meaning (`OpenID` Connect Core §5.4, §11).
const SCOPES: [&str; 6] = [
    "openid",
    "profile",
    "email",
    "address",
    "phone",
    "offline_access",
];

/// The metadata of this server.
pub(super) fn document(issuer: &Issuer, signup: bool) -> Published {
    let methods = ClientAuthMethod::ALL.map(ClientAuthMethod::as_str);
    // RFC 7662 §2.1: who asks about tokens has to prove who it is.
    let confidential: Vec<&str> = ClientAuthMethod::ALL
        .into_iter()
        .filter(|method| *method != ClientAuthMethod::None)
        .map(ClientAuthMethod::as_str)
        .collect();
    let of_the_token = [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "acr",
        "amr",
    ];
    let claims: Vec<&str> = of_the_token
        .into_iter()
        .chain(["at_hash", "sid"])
        .chain(PersonClaim::ALL.map(PersonClaim::as_str))
        .collect();
    let prompts: Vec<&str> = Prompt::VALUES
        .into_iter()
        .filter(|value| signup || *value != "create")
        .collect();
    let document = json!({
        "issuer": issuer.as_str(),
        "token_endpoint": issuer.endpoint("/oauth/token"),
        "authorization_endpoint": issuer.endpoint("/oauth/authorize"),
        // RFC 9126 §5.
        "pushed_authorization_request_endpoint": issuer.endpoint("/oauth/par"),
        "require_pushed_authorization_requests": false,
        "userinfo_endpoint": issuer.endpoint("/oauth/userinfo"),
        // OpenID Connect RP-Initiated Logout 1.0 §2.1, Back-Channel Logout 1.0 §2.1.
        "end_session_endpoint": issuer.endpoint("/oauth/logout"),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "jwks_uri": issuer.endpoint("/.well-known/jwks.json"),
        "grant_types_supported": GrantType::ALL.map(GrantType::as_str),
        "response_types_supported": ["code"],
        "response_modes_supported": ResponseMode::ALL.map(ResponseMode::as_str),
        // RFC 9207 §3.
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": SCOPES,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "acr_values_supported": ACR_VALUES,
        "prompt_values_supported": prompts,
        "claim_types_supported": ["normal"],
        "claims_supported": claims,
        "claims_parameter_supported": true,
        "request_parameter_supported": false,
        // True when absent.
        "request_uri_parameter_supported": false,
        "ui_locales_supported": Language::ALL.map(Language::tag),
        "token_endpoint_auth_methods_supported": methods,
        // draft-ietf-oauth-first-party-apps §4.
        "authorization_challenge_endpoint": issuer.endpoint("/oauth/challenge"),
        // RFC 7636: `plain` protects nothing.
        "code_challenge_methods_supported": ["S256"],
        "revocation_endpoint": issuer.endpoint("/oauth/revoke"),
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint": issuer.endpoint("/oauth/introspect"),
        "introspection_endpoint_auth_methods_supported": confidential,
        // draft-ietf-oauth-status-list §9.2.
        "status_list_aggregation_endpoint": issuer.endpoint("/status-lists"),
        // Of our own: docs/revocation.md.
        "revocation_stream_endpoint": issuer.endpoint("/revocation/stream"),
        "revocation_changes_endpoint": issuer.endpoint("/revocation/changes"),
        "revocation_snapshot_endpoint": issuer.endpoint("/revocation/snapshot"),
        "service_documentation": issuer.endpoint("/docs"),
    });
    Published::new(document.to_string())
}

pub(super) async fn get(endpoints: web::Data<Endpoints>, request: HttpRequest) -> HttpResponse {
    let Published { body, etag } = &endpoints.metadata;
    published::answer(
        &request,
        "metadata",
        body,
        etag,
        &published::cache_control(MAX_AGE),
    )
}
