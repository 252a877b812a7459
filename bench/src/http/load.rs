//! A closed loop: every client sends its next request when it has the answer to the last.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};

use super::{Connection, Response};
use crate::failure::Outcome;
use crate::measure::Latencies;

/// Every how many answers of a client one is looked into.
const SAMPLE_EVERY: u64 = 64;

/// One client of a load.
pub(crate) trait Client {
    /// Asks once; answers whether the answer was right. A broken connection is opened again.
    async fn ask(&mut self) -> Outcome<bool>;
}

/// Clients that ask at the same time.
pub(crate) struct Load<C> {
    pub(super) clients: Vec<C>,
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

impl Slice {
    /// Adds what happened in another slice.
    pub(crate) fn add(&mut self, other: Self) {
        self.ops += other.ops;
        self.errors += other.errors;
        self.wall += other.wall;
    }
}

impl<C: Client> Load<C> {
    pub(crate) fn of(clients: Vec<C>) -> Self {
        Self { clients }
    }

    /// Sends requests for `duration` and waits for the last answers.
    pub(crate) async fn run(
        &mut self,
        duration: Duration,
        latencies: &mut Latencies,
    ) -> Outcome<Slice> {
        let start = Instant::now();
        // All clients take turns on one thread.
        let slice = RefCell::new((Slice::default(), latencies));
        let loops = self.clients.iter_mut().map(|client| async {
            let mut since_start = start.elapsed();
            while since_start < duration {
                let is_right = client.ask().await?;
                let now = start.elapsed();
                let (slice, latencies) = &mut *slice.borrow_mut();
                slice.ops += 1;
                slice.errors += u64::from(!is_right);
                latencies.record(now.saturating_sub(since_start));
                since_start = now;
            }
            Ok(())
        });
        join_all(loops).await.into_iter().collect::<Outcome<()>>()?;
        let (mut slice, _) = slice.into_inner();
        slice.wall = start.elapsed();
        Ok(slice)
    }
}

/// What a [`Repeater`] asks for.
pub(crate) struct Errand {
    /// The request, sent as it is.
    pub(crate) request: Vec<u8>,
    /// The status of the right answer.
    pub(crate) status: u16,
    /// Looks into the body of a sampled answer.
    pub(crate) is_right: fn(&[u8]) -> bool,
}

/// A client that sends the same request again and again.
pub(crate) struct Repeater {
    connection: Connection,
    errand: Rc<Errand>,
    asked: u64,
}

impl Load<Repeater> {
    /// Opens a connection for each of the clients.
    pub(crate) async fn connect(
        address: SocketAddr,
        clients: u16,
        errand: Errand,
    ) -> Outcome<Self> {
        let errand = Rc::new(errand);
        Self::connect_all(address, (0..clients).map(|_| Rc::clone(&errand))).await
    }

    /// Opens a connection for a client with each of the errands.
    pub(crate) async fn connect_each(
        address: SocketAddr,
        errands: impl IntoIterator<Item = Errand>,
    ) -> Outcome<Self> {
        Self::connect_all(address, errands.into_iter().map(Rc::new)).await
    }

    async fn connect_all(
        address: SocketAddr,
        errands: impl Iterator<Item = Rc<Errand>>,
    ) -> Outcome<Self> {
        let clients = errands.map(|errand| async move {
            Ok(Repeater {
                connection: Connection::open(address).await?,
                errand,
                asked: 0,
            })
        });
        try_join_all(clients).await.map(Self::of)
    }
}

impl Client for Repeater {
    async fn ask(&mut self) -> Outcome<bool> {
        let sampled = is_sampled(self.asked);
        self.asked += 1;
        if let Ok(response) = self.connection.exchange(&self.errand.request).await {
            return Ok(self.errand.accepts(response, sampled));
        }
        self.connection.reopen().await?;
        Ok(false)
    }
}

impl Errand {
    fn accepts(&self, response: Response<'_>, sampled: bool) -> bool {
        response.status == self.status && (!sampled || (self.is_right)(response.body))
    }
}

/// Whether the body of a client's n-th answer is looked into.
pub(crate) fn is_sampled(asked: u64) -> bool {
    asked.is_multiple_of(SAMPLE_EVERY)
}
