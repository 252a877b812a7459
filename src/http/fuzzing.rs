//! Doors for the fuzz targets of this repository: what is private here and reads what strangers
//! send, as the endpoints call it.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use serde_json::Value;
use zeroize::Zeroizing;

use super::basic_auth::Authorization;
use super::form::Form;
use super::json_body::JsonBody;
use crate::domain::network::Networks;

/// The parameters of a form body in their order, or what is told to whoever sent it.
pub fn form(body: &[u8]) -> Result<Vec<(String, String)>, &'static str> {
    Form::parse(body).map(|form| form.parameters_except(&[]))
}

/// The parameters of a query or of a form whose parameters may be repeated.
pub fn parameters(text: &str) -> Result<Vec<(String, Zeroizing<String>)>, &'static str> {
    super::form::pairs(text)?.collect()
}

/// The client id and the secret of a request with Basic authentication.
#[must_use]
pub fn basic_credentials(headers: &HeaderMap) -> Option<(String, Zeroizing<String>)> {
    match super::basic_auth::read(headers) {
        Authorization::Basic { client_id, secret } => Some((client_id, secret)),
        Authorization::Absent | Authorization::Malformed => None,
    }
}

/// The address of the client that sent a request.
#[must_use]
pub fn client_address(request: &HttpRequest, trusted: &Networks) -> Option<IpAddr> {
    super::client_address::client_address(request, trusted)
}

/// The JSON object in a body.
#[must_use]
pub fn json_object(body: &[u8]) -> Option<Value> {
    super::json_body::parse(body)
        .map(|JsonBody(value)| value)
        .ok()
}
