//! JSON bodies of the administrative API.

use std::fmt;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::error::ApiError;
use super::form::{has_media_type, read_body};

/// A JSON body; an empty one counts as an empty object.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest for JsonBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = has_media_type(request, "application/json");
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

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<JsonBody<T>, ApiError> {
    let Unique(value) = serde_json::from_slice(body).map_err(|error| does_not_fit(&error))?;
    if !value.is_object() {
        return Err(ApiError::Malformed("the body must be a JSON object".into()));
    }
    T::deserialize(value)
        .map(JsonBody)
        .map_err(|error| does_not_fit(&error))
}

/// JSON in which no object has a name twice: of two values this server would take one, and whoever
/// looked at the body before it the other.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Unique(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unique, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, Unique>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "member `{name}` is repeated"
                )));
            }
            object.insert(name, value);
        }
        Ok(Unique(object.into()))
    }
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
            r#"{"alg":["hunter2"]}"#,
        ] {
            let text = complaint(body);
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("expected"), "{text}");
        }
        assert!(complaint(r#"{"alg":"RS256","now":true,"frobnicate":1}"#).contains("`frobnicate`"));
        assert!(complaint("{").contains("EOF"));
        assert!(complaint(r#"{"alg":"RS256","now":true,"\u0061lg":"ES256"}"#).contains("repeated"));
        for not_an_object in [r#""hunter2""#, "[true]", "null", "1"] {
            assert_eq!(complaint(not_an_object), "the body must be a JSON object");
        }
    }
}
