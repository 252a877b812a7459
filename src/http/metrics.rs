//! `GET /metrics` (Prometheus).

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::Endpoints;
use super::error::ApiError;
use crate::telemetry::metrics::Metrics;

pub(super) async fn get(endpoints: web::Data<Endpoints>) -> Result<HttpResponse, ApiError> {
    endpoints.replica.measure();
    let waiting = endpoints.service.accounts.hasher.waiting();
    endpoints.metrics.set_password_queue(waiting);
    answer(&endpoints.metrics)
}

pub(super) fn answer(metrics: &Metrics) -> Result<HttpResponse, ApiError> {
    let text = metrics
        .render()
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text))
}
