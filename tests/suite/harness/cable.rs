//! A connection that can be cut.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Relays a port of its own to a server until it is cut.
pub(crate) struct Cable {
    pub(crate) port: u16,
    relay: AbortHandle,
}

impl Cable {
    /// Lays a cable to `host:port`.
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let relay = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let server = server.clone();
                connections.spawn(async move {
                    let mut far = TcpStream::connect(server).await?;
                    copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
        Self {
            port,
            relay: relay.abort_handle(),
        }
    }

    /// Ends all connections and refuses further ones.
    pub(crate) fn cut(&self) {
        self.relay.abort();
    }
}
