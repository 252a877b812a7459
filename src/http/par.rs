//! `POST /oauth/par` (RFC 9126).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::Endpoints;
use super::client;
use super::error::ApiError;
use super::form::Form;
use crate::grants::AuthorizationParameters;

pub(super) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let now = endpoints.clock.now();
    let client = client::authenticate(&endpoints, &request, &form, now).await?;
    let context = client::context(&endpoints, &request);
    // §2.1: how the client proves itself is no part of the request.
    let parameters = form.parameters_except(&["client_secret"]);
    let pushed = endpoints
        .service
        .push_request(
            &client,
            &AuthorizationParameters::new(parameters),
            &context,
            now,
        )
        .await?;
    Ok(HttpResponse::Created()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({
            "request_uri": pushed.request_uri,
            "expires_in": pushed.expires_in.as_secs(),
        })))
}
