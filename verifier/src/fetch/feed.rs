//! The addresses under which revocations are had, from the issuer or from a relay. Nothing that
//! comes from there is believed unless the issuer has signed it.

use std::io::Read as _;
use std::time::Duration;

use flate2::read::GzDecoder;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, HeaderMap, HeaderName, RETRY_AFTER,
};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use crate::revocation::sse::MEDIA_TYPE;
use crate::revocation::{Changes, Position};

use super::FetchError;
use super::endpoint::Endpoint;
use super::http::{client_builder, read, request_failed, send};

/// 131,072 bytes that do not compress, base64url twice, and a signature.
pub(super) const MAX_LIST_BYTES: usize = 256 * 1024;
/// The names of 4,096 lists, and tens of thousands of cut-offs.
pub(super) const MAX_SNAPSHOT_BYTES: usize = 4 << 20;
const MAX_CHANGES_BYTES: usize = 4 << 20;
/// How long the server may wait for an event: short, because each answer brings one heartbeat.
const POLL_WAIT_SECONDS: u64 = 1;
/// How long the answer may take beyond that. Later than that the heartbeat in it is of no use.
const POLL_TIMEOUT: Duration = Duration::from_secs(POLL_WAIT_SECONDS + 2);
/// Connections are reused for the lists of one snapshot, and never for what comes later: one that
/// died unnoticed would take its time to tell.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// Where revocations come from.
pub(super) struct Feed {
    client: Client,
    base: Endpoint,
    timeout: Duration,
}

impl Feed {
    pub(super) fn new(base: Endpoint, timeout: Duration) -> Result<Self, FetchError> {
        // HTTP/1.1 has a connection for each request: giving up one that died gives up no other,
        // and the next request does not try the dead one again.
        let client = client_builder(&base, timeout)
            .http1_only()
            .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
            .build()
            .map_err(request_failed)?;
        Ok(Self {
            client,
            base,
            timeout,
        })
    }

    /// A signed document. `revalidate` asks past the caches on the way.
    pub(super) async fn document(
        &self,
        path: &str,
        limit: usize,
        revalidate: bool,
    ) -> Result<String, FetchError> {
        let request = self.client.get(self.base.join(path)).timeout(self.timeout);
        let request = if revalidate {
            request.header(CACHE_CONTROL, "no-cache")
        } else {
            request
        };
        body(request, limit).await
    }

    /// The events after a position, as they come.
    pub(super) async fn stream(&self, after: Position) -> Result<Response, FetchError> {
        let request = self
            .client
            .get(self.base.join("/revocation/stream"))
            .header(ACCEPT, MEDIA_TYPE)
            .header(CACHE_CONTROL, "no-cache")
            .header(HeaderName::from_static("last-event-id"), after.to_string());
        require_ok(send(request).await?)
    }

    /// The events after a position, once there are some or a second has passed.
    pub(super) async fn changes(&self, after: Position) -> Result<Changes, FetchError> {
        let request = self
            .client
            .get(self.changes_url(after))
            .timeout(POLL_TIMEOUT)
            .header(CACHE_CONTROL, "no-cache");
        let body = body(request, MAX_CHANGES_BYTES).await?;
        serde_json::from_str(&body).map_err(|error| FetchError::Request(Box::new(error)))
    }

    fn changes_url(&self, after: Position) -> Url {
        let mut url = self.base.join("/revocation/changes");
        url.set_query(Some(&format!("after={after}&wait={POLL_WAIT_SECONDS}")));
        url
    }
}

fn require_ok(response: Response) -> Result<Response, FetchError> {
    match response.status() {
        StatusCode::OK => Ok(response),
        status => Err(refused(status, response.headers())),
    }
}

fn refused(status: StatusCode, headers: &HeaderMap) -> FetchError {
    let is_busy = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ]
    .contains(&status);
    // RFC 9110 §10.2.3: a date is allowed, too, but no server of ours sends one.
    let seconds = headers.get(RETRY_AFTER).filter(|_| is_busy);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
    let status = status.as_u16();
    seconds.map_or(FetchError::Status(status), |seconds| FetchError::Busy {
        status,
        retry_after: Duration::from_secs(seconds),
    })
}

/// The text of an answer, at most `limit` bytes of it as sent and as unpacked.
async fn body(request: RequestBuilder, limit: usize) -> Result<String, FetchError> {
    let request = request.header(ACCEPT_ENCODING, "gzip");
    let response = require_ok(send(request).await?)?;
    let is_gzip = is_gzip(response.headers());
    let body = read(response, limit).await?;
    let body = if is_gzip { gunzip(&body, limit)? } else { body };
    String::from_utf8(body).map_err(|error| FetchError::Request(Box::new(error)))
}

fn is_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"))
}

fn gunzip(packed: &[u8], limit: usize) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed)
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| FetchError::Request(Box::new(error)))?;
    if bytes.len() > limit {
        return Err(FetchError::TooLarge(limit));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_busy_server_says_when_to_come_again() {
        let waits = |status, value| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            refused(status, &headers).retry_after()
        };
        let half_a_minute = Some(Duration::from_secs(30));
        assert_eq!(waits(StatusCode::TOO_MANY_REQUESTS, "30"), half_a_minute);
        assert_eq!(waits(StatusCode::SERVICE_UNAVAILABLE, "30"), half_a_minute);
        assert_eq!(waits(StatusCode::NOT_FOUND, "30"), None);
        for value in ["", "-1", "soon", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(waits(StatusCode::TOO_MANY_REQUESTS, value), None, "{value}");
        }
        let status = refused(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new());
        assert!(matches!(status, FetchError::Status(503)));
    }

    #[test]
    fn what_is_packed_is_unpacked_up_to_the_limit() {
        let pack = |bytes: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(gunzip(&pack(b"abc"), 3).unwrap(), b"abc");
        let bomb = pack(&vec![0; 16 << 20]);
        assert!(bomb.len() < 20_000);
        assert!(matches!(
            gunzip(&bomb, 1_000),
            Err(FetchError::TooLarge(1_000))
        ));
        assert!(gunzip(b"no gzip", 1_000).is_err());
        let mut cut = pack(b"abc");
        cut.truncate(cut.len() - 4);
        assert!(gunzip(&cut, 1_000).is_err());
    }
}
