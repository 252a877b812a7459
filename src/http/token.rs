//! `POST /oauth/token` (RFC 6749 §3.2).

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use zeroize::Zeroizing;

use super::Endpoints;
use super::basic_auth::{self, Authorization};
use super::error::ApiError;
use super::form::Form;
use super::observe::Caller;
use crate::domain::Timestamp;
use crate::domain::client::{Client, ClientAuthMethod, GrantType};
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::grants::{ClientCredential, ClientCredentialsRequest, GrantError, TokenResponse};

pub(super) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let now = endpoints.clock.now();
    let client = authenticate(&endpoints, &request, &form, now)?;
    let grant = grant_type(&form).map_err(GrantError::Refused)?;
    let response = match grant {
        GrantType::ClientCredentials => {
            let parameters = ClientCredentialsRequest {
                scope: form.value("scope"),
                resources: form.values("resource").collect(),
            };
            endpoints
                .service
                .client_credentials(&client, &parameters, now)?
        }
    };
    endpoints
        .metrics
        .token_issued(grant.as_str(), client.id.as_str());
    Ok(render(&response))
}

/// RFC 6749 §2.3: the client proves who it is before anything else is looked at.
fn authenticate(
    endpoints: &Endpoints,
    request: &HttpRequest,
    form: &Form,
    now: Timestamp,
) -> Result<Arc<Client>, ApiError> {
    let challenge = request.headers().contains_key(header::AUTHORIZATION);
    let refused = |error| ApiError::OAuth { error, challenge };
    let credential = client_credential(request, form).map_err(refused)?;
    if let Ok(id) = credential.client_id.parse() {
        Caller::note(request, &id);
    }
    endpoints
        .service
        .authenticate_client(&credential, now)
        .map_err(refused)
}

/// The one credential of the request (RFC 6749 §2.3: not more than one way of authenticating).
fn client_credential(request: &HttpRequest, form: &Form) -> Result<ClientCredential, OAuthError> {
    let (body_id, body_secret) = (form.value("client_id"), form.value("client_secret"));
    match (basic_auth::read(request.headers()), body_id, body_secret) {
        (Authorization::Basic { .. } | Authorization::Malformed, _, Some(_)) => Err(
            OAuthError::invalid_request("authenticate in the header or in the form, not both"),
        ),
        (Authorization::Basic { client_id, .. }, Some(other), None) if client_id != other => Err(
            OAuthError::invalid_request("client_id in the form is not that of the header"),
        ),
        (Authorization::Basic { client_id, secret }, _, None) => Ok(ClientCredential {
            client_id,
            secret,
            method: ClientAuthMethod::ClientSecretBasic,
        }),
        (Authorization::Absent, Some(client_id), Some(secret)) => Ok(ClientCredential {
            client_id: client_id.to_owned(),
            secret: Zeroizing::new(secret.to_owned()),
            method: ClientAuthMethod::ClientSecretPost,
        }),
        (Authorization::Absent, _, _) | (Authorization::Malformed, _, None) => {
            Err(OAuthError::invalid_client())
        }
    }
}

fn grant_type(form: &Form) -> Result<GrantType, OAuthError> {
    let name = form
        .value("grant_type")
        .ok_or_else(|| OAuthError::invalid_request("grant_type is missing"))?;
    name.parse().map_err(|_| {
        let description = "this server offers the grant type client_credentials";
        OAuthError::new(OAuthErrorCode::UnsupportedGrantType, description)
    })
}

/// RFC 6749 §5.1.
fn render(response: &TokenResponse) -> HttpResponse {
    #[derive(Serialize)]
    struct Body<'a> {
        access_token: &'a str,
        token_type: &'static str,
        expires_in: u64,
        #[serde(skip_serializing_if = "str::is_empty")]
        scope: &'a str,
    }
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .json(Body {
            access_token: &response.access_token,
            token_type: "Bearer",
            expires_in: response.expires_in.as_secs(),
            scope: response.scope.as_str(),
        })
}
