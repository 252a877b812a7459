//! A relay between the service and PostgreSQL that counts their round trips.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokensmith::store::DatabaseLocation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

use crate::failure::{Doing, Failure, Outcome};

/// Passes bytes on in both directions until it is dropped. Without TLS: it has to read along.
pub(crate) struct Relay {
    url: String,
    round_trips: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// A relay before the database.
    pub(crate) async fn before(database_url: &str) -> Outcome<Self> {
        let location = database_url.parse().doing("reading the database URL")?;
        let DatabaseLocation::Postgres(options) = location else {
            return Err(Failure::new("only PostgreSQL is behind a network"));
        };
        let server = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.await.doing("starting a relay")?;
        let address = listener.local_addr().doing("starting a relay")?;
        let mut url = Url::parse(database_url).doing("reading the database URL")?;
        url.set_ip_host(address.ip())
            .and_then(|()| url.set_port(Some(address.port())))
            .map_err(|()| Failure::new("the database URL takes no other host"))?;
        url.query_pairs_mut().append_pair("sslmode", "disable");
        let round_trips = Arc::default();
        let counted = Arc::clone(&round_trips);
        let accepting = tokio::spawn(async move {
            while let Ok((service, _)) = listener.accept().await {
                tokio::spawn(connect(service, server.clone(), Arc::clone(&counted)));
            }
        });
        Ok(Self {
            url: url.into(),
            round_trips,
            accepting,
        })
    }

    /// The URL of the database through the relay.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How often PostgreSQL has said that it is ready for the next query.
    pub(crate) fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connect(service: TcpStream, server: (String, u16), round_trips: Arc<AtomicU64>) {
    // When the database is not there, the service learns it from its closed connection.
    let Ok(database) = TcpStream::connect(server).await else {
        return;
    };
    let _faster = (service.set_nodelay(true), database.set_nodelay(true));
    let (from_service, to_service) = service.into_split();
    let (from_database, to_database) = database.into_split();
    let answers = tokio::spawn(pass_on(
        from_database,
        to_service,
        move |bytes, messages| {
            round_trips.fetch_add(messages.count_ready(bytes), Ordering::Relaxed);
        },
    ));
    pass_on(from_service, to_database, |_, _| {}).await;
    answers.abort();
}

async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    seen: impl Fn(&[u8], &mut Messages),
) {
    let mut messages = Messages::default();
    let mut buffer = Vec::with_capacity(16 * 1_024);
    while from.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        seen(&buffer, &mut messages);
        if to.write_all(&buffer).await.is_err() {
            return;
        }
        buffer.clear();
    }
}

/// Where the messages of PostgreSQL begin and end in the bytes that come in: each is a byte that
/// says what it is and a length that counts itself (Frontend/Backend Protocol, "Message Formats").
#[derive(Default)]
struct Messages {
    head: Vec<u8>,
    rest: usize,
}

impl Messages {
    /// How many of the messages that begin here are `ReadyForQuery`.
    fn count_ready(&mut self, mut bytes: &[u8]) -> u64 {
        let mut ready = 0;
        while let Some((first, others)) = bytes.split_first() {
            if self.rest > 0 {
                let passed = self.rest.min(bytes.len());
                self.rest -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            self.head.push(*first);
            bytes = others;
            if let [kind, length @ ..] = self.head.as_slice()
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                ready += u64::from(*kind == b'Z');
                let length = u32::from_be_bytes(length).saturating_sub(4);
                self.rest = usize::try_from(length).unwrap_or(usize::MAX);
                self.head.clear();
            }
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_however_they_are_cut() {
        // A row that holds what looks like the message itself, and two of the message.
        let row = b"D\0\0\0\x0aZ\0\0\0\x05I";
        let ready = b"Z\0\0\0\x05I";
        let stream = [row.as_slice(), ready, ready].concat();
        for size in 1..=stream.len() {
            let mut messages = Messages::default();
            let parts = stream.chunks(size);
            let counted: u64 = parts.map(|part| messages.count_ready(part)).sum();
            assert_eq!(counted, 2, "{size}");
        }
    }
}
