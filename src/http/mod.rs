//! The endpoints, one file each: extract, one use case, render.

mod admin_clients;
mod admin_keys;
mod administrator;
mod basic_auth;
mod docs;
mod error;
mod form;
mod health;
mod json_body;
mod jwks;
mod metadata;
mod metrics;
mod observe;
mod openapi;
mod page;
mod published;
mod token;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::{Resource, web};

use crate::admin::Administration;
use crate::domain::issuer::Issuer;
use crate::domain::ports::Clock;
use crate::grants::TokenService;
use crate::replica::Replica;
use crate::telemetry::metrics::Metrics;

use error::ApiError;
use published::Published;

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
    jwks_cache_control: String,
}

impl Endpoints {
    /// Gathers what the endpoints work with. `jwks_max_age` is how long others may keep the key
    /// set.
    #[must_use]
    pub fn new(
        service: TokenService,
        administration: Administration,
        (replica, metrics): (Replica, Metrics),
        jwks_max_age: Duration,
    ) -> Self {
        let metadata = metadata::document(&service.issuer);
        let jwks_cache_control = published::cache_control(jwks_max_age);
        let clock = Arc::clone(&administration.clock);
        Self {
            clock,
            service,
            administration,
            replica,
            metrics,
            metadata,
            jwks_cache_control,
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
    config
        .app_data(endpoints.clone())
        .service(published_resource(
            &metadata,
            web::get().to(metadata::get),
            web::head().to(metadata::get),
        ))
        .service(
            only(web::resource("/healthz"), &[Method::GET]).route(web::get().to(health::healthz)),
        )
        .service(
            only(web::resource("/readyz"), &[Method::GET]).route(web::get().to(health::readyz)),
        )
        .service(only(web::resource("/metrics"), &[Method::GET]).route(web::get().to(metrics::get)))
        .service(
            web::scope(&base)
                .service(published_resource(
                    "/.well-known/jwks.json",
                    web::get().to(jwks::get),
                    web::head().to(jwks::get),
                ))
                .service(
                    only(web::resource("/oauth/token"), &[Method::POST])
                        .route(web::post().to(token::post)),
                )
                .service(
                    only(web::resource("/openapi.yaml"), &[Method::GET])
                        .route(web::get().to(openapi::get)),
                )
                .service(
                    only(web::resource("/docs"), &[Method::GET]).route(web::get().to(docs::get)),
                )
                .service(
                    web::scope("/api/admin")
                        .configure(admin_clients::mount)
                        .configure(admin_keys::mount),
                ),
        )
        .default_service(web::to(not_found));
}

/// Counts and logs every request; wraps the whole application.
pub use observe::observe;

/// A public document: readable from any origin, `GET` and `HEAD`, with preflight.
fn published_resource(path: &str, get: actix_web::Route, head: actix_web::Route) -> Resource {
    only(
        web::resource(path),
        &[Method::GET, Method::HEAD, Method::OPTIONS],
    )
    .route(get)
    .route(head)
    .route(web::method(Method::OPTIONS).to(published::preflight))
}

/// Answers other methods than these with 405 and says which there are.
fn only(resource: Resource, methods: &'static [Method]) -> Resource {
    resource.default_service(web::to(move || {
        std::future::ready(method_not_allowed(methods))
    }))
}

fn method_not_allowed(methods: &'static [Method]) -> Result<&'static str, ApiError> {
    Err(ApiError::MethodNotAllowed(methods))
}

async fn not_found() -> Result<&'static str, ApiError> {
    Err(ApiError::NotFound)
}
