//! `POST /oauth/revoke` (RFC 7009).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Endpoints;
use super::client;
use super::error::ApiError;
use super::form::Form;
use super::introspect::token;

pub(super) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let now = endpoints.clock.now();
    let client = client::authenticate(&endpoints, &request, &form, now).await?;
    let context = client::context(&endpoints, &request);
    endpoints
        .service
        .revoke(&client, token(&form)?, &context, now)
        .await?;
    // RFC 7009 §2.2: the same for a token that was good and for one that never was.
    let response = HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish();
    Ok(endpoints.with_revocation_seq(response).await)
}
