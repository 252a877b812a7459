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
        .map_err(|error| does_not_fit(&error))
}

/// Says what is wrong with a body without repeating what was sent: a value in the wrong place can
/// be a secret. Names of members are repeated.
pub(super) fn does_not_fit(error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or_default();
    let repeats_a_value = [
        "unknown variant",
        "invalid type",
        "invalid value",
        "invalid length",
    ]
    .into_iter()
    .find(|kind| message.starts_with(kind));
    let message = match (repeats_a_value, message.split_once(", expected ")) {
        (None, _) => message.to_owned(),
        (Some(kind), Some((_, expected))) => format!("{kind}, expected {expected}"),
        (Some(kind), None) => kind.to_owned(),
    };
    let place = match (error.line(), error.column()) {
        (0, _) => String::new(),
        (line, column) => format!(" (line {line}, column {column})"),
    };
    ApiError::Malformed(format!("the body does not fit: {message}{place}").into())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::domain::algorithm::Algorithm;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Body {
        alg: Algorithm,
        now: bool,
    }

    fn complaint(body: &str) -> String {
        let ApiError::Malformed(text) = parse::<Body>(body.as_bytes()).err().unwrap() else {
            panic!("another error");
        };
        text.into_owned()
    }

    #[test]
    fn a_body_that_does_not_fit_is_explained_without_repeating_values() {
        for body in [
            r#"{"alg":"hunter2","now":true}"#,
            r#"{"alg":"RS256","now":"hunter2"}"#,
            r#""hunter2""#,
            r#"{"alg":["hunter2"]}"#,
        ] {
            let text = complaint(body);
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("expected"), "{text}");
        }
        assert!(complaint(r#"{"alg":"RS256","now":true,"frobnicate":1}"#).contains("`frobnicate`"));
        assert!(complaint("{").contains("EOF"));
    }
}
