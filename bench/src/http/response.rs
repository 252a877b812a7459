//! Answers, parsed only as far as the measurement needs.

use crate::failure::{Failure, Outcome};

const MOST_HEADERS: usize = 32;

/// A complete answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Response<'a> {
    /// Status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: &'a [u8],
    head: &'a [u8],
}

impl<'a> Response<'a> {
    /// The answer at the start of what was received and its length, or `None` while it is
    /// incomplete.
    pub(crate) fn parse(received: &'a [u8]) -> Outcome<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        let malformed = |error| Failure::new(format!("the answer is not HTTP/1.1: {error}"));
        let httparse::Status::Complete(head_length) = parsed.parse(received).map_err(malformed)?
        else {
            return Ok(None);
        };
        let status = parsed.code.unwrap_or_default();
        let body_length = match find(parsed.headers, "content-length") {
            // RFC 9110 §8.6: a 304 has no body, whatever its length says.
            _ if status == 304 || status == 204 => 0,
            Some(length) => std::str::from_utf8(length)
                .ok()
                .and_then(|length| length.parse().ok())
                .ok_or_else(|| Failure::new("the answer has a malformed content-length"))?,
            None => return Err(Failure::new("the answer has no content-length")),
        };
        let Some((head, rest)) = received.split_at_checked(head_length) else {
            return Ok(None);
        };
        Ok(rest.get(..body_length).map(|body| {
            let response = Self { status, body, head };
            (response, head_length + body_length)
        }))
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        parsed.parse(self.head).ok()?;
        let value = find(parsed.headers, name)?;
        String::from_utf8(value.to_vec()).ok()
    }
}

fn find<'h>(headers: &[httparse::Header<'h>], name: &str) -> Option<&'h [u8]> {
    let header = headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))?;
    Some(header.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"1\"\r\n\r\nhelloHTTP";

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let (response, length) = Response::parse(OK).unwrap().unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(response.body, b"hello");
        assert_eq!(length, OK.len() - 4);
        assert_eq!(response.header("etag").as_deref(), Some("\"1\""));
        assert_eq!(response.header("date"), None);
    }

    #[test]
    fn a_part_of_an_answer_is_not_an_answer() {
        for length in 0..OK.len() - 4 {
            assert!(
                Response::parse(&OK[..length]).unwrap().is_none(),
                "{length}"
            );
        }
    }

    #[test]
    fn a_304_has_no_body() {
        let bytes = b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n";
        let (response, length) = Response::parse(bytes).unwrap().unwrap();
        assert_eq!((response.status, response.body), (304, &b""[..]));
        assert_eq!(length, bytes.len());
    }

    #[test]
    fn an_answer_that_cannot_be_delimited_is_an_error() {
        for bad in [
            &b"SSH-2.0-x\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert!(Response::parse(bad).is_err());
        }
    }
}
