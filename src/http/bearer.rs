//! The bearer token of a request to the server's own API (RFC 6750 §2.1; never a cookie).

use actix_web::HttpRequest;
use actix_web::http::header;

use super::error::BearerError;

/// The one token in the `Authorization` header.
pub(super) fn token(request: &HttpRequest) -> Result<&str, BearerError> {
    let mut given = request.headers().get_all(header::AUTHORIZATION);
    let value = match (given.next(), given.next()) {
        (None, _) => return Err(BearerError::Missing),
        (Some(value), None) => value.to_str().map_err(|_| BearerError::InvalidRequest)?,
        (Some(_), Some(_)) => return Err(BearerError::InvalidRequest),
    };
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        None if value.eq_ignore_ascii_case("bearer") => Err(BearerError::InvalidRequest),
        // RFC 6750 section 3.1: another scheme is no attempt at this one.
        _ => Err(BearerError::Missing),
    }
}
