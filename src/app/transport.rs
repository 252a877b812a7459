//! From connections to requests: what `actix_web::HttpServer` does, with one thing more.
//!
//! HTTP/1.1 lets a client send further requests before the first is answered. actix-http reads up to
//! 128 KiB at once and makes requests of all that it has read, which at 18 bytes each are seven
//! thousand, and a hundred times as many bytes in memory; whoever does that on many connections and
//! reads no answer has the memory of the machine. Here it gets a sip at a time, so that it stops
//! reading once a few requests wait (`docs/decisions/0017-connections-are-read-in-sips.md`).

use std::future::{Future, ready};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::{GracefulShutdownSignal, ServerBuilder};
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_tls::accept::TlsError;
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::dev::{AppConfig, Server};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::http::{self, LastRequest};

/// How long a client may take to send the head of its first request.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept for a further request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long what a refused request still sends is read and thrown away, so that its sender sees the
/// refusal and not a broken connection.
const LINGER: Duration = Duration::from_secs(1);
/// How much is read at once: most requests in one piece.
const SIP: usize = 2 * 1024;

/// Serves what is mounted to whoever connects to the listener.
pub(super) fn listen(
    builder: ServerBuilder,
    listener: TcpListener,
    (tls, idle_timeout): (Option<ServerConfig>, Duration),
    mount: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Server> {
    let stopping = builder.graceful_shutdown_signal();
    let builder = match tls {
        None => builder.listen("http", listener, move || {
            fn_service(move |io: TcpStream| {
                let peer = io.peer_addr().ok();
                ready(Ok((Sips::of(io, idle_timeout), peer)))
            })
            .and_then(requests(mount.clone(), stopping.clone()))
        })?,
        Some(mut config) => {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            builder.listen("https", listener, move || {
                Acceptor::new(config.clone())
                    .map_err(TlsError::into_service_error)
                    .map(move |io: TlsStream<TcpStream>| {
                        let peer = io.get_ref().0.peer_addr().ok();
                        (Sips::of(io, idle_timeout), peer)
                    })
                    .and_then(requests(mount.clone(), stopping.clone()).map_err(TlsError::Service))
            })?
        }
    };
    Ok(builder.run())
}

/// HTTP/1.1 on a connection.
fn requests<T>(
    mount: impl Fn(&mut web::ServiceConfig) + Clone + 'static,
    stopping: GracefulShutdownSignal,
) -> impl ServiceFactory<
    (Sips<T>, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let app = App::new().wrap(from_fn(http::observe)).configure(mount);
    HttpService::build()
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_HEAD_TIMEOUT)
        .client_disconnect_timeout(LINGER)
        .on_connect_ext(|io: &Sips<T>, connection| {
            connection.insert(io.last_request.clone());
        })
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .h1(map_config(app, |()| AppConfig::default()))
}

/// A connection that is read in sips: after each, the reader gets to see what it has. And one that
/// ends: actix-http times the head of the first request only, so without this a single byte of a second
/// one would hold the connection for ever.
struct Sips<T> {
    io: T,
    left: usize,
    idle_timeout: Duration,
    /// Since when an answer is due: the last byte that was written, or the first that was read since.
    active_at: Instant,
    has_read: bool,
    alarm: Pin<Box<Sleep>>,
    is_over: bool,
    last_request: LastRequest,
}

impl<T> Sips<T> {
    fn of(io: T, idle_timeout: Duration) -> Self {
        Self {
            io,
            left: SIP,
            idle_timeout,
            active_at: Instant::now(),
            has_read: false,
            alarm: Box::pin(sleep(idle_timeout)),
            is_over: false,
            last_request: LastRequest::default(),
        }
    }

    /// Whether nothing more is read. An answer that is on its way is still written, as to a peer that
    /// has closed its side.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        while !self.is_over && self.alarm.as_mut().poll(context).is_ready() {
            let due = self.active_at + self.idle_timeout;
            self.is_over = Instant::now() >= due;
            self.alarm.as_mut().reset(due);
        }
        self.is_over |= self.last_request.was_taken();
        self.is_over
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Sips<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_over(context) {
            return Poll::Ready(Ok(()));
        }
        if this.left == 0 {
            this.left = SIP;
            // There may be more, and nobody else would say so.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let wanted = this.left.min(buffer.remaining());
        let mut sip = ReadBuf::new(buffer.initialize_unfilled_to(wanted));
        let read = Pin::new(&mut this.io).poll_read(context, &mut sip);
        let length = sip.filled().len();
        buffer.advance(length);
        if length > 0 && !this.has_read {
            this.has_read = true;
            this.active_at = Instant::now();
        }
        this.left = match read {
            Poll::Ready(_) => this.left.saturating_sub(length),
            Poll::Pending => SIP,
        };
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Sips<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        if let Poll::Ready(Ok(1..)) = written {
            this.has_read = false;
            this.active_at = Instant::now();
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn the_reader_gets_a_sip_and_then_a_pause() {
        let source = vec![7_u8; 3 * SIP];
        let mut sips = Sips::of(source.as_slice(), MINUTE);
        let mut context = Context::from_waker(Waker::noop());
        let mut storage = vec![0; 8 * SIP];
        let mut buffer = ReadBuf::new(&mut storage);
        let mut lengths = Vec::new();
        for _ in 0..9 {
            let before = buffer.filled().len();
            let read = Pin::new(&mut sips).poll_read(&mut context, &mut buffer);
            lengths.push(read.is_ready().then(|| buffer.filled().len() - before));
        }
        let sip = Some(SIP);
        let end = Some(0);
        assert_eq!(lengths, [sip, None, sip, None, sip, None, end, end, end]);
        assert_eq!(buffer.filled(), source);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_dripping_come_to_an_end_and_answers_prolong() {
        let (mut peer, io) = duplex(64);
        let mut sips = Sips::of(io, MINUTE);
        let start = Instant::now();
        // Answers keep it open, however long nothing is read.
        for _ in 0..5 {
            sips.write_all(b"x").await.unwrap();
            peer.read_u8().await.unwrap();
            let waited = tokio::time::timeout(MINUTE / 2, sips.read_u8()).await;
            assert!(waited.is_err(), "it is still open");
        }
        // A byte every second does not: the minute begins with the first.
        let drip = tokio::spawn(async move {
            while peer.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let first = Instant::now();
        while sips.read_u8().await.is_ok() {}
        let took = first.elapsed();
        assert!(
            took >= MINUTE / 2 && took <= MINUTE * 2,
            "{took:?} {:?}",
            start.elapsed()
        );
        // Nothing more is read, but an answer is still written.
        assert_eq!(sips.read(&mut [0; 8]).await.unwrap(), 0);
        sips.write_all(b"x").await.unwrap();
        drip.abort();
    }
}
