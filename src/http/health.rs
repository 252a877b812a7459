//! `GET /healthz`: the process runs. `GET /readyz`: it can do its work.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::Endpoints;

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

#[expect(clippy::unused_async, reason = "the router takes async handlers")]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(Health { status: "ok" })
}

/// Answers from what the background task saw within the last two seconds, so that probes cost the
/// database nothing.
#[expect(clippy::unused_async, reason = "the router takes async handlers")]
pub(super) async fn readyz(endpoints: web::Data<Endpoints>) -> HttpResponse {
    let now = endpoints.clock.now();
    let database = endpoints.replica.database_answers(now);
    let signing_key = endpoints.replica.keys.can_sign(now);
    let (code, status) = if database && signing_key {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    HttpResponse::build(code)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(Readiness {
            status,
            database,
            signing_key,
        })
}
