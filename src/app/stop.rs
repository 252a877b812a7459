//! The end of a process that serves.

use actix_web::dev::Server;

use crate::revocation::Feed;

/// Serves until SIGTERM or SIGINT; then stops accepting, ends the streams, and lets running requests
/// finish. A second signal does not wait for them.
pub(super) async fn run_until_stopped(
    server: Server,
    mut stop: StopSignal,
    feed: Feed,
) -> std::io::Result<()> {
    let handle = server.handle();
    tokio::spawn(async move {
        stop.received().await;
        tracing::info!("stopping: no new connections; running requests may finish");
        // Streams do not finish by themselves.
        feed.close();
        let hurry = handle.clone();
        tokio::spawn(async move {
            stop.received().await;
            tracing::warn!("told to stop again: not waiting for running requests");
            hurry.stop(false).await;
        });
        handle.stop(true).await;
    });
    server.await
}

/// SIGTERM, which orchestrators send, and SIGINT, which a terminal sends.
#[cfg(unix)]
pub(super) struct StopSignal(std::io::Result<[tokio::signal::unix::Signal; 2]>);

#[cfg(unix)]
impl StopSignal {
    pub(super) fn register() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self(signal(SignalKind::terminate()).and_then(|terminate| {
            signal(SignalKind::interrupt()).map(|interrupt| [terminate, interrupt])
        }))
    }

    async fn received(&mut self) {
        match &mut self.0 {
            Ok([terminate, interrupt]) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            Err(error) => {
                tracing::error!(%error, "cannot listen for signals; only a kill will stop this");
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(not(unix))]
pub(super) struct StopSignal;

#[cfg(not(unix))]
impl StopSignal {
    pub(super) fn register() -> Self {
        Self
    }

    async fn received(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
