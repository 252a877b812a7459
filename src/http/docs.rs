//! `GET /docs`: the contract as a page, made on the first request from the very document that
//! `/openapi.yaml` serves. No script, nothing from elsewhere.

mod contract;
mod example;
mod page;
mod prose;
mod schema;

use std::sync::OnceLock;

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::Endpoints;
use super::error::ApiError;

/// The page once it has been made, or why it could not be.
pub(super) type Page = OnceLock<Result<String, String>>;

/// The page loads its style sheet and nothing else, and no other site may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";
const CACHE_CONTROL: (header::HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=300");
const NO_SNIFFING: (header::HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");

pub(super) async fn get(endpoints: web::Data<Endpoints>) -> Result<HttpResponse, ApiError> {
    let page = endpoints
        .docs
        .get_or_init(|| page::render(endpoints.issuer()));
    let html = page
        .as_ref()
        .map_err(|cause| ApiError::Internal(cause.clone()))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(NO_SNIFFING)
        .insert_header(CACHE_CONTROL)
        .body(html.clone()))
}

pub(super) async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8"))
        .insert_header(NO_SNIFFING)
        .insert_header(CACHE_CONTROL)
        .body(include_str!("../../templates/docs.css"))
}
