//! Every request is counted, timed, and logged as one line with its request id.
//!
//! The id is the trace id of `traceparent` (W3C Trace Context §3.2) where the caller sent one, so
//! that a line can be found from either side; it is answered as `x-request-id`.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};

use super::client_address::client_address;
use super::error::{Outcome, Rejected};
use crate::domain::id::{ClientId, Kid, SessionId, UserId};
use crate::domain::network::Networks;
use crate::domain::ports::Entropy;
use crate::telemetry::metrics::{Method, Metrics};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The client that a request names, for the log; travels in the request's extensions.
pub(super) struct Caller(ClientId);

impl Caller {
    /// Notes which client a request names. Only what parses as a client id comes into the log.
    pub(super) fn note(request: &HttpRequest, id: &ClientId) {
        request.extensions_mut().insert(Self(id.clone()));
    }
}

/// The id of a request, for pages that tell it to the person; travels in the request's extensions.
struct RequestId(String);

/// Whether somebody in front of a browser asks.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT);
    accepted
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("text/html"))
}

/// The id under which a request stands in the log.
pub(super) fn request_id(request: &HttpRequest) -> Option<String> {
    let extensions = request.extensions();
    extensions.get::<RequestId>().map(|id| id.0.clone())
}

/// Marks an answer that machines fetch again and again and that says nothing new when it succeeds:
/// it is counted under the name given here, and logged at `debug`.
#[derive(Clone, Copy)]
pub(super) struct Routine(pub(super) &'static str);

/// How long an answer waited on purpose, for something to happen: that is no latency.
#[derive(Clone, Copy)]
pub(super) struct Waited(pub(super) Duration);

/// With what requests are counted, timed and logged.
pub struct Observer {
    metrics: Metrics,
    request_ids: RequestIds,
    trusted_proxies: Networks,
}

impl Observer {
    /// Observes into these metrics, and believes these proxies about addresses.
    #[must_use]
    pub fn new(metrics: Metrics, trusted_proxies: Networks, entropy: &dyn Entropy) -> Self {
        Self {
            metrics,
            request_ids: RequestIds::new(entropy),
            trusted_proxies,
        }
    }
}

/// Makes request ids: unique, not secret. Random once, then counted.
struct RequestIds {
    process: u64,
    count: AtomicU64,
}

impl RequestIds {
    fn new(entropy: &dyn Entropy) -> Self {
        let mut random = [0; 8];
        // Without random bytes ids are still unique within this process.
        let _counted_from_zero = entropy.fill(&mut random);
        Self {
            process: u64::from_be_bytes(random),
            count: AtomicU64::new(1),
        }
    }

    fn next(&self) -> String {
        format!(
            "{:016x}{:016x}",
            self.process,
            self.count.fetch_add(1, Ordering::Relaxed)
        )
    }
}

/// The middleware.
///
/// # Errors
/// None of its own.
pub async fn observe<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let start = Instant::now();
    let observer = request.app_data::<web::Data<Observer>>().cloned();
    let request_id = traced_id(request.headers())
        .or_else(|| {
            let observer = observer.as_ref();
            observer.map(|observer| observer.request_ids.next())
        })
        .unwrap_or_default();
    // Only people are told the id; programs have the header.
    if wants_page(request.headers()) {
        let shown = RequestId(request_id.clone());
        request.extensions_mut().insert(shown);
    }
    let mut response = next.call(request).await?;
    if let Some(observer) = observer {
        report(&observer, &response, &request_id, start);
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    Ok(response)
}

fn report<B>(observer: &Observer, response: &ServiceResponse<B>, request_id: &str, start: Instant) {
    let request = response.request();
    let status = response.status();
    // A stranger may send any text as the method.
    let method = Method::from(request.method().as_str());
    let extensions = response.response().extensions();
    let waited = extensions.get::<Waited>();
    let waited = waited.map_or(Duration::ZERO, |waited| waited.0);
    let took = start.elapsed().saturating_sub(waited);
    let routine = extensions.get::<Routine>().copied();
    // The pattern of the route, never the path: a stranger chooses that.
    let endpoint: Cow<'static, str> = match routine {
        Some(Routine(name)) => name.into(),
        None => request
            .match_pattern()
            .map_or("unmatched".into(), Cow::from),
    };
    let outcome = extensions.get::<Outcome>();
    let code = outcome.map_or_else(|| plain_outcome(status), |outcome| outcome.code);
    observer
        .metrics
        .request(endpoint.clone(), method, code, took);
    if let Some(Rejected(reason)) = extensions.get() {
        observer.metrics.token_rejected(reason);
    }

    macro_rules! line {
        ($level:ident) => {{
            let noted = request.extensions();
            tracing::$level!(
                request_id,
                method = method.as_str(),
                endpoint = &*endpoint,
                status = status.as_u16(),
                outcome = code,
                duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                client_id = noted.get::<Caller>().map(|caller| caller.0.as_str()),
                target = target(request),
                address =
                    client_address(request, &observer.trusted_proxies).map(|it| it.to_string()),
                cause = outcome.and_then(|outcome| outcome.cause.as_deref()),
                "request"
            );
        }};
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // It passes; what is behind it says so once.
        line!(warn);
    } else if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        line!(error);
    } else if routine.is_some() {
        line!(debug);
    } else {
        line!(info);
    }
}

/// What a path names, where it can be one: a client, a key, a person or a session.
fn target(request: &HttpRequest) -> Option<&str> {
    let named = request.match_info();
    let id = named
        .get("id")
        .filter(|text| text.parse::<ClientId>().is_ok());
    let kid = named.get("kid").filter(|text| text.parse::<Kid>().is_ok());
    let user = named.get("user_id");
    let user = user.filter(|text| text.parse::<UserId>().is_ok());
    let session = named.get("sid");
    let session = session.filter(|text| text.parse::<SessionId>().is_ok());
    id.or(kid).or(user).or(session)
}

fn plain_outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        // A page that sends the browser on has done what it should.
        200..=299 | 303 => "ok",
        304 => "not_modified",
        503 => "not_ready",
        _ => "error",
    }
}

/// The trace id of a well-formed `traceparent`: `00-{32 hex}-{16 hex}-{2 hex}`.
fn traced_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("traceparent")?.to_str().ok()?;
    let mut fields = value.split('-');
    let (version, trace_id) = (fields.next()?, fields.next()?);
    let (parent_id, flags) = (fields.next()?, fields.next()?);
    let is_hex = |text: &str, length: usize| {
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.len() == length && text.bytes().all(lower_hex)
    };
    let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let well_formed = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace_id, 32)
        && is_hex(parent_id, 16)
        && is_hex(flags, 2)
        && !is_zero(trace_id)
        && !is_zero(parent_id);
    well_formed.then(|| trace_id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(value: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static("traceparent"),
            HeaderValue::from_static(value),
        );
        traced_id(&headers)
    }

    #[test]
    fn the_trace_of_the_caller_is_taken_up() {
        assert_eq!(
            trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(),
            Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        );
    }

    #[test]
    fn a_malformed_trace_is_not_repeated_into_the_log() {
        for bad in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "evil",
        ] {
            assert_eq!(trace(bad), None, "{bad}");
        }
    }
}
