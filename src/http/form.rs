//! Form bodies (RFC 6749 appendix B), read strictly.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::MAX_BODY_BYTES;
use super::error::ApiError;
use crate::domain::error::OAuthError;

/// The parameters of a form. The decoded values are zeroed when dropped, since secrets travel in
/// forms; the buffers of the connection are not ours to zero.
pub(super) struct Form(Vec<(String, Zeroizing<String>)>);

/// Why a body is not a form; the description goes to the caller.
pub(super) type Malformed = &'static str;

impl Form {
    /// The value of a parameter. RFC 6749 §3.2: one without a value counts as omitted.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// The values of a parameter that may be repeated.
    pub(super) fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(given, value)| given == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Every parameter in its order, but for some.
    pub(super) fn parameters_except(&self, left_out: &[&str]) -> Vec<(String, String)> {
        let wanted = self.0.iter();
        wanted
            .filter(|(name, _)| !left_out.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect()
    }

    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        /// RFC 8707 §2 is the one specification that lets a parameter be repeated.
        const REPEATABLE: &str = "resource";
        let body = std::str::from_utf8(body).map_err(|_| "the form is not UTF-8")?;
        let mut parameters: Vec<(String, Zeroizing<String>)> = Vec::new();
        for pair in pairs(body)? {
            let (name, value) = pair?;
            // RFC 6749 §3.2: parameters must not be included more than once.
            if name != REPEATABLE && parameters.iter().any(|(earlier, _)| *earlier == name) {
                return Err("a parameter is repeated");
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }
}

/// The decoded parameters of a form or a query, repeated or not.
pub(super) fn pairs(
    text: &str,
) -> Result<impl Iterator<Item = Result<(String, Zeroizing<String>), Malformed>>, Malformed> {
    /// Twice as many as any request of OAuth has; comparing names is quadratic.
    const MOST_PARAMETERS: usize = 32;
    if text.split('&').count() > MOST_PARAMETERS {
        return Err("the form has more than 32 parameters");
    }
    let given = text.split('&').filter(|pair| !pair.is_empty());
    Ok(given.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, Zeroizing::new(decode(value)?)))
    }))
}

/// Decodes `+` and `%XX`. An incomplete escape or text that is not UTF-8 is refused.
pub(super) fn decode(text: &str) -> Result<String, Malformed> {
    let mut rest = text.as_bytes();
    while let Some(position) = rest.iter().position(|byte| *byte == b'%') {
        let escape = rest.get(position + 1..position + 3);
        if !escape.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err("the form has an incomplete percent escape");
        }
        rest = rest.get(position + 3..).unwrap_or_default();
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    Ok(decoded.map_err(|_| "the form is not UTF-8")?.into_owned())
}

impl FromRequest for Form {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = form_body(request, payload);
        Box::pin(async move { Self::parse(&body.await?).map_err(invalid) })
    }
}

/// The parameters of a form as they came, some of them perhaps repeated.
pub(super) struct RawForm(pub(super) Vec<(String, String)>);

impl FromRequest for RawForm {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = form_body(request, payload);
        Box::pin(async move {
            let body = body.await?;
            let text = std::str::from_utf8(&body).map_err(|_| invalid("the form is not UTF-8"))?;
            let parameters: Result<Vec<_>, _> = pairs(text)
                .map_err(invalid)?
                .map(|pair| pair.map(|(name, value)| (name, value.to_string())))
                .collect();
            parameters.map(Self).map_err(invalid)
        })
    }
}

fn invalid(description: Malformed) -> ApiError {
    ApiError::OAuth {
        error: OAuthError::invalid_request(description),
        challenge: false,
    }
}

/// The body of a request that has a form, and nothing else that says something.
fn form_body(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<web::Bytes, ApiError>> + use<> {
    let is_form = has_media_type(request, "application/x-www-form-urlencoded");
    let has_query = !request.query_string().is_empty();
    let is_encoded = request.headers().contains_key(header::CONTENT_ENCODING);
    let body = read_body(request, payload);
    async move {
        // RFC 6749 §2.3.1: credentials must not be in the URI; §3.2: parameters are sent in
        // the body.
        if has_query {
            return Err(invalid("parameters belong into the body, not into the URL"));
        }
        if is_encoded {
            return Err(invalid("the body must not have a content encoding"));
        }
        if !is_form {
            return Err(invalid(
                "the body must be application/x-www-form-urlencoded",
            ));
        }
        body.await
    }
}

/// Whether the body is of this kind. With two headers it is of none: of those a proxy would read one
/// and this server the other.
pub(super) fn has_media_type(request: &HttpRequest, media_type: &str) -> bool {
    let headers = request.headers().get_all(header::CONTENT_TYPE);
    headers.count() == 1 && request.content_type().eq_ignore_ascii_case(media_type)
}

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a body of at most [`MAX_BODY_BYTES`].
pub(super) fn read_body(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<web::Bytes, ApiError>> + use<> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let payload = web::Payload::from_request(request, payload).into_inner();
    async move {
        if announced.is_some_and(|length| length > MAX_BODY_BYTES) {
            return Err(ApiError::BodyTooLarge);
        }
        let payload = payload.map_err(|error| ApiError::Internal(error.to_string()))?;
        match timeout(BODY_TIMEOUT, payload.to_bytes_limited(MAX_BODY_BYTES)).await {
            Ok(Ok(Ok(body))) => Ok(body),
            Ok(Ok(Err(_))) => Err(ApiError::Malformed("the body ended early".into())),
            Ok(Err(_)) => Err(ApiError::BodyTooLarge),
            Err(_) => Err(ApiError::BodyTooSlow),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Vec<(String, String)>, Malformed> {
        let form = Form::parse(body.as_bytes())?;
        Ok(form
            .0
            .into_iter()
            .map(|(name, value)| (name, value.to_string()))
            .collect())
    }

    #[test]
    fn parameters_are_decoded() {
        let expected = vec![
            ("a".to_owned(), "1 +ü".to_owned()),
            ("b c".to_owned(), String::new()),
        ];
        assert_eq!(parse("a=1+%2B%C3%BC&b+c"), Ok(expected));
    }

    #[test]
    fn a_parameter_without_a_value_counts_as_omitted() {
        let form = Form::parse(b"scope=&grant_type=x").ok().unwrap();
        assert_eq!(
            (form.value("scope"), form.value("grant_type")),
            (None, Some("x"))
        );
    }

    #[test]
    fn only_resource_may_be_repeated() {
        assert!(parse("resource=a&resource=b").is_ok());
        for repeated in [
            "scope=a&scope=b",
            "x=1&x=1",
            "scope=&scope=a",
            "%73cope=a&scope=b",
        ] {
            assert_eq!(
                parse(repeated),
                Err("a parameter is repeated"),
                "{repeated}"
            );
        }
    }

    #[test]
    fn more_parameters_than_any_request_has_are_refused_before_they_are_compared() {
        let many: Vec<String> = (0..33).map(|number| format!("p{number}=1")).collect();
        assert!(parse(&many.join("&")).is_err());
        assert!(parse(&many[..32].join("&")).is_ok());
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff", "%=a", "a=%C3"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(Form::parse(b"a=\xff").is_err());
    }
}
