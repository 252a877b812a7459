//! A connection as bytes, for requests that no client library sends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::TestApp;

/// A plain connection to a service.
pub(crate) struct Wire {
    stream: TcpStream,
    pub(crate) host: String,
}

impl Wire {
    pub(crate) async fn to(app: &TestApp) -> Self {
        Self::with_window(app, None).await
    }

    /// A connection that takes only so many bytes before they are read.
    pub(crate) async fn narrow(app: &TestApp, bytes: u32) -> Self {
        Self::with_window(app, Some(bytes)).await
    }

    async fn with_window(app: &TestApp, bytes: Option<u32>) -> Self {
        let host = app.address.strip_prefix("http://").unwrap().to_owned();
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = bytes {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let stream = socket.connect(host.parse().unwrap()).await.unwrap();
        Self { stream, host }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Sends something over and over, as fast as it is taken; answers once nothing is taken any more.
    pub(crate) async fn flood(&mut self, bytes: &[u8]) {
        const TAKEN: Duration = Duration::from_millis(500);
        while let Ok(Ok(())) = timeout(TAKEN, self.stream.write_all(bytes)).await {}
    }

    /// What the service sends until it closes the connection. A reset counts as closing.
    pub(crate) async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        let read = timeout(Duration::from_secs(30), async {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = self.stream.read(&mut chunk).await {
                answer.extend_from_slice(&chunk[..length]);
            }
        });
        read.await.expect("the service closes the connection");
        String::from_utf8_lossy(&answer).into_owned()
    }
}
