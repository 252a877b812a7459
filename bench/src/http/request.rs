//! Requests as bytes.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A `GET` with further header lines as `(name, value)`.
pub(crate) fn get(host: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let headers = lines(headers);
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n").into_bytes()
}

/// A `POST` of a form. It must consist of characters that a form does not escape, or be escaped
/// already.
pub(crate) fn post_form(
    host: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    form: &str,
) -> Vec<u8> {
    let (headers, length) = (lines(headers), form.len());
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{form}"
    )
    .into_bytes()
}

/// The value of `authorization` for a client with a secret (RFC 6749 §2.3.1). Id and secret must
/// consist of characters that a form does not escape.
pub(crate) fn basic((client_id, secret): (&str, &str)) -> String {
    let credentials = STANDARD.encode(format!("{client_id}:{secret}"));
    format!("Basic {credentials}")
}

fn lines(headers: &[(&str, &str)]) -> String {
    headers
        .iter()
        .flat_map(|(name, value)| [name, ": ", value, "\r\n"])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_well_formed() {
        let host = "127.0.0.1:80".parse().unwrap();
        assert_eq!(
            get(host, "/a", &[("if-none-match", "\"1\"")]),
            b"GET /a HTTP/1.1\r\nhost: 127.0.0.1:80\r\nif-none-match: \"1\"\r\n\r\n"
        );
        let authorization = basic(("id", "secret"));
        let post = post_form(host, "/b", &[("authorization", &authorization)], "x=1");
        let post = String::from_utf8(post).unwrap();
        assert!(post.contains("authorization: Basic aWQ6c2VjcmV0\r\ncontent-type: "));
        assert!(post.ends_with("content-length: 3\r\n\r\nx=1"));
    }
}
