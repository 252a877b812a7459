//! The parent of the children.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

use super::COMMAND;
use super::line::Line;
use super::orders::{Order, Reply, Verifiers};
use crate::failure::{Doing, Failure, Outcome};
use crate::measure::Monotonic;

/// The longest that a child takes for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Children, among whom verifiers and streams are shared out evenly. They end with this.
pub(crate) struct Fleet(Vec<Member>);

struct Member {
    process: std::process::Child,
    line: Line,
}

impl Fleet {
    pub(crate) async fn launch(processes: u16) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.doing("listening for children")?;
        let address = listener.local_addr().doing("listening for children")?;
        let mut members = Vec::new();
        for _ in 0..processes {
            members.push(Member::launch(&listener, address).await?);
        }
        Ok(Self(members))
    }

    /// Connects verifiers, and waits until all are there.
    pub(crate) async fn verify(&mut self, whose: &Verifiers, verifiers: u32) -> Outcome<()> {
        self.order_each(verifiers, |count| Order::Verify {
            whose: whose.clone(),
            count,
        })
        .await
    }

    /// Opens streams, and waits until all are open.
    pub(crate) async fn hold(&mut self, address: SocketAddr, streams: u32) -> Outcome<()> {
        self.order_each(streams, |count| Order::Hold { address, count })
            .await
    }

    /// Has all verifiers look for the revocation of a token, which is good now.
    pub(crate) async fn watch(&mut self, token: &str) -> Outcome<()> {
        self.order_each(0, |_| Order::Watch {
            token: token.to_owned(),
        })
        .await
    }

    /// When each verifier rejected the token; waits for the last.
    pub(crate) async fn rejections(&mut self) -> Outcome<Vec<Monotonic>> {
        let mut rejections = Vec::new();
        for member in &mut self.0 {
            match member.reply().await? {
                Reply::Rejected { at } => rejections.extend(at),
                other => return Err(unexpected(&other)),
            }
        }
        Ok(rejections)
    }

    /// How many streams are open.
    pub(crate) async fn open_streams(&mut self) -> Outcome<u32> {
        let mut open = 0;
        for member in &mut self.0 {
            member.line.say(&Order::Count).await?;
            match member.reply().await? {
                Reply::Open { count } => open += count,
                other => return Err(unexpected(&other)),
            }
        }
        Ok(open)
    }

    /// Gives each its share of an order, and waits until all have done it.
    async fn order_each(&mut self, total: u32, order: impl Fn(u32) -> Order) -> Outcome<()> {
        let members = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        for (number, member) in (0..).zip(&mut self.0) {
            member
                .line
                .say(&order(share(total, number, members)))
                .await?;
        }
        for member in &mut self.0 {
            match member.reply().await? {
                Reply::Done => {}
                other => return Err(unexpected(&other)),
            }
        }
        Ok(())
    }
}

impl Member {
    async fn launch(listener: &TcpListener, address: SocketAddr) -> Outcome<Self> {
        let this = std::env::current_exe().doing("finding this program")?;
        let process = Command::new(this)
            .args([COMMAND, &address.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .doing("starting a child")?;
        let called = timeout(PATIENCE, listener.accept()).await;
        let (stream, _) = called
            .map_err(|_| Failure::new("a child does not call"))?
            .doing("listening for children")?;
        let line = Line::over(stream)?;
        Ok(Self { process, line })
    }

    async fn reply(&mut self) -> Outcome<Reply> {
        let reply = timeout(PATIENCE, self.line.hear()).await;
        reply
            .map_err(|_| Failure::new("a child does not answer within a minute"))??
            .ok_or_else(|| Failure::new("a child has ended"))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for already.
        let _ended = self.process.kill();
        let _waited = self.process.wait();
    }
}

fn unexpected(reply: &Reply) -> Failure {
    match reply {
        Reply::Failed { reason } => Failure::new(reason),
        other => Failure::new(format!("a child answers out of turn: {other:?}")),
    }
}

/// The part of one of so many.
fn share(total: u32, number: u32, of: u32) -> u32 {
    let of = of.max(1);
    total / of + u32::from(number < total % of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_differ_by_one_at_most() {
        for (total, of) in [(100, 4), (101, 4), (3, 4), (0, 4), (10_000, 7)] {
            let shares: Vec<_> = (0..of).map(|number| share(total, number, of)).collect();
            assert_eq!(shares.iter().sum::<u32>(), total);
            let (fewest, most) = (shares.iter().min(), shares.iter().max());
            assert!(most.unwrap() - fewest.unwrap() <= 1, "{shares:?}");
        }
    }
}
