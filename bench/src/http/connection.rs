//! One connection that is kept alive.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Response;
use crate::failure::{Doing, Failure, Outcome};

/// A connection to the service.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await.doing("connecting")?;
        stream.set_nodelay(true).doing("connecting")?;
        Ok(Self {
            address,
            stream,
            received: Vec::with_capacity(8 * 1_024),
        })
    }

    /// Where it leads.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Outcome<Response<'_>> {
        self.received.clear();
        self.stream.write_all(request).await.doing("sending")?;
        loop {
            let read = self.stream.read_buf(&mut self.received).await;
            if read.doing("receiving")? == 0 {
                return Err(Failure::new("the service closed the connection"));
            }
            if Response::parse(&self.received)?.is_some() {
                break;
            }
        }
        // Parsed again because a borrow must not live across the loop; it costs a microsecond of
        // the generator, not of the service.
        match Response::parse(&self.received)? {
            Some((response, _)) => Ok(response),
            None => Err(Failure::new("the answer is incomplete")),
        }
    }

    /// A new connection to the same place.
    pub(crate) async fn reopen(&mut self) -> Outcome<()> {
        *self = Self::open(self.address).await?;
        Ok(())
    }
}
