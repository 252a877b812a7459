//! The endpoints, one file each: extract, one use case, render.

mod admin_audit;
mod admin_clients;
mod admin_keys;
mod admin_revocations;
mod admin_users;
mod administrator;
mod basic_auth;
mod bearer;
mod browser;
mod challenge;
mod client;
mod client_address;
mod cross_origin;
mod docs;
mod error;
mod form;
pub mod fuzzing;
mod health;
mod introspect;
mod json_body;
mod jwks;
mod last_request;
mod me;
mod metadata;
mod metrics;
mod observe;
mod openapi;
mod page;
mod par;
mod person;
mod published;
mod rate_limits;
pub mod relay;
mod revocation_seq;
mod revocation_stream;
mod revoke;
mod status_lists;
mod stream_limits;
mod token;
mod userinfo;

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{FromRequest, Handler, Resource, Responder, web};

use crate::admin::Administration;
use crate::domain::issuer::Issuer;
use crate::domain::network::Networks;
use crate::domain::ports::Clock;
use crate::grants::TokenService;
use crate::replica::Replica;
use crate::telemetry::metrics::Metrics;
use crate::web::Brand;

use error::ApiError;
use published::Published;
use rate_limits::Callers;

/// The largest body that any endpoint takes, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// What the endpoints work with.
pub struct Endpoints {
    clock: Arc<dyn Clock>,
    service: TokenService,
    administration: Administration,
    replica: Replica,
    metrics: Metrics,
    metadata: Published,
    observer: web::Data<Observer>,
    feed: web::Data<RevocationFeed>,
    jwks_cache_control: String,
    docs: docs::Page,
    trusted_proxies: Networks,
    callers: Callers,
    pages: browser::Pages,
}

/// What the endpoints must know of the way to them, and what they look like.
pub struct Surroundings {
    /// How long others may keep the key set.
    pub jwks_max_age: Duration,
    /// Whose word about the address of a client counts.
    pub trusted_proxies: Networks,
    /// How many may follow the log of revocations at once.
    pub streams: StreamLimits,
    /// How much one caller may ask.
    pub rates: RateLimits,
    /// Whose pages they are.
    pub brand: Brand,
}

impl Endpoints {
    /// Gathers what the endpoints work with.
    #[must_use]
    pub fn new(
        service: TokenService,
        administration: Administration,
        replica: Replica,
        metrics: Metrics,
        surroundings: Surroundings,
    ) -> Self {
        let metadata = metadata::document(&service.issuer, service.signup);
        let jwks_cache_control = published::cache_control(surroundings.jwks_max_age);
        let pages = browser::Pages::new(surroundings.brand, &service.issuer);
        let clock = Arc::clone(&administration.clock);
        let observer = Observer::new(
            metrics.clone(),
            surroundings.trusted_proxies.clone(),
            &*service.entropy,
        );
        let callers = Callers::new(surroundings.rates, metrics.rate_limits.clone());
        let feed = RevocationFeed::new(
            replica.revocations.feed.clone(),
            surroundings.streams,
            surroundings.trusted_proxies.clone(),
            metrics.feed.clone(),
        );
        Self {
            clock,
            service,
            administration,
            replica,
            metrics,
            metadata,
            observer: web::Data::new(observer),
            feed: web::Data::new(feed),
            jwks_cache_control,
            docs: docs::Page::new(),
            trusted_proxies: surroundings.trusted_proxies,
            callers,
            pages,
        }
    }

    fn issuer(&self) -> &Issuer {
        &self.service.issuer
    }
}

/// Mounts every endpoint: those of the issuer under its path, the operator's at the root.
pub fn mount(config: &mut web::ServiceConfig, endpoints: &web::Data<Endpoints>) {
    let base = endpoints.issuer().path().to_owned();
    // RFC 8414 §3.1: the path of the issuer comes after the well-known part.
    let metadata = format!("/.well-known/oauth-authorization-server{base}");
    let admin = web::scope("/api/admin")
        .configure(admin_clients::mount)
        .configure(admin_keys::mount)
        .configure(admin_users::mount)
        .configure(admin_revocations::mount)
        .configure(admin_audit::mount);
    let me = web::scope("/api/me").configure(me::mount);
    let of_the_issuer = web::scope(&base)
        .service(published("/.well-known/jwks.json", jwks::get))
        .service(published(
            "/.well-known/openid-configuration",
            metadata::get,
        ))
        .service(published("/status-lists", status_lists::aggregation))
        .service(published("/status-lists/{number}", status_lists::list))
        .service(published("/revocation/snapshot", status_lists::snapshot))
        .configure(|config| mount_feed(config, &endpoints.feed))
        .service(for_scripts("/oauth/token", POST).route(web::post().to(token::post)))
        .service(for_scripts("/oauth/revoke", POST).route(web::post().to(revoke::post)))
        .service(for_scripts("/oauth/par", POST).route(web::post().to(par::post)))
        .service(
            for_scripts("/oauth/userinfo", GET_AND_POST)
                .route(web::get().to(userinfo::get))
                .route(web::head().to(userinfo::get))
                .route(web::post().to(userinfo::post)),
        )
        .service(only("/oauth/challenge", &[Method::POST]).route(web::post().to(challenge::post)))
        .service(only("/oauth/introspect", &[Method::POST]).route(web::post().to(introspect::post)))
        .service(readable("/openapi.yaml", openapi::get))
        .service(readable("/docs", docs::get))
        .service(readable("/docs.css", docs::style))
        .service(admin)
        .service(me)
        .configure(browser::mount);
    config
        .app_data(endpoints.clone())
        .app_data(endpoints.observer.clone())
        .service(published(&metadata, metadata::get))
        .service(readable("/healthz", health::healthz))
        .service(readable("/readyz", health::readyz))
        .service(readable("/metrics", metrics::get))
        .service(of_the_issuer)
        .default_service(web::to(browser::not_found));
}

/// Mounts what follows the log of revocations: the same in the service and in a relay.
pub fn mount_feed(config: &mut web::ServiceConfig, feed: &web::Data<RevocationFeed>) {
    let followed = |path| {
        let preflight = web::method(Method::OPTIONS).to(revocation_stream::preflight);
        only(path, &[Method::GET, Method::HEAD, Method::OPTIONS]).route(preflight)
    };
    config
        .app_data(feed.clone())
        .service(
            followed("/revocation/stream")
                .route(web::get().to(revocation_stream::stream))
                .route(web::head().to(revocation_stream::stream_head))
                .wrap(from_fn(cross_origin::readable_by_all)),
        )
        .service(
            followed("/revocation/changes")
                .route(web::get().to(revocation_stream::changes))
                .route(web::head().to(revocation_stream::changes))
                .wrap(from_fn(cross_origin::readable_by_all)),
        );
}

/// Counts and logs every request; wraps the whole application.
pub use last_request::LastRequest;
pub use observe::{Observer, observe};
pub use rate_limits::RateLimits;
pub use revocation_stream::RevocationFeed;
pub use stream_limits::StreamLimits;

/// A public document: readable from any origin, with preflight.
fn published<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args> + Clone,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    only(path, &[Method::GET, Method::HEAD, Method::OPTIONS])
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .route(web::method(Method::OPTIONS).to(published::preflight))
}

const POST: &[Method] = &[Method::POST, Method::OPTIONS];
const GET_AND_POST: &[Method] = &[Method::GET, Method::HEAD, Method::POST, Method::OPTIONS];

/// An endpoint that scripts of any origin may call, with preflight.
fn for_scripts(
    path: &str,
    methods: &'static [Method],
) -> Resource<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    only(path, methods)
        .route(web::method(Method::OPTIONS).to(cross_origin::preflight))
        .wrap(from_fn(cross_origin::readable_by_all))
}

/// RFC 9110 §9.1: what answers `GET` answers `HEAD`.
fn readable<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args> + Clone,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    only(path, &[Method::GET, Method::HEAD])
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
}

/// A resource that answers other methods than these with 405 and says which there are.
fn only(path: &str, methods: &'static [Method]) -> Resource {
    web::resource(path).default_service(web::to(move || {
        std::future::ready(method_not_allowed(methods))
    }))
}

fn method_not_allowed(methods: &'static [Method]) -> Result<&'static str, ApiError> {
    Err(ApiError::MethodNotAllowed(methods))
}
