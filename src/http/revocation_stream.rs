//! `GET /revocation/stream` and its twin for readers behind proxies that hold back what is streamed,
//! `GET /revocation/changes`. `docs/revocation.md` describes both.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::future::Either;
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tokensmith_verify::revocation::{Position, sse};
use tokio::time::Instant;

use super::client_address::client_address;
use super::error::{ApiError, Outcome};
use super::last_request::LastRequest;
use super::observe::{Routine, Waited};
use super::stream_limits::{Full, Place, Places, StreamLimits};
use crate::domain::network::Networks;
use crate::revocation::{Behind, Feed, Reader, Unreadable};
use crate::telemetry::metrics::FeedMetrics;

/// WHATWG HTML §9.2.4.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A proxy of the nginx family must not collect what should arrive at once.
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

const NOT_STORED: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// The longest that a poll may wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The feed, and who may read it.
pub struct RevocationFeed {
    feed: Feed,
    places: Arc<Places>,
    trusted_proxies: Networks,
}

impl RevocationFeed {
    /// Gathers what the two endpoints work with.
    #[must_use]
    pub fn new(
        feed: Feed,
        limits: StreamLimits,
        trusted_proxies: Networks,
        metrics: FeedMetrics,
    ) -> Self {
        Self {
            feed,
            places: Places::new(limits, metrics),
            trusted_proxies,
        }
    }

    fn place(&self, request: &HttpRequest) -> Result<Place, Full> {
        self.places
            .take(client_address(request, &self.trusted_proxies))
    }
}

#[derive(Deserialize)]
pub(super) struct StreamQuery {
    after: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ChangesQuery {
    after: Option<String>,
    wait: Option<u64>,
}

pub(super) async fn stream(
    feed: web::Data<RevocationFeed>,
    request: HttpRequest,
    query: Result<web::Query<StreamQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let query = query.map_err(|_| ApiError::Malformed("the query takes after".into()))?;
    // A browser that reconnects repeats the address that it began with, and says in the header how
    // far it has come since (WHATWG HTML §9.2.3). So the header counts where both are there.
    let after = match last_event_id(&request)? {
        Some(position) => Some(position),
        None => query.after.as_deref().map(position).transpose()?,
    };
    let place = feed.place(&request)?;
    let body = match feed.feed.reader(after) {
        Ok(reader) => {
            LastRequest::take(&request);
            Either::Left(texts(reader, place))
        }
        // A stream of one event: whoever reads streams looks there and not at the status.
        Err(Unreadable::Behind(behind)) => Either::Right(stream::iter([Ok(behind.text())])),
        Err(not_begun @ Unreadable::NotBegun(_)) => return Err(not_begun.into()),
    };
    let mut response = HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, sse::MEDIA_TYPE))
        .insert_header(NOT_STORED)
        .insert_header(UNBUFFERED)
        .streaming(body);
    response
        .extensions_mut()
        .insert(Routine("/revocation/stream"));
    Ok(response)
}

/// The texts of a reader, which keeps its place as long as it reads.
fn texts(reader: Reader, place: Place) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((reader, place), |(mut reader, place)| async move {
        let text = reader.next().await?;
        Some((Ok(text), (reader, place)))
    })
}

/// RFC 9110 §9.3.2: the head of the answer, without a stream that nobody would read.
pub(super) async fn stream_head() -> HttpResponse {
    let mut response = HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, sse::MEDIA_TYPE))
        .insert_header(NOT_STORED)
        .insert_header(UNBUFFERED)
        .finish();
    response
        .extensions_mut()
        .insert(Routine("/revocation/stream"));
    response
}

pub(super) async fn changes(
    feed: web::Data<RevocationFeed>,
    request: HttpRequest,
    query: Result<web::Query<ChangesQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let malformed = |_| ApiError::Malformed("the query takes after, and wait in seconds".into());
    let query = query.map_err(malformed)?;
    let after = query.after.as_deref().map(position).transpose()?;
    let wait = Duration::from_secs(query.wait.unwrap_or_default()).min(LONGEST_WAIT);
    let _place = feed.place(&request)?;
    let start = Instant::now();
    let mut response = match feed.feed.changes(after, wait).await {
        Ok(changes) => HttpResponse::Ok().insert_header(NOT_STORED).json(changes),
        Err(Unreadable::Behind(behind)) => return Ok(gone(&behind)),
        Err(not_begun @ Unreadable::NotBegun(_)) => return Err(not_begun.into()),
    };
    let mut extensions = response.extensions_mut();
    extensions.insert(Routine("/revocation/changes"));
    extensions.insert(Waited(start.elapsed()));
    drop(extensions);
    Ok(response)
}

/// The log does not go on from there. The same as `reset` of the stream: where it does go on from
/// stands beside the error, for relays.
fn gone(behind: &Behind) -> HttpResponse {
    #[derive(Serialize)]
    struct Reset {
        error: &'static str,
        error_description: String,
        earliest: Position,
    }
    let error = "reset";
    let mut response = HttpResponse::Gone().insert_header(NOT_STORED).json(Reset {
        error,
        error_description: behind.to_string(),
        earliest: behind.earliest,
    });
    response.extensions_mut().insert(Outcome {
        code: error,
        cause: None,
    });
    response
}

/// A browser that asks beforehand whether it may.
pub(super) async fn preflight() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"))
        .insert_header((
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Last-Event-ID, Cache-Control",
        ))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"))
        .finish()
}

fn last_event_id(request: &HttpRequest) -> Result<Option<Position>, ApiError> {
    let Some(value) = request.headers().get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    position(value.to_str().unwrap_or_default()).map(Some)
}

fn position(text: &str) -> Result<Position, ApiError> {
    text.parse()
        .map_err(|error: tokensmith_verify::revocation::InvalidPosition| {
            ApiError::Malformed(error.to_string().into())
        })
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn whoever_polls_and_is_behind_learns_where_the_log_goes_on_from() {
        let response = gone(&Behind {
            reason: "behind",
            earliest: Position { epoch: 7, seq: 4 },
        });
        assert_eq!(response.status(), 410);
        let cache_control = response.headers().get(header::CACHE_CONTROL);
        assert_eq!(cache_control, Some(&NOT_STORED.1));
        let body = to_bytes(response.into_body()).await.unwrap();
        assert_eq!(
            body,
            r#"{"error":"reset","error_description":"the log cannot be read from there (behind): take a new snapshot","earliest":"7.4"}"#
        );
    }
}
