//! Lines of JSON between two processes.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::failure::{Doing, Outcome};

/// A connection that carries lines in both directions.
pub(super) struct Line(BufReader<TcpStream>);

impl Line {
    pub(super) fn over(stream: TcpStream) -> Outcome<Self> {
        stream.set_nodelay(true).doing("connecting")?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(super) async fn say(&mut self, message: &impl Serialize) -> Outcome<()> {
        let mut line = serde_json::to_vec(message).doing("writing a message")?;
        line.push(b'\n');
        let sent = self.0.get_mut().write_all(&line).await;
        sent.doing("talking to another process")
    }

    /// The next message; `None` when the other is gone.
    pub(super) async fn hear<M: DeserializeOwned>(&mut self) -> Outcome<Option<M>> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await;
        if read.doing("listening to another process")? == 0 {
            return Ok(None);
        }
        serde_json::from_str(&line)
            .map(Some)
            .doing("reading a message")
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::super::orders::{Order, Reply};
    use super::*;
    use crate::measure::Monotonic;

    #[tokio::test]
    async fn messages_arrive_in_order_until_the_other_is_gone() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let there = TcpStream::connect(address).await.unwrap();
        let mut there = Line::over(there).unwrap();
        let mut here = Line::over(listener.accept().await.unwrap().0).unwrap();
        let token = "a.b.c".to_owned();
        here.say(&Order::Watch { token }).await.unwrap();
        here.say(&Order::Count).await.unwrap();
        let first = there.hear().await.unwrap();
        assert!(matches!(first, Some(Order::Watch { token }) if token == "a.b.c"));
        assert!(matches!(there.hear().await.unwrap(), Some(Order::Count)));
        let at = vec![Monotonic::now()];
        let reply = Reply::Rejected { at: at.clone() };
        there.say(&reply).await.unwrap();
        let heard = here.hear().await.unwrap();
        assert!(matches!(heard, Some(Reply::Rejected { at: heard }) if heard == at));
        drop(there);
        assert!(here.hear::<Reply>().await.unwrap().is_none());
    }
}
