//! A verifier in this process whose background work has a thread of its own, so that it goes on while the
//! thread that measures is busy.

use std::time::Instant;

use tokensmith_verify::revocation::Position;
use tokensmith_verify::{Discovery, RevocationStats, Verifier, VerifierBuilder};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::failure::{Doing, Failure, Outcome};

/// A connected verifier with its thread.
pub(super) struct Follower {
    verifier: Verifier,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Follower {
    pub(super) async fn connect(builder: VerifierBuilder<Discovery>) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .doing("starting a runtime")?;
        let connected = runtime.spawn(builder.connect()).await;
        let verifier = connected.doing("connecting a verifier")?;
        Ok(Self {
            verifier: verifier.doing("connecting a verifier")?,
            runtime: Some(runtime),
        })
    }

    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// What the verifier knows of revocations.
    pub(super) fn stats(&self) -> Outcome<RevocationStats> {
        let reader = self.verifier.revocation().ok_or_else(deaf)?;
        Ok(reader.stats())
    }

    /// When the verifier has reached a position.
    pub(super) fn seen(&self, position: Position) -> Outcome<JoinHandle<Instant>> {
        let verifier = self.verifier.clone();
        let runtime = self.runtime.as_ref().ok_or_else(deaf)?;
        Ok(runtime.spawn(async move {
            if let Some(reader) = verifier.revocation() {
                reader.reached(position).await;
            }
            Instant::now()
        }))
    }
}

fn deaf() -> Failure {
    Failure::new("the verifier does not follow revocations")
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime may not wait for its threads within another.
            runtime.shutdown_background();
        }
    }
}
