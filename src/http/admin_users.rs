//! `/api/admin/users` and `/api/admin/sessions`: what `tokensmith user` and `session` do, over HTTP.

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::admin_clients::answer;
use super::administrator::Administrator;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::me::{Renaming, SessionList, known_session};
use super::page::{self, PageRequest};
use super::{Endpoints, only};
use crate::accounts::registration::{NewPassword, Registration};
use crate::accounts::sessions::SessionsOf;
use crate::accounts::view::{SessionView, UserView};
use crate::domain::id::UserId;
use crate::domain::identifier::{EmailAddress, Username};
use crate::domain::session::EndReason;
use crate::domain::user::Profile;

type Answer = Result<HttpResponse, ApiError>;

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config
        .service(
            only("/users", &[Method::GET, Method::POST])
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(
            only("/users/{user_id}", &[Method::GET, Method::DELETE])
                .route(web::get().to(show))
                .route(web::delete().to(delete)),
        )
        .service(only("/users/{user_id}/disable", &[Method::POST]).route(web::post().to(disable)))
        .service(only("/users/{user_id}/enable", &[Method::POST]).route(web::post().to(enable)))
        .service(
            only("/users/{user_id}/password", &[Method::PUT]).route(web::put().to(set_password)),
        )
        .service(
            only("/users/{user_id}/sessions", &[Method::GET, Method::DELETE])
                .route(web::get().to(list_sessions))
                .route(web::delete().to(end_sessions)),
        )
        .service(
            only("/sessions/{sid}", &[Method::PATCH, Method::DELETE])
                .route(web::patch().to(rename_session))
                .route(web::delete().to(end_session)),
        );
}

#[derive(Serialize)]
struct UserPage {
    users: Vec<UserView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Which accounts: all, page by page, or the one that signs in with a name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserQuery {
    /// A username or an e-mail address.
    login: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn list(
    _: Administrator,
    endpoints: web::Data<Endpoints>,
    query: Result<web::Query<UserQuery>, actix_web::Error>,
) -> Answer {
    let malformed = |_| ApiError::Malformed("the query takes login, cursor and limit".into());
    let query = query.map_err(malformed)?.into_inner();
    let page: PageRequest<UserId> = PageRequest::of(query.cursor, query.limit)?;
    let accounts = &endpoints.service.accounts;
    if let Some(name) = &query.login {
        let users = accounts.find(name).await?.into_iter();
        let found = UserPage {
            users: users.map(UserView::from).collect(),
            next_cursor: None,
        };
        return Ok(answer(StatusCode::OK, &found));
    }
    let mut users = accounts.list(page.after, page.limit + 1).await?;
    let next_cursor = page::cut(&mut users, page.limit, |user| user.id.to_string());
    let users = users.into_iter().map(UserView::from).collect();
    Ok(answer(StatusCode::OK, &UserPage { users, next_cursor }))
}

/// A new account. Without `Debug`: the password is a secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUserBody {
    username: Username,
    email: Option<EmailAddress>,
    #[serde(default)]
    email_verified: bool,
    name: Option<String>,
    phone: Option<String>,
    address: Option<String>,
    /// Without one the person cannot sign in until one is set.
    password: Option<Zeroizing<String>>,
}

async fn create(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    JsonBody(body): JsonBody<NewUserBody>,
) -> Answer {
    let registration = Registration {
        username: body.username,
        email: body.email,
        profile: Profile {
            name: body.name,
            phone: body.phone,
            address: body.address,
            email_verified: body.email_verified,
        },
    };
    let password = match &body.password {
        None => NewPassword::None,
        Some(text) => NewPassword::Chosen(text),
    };
    let now = endpoints.clock.now();
    let origin = &administrator.origin;
    let user = endpoints
        .service
        .accounts
        .create(registration, password, origin, now)
        .await?;
    let place = format!("/api/admin/users/{}", user.id);
    let location = endpoints.issuer().endpoint(&place);
    let mut answer = answer(StatusCode::CREATED, &UserView::from(user));
    if let Ok(location) = header::HeaderValue::from_str(&location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

async fn show(_: Administrator, endpoints: web::Data<Endpoints>, id: web::Path<String>) -> Answer {
    let user = endpoints.service.accounts.show(known_user(&id)?).await?;
    Ok(answer(StatusCode::OK, &UserView::from(user)))
}

async fn delete(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    id: web::Path<String>,
) -> Answer {
    let now = endpoints.clock.now();
    let accounts = &endpoints.service.accounts;
    accounts
        .delete(known_user(&id)?, &administrator.origin, now)
        .await?;
    let response = HttpResponse::NoContent().finish();
    Ok(endpoints.with_revocation_seq(response).await)
}

async fn disable(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    id: web::Path<String>,
) -> Answer {
    let now = endpoints.clock.now();
    let accounts = &endpoints.service.accounts;
    let user = accounts
        .disable(known_user(&id)?, &administrator.origin, now)
        .await?;
    let response = answer(StatusCode::OK, &UserView::from(user));
    Ok(endpoints.with_revocation_seq(response).await)
}

async fn enable(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    id: web::Path<String>,
) -> Answer {
    let now = endpoints.clock.now();
    let accounts = &endpoints.service.accounts;
    let user = accounts
        .enable(known_user(&id)?, &administrator.origin, now)
        .await?;
    Ok(answer(StatusCode::OK, &UserView::from(user)))
}

/// Without `Debug`: it is a secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPasswordBody {
    password: Zeroizing<String>,
}

async fn set_password(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    id: web::Path<String>,
    JsonBody(body): JsonBody<NewPasswordBody>,
) -> Answer {
    let now = endpoints.clock.now();
    let accounts = &endpoints.service.accounts;
    accounts
        .set_password(known_user(&id)?, &body.password, &administrator.origin, now)
        .await?;
    let response = HttpResponse::NoContent().finish();
    Ok(endpoints.with_revocation_seq(response).await)
}

async fn list_sessions(
    _: Administrator,
    endpoints: web::Data<Endpoints>,
    id: web::Path<String>,
) -> Answer {
    let now = endpoints.clock.now();
    let accounts = &endpoints.service.accounts;
    let user = accounts.show(known_user(&id)?).await?;
    let sessions = accounts.sessions(user.id, now).await?;
    let sessions = sessions.into_iter();
    let sessions = sessions.map(|session| SessionView::of(session, None));
    let sessions = sessions.collect();
    Ok(answer(StatusCode::OK, &SessionList { sessions }))
}

async fn end_sessions(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    id: web::Path<String>,
    request: HttpRequest,
) -> Answer {
    // A condition that is not understood must not end everything.
    if !request.query_string().is_empty() {
        return Err(ApiError::Malformed("this takes no query".into()));
    }
    let now = endpoints.clock.now();
    let accounts = &endpoints.service.accounts;
    let user = accounts.show(known_user(&id)?).await?;
    let sessions = SessionsOf {
        user: user.id,
        except: None,
    };
    let reason = EndReason::EndedByAdministrator;
    accounts
        .end_sessions_of(sessions, reason, &administrator.origin, now)
        .await?;
    let response = HttpResponse::NoContent().finish();
    Ok(endpoints.with_revocation_seq(response).await)
}

async fn rename_session(
    _: Administrator,
    endpoints: web::Data<Endpoints>,
    sid: web::Path<String>,
    JsonBody(renaming): JsonBody<Renaming>,
) -> Answer {
    let device = renaming.device()?;
    let now = endpoints.clock.now();
    let accounts = &endpoints.service.accounts;
    let session = accounts.session(known_session(&sid)?, now).await?;
    let user = session.terms.user_id;
    let renamed = accounts
        .rename_session(user, session.terms.id, &device, now)
        .await?;
    Ok(answer(StatusCode::OK, &SessionView::of(renamed, None)))
}

async fn end_session(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    sid: web::Path<String>,
) -> Answer {
    let now = endpoints.clock.now();
    let accounts = &endpoints.service.accounts;
    let session = accounts.session(known_session(&sid)?, now).await?;
    let reason = EndReason::EndedByAdministrator;
    accounts
        .end_session(&session, reason, &administrator.origin, now)
        .await?;
    let response = HttpResponse::NoContent().finish();
    Ok(endpoints.with_revocation_seq(response).await)
}

/// An id in a path that cannot be one names nobody.
fn known_user(text: &str) -> Result<UserId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound)
}
