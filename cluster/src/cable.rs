//! A connection that can be cut, slowed down and silenced.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::Failure;

/// Relays a port of its own to a server, for as long as it is kept.
pub struct Cable {
    /// On the loopback address.
    pub port: u16,
    relay: AbortHandle,
    condition: watch::Sender<Condition>,
}

/// What the cable does to what it carries.
#[derive(Clone, Default)]
struct Condition {
    /// How long everything is under way, in each direction.
    delay: Duration,
    is_silent: bool,
    is_cut: bool,
    /// How many times it has been silenced. What was connected before is dead for good.
    silences: u32,
    /// How many times all connections were ended.
    breaks: u32,
    /// A request with these bytes arrives, and its answer does not.
    unanswered: Option<Vec<u8>>,
}

/// One connection over the cable.
struct Carrier {
    condition: watch::Sender<Condition>,
    silences_before: u32,
    breaks_before: u32,
    loses_next_answer: AtomicBool,
}

impl Cable {
    /// Lays a cable to `host:port`.
    pub async fn to(server: String) -> Result<Self, Failure> {
        let listening = Failure::doing("listening for a cable");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(listening)?;
        let address = listener.local_addr();
        let port = address.map_err(Failure::doing("laying a cable"))?.port();
        let condition = watch::Sender::new(Condition::default());
        let shared = condition.clone();
        let relay = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                // Those that have ended are forgotten.
                while connections.try_join_next().is_some() {}
                let carrier = Carrier::new(shared.clone());
                connections.spawn(carrier.carry(near, server.clone()));
            }
        });
        Ok(Self {
            port,
            relay: relay.abort_handle(),
            condition,
        })
    }

    /// Ends all connections, and each that is made from now on.
    pub fn cut(&self) {
        self.condition.send_modify(|it| {
            it.is_cut = true;
            it.breaks += 1;
        });
    }

    /// Ends all connections that there are; further ones work.
    pub fn break_connections(&self) {
        self.condition.send_modify(|it| it.breaks += 1);
    }

    /// From now on everything takes so long, in each direction.
    pub fn slow_down(&self, delay: Duration) {
        self.condition.send_modify(|it| it.delay = delay);
    }

    /// Nothing arrives any more, and nobody is told: as when a firewall drops what it does not know.
    pub fn silence(&self) {
        self.condition.send_modify(|it| {
            it.is_silent = true;
            it.silences += 1;
        });
    }

    /// New connections work again, at full speed. Those from before a silence stay dead.
    pub fn mend(&self) {
        self.condition.send_modify(|it| {
            it.is_cut = false;
            it.is_silent = false;
            it.delay = Duration::ZERO;
        });
    }

    /// The next request that has these bytes in it arrives; then its connection breaks.
    pub fn lose_the_answer_to(&self, bytes: &[u8]) {
        self.condition
            .send_modify(|it| it.unanswered = Some(bytes.to_vec()));
    }

    /// Whether that has happened.
    #[must_use]
    pub fn has_lost_an_answer(&self) -> bool {
        self.condition.borrow().unanswered.is_none()
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

impl Carrier {
    fn new(condition: watch::Sender<Condition>) -> Self {
        let (silences_before, breaks_before) = {
            let now = condition.borrow();
            (now.silences, now.breaks)
        };
        Self {
            condition,
            silences_before,
            breaks_before,
            loses_next_answer: AtomicBool::new(false),
        }
    }

    async fn carry(self, near: TcpStream, server: String) -> std::io::Result<()> {
        let mut condition = self.condition.subscribe();
        let broken = condition.wait_for(|it| it.is_cut || it.breaks != self.breaks_before);
        tokio::select! {
            _broken = broken => Ok(()),
            ended = self.relay(near, server) => ended,
        }
    }

    async fn relay(&self, mut near: TcpStream, server: String) -> std::io::Result<()> {
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
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            buffer.clear();
            let count = from.read_buf(&mut buffer).await?;
            let condition = self.condition.borrow().clone();
            tokio::time::sleep(condition.delay).await;
            if condition.is_silent || condition.silences != self.silences_before {
                std::future::pending::<()>().await;
            }
            if count == 0 {
                return to.shutdown().await;
            }
            let_pass(&buffer)?;
            to.write_all(&buffer).await?;
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
