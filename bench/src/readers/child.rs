//! A child: does what its parent orders.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokensmith_verify::{Freshness, Reject, RevocationWatch, Verifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::line::Line;
use super::orders::{Order, Reply, Verifiers};
use crate::failure::{Doing, Failure, Outcome};
use crate::http;
use crate::measure::Monotonic;
use crate::service::AUDIENCE;

/// Streams that are opened at the same time.
const OPENED_AT_ONCE: usize = 64;

/// Obeys the parent until it is gone.
pub(crate) async fn serve(parent: SocketAddr) -> Outcome<()> {
    super::file_descriptors();
    let stream = TcpStream::connect(parent).await.doing("connecting")?;
    let (mut line, mut child) = (Line::over(stream)?, Child::default());
    while let Some(order) = line.hear().await? {
        let reply = child.obey(order, &mut line).await;
        let reply = reply.unwrap_or_else(|failure| Reply::Failed {
            reason: failure.to_string(),
        });
        line.say(&reply).await?;
    }
    Ok(())
}

#[derive(Default)]
struct Child {
    verifiers: Vec<Verifier>,
    open_streams: Arc<AtomicU32>,
}

impl Child {
    async fn obey(&mut self, order: Order, line: &mut Line) -> Outcome<Reply> {
        match order {
            Order::Verify { whose, count } => {
                self.verifiers = try_join_all((0..count).map(|_| connect(&whose))).await?;
            }
            Order::Hold { address, count } => self.hold(address, count).await?,
            Order::Watch { token } => {
                let watches = self.watch(&token)?;
                line.say(&Reply::Done).await?;
                let at = try_join_all(watches.into_iter().map(|(verifier, watch)| {
                    // Told first, and then asked like any service asks.
                    rejection(verifier, watch, &token)
                }));
                return Ok(Reply::Rejected { at: at.await? });
            }
            Order::Count => {
                let count = self.open_streams.load(Ordering::Relaxed);
                return Ok(Reply::Open { count });
            }
        }
        Ok(Reply::Done)
    }

    fn watch(&self, token: &str) -> Outcome<Vec<(&Verifier, RevocationWatch)>> {
        let watches = self.verifiers.iter().map(|verifier| {
            let claims = verifier.verify(token).doing("verifying a good token")?;
            Ok((verifier, verifier.watch(&claims)))
        });
        watches.collect()
    }

    async fn hold(&self, address: SocketAddr, count: u32) -> Outcome<()> {
        let opened = (0..count).map(|_| open(address));
        let mut opened = stream::iter(opened).buffer_unordered(OPENED_AT_ONCE);
        while let Some(stream) = opened.try_next().await? {
            self.open_streams.fetch_add(1, Ordering::Relaxed);
            let open_streams = Arc::clone(&self.open_streams);
            tokio::spawn(async move {
                discard(stream).await;
                open_streams.fetch_sub(1, Ordering::Relaxed);
            });
        }
        Ok(())
    }
}

async fn connect(whose: &Verifiers) -> Outcome<Verifier> {
    let mut builder = Verifier::discover(&whose.issuer)
        .audience(AUDIENCE)
        .revocation(Freshness::default());
    if let Some(url) = &whose.revocation_from {
        builder = builder.revocation_from(url);
    }
    builder.connect().await.doing("connecting a verifier")
}

/// When a verifier rejected the token: the instant after a whole verification that said so.
async fn rejection(verifier: &Verifier, watch: RevocationWatch, token: &str) -> Outcome<Monotonic> {
    watch.revoked().await;
    match verifier.verify(token) {
        Err(Reject::Revoked) => Ok(Monotonic::now()),
        Err(reject) => Err(Failure::new(format!("not revoked, but {reject}"))),
        Ok(_) => Err(Failure::new(
            "a token is good of which it was said that it is revoked",
        )),
    }
}

/// A stream of which the first bytes have come.
async fn open(address: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address).await;
    let mut stream = stream.doing("opening a stream")?;
    let request = http::get(address, "/revocation/stream", &[]);
    let sent = stream.write_all(&request).await;
    sent.doing("opening a stream")?;
    let mut head = [0; 12];
    let read = stream.read_exact(&mut head).await;
    read.doing("opening a stream")?;
    if head != *b"HTTP/1.1 200" {
        let head = String::from_utf8_lossy(&head).into_owned();
        return Err(Failure::new(format!("opening a stream: {head}")));
    }
    Ok(stream)
}

/// Reads until the stream ends.
async fn discard(mut stream: TcpStream) {
    let mut bytes = [0; 1_024];
    while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn streams_are_counted_while_they_are_open() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let child = Child::default();
        let serve = async {
            let mut streams = Vec::new();
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
                streams.push(stream);
            }
            streams
        };
        let (held, mut streams) = tokio::join!(child.hold(address, 3), serve);
        held.unwrap();
        assert_eq!(child.open_streams.load(Ordering::Relaxed), 3);
        streams.pop();
        while child.open_streams.load(Ordering::Relaxed) > 2 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_server_without_a_place_opens_no_stream() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let refuse = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 503 Busy\r\n").await.unwrap();
            stream
        };
        let (opened, _stream) = tokio::join!(open(address), refuse);
        let failure = opened.unwrap_err().to_string();
        assert_eq!(failure, "opening a stream: HTTP/1.1 503");
    }
}
