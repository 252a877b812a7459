//! `/api/me`: what a person does with the own account.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::admin_clients::answer;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::person::Person;
use super::{Endpoints, only};
use crate::accounts::password::{PasswordChange, PersonOn};
use crate::accounts::sessions::SessionsOf;
use crate::accounts::view::{SessionView, UserView};
use crate::domain::device::DeviceLabel;
use crate::domain::id::SessionId;
use crate::domain::session::EndReason;

type Answer = Result<HttpResponse, ApiError>;

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config
        .service(only("", &[Method::GET]).route(web::get().to(show)))
        .service(only("/password", &[Method::PUT]).route(web::put().to(change_password)))
        .service(
            only("/sessions", &[Method::GET, Method::DELETE])
                .route(web::get().to(list))
                .route(web::delete().to(end_all)),
        )
        .service(
            only("/sessions/{sid}", &[Method::PATCH, Method::DELETE])
                .route(web::patch().to(rename))
                .route(web::delete().to(end)),
        );
}

#[derive(Serialize)]
pub(super) struct SessionList {
    pub(super) sessions: Vec<SessionView>,
}

async fn show(person: Person, endpoints: web::Data<Endpoints>) -> Answer {
    let accounts = &endpoints.service.accounts;
    let user = accounts.show(person.session.terms.user_id).await?;
    Ok(answer(StatusCode::OK, &UserView::from(user)))
}

/// Without `Debug`: both members are secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordChangeBody {
    current_password: Zeroizing<String>,
    new_password: Zeroizing<String>,
}

async fn change_password(
    person: Person,
    endpoints: web::Data<Endpoints>,
    body: Result<JsonBody<PasswordChangeBody>, ApiError>,
) -> Answer {
    // After the person: who may not be here is told so, whatever the body is.
    let JsonBody(change) = body?;
    let change = PasswordChange {
        current: &change.current_password,
        new: &change.new_password,
    };
    let terms = &person.session.terms;
    let on = PersonOn {
        user: terms.user_id,
        staying: terms.signed_in_on().into(),
    };
    let now = endpoints.clock.now();
    endpoints
        .service
        .accounts
        .change_password(on, change, person.origin.address, now)
        .await?;
    let response = HttpResponse::NoContent().finish();
    Ok(endpoints.with_revocation_seq(response).await)
}

async fn list(person: Person, endpoints: web::Data<Endpoints>) -> Answer {
    let (user, current) = (person.session.terms.user_id, person.session.terms.id);
    let now = endpoints.clock.now();
    let sessions = endpoints.service.accounts.sessions(user, now).await?;
    let sessions = sessions.into_iter();
    let sessions = sessions.map(|session| SessionView::of(session, Some(current)));
    let sessions = sessions.collect();
    Ok(answer(StatusCode::OK, &SessionList { sessions }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Renaming {
    device: String,
}

impl Renaming {
    pub(super) fn device(&self) -> Result<DeviceLabel, ApiError> {
        DeviceLabel::parse(&self.device)
            .map_err(|error| ApiError::Malformed(format!("device: {error}").into()))
    }
}

async fn rename(
    person: Person,
    endpoints: web::Data<Endpoints>,
    sid: web::Path<String>,
    body: Result<JsonBody<Renaming>, ApiError>,
) -> Answer {
    let JsonBody(renaming) = body?;
    let device = renaming.device()?;
    let (user, current) = (person.session.terms.user_id, person.session.terms.id);
    let sid = known_session(&sid)?;
    let now = endpoints.clock.now();
    let renamed = endpoints
        .service
        .accounts
        .rename_session(user, sid, &device, now)
        .await?;
    let view = SessionView::of(renamed, Some(current));
    Ok(answer(StatusCode::OK, &view))
}

async fn end(person: Person, endpoints: web::Data<Endpoints>, sid: web::Path<String>) -> Answer {
    let user = person.session.terms.user_id;
    let sid = known_session(&sid)?;
    let now = endpoints.clock.now();
    let accounts = &endpoints.service.accounts;
    let session = accounts.own_session(user, sid, now).await?;
    let reason = EndReason::EndedByUser;
    accounts
        .end_session(&session, reason, &person.origin, now)
        .await?;
    let response = HttpResponse::NoContent().finish();
    Ok(endpoints.with_revocation_seq(response).await)
}

/// Which sessions to end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    except: Option<Except>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Except {
    Current,
}

async fn end_all(
    person: Person,
    endpoints: web::Data<Endpoints>,
    which: Result<web::Query<Which>, actix_web::Error>,
) -> Answer {
    let malformed = |_| ApiError::Malformed("the query takes except=current".into());
    let which = which.map_err(malformed)?.into_inner();
    let terms = &person.session.terms;
    let sessions = SessionsOf {
        user: terms.user_id,
        except: which
            .except
            .map(|Except::Current| terms.signed_in_on().into()),
    };
    let now = endpoints.clock.now();
    endpoints
        .service
        .accounts
        .end_sessions_of(sessions, EndReason::EndedByUser, &person.origin, now)
        .await?;
    let response = HttpResponse::NoContent().finish();
    Ok(endpoints.with_revocation_seq(response).await)
}

/// An id in a path that cannot be one names no session.
pub(super) fn known_session(text: &str) -> Result<SessionId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound)
}
