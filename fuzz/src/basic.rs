//! `Authorization: Basic` with a client id and a secret.
//!
//! The input is the value of the header, or, behind `=`, what stands in its base64.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokensmith::http::fuzzing::basic_credentials;
use url::form_urlencoded;

/// Holds every property of Basic authentication.
pub fn check(data: &[u8]) {
    match data.split_first() {
        Some((b'=', credentials)) => {
            check_value(format!("Basic {}", STANDARD.encode(credentials)).as_bytes());
            check_printed(credentials);
        }
        _ => check_value(data),
    }
}

fn check_value(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else {
        return;
    };
    let read = credentials(std::slice::from_ref(&value));
    assert_eq!(
        read,
        naive(value.as_bytes()),
        "two readings of one header agree"
    );
    assert_eq!(
        credentials(&[value.clone(), value]),
        None,
        "two headers are none"
    );
    if let Some((id, secret)) = read {
        check_pair(&id, &secret);
    }
}

/// Any id and any secret get through when they are written as RFC 6749 §2.3.1 asks.
fn check_printed(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (id, secret) = text.split_once('\n').unwrap_or((&text, ""));
    check_pair(id, secret);
}

fn check_pair(id: &str, secret: &str) {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let joined = format!("{}:{}", encode(id), encode(secret));
    let value = format!("Basic {}", STANDARD.encode(joined));
    let value = HeaderValue::from_str(&value).expect("base64 can stand in a header");
    let expected = Some((id.to_owned(), secret.to_owned()));
    assert_eq!(
        credentials(&[value]),
        expected,
        "print then parse is the identity"
    );
}

fn credentials(values: &[HeaderValue]) -> Option<(String, String)> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, value.clone());
    }
    basic_credentials(&headers).map(|(id, secret)| (id, secret.to_string()))
}

fn naive(value: &[u8]) -> Option<(String, String)> {
    let value = std::str::from_utf8(value)
        .ok()
        .filter(|value| value.is_ascii())?;
    let scheme = value
        .get(..6)
        .filter(|scheme| scheme.eq_ignore_ascii_case("basic "))?;
    let joined = STANDARD.decode(value[scheme.len()..].trim()).ok()?;
    let joined = String::from_utf8(joined).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some((decoded(id)?, decoded(secret)?))
}

/// Byte by byte.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = after.split_at_checked(2)?;
                rest = after;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}
