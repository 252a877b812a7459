//! `POST /oauth/token` (RFC 6749 §3.2).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::Endpoints;
use super::client;
use super::error::ApiError;
use super::form::Form;
use crate::domain::client::GrantType;
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::grants::{
    AuthorizationCodeRequest, ClientCredentialsRequest, GrantError, RefreshRequest, TokenResponse,
};

pub(super) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let now = endpoints.clock.now();
    let client = client::authenticate(&endpoints, &request, &form, now)?;
    let grant = grant_type(&form).map_err(GrantError::Refused)?;
    let service = &endpoints.service;
    let response = match grant {
        GrantType::ClientCredentials => {
            let parameters = ClientCredentialsRequest {
                scope: form.value("scope"),
                resources: form.values("resource").collect(),
            };
            service.client_credentials(&client, &parameters, now)?
        }
        GrantType::AuthorizationCode => {
            let parameters = AuthorizationCodeRequest {
                code: form.value("code"),
                code_verifier: form.value("code_verifier"),
                redirect_uri: form.value("redirect_uri"),
                scope: form.value("scope"),
                resources: form.values("resource").collect(),
            };
            let context = client::context(&endpoints, &request);
            service
                .authorization_code(&client, &parameters, &context, now)
                .await?
        }
        GrantType::RefreshToken => {
            let parameters = RefreshRequest {
                refresh_token: form.value("refresh_token"),
                idempotency_key: idempotency_key(&request)?,
                scope: form.value("scope"),
                resources: form.values("resource").collect(),
            };
            let context = client::context(&endpoints, &request);
            let answer = service
                .refresh_token(&client, &parameters, &context, now)
                .await;
            let (response, outcome) = match answer {
                Err(error) => {
                    if let GrantError::Refresh(refusal) = &error {
                        endpoints.metrics.refreshed(refusal.as_str());
                    }
                    return Err(error.into());
                }
                Ok(answer) => answer,
            };
            endpoints.metrics.refreshed(outcome.as_str());
            response
        }
    };
    endpoints
        .metrics
        .token_issued(grant.as_str(), client.id.as_str());
    Ok(render(&response))
}

fn grant_type(form: &Form) -> Result<GrantType, OAuthError> {
    let name = form
        .value("grant_type")
        .ok_or_else(|| OAuthError::invalid_request("grant_type is missing"))?;
    name.parse().map_err(|_| {
        let offered = GrantType::ALL.map(GrantType::as_str).join(", ");
        let description = format!("this server offers the grant types {offered}");
        OAuthError::new(OAuthErrorCode::UnsupportedGrantType, description)
    })
}

/// The `Idempotency-Key` of the request (draft-ietf-httpapi-idempotency-key-header §2.1), quoted
/// or not: only whether two are the same matters.
fn idempotency_key(request: &HttpRequest) -> Result<Option<&[u8]>, GrantError> {
    const NAME: header::HeaderName = header::HeaderName::from_static("idempotency-key");
    const MOST_BYTES: usize = 256;
    let mut given = request.headers().get_all(NAME);
    let (Some(first), second) = (given.next(), given.next()) else {
        return Ok(None);
    };
    let key = first.as_bytes();
    let is_well_formed = (1..=MOST_BYTES).contains(&key.len()) && second.is_none();
    if !is_well_formed {
        let description = "Idempotency-Key is one header of 1 to 256 bytes";
        return Err(OAuthError::invalid_request(description).into());
    }
    Ok(Some(key))
}

/// RFC 6749 §5.1.
fn render(response: &TokenResponse) -> HttpResponse {
    #[derive(Serialize)]
    struct Body<'a> {
        access_token: &'a str,
        token_type: &'static str,
        expires_in: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<&'a str>,
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
            refresh_token: response.refresh_token.as_deref().map(String::as_str),
            scope: response.scope.as_str(),
        })
}
