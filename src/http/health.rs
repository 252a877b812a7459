//! `GET /healthz`: the process runs. `GET /readyz`: it can do its work.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::Endpoints;
use super::observe::Routine;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    database: bool,
    signing_key: bool,
}

pub(super) async fn healthz() -> HttpResponse {
    probed("/healthz", StatusCode::OK, &Health { status: "ok" })
}

/// Answers from what the background task saw within the last two seconds, so that probes cost the
/// database nothing.
pub(super) async fn readyz(endpoints: web::Data<Endpoints>) -> HttpResponse {
    let now = endpoints.clock.now();
    let database = endpoints.replica.is_current();
    let signing_key = endpoints.replica.keys.can_sign(now);
    let (code, status) = if database && signing_key {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    probed(
        "/readyz",
        code,
        &Readiness {
            status,
            database,
            signing_key,
        },
    )
}

pub(super) fn probed(
    endpoint: &'static str,
    status: StatusCode,
    body: &impl Serialize,
) -> HttpResponse {
    let mut response = HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(body);
    response.extensions_mut().insert(Routine(endpoint));
    response
}
