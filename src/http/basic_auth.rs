//! HTTP Basic authentication of clients (RFC 6749 §2.3.1, RFC 7617).

use actix_web::http::header::{self, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::form;

/// What the `Authorization` header holds.
pub(super) enum Authorization {
    /// There is none.
    Absent,
    /// A client id and a secret.
    Basic {
        client_id: String,
        secret: Zeroizing<String>,
    },
    /// Another scheme, more than one header, or something that does not decode.
    Malformed,
}

/// Reads the `Authorization` header as client credentials.
pub(super) fn read(headers: &HeaderMap) -> Authorization {
    let mut given = headers.get_all(header::AUTHORIZATION);
    let (first, second) = (given.next(), given.next());
    match (first, second) {
        (None, _) => Authorization::Absent,
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(decode)
            .map_or(Authorization::Malformed, |(client_id, secret)| {
                Authorization::Basic { client_id, secret }
            }),
        (Some(_), Some(_)) => Authorization::Malformed,
    }
}

fn decode(value: &str) -> Option<(String, Zeroizing<String>)> {
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = Zeroizing::new(STANDARD.decode(credentials.trim()).ok()?);
    let text = std::str::from_utf8(&bytes).ok()?;
    let (client_id, secret) = text.split_once(':')?;
    // RFC 6749 §2.3.1: both are form-encoded before they are joined.
    Some((
        form::decode(client_id).ok()?,
        Zeroizing::new(form::decode(secret).ok()?),
    ))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn read_value(value: &str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        match read(&headers) {
            Authorization::Basic { client_id, secret } => Some((client_id, secret.to_string())),
            Authorization::Absent | Authorization::Malformed => None,
        }
    }

    #[test]
    fn id_and_secret_are_decoded_as_the_rfc_asks() {
        let encoded = STANDARD.encode("s6Bh%20dR:a%3Ab:c+d");
        let expected = Some(("s6Bh dR".to_owned(), "a:b:c d".to_owned()));
        assert_eq!(read_value(&format!("Basic {encoded}")), expected);
        assert_eq!(read_value(&format!("bAsIc {encoded}")), expected);
    }

    #[test]
    fn anything_else_is_malformed() {
        let no_colon = STANDARD.encode("orders");
        let not_utf8 = STANDARD.encode(b"\xff:\xff");
        for bad in [
            "Basic",
            "Basic !",
            "Bearer abc",
            &format!("Basic {no_colon}"),
            &format!("Basic {not_utf8}"),
        ] {
            assert_eq!(read_value(bad), None, "{bad}");
        }
    }
}
