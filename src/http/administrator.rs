//! Who may use `/api/admin`: the bearer of an access token of this very issuer, for this very
//! issuer, with scope `tokensmith:admin` (RFC 6750 §2.1; never a cookie).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use tokensmith_verify::Claims;

use super::Endpoints;
use super::error::{ApiError, BearerError};
use crate::domain::id::ClientId;
use crate::domain::ports::ClientDirectory;

const SCOPE: &str = "tokensmith:admin";

/// Proof that the request carries an administrator's token.
pub(super) struct Administrator;

impl FromRequest for Administrator {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authorize(request).map_err(ApiError::Bearer).map(|()| Self))
    }
}

fn authorize(request: &HttpRequest) -> Result<(), BearerError> {
    let endpoints = request
        .app_data::<web::Data<Endpoints>>()
        .ok_or(BearerError::InvalidToken("not_configured"))?;
    let token = bearer_token(request)?;
    let verifier = endpoints.replica.keys.verifier();
    let claims = verifier
        .ok_or(BearerError::InvalidToken("no_keys"))?
        .verify(token)
        .map_err(|reject| BearerError::InvalidToken(reject.reason()))?;
    if !is_enabled(endpoints, &claims) {
        return Err(BearerError::InvalidToken("client_disabled"));
    }
    if !claims.has_scope(SCOPE) {
        return Err(BearerError::InsufficientScope(SCOPE));
    }
    Ok(())
}

/// The server knows what no offline verifier can: whether the client is still enabled.
fn is_enabled(endpoints: &Endpoints, claims: &Claims) -> bool {
    claims
        .client_id
        .parse::<ClientId>()
        .ok()
        .and_then(|id| endpoints.replica.clients.find_client(&id))
        .is_some_and(|client| client.disabled_at.is_none())
}

fn bearer_token(request: &HttpRequest) -> Result<&str, BearerError> {
    let mut given = request.headers().get_all(header::AUTHORIZATION);
    let value = match (given.next(), given.next()) {
        (None, _) => return Err(BearerError::Missing),
        (Some(value), None) => value.to_str().map_err(|_| BearerError::InvalidRequest)?,
        (Some(_), Some(_)) => return Err(BearerError::InvalidRequest),
    };
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        None if value.eq_ignore_ascii_case("bearer") => Err(BearerError::InvalidRequest),
        // RFC 6750 section 3.1: another scheme is no attempt at this one.
        _ => Err(BearerError::Missing),
    }
}
