//! `GET /openapi.yaml`: the public contract.

use actix_web::HttpResponse;
use actix_web::http::header;

/// The contract, as committed.
pub(super) const OPENAPI: &str = include_str!("../../openapi.yaml");

pub(super) async fn get() -> HttpResponse {
    // RFC 9512 registers the media type.
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/yaml"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .body(OPENAPI)
}
