//! `POST /oauth/introspect` (RFC 7662).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Endpoints;
use super::client;
use super::error::ApiError;
use super::form::Form;
use crate::domain::error::OAuthError;
use crate::grants::GrantError;

pub(super) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let now = endpoints.clock.now();
    let client = client::authenticate(&endpoints, &request, &form, now).await?;
    let introspection = endpoints
        .service
        .introspect(&client, token(&form)?, now)
        .await?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(introspection))
}

/// The token of a revocation or introspection. Its kind is in its prefix, so that
/// `token_type_hint` may be sent and is not needed.
pub(super) fn token(form: &Form) -> Result<&str, GrantError> {
    form.value("token")
        .ok_or_else(|| OAuthError::invalid_request("token is missing").into())
}
