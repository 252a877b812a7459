//! `GET /api/admin/audit`: what `tokensmith audit list` shows, over HTTP.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::admin_clients::answer;
use super::administrator::Administrator;
use super::error::ApiError;
use super::page::{self, PageRequest};
use super::{Endpoints, only};
use crate::accounts::view::AuditView;
use crate::domain::id::{AuditId, ClientId, SessionId, UserId};
use crate::domain::ports::AuditFilter;

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config.service(only("/audit", &[Method::GET]).route(web::get().to(list)));
}

/// Which records; every member narrows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    event: Option<String>,
    user_id: Option<UserId>,
    client_id: Option<ClientId>,
    sid: Option<SessionId>,
    cursor: Option<String>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct AuditPage {
    records: Vec<AuditView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

async fn list(
    _: Administrator,
    endpoints: web::Data<Endpoints>,
    query: Result<web::Query<AuditQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let malformed = |_| {
        let text = "the query takes event, user_id, client_id, sid, cursor and limit";
        ApiError::Malformed(text.into())
    };
    let query = query.map_err(malformed)?.into_inner();
    let page: PageRequest<AuditId> = PageRequest::of(query.cursor, query.limit)?;
    let kind = query.event.map(|name| name.parse()).transpose();
    let filter = AuditFilter {
        kind: kind.map_err(|_| ApiError::Malformed("there is no such event".into()))?,
        user: query.user_id,
        client: query.client_id,
        session: query.sid,
    };
    let trail = &endpoints.service.accounts.trail;
    let mut records = trail
        .list(&filter, page.after, page.limit + 1)
        .await
        .map_err(crate::accounts::AccountError::from)?;
    let next_cursor = page::cut(&mut records, page.limit, |stored| {
        stored.record.id.to_string()
    });
    let records = records.into_iter().map(AuditView::from).collect();
    Ok(answer(
        StatusCode::OK,
        &AuditPage {
            records,
            next_cursor,
        },
    ))
}
