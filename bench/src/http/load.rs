//! A closed loop: every client sends its next request when it has the answer to the last.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};

use super::{Connection, Response};
use crate::failure::Outcome;
use crate::measure::Latencies;

/// Every how many answers of a client one is looked into.
const SAMPLE_EVERY: u64 = 64;

/// Clients that all send the same request.
pub(crate) struct Load {
    clients: Vec<Client>,
    request: Vec<u8>,
    expected_status: u16,
    /// Looks into a sampled answer.
    is_right: fn(&[u8]) -> bool,
}

struct Client {
    connection: Connection,
    sent: u64,
}

/// What happened while a load ran.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slice {
    /// Answers, right or wrong.
    pub(crate) ops: u64,
    /// Answers that were wrong or missing.
    pub(crate) errors: u64,
    /// How long it ran.
    pub(crate) wall: Duration,
}

impl Load {
    /// Opens the connections.
    pub(crate) async fn connect(
        address: SocketAddr,
        clients: usize,
        request: Vec<u8>,
        (expected_status, is_right): (u16, fn(&[u8]) -> bool),
    ) -> Outcome<Self> {
        let connections = try_join_all((0..clients).map(|_| Connection::open(address))).await?;
        let client = |connection| Client {
            connection,
            sent: 0,
        };
        Ok(Self {
            clients: connections.into_iter().map(client).collect(),
            request,
            expected_status,
            is_right,
        })
    }

    /// Sends requests for `duration` and waits for the last answers.
    pub(crate) async fn run(
        &mut self,
        duration: Duration,
        latencies: &mut Latencies,
    ) -> Outcome<Slice> {
        let start = Instant::now();
        let latencies = RefCell::new(latencies);
        let (request, status, is_right) = (&self.request, self.expected_status, self.is_right);
        let accepts = |response: Response<'_>, sampled: bool| {
            response.status == status && (!sampled || is_right(response.body))
        };
        let loops = self.clients.iter_mut().map(|client| async {
            let mut errors = 0;
            let mut ops = 0;
            let mut since_start = start.elapsed();
            while since_start < duration {
                client.sent += 1;
                let sampled = client.sent % SAMPLE_EVERY == 1;
                match client.connection.exchange(request).await {
                    Ok(response) => errors += u64::from(!accepts(response, sampled)),
                    Err(_) => {
                        errors += 1;
                        client.connection.reopen().await?;
                    }
                }
                ops += 1;
                let now = start.elapsed();
                latencies.borrow_mut().record(now - since_start);
                since_start = now;
            }
            Ok((ops, errors))
        });
        let mut slice = Slice::default();
        for outcome in join_all(loops).await {
            let (ops, errors) = outcome?;
            slice.ops += ops;
            slice.errors += errors;
        }
        slice.wall = start.elapsed();
        Ok(slice)
    }
}
