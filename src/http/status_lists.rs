//! `GET /status-lists/{n}` and `GET /status-lists` (draft-ietf-oauth-status-list §8, §9), and
//! `GET /revocation/snapshot`: documents that anyone may read.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::Endpoints;
use super::error::ApiError;
use super::published::{self, Published};
use crate::domain::revocation::list_uris;
use crate::revocation::{Document, LIST_TTL};

const LIST_TYPE: &str = "application/statuslist+jwt";
const SNAPSHOT_TYPE: &str = "application/revocation-snapshot+jwt";
/// A reader that begins wants the present; a cache may spare the server a crowd of them.
const SNAPSHOT_MAX_AGE: Duration = Duration::from_secs(1);

pub(super) async fn list(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    number: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    if has_time(request.query_string()) {
        return Err(ApiError::NotImplemented(
            "this server keeps no earlier states of its status lists",
        ));
    }
    if !published::accepts(request.headers(), LIST_TYPE) {
        return Err(ApiError::NotAcceptable(LIST_TYPE));
    }
    let number = canonical_number(&number).ok_or(ApiError::NotFound)?;
    let documents = &endpoints.replica.revocations.documents;
    let found = documents.list(number, endpoints.clock.now()).await?;
    let document = found.ok_or(ApiError::NotFound)?;
    let served = Served {
        endpoint: "/status-lists/{number}",
        content_type: LIST_TYPE,
        max_age: LIST_TTL,
    };
    Ok(answer(&request, &document, &served))
}

pub(super) async fn aggregation(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
) -> HttpResponse {
    #[derive(Serialize)]
    struct Aggregation {
        status_lists: Vec<String>,
    }
    let uris = list_uris(endpoints.issuer());
    let announced = endpoints.replica.revocations.state.announced();
    let status_lists = (0..announced).map(|number| uris.uri(number)).collect();
    let body = serde_json::to_string(&Aggregation { status_lists }).unwrap_or_default();
    let Published { body, etag } = Published::new(body);
    let cache_control = format!("public, max-age={}", LIST_TTL.as_secs());
    published::answer(&request, "/status-lists", &body, &etag, &cache_control)
}

pub(super) async fn snapshot(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let documents = &endpoints.replica.revocations.documents;
    let document = documents.snapshot(endpoints.clock.now())?;
    let served = Served {
        endpoint: "/revocation/snapshot",
        content_type: SNAPSHOT_TYPE,
        max_age: SNAPSHOT_MAX_AGE,
    };
    Ok(answer(&request, &document, &served))
}

/// How a document is served.
struct Served {
    endpoint: &'static str,
    content_type: &'static str,
    max_age: Duration,
}

fn answer(request: &HttpRequest, document: &Arc<Document>, served: &Served) -> HttpResponse {
    let &Served {
        endpoint,
        content_type,
        max_age,
    } = served;
    let wants_gzip = published::accepts_gzip(request.headers());
    // RFC 9110 §8.8.3.3: another coding is another representation, with a tag of its own.
    let (body, coding) = if wants_gzip {
        (&document.gzip, "gzip")
    } else {
        (&document.body, "plain")
    };
    let etag = format!("\"{}-{coding}\"", document.tag);
    let cache_control = format!("public, max-age={}", max_age.as_secs());
    let mut response = published::answer(request, endpoint, body, &etag, &cache_control);
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if response.status() == StatusCode::OK {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if wants_gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    response
}

/// draft-ietf-oauth-status-list §8.4: a request for an earlier state.
pub(super) fn has_time(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair.split('=').next() == Some("time"))
}

/// A list has one address.
pub(super) fn canonical_number(text: &str) -> Option<u32> {
    let is_canonical = text == "0" || !text.starts_with('0');
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (is_canonical && is_digits).then(|| text.parse().ok())?
}
