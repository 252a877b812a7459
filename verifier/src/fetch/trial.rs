//! Whether what is sent in a stream arrives at once, or is collected by a proxy.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::revocation::Position;
use crate::revocation::sse::{EventReader, RawEvent};

use super::feed::Feed;

/// A stream from which fewer heartbeats than this came before it fell silent was never one: a proxy
/// lets the beginning through and then collects.
pub(super) const HEARTBEATS_OF_A_STREAM: u32 = 3;
/// How long a trial may take.
const TRIAL: Duration = Duration::from_millis(2_500);

/// Tries the stream beside the long poll, so that nobody goes stale for it. Nothing of what comes
/// is believed or applied.
pub(super) async fn is_stream(feed: Arc<Feed>, after: Position) -> bool {
    let deadline = Instant::now() + TRIAL;
    let Ok(Ok(mut response)) = timeout_at(deadline, feed.stream(after)).await else {
        return false;
    };
    let mut reader = EventReader::default();
    let mut heartbeats = 0;
    while heartbeats < HEARTBEATS_OF_A_STREAM {
        let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await else {
            return false;
        };
        let Ok(events) = reader.read(&chunk) else {
            return false;
        };
        for event in &events {
            heartbeats += u32::from(is_heartbeat(event));
        }
        if Instant::now() >= deadline {
            return false;
        }
    }
    true
}

fn is_heartbeat(event: &RawEvent) -> bool {
    event.id.is_none() && event.event == "heartbeat"
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::endpoint::Endpoint;
    use super::*;
    use crate::revocation::sse::heartbeat;

    /// Whether a stream that begins like this and then stays open counts as one.
    async fn counts(beginning: String) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            // The request: an answer before it would be none.
            socket.read_u8().await.unwrap();
            let head = "HTTP/1.1 200 OK\r\n\r\n";
            let text = format!("{head}{beginning}");
            socket.write_all(text.as_bytes()).await.unwrap();
            // Until the client hangs up.
            let _ = socket.read_to_end(&mut Vec::new()).await;
        });
        let endpoint = Endpoint::parse(&url).unwrap();
        let feed = Feed::new(endpoint, Duration::from_secs(5)).unwrap();
        let outcome = is_stream(Arc::new(feed), Position::default()).await;
        server.abort();
        outcome
    }

    #[tokio::test]
    async fn a_beginning_is_no_stream() {
        assert!(counts(heartbeat("e").repeat(3)).await);
        let (one, none) = (counts(heartbeat("e")), counts(String::new()));
        let (one, none) = (tokio::spawn(one), tokio::spawn(none));
        assert!(!one.await.unwrap() && !none.await.unwrap());
    }
}
