//! What stands between clients and replicas.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::{Failure, waiting};

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Gives each connection to the next replica, in turn. Where nobody listens it asks the next one, as nginx
/// does with `proxy_next_upstream error`, and for no other reason: a connection that breaks after it was
/// made breaks for the client, too.
pub struct Balancer {
    port: u16,
    places: Arc<[Place]>,
    acceptor: AbortHandle,
}

/// One replica.
struct Place {
    address: SocketAddr,
    is_out: AtomicBool,
    /// Connections to it on which nothing has come back yet.
    unanswered: AtomicUsize,
}

impl Balancer {
    /// Begins to listen on a port, for replicas that need not be there yet.
    pub async fn listen(port: u16, replicas: Vec<SocketAddr>) -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.map_err(Failure::doing("listening for clients"))?;
        let places = replicas.into_iter().map(|address| Place {
            address,
            is_out: AtomicBool::new(false),
            unanswered: AtomicUsize::new(0),
        });
        let places: Arc<[Place]> = places.collect();
        let turn = Arc::new(AtomicUsize::new(0));
        let all = Arc::clone(&places);
        let acceptor = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let (places, turn) = (Arc::clone(&all), Arc::clone(&turn));
                connections.spawn(async move { carry(client, &places, &turn).await });
            }
        });
        Ok(Self {
            port,
            places,
            acceptor: acceptor.abort_handle(),
        })
    }

    /// What clients and verifiers know of the service: its issuer and address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends nobody to a replica any more, and waits until all who were sent there before have their
    /// answers: what an orchestrator does before it stops a process. Streams go on.
    pub async fn take_out(&self, replica: SocketAddr) -> Result<(), Failure> {
        for place in self.places.iter().filter(|it| it.address == replica) {
            place.is_out.store(true, Ordering::SeqCst);
            waiting::until("the last requests are answered", PATIENCE, || async {
                (place.unanswered.load(Ordering::SeqCst) == 0).then_some(())
            })
            .await?;
        }
        Ok(())
    }

    /// The replica is there again.
    pub fn put_back(&self, replica: SocketAddr) {
        for place in self.places.iter().filter(|it| it.address == replica) {
            place.is_out.store(false, Ordering::SeqCst);
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Place {
    /// A connection to it, for the request that comes first; `None` when it takes none.
    async fn connect(&self) -> Option<(TcpStream, Unanswered<'_>)> {
        // Counted before it is looked at, so that whoever takes the replica out sees one or the other.
        let unanswered = Unanswered::count(&self.unanswered);
        if self.is_out.load(Ordering::SeqCst) {
            return None;
        }
        let replica = TcpStream::connect(self.address).await.ok()?;
        Some((replica, unanswered))
    }
}

/// Somebody waits for an answer.
struct Unanswered<'a>(&'a AtomicUsize);

impl<'a> Unanswered<'a> {
    fn count(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn carry(client: TcpStream, places: &[Place], turn: &AtomicUsize) {
    for _ in places {
        let next = turn.fetch_add(1, Ordering::SeqCst);
        let Some(place) = places.get(next % places.len()) else {
            return;
        };
        if let Some((replica, unanswered)) = place.connect().await {
            // Whoever of the two ends it, the other notices.
            let _ended = relay(client, replica, unanswered).await;
            return;
        }
    }
}

async fn relay(
    mut client: TcpStream,
    mut replica: TcpStream,
    unanswered: Unanswered<'_>,
) -> io::Result<()> {
    let (mut questions, mut to_client) = client.split();
    let (mut answers, mut to_replica) = replica.split();
    let there = async {
        copy(&mut questions, &mut to_replica).await?;
        to_replica.shutdown().await
    };
    let back = async {
        let mut beginning = vec![0; 4 * 1024];
        let length = answers.read(&mut beginning).await?;
        to_client
            .write_all(beginning.get(..length).unwrap_or_default())
            .await?;
        drop(unanswered);
        copy(&mut answers, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(there, back).map(drop)
}
