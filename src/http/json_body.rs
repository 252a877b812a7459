//! JSON bodies of the administrative API.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::form::read_body;

/// A JSON body; an empty one counts as an empty object.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest for JsonBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = request
            .content_type()
            .eq_ignore_ascii_case("application/json");
        let body = read_body(request, payload);
        Box::pin(async move {
            let body = body.await?;
            if body.is_empty() {
                return parse(b"{}");
            }
            if !is_json {
                return Err(ApiError::Malformed(
                    "the body must be application/json".into(),
                ));
            }
            parse(&body)
        })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<JsonBody<T>, ApiError> {
    serde_json::from_slice(body)
        .map(JsonBody)
        .map_err(|error| ApiError::Malformed(format!("the body does not fit: {error}").into()))
}
