//! Who may use `/api/me`: the bearer of a person's access token for this very issuer, with scope
//! `tokensmith:account` or from a first-party app, while its session lives.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::error::{ApiError, BearerError};
use super::observe::Caller;
use super::{Endpoints, bearer};
use crate::domain::audit::{Actor, Origin};
use crate::domain::ports::{ClientDirectory, SessionMemory};
use crate::domain::session::Session;
use crate::grants::PresentedToken;

const SCOPE: &str = "tokensmith:account";

/// Proof that the request carries a person's token.
pub(super) struct Person {
    /// The session of the token, live.
    pub(super) session: Session,
    /// For the audit log.
    pub(super) origin: Origin,
}

impl FromRequest for Person {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { authorize(&request).await })
    }
}

async fn authorize(request: &HttpRequest) -> Result<Person, ApiError> {
    let invalid = |reason| ApiError::Bearer(BearerError::InvalidToken(reason));
    let endpoints = request
        .app_data::<web::Data<Endpoints>>()
        .ok_or_else(|| invalid("not_configured"))?;
    let token = bearer::token(request).map_err(ApiError::Bearer)?;
    let now = endpoints.clock.now();
    let found = endpoints.service.judge_token(token, now).await;
    let found = found.map_err(crate::grants::GrantError::from)?;
    // An API that got a token must not be able to use it here: it has to be for this issuer.
    let issuer = endpoints.issuer().as_str();
    let (is_for_us, scope, session) = match found {
        Ok(PresentedToken::Person { claims, session }) => {
            // RFC 9449 §7.2: a token that is bound to a key is no bearer token.
            if claims.is_sender_constrained() {
                return Err(invalid("sender_constrained"));
            }
            (claims.aud.contains(issuer), claims.scope.clone(), session)
        }
        Ok(PresentedToken::Reference {
            audience,
            scope,
            session,
            ..
        }) => (audience.contains(issuer), scope, session),
        Ok(PresentedToken::Service { .. }) => return Err(invalid("not_a_person")),
        Ok(PresentedToken::Refresh { .. }) => return Err(invalid("refresh_token")),
        Err(reason) => return Err(invalid(reason)),
    };
    let terms = &session.terms;
    Caller::note(request, &terms.client_id);
    if !is_for_us {
        return Err(ApiError::Bearer(BearerError::OtherAudience));
    }
    let is_first_party = endpoints
        .replica
        .clients
        .find_client(&terms.client_id)
        .is_some_and(|client| client.metadata.first_party);
    if !is_first_party && !scope.contains(SCOPE) {
        return Err(ApiError::Bearer(BearerError::InsufficientScope(SCOPE)));
    }
    endpoints.replica.sessions.note_use(terms.id, now, None);
    let origin = Origin {
        actor: Actor::User(terms.user_id),
        address: super::client::context(endpoints, request).address,
    };
    Ok(Person {
        session: *session,
        origin,
    })
}
