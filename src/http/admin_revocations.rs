//! `POST /api/admin/revocations`: takes tokens back, of a person, a session, a client, or all.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use tokensmith_verify::revocation::Position;

use super::admin_clients::answer;
use super::administrator::Administrator;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::{Endpoints, only, revocation_seq};
use crate::accounts::sessions::SessionsOf;
use crate::domain::Timestamp;
use crate::domain::id::{ClientId, SessionId, UserId};
use crate::domain::session::EndReason;

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config.service(only("/revocations", &[Method::POST]).route(web::post().to(revoke)));
}

/// What to take back: one of `user_id`, `sid` and `client_id`, or only `before`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    user_id: Option<UserId>,
    sid: Option<SessionId>,
    client_id: Option<ClientId>,
    /// Now when absent, with a client.
    before: Option<Timestamp>,
}

#[derive(Serialize)]
struct Revoked {
    /// What the header says, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_seq: Option<Position>,
}

async fn revoke(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    JsonBody(body): JsonBody<Body>,
) -> Result<HttpResponse, ApiError> {
    let now = endpoints.clock.now();
    let origin = &administrator.origin;
    let accounts = &endpoints.service.accounts;
    let cut_offs = &endpoints.administration.cut_offs;
    match (body.user_id, body.sid, body.client_id, body.before) {
        (Some(user), None, None, None) => {
            let user = accounts.show(user).await?.id;
            let sessions = SessionsOf { user, except: None };
            let reason = EndReason::EndedByAdministrator;
            accounts
                .end_sessions_of(sessions, reason, origin, now)
                .await?;
        }
        (None, Some(sid), None, None) => {
            // One that is over already is over: whoever tries again is told how far the log goes.
            let session = accounts.any_session(sid).await?;
            let reason = EndReason::EndedByAdministrator;
            accounts.end_session(&session, reason, origin, now).await?;
        }
        (None, None, Some(client), before) => {
            let before = before.unwrap_or(now);
            cut_offs.of_client(&client, before, origin, now).await?;
        }
        (None, None, None, Some(before)) => cut_offs.of_issuer(before, origin, now).await?,
        _ => return Err(ApiError::Malformed(ONE_OF.into())),
    }
    let position = endpoints.settle_revocations().await;
    let revoked = Revoked {
        revocation_seq: position,
    };
    Ok(revocation_seq::add(
        position,
        answer(StatusCode::OK, &revoked),
    ))
}

const ONE_OF: &str = "the body takes user_id, or sid, or client_id with or without before, or before \
                      alone";
