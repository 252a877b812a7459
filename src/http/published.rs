//! Documents that anyone may read and keep: prebuilt bytes, an entity tag, CORS (RFC 9110 §13).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

use super::observe::Routine;

/// A document that never changes while the process runs.
pub(super) struct Published {
    pub(super) body: Bytes,
    pub(super) etag: String,
}

impl Published {
    /// The entity tag is a digest of the body.
    pub(super) fn new(body: String) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        Self {
            body: body.into(),
            etag,
        }
    }
}

/// `Cache-Control` with a lifetime. Others may serve the old copy for as long again while they
/// fetch a new one; keys are published for at least twice that time before they sign.
pub(super) fn cache_control(max_age: Duration) -> String {
    let seconds = max_age.as_secs();
    format!("public, max-age={seconds}, stale-while-revalidate={seconds}")
}

/// Answers with the document, or with 304 to whoever has it.
pub(super) fn answer(
    request: &HttpRequest,
    endpoint: &'static str,
    body: &Bytes,
    etag: &str,
    cache_control: &str,
) -> HttpResponse {
    let status = if is_known(request.headers(), etag) {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::ETAG, etag))
        .insert_header((header::CACHE_CONTROL, cache_control))
        .insert_header(ANY_ORIGIN)
        .insert_header((header::ACCESS_CONTROL_EXPOSE_HEADERS, "ETag"));
    if status == StatusCode::NOT_MODIFIED {
        return routine(response.finish(), endpoint);
    }
    response.insert_header((header::CONTENT_TYPE, "application/json"));
    routine(response.body(body.clone()), endpoint)
}

fn routine(mut response: HttpResponse, endpoint: &'static str) -> HttpResponse {
    response.extensions_mut().insert(Routine(endpoint));
    response
}

/// A browser that asks beforehand whether it may.
pub(super) async fn preflight() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header(ANY_ORIGIN)
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "If-None-Match"))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"))
        .finish()
}

pub(super) const ANY_ORIGIN: (header::HeaderName, HeaderValue) = (
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    HeaderValue::from_static("*"),
);

/// RFC 9110 §12.5.1: whether the client takes a media type. None given: any.
pub(super) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let (kind, _) = media_type.split_once('/').unwrap_or((media_type, ""));
    let mut given = list_of(headers, header::ACCEPT).peekable();
    given.peek().is_none()
        || given.any(|(range, weight)| {
            let is_in_range = range.eq_ignore_ascii_case(media_type)
                || range == "*/*"
                || range
                    .strip_suffix("/*")
                    .is_some_and(|of| of.eq_ignore_ascii_case(kind));
            is_in_range && weight
        })
}

/// RFC 9110 §12.5.3: whether the client takes gzip.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    list_of(headers, header::ACCEPT_ENCODING)
        .any(|(coding, weight)| weight && coding.eq_ignore_ascii_case("gzip"))
}

/// The members of a list with weights (RFC 9110 §12.4.2), and whether each is wanted at all.
fn list_of(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = (&str, bool)> {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|member| {
            let mut parts = member.split(';').map(str::trim);
            let value = parts.next().filter(|value| !value.is_empty())?;
            let is_unwanted = parts.any(|part| {
                let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
                weight.and_then(|weight| weight.parse::<f32>().ok()) == Some(0.0)
            });
            Some((value, !is_unwanted))
        })
}

/// RFC 9110 §13.1.2: a list of tags, weak or strong, or `*`.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == etag || tag == "*")
}
