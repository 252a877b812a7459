//! Who may use `/api/admin`: the bearer of an access token of this very issuer, for this very
//! issuer, with scope `tokensmith:admin` (RFC 6750 §2.1; never a cookie).

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use tokensmith_verify::{Claims, NoCustomClaims};

use super::error::{ApiError, BearerError};
use super::observe::Caller;
use super::{Endpoints, bearer};
use crate::domain::audit::{Actor, Origin};
use crate::domain::client::Client;
use crate::domain::id::ClientId;
use crate::domain::ports::ClientDirectory;

const SCOPE: &str = "tokensmith:admin";

/// Proof that the request carries an administrator's token.
pub(super) struct Administrator {
    /// For the audit log.
    pub(super) origin: Origin,
}

impl FromRequest for Administrator {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authorize(request).map_err(ApiError::Bearer))
    }
}

fn authorize(request: &HttpRequest) -> Result<Administrator, BearerError> {
    let endpoints = request
        .app_data::<web::Data<Endpoints>>()
        .ok_or(BearerError::InvalidToken("not_configured"))?;
    let token = bearer::token(request)?;
    let verifier = endpoints.replica.keys.verifier();
    let claims = verifier
        .ok_or(BearerError::InvalidToken("no_keys"))?
        .verify_at::<NoCustomClaims>(token, endpoints.clock.now().timestamp())
        .map_err(|reject| BearerError::InvalidToken(reject.reason()))?;
    // RFC 9449 §7.2: a token that is bound to a key is no bearer token.
    if claims.is_sender_constrained() {
        return Err(BearerError::InvalidToken("sender_constrained"));
    }
    if endpoints.service.is_taken_back(&claims) {
        return Err(BearerError::InvalidToken("revoked"));
    }
    let client = current_client(endpoints, &claims)?;
    Caller::note(request, &client.id);
    // A person is not made an administrator by signing in through a client that may ask for the
    // scope.
    if !claims.is_service() {
        return Err(BearerError::InsufficientScope(SCOPE));
    }
    // Both as the token says and as the client is registered now.
    if !claims.has_scope(SCOPE) || !client.metadata.scope.contains(SCOPE) {
        return Err(BearerError::InsufficientScope(SCOPE));
    }
    let origin = Origin {
        actor: Actor::Client(client.id.clone()),
        address: super::client::context(endpoints, request).address,
    };
    Ok(Administrator { origin })
}

/// The server knows what no offline verifier can: whether the client is still the one that got the
/// token, and still enabled.
fn current_client(endpoints: &Endpoints, claims: &Claims) -> Result<Arc<Client>, BearerError> {
    let client = claims
        .client_id
        .parse::<ClientId>()
        .ok()
        .and_then(|id| endpoints.replica.clients.find_client(&id))
        .filter(|client| client.disabled_at.is_none())
        .ok_or(BearerError::InvalidToken("client_disabled"))?;
    // An id may be registered again after its client was deleted. A token of the same second may
    // be of either, but the scope above is that of the new one.
    if claims.iat < client.created_at.timestamp() {
        return Err(BearerError::InvalidToken("client_registered_anew"));
    }
    Ok(client)
}
