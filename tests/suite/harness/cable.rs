//! A connection that can be cut, slowed down and silenced.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::Database;

/// Relays a port of its own to a server until it is cut.
pub(crate) struct Cable {
    pub(crate) port: u16,
    relay: AbortHandle,
    condition: watch::Sender<Condition>,
}

/// What the cable does to what it carries.
#[derive(Clone, Default)]
struct Condition {
    /// How long everything is under way, in each direction.
    delay: Duration,
    is_silent: bool,
    /// How many times it has been silenced. What was connected before is dead for good.
    silences: u32,
    /// A request with these bytes arrives, and its answer does not.
    unanswered: Option<Vec<u8>>,
}

/// One connection over the cable.
struct Carrier {
    condition: watch::Sender<Condition>,
    silences_before: u32,
    loses_next_answer: AtomicBool,
}

impl Cable {
    /// Lays a cable to `host:port`.
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let condition = watch::Sender::new(Condition::default());
        let shared = condition.clone();
        let relay = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let carrier = Carrier::new(shared.clone());
                connections.spawn(carrier.carry(near, server.clone()));
            }
        });
        Self {
            port,
            relay: relay.abort_handle(),
            condition,
        }
    }

    /// Ends all connections and refuses further ones.
    pub(crate) fn cut(&self) {
        self.relay.abort();
    }

    /// From now on everything takes so long, in each direction.
    pub(crate) fn slow_down(&self, delay: Duration) {
        self.condition.send_modify(|it| it.delay = delay);
    }

    /// Nothing arrives any more, and nobody is told: as when a firewall drops what it does not know.
    pub(crate) fn silence(&self) {
        self.condition.send_modify(|it| {
            it.is_silent = true;
            it.silences += 1;
        });
    }

    /// New connections work again. Those from before the silence stay dead.
    pub(crate) fn mend(&self) {
        self.condition.send_modify(|it| {
            it.is_silent = false;
            it.delay = Duration::ZERO;
        });
    }

    /// The next request that has these bytes in it arrives; then its connection breaks.
    pub(crate) fn lose_the_answer_to(&self, bytes: &[u8]) {
        self.condition
            .send_modify(|it| it.unanswered = Some(bytes.to_vec()));
    }

    /// Whether that has happened.
    pub(crate) fn has_lost_an_answer(&self) -> bool {
        self.condition.borrow().unanswered.is_none()
    }
}

impl Carrier {
    fn new(condition: watch::Sender<Condition>) -> Self {
        let silences_before = condition.borrow().silences;
        Self {
            condition,
            silences_before,
            loses_next_answer: AtomicBool::new(false),
        }
    }

    async fn carry(self, mut near: TcpStream, server: String) -> std::io::Result<()> {
        let mut far = TcpStream::connect(server).await?;
        let (near_out, near_in) = near.split();
        let (far_out, far_in) = far.split();
        tokio::try_join!(
            self.pump(near_out, far_in, |bytes| {
                self.ask(bytes);
                Ok(())
            }),
            self.pump(far_out, near_in, |_| self.answer())
        )?;
        Ok(())
    }

    async fn pump(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        let_pass: impl Fn(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = from.read(&mut buffer).await?;
            let condition = self.condition.borrow().clone();
            tokio::time::sleep(condition.delay).await;
            if condition.is_silent || condition.silences != self.silences_before {
                std::future::pending::<()>().await;
            }
            if count == 0 {
                return to.shutdown().await;
            }
            let_pass(&buffer[..count])?;
            to.write_all(&buffer[..count]).await?;
        }
    }

    fn ask(&self, bytes: &[u8]) {
        let unanswered = self.condition.borrow().unanswered.clone();
        let is_it = |wanted: Vec<u8>| bytes.windows(wanted.len()).any(|some| some == wanted);
        if unanswered.is_some_and(is_it) {
            self.loses_next_answer.store(true, Ordering::Release);
        }
    }

    fn answer(&self) -> std::io::Result<()> {
        if self.loses_next_answer.load(Ordering::Acquire) {
            self.condition.send_modify(|it| it.unanswered = None);
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

/// PostgreSQL through a cable; on SQLite there is nothing to lay one to.
pub(crate) async fn behind_a_cable(mut database: Database) -> (Database, Option<Cable>) {
    let mut url = url::Url::parse(&database.url).unwrap();
    let Some((host, port)) = url.host_str().zip(url.port()) else {
        return (database, None);
    };
    let cable = Cable::to(format!("{host}:{port}")).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(cable.port)).unwrap();
    database.url = url.to_string();
    (database, Some(cable))
}
