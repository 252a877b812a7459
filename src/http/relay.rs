//! The endpoints of a relay: those of the service that readers of the revocation log use.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::error::ApiError;
use super::health::{healthz, probed};
use super::observe::{Observer, Routine};
use super::published::{ANY_ORIGIN, is_known};
use super::revocation_stream::RevocationFeed;
use super::status_lists::{canonical_number, has_time};
use super::stream_limits::StreamLimits;
use super::{metrics, mount_feed, published, readable};
use crate::domain::network::Networks;
use crate::domain::ports::Entropy;
use crate::relay::{Relay, RelayedDocument, Wanted};
use crate::telemetry::metrics::Metrics;

/// What the endpoints of a relay work with.
pub struct RelayEndpoints {
    relay: web::Data<Relay>,
    feed: web::Data<RevocationFeed>,
    metrics: web::Data<Metrics>,
    observer: web::Data<Observer>,
}

impl RelayEndpoints {
    /// Gathers what the endpoints work with.
    #[must_use]
    pub fn new(
        relay: web::Data<Relay>,
        metrics: Metrics,
        limits: StreamLimits,
        trusted_proxies: Networks,
        entropy: &dyn Entropy,
    ) -> Self {
        let (feed, of_feed) = (relay.feed.clone(), metrics.feed.clone());
        let feed = RevocationFeed::new(feed, limits, trusted_proxies.clone(), of_feed);
        let observer = Observer::new(metrics.clone(), trusted_proxies, entropy);
        Self {
            relay,
            feed: web::Data::new(feed),
            metrics: web::Data::new(metrics),
            observer: web::Data::new(observer),
        }
    }
}

/// Mounts every endpoint of a relay.
pub fn mount(config: &mut web::ServiceConfig, endpoints: &RelayEndpoints) {
    config
        .app_data(endpoints.relay.clone())
        .app_data(endpoints.metrics.clone())
        .app_data(endpoints.observer.clone())
        .service(published("/revocation/snapshot", snapshot).wrap(from_fn(readable_by_all)))
        .service(published("/status-lists", lists).wrap(from_fn(readable_by_all)))
        .service(published("/status-lists/{number}", list).wrap(from_fn(readable_by_all)))
        .service(readable("/healthz", healthz))
        .service(readable("/readyz", readyz))
        .service(readable("/metrics", expose))
        .configure(|config| mount_feed(config, &endpoints.feed))
        .default_service(web::to(not_found));
}

/// What a page of another origin must be able to read of a public document is also that there is
/// none: without this header a browser shows it a failure of the network.
async fn readable_by_all<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let mut response = next.call(request).await?;
    let (name, any) = ANY_ORIGIN;
    response.headers_mut().insert(name, any);
    Ok(response)
}

async fn snapshot(relay: web::Data<Relay>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let document = relay.documents.get(Wanted::Snapshot).await?;
    answer(&request, &document, "/revocation/snapshot")
}

async fn lists(relay: web::Data<Relay>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let document = relay.documents.get(Wanted::Lists).await?;
    answer(&request, &document, "/status-lists")
}

async fn list(
    relay: web::Data<Relay>,
    request: HttpRequest,
    number: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    if has_time(request.query_string()) {
        return Err(ApiError::NotImplemented(
            "a relay keeps no earlier states of status lists",
        ));
    }
    let number = canonical_number(&number).ok_or(ApiError::NotFound)?;
    let document = relay.documents.get(Wanted::List(number)).await?;
    answer(&request, &document, "/status-lists/{number}")
}

/// The document as the upstream gave it, with its age; 304 to whoever has it.
fn answer(
    request: &HttpRequest,
    document: &RelayedDocument,
    endpoint: &'static str,
) -> Result<HttpResponse, ApiError> {
    if document.status == StatusCode::NOT_FOUND.as_u16() {
        return Err(ApiError::NotFound);
    }
    let etag = document.etag.as_deref();
    let is_known = etag.is_some_and(|etag| is_known(request.headers(), etag));
    let mut response = if is_known {
        HttpResponse::NotModified().finish()
    } else {
        HttpResponse::Ok().body(document.body.clone())
    };
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("ETag"),
    );
    headers.insert(header::AGE, document.age().as_secs().into());
    insert(headers, header::ETAG, etag);
    insert(
        headers,
        header::CACHE_CONTROL,
        document.cache_control.as_deref(),
    );
    if !is_known {
        insert(
            headers,
            header::CONTENT_TYPE,
            document.content_type.as_deref(),
        );
    }
    response.extensions_mut().insert(Routine(endpoint));
    Ok(response)
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: Option<&str>) {
    if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
        headers.insert(name, value);
    }
}

/// Whether readers of this relay can be fresh.
async fn readyz(relay: web::Data<Relay>) -> HttpResponse {
    #[derive(Serialize)]
    struct Readiness {
        status: &'static str,
        upstream: bool,
    }
    let upstream = relay.is_current();
    let (code, status) = if upstream {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    probed("/readyz", code, &Readiness { status, upstream })
}

async fn expose(metrics: web::Data<Metrics>) -> Result<HttpResponse, ApiError> {
    metrics::answer(&metrics)
}

async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NotFound)
}
