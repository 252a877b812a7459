//! How far a reader is, and who waits for it.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::Position;

/// The position, and those who wait for a later one.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    position: Position,
    confirmed: Position,
    wakers: Vec<Waker>,
}

impl Progress {
    /// What has been applied.
    pub(crate) fn position(&self) -> Position {
        self.lock().position
    }

    /// What a signed document vouches for.
    pub(crate) fn confirmed(&self) -> Position {
        self.lock().confirmed
    }

    #[cfg(feature = "fetch")]
    pub(crate) fn advance(&self, position: Position) {
        let mut inner = self.lock();
        if position > inner.position {
            inner.move_to(position);
        }
    }

    pub(crate) fn confirm(&self, position: Position) {
        let mut inner = self.lock();
        // What lay beyond was forged.
        if (position, position) != (inner.position, inner.confirmed) {
            inner.confirmed = position;
            inner.move_to(position);
        }
    }

    pub(crate) async fn reached(&self, position: Position) {
        self.wait_for(|inner| inner.position >= position).await;
    }

    /// Waits for the first confirmation.
    #[cfg(feature = "fetch")]
    pub(crate) async fn was_confirmed(&self) {
        self.wait_for(|inner| inner.confirmed != Position::default())
            .await;
    }

    async fn wait_for(&self, condition: impl Fn(&Inner) -> bool) {
        poll_fn(|context| {
            let mut inner = self.lock();
            if condition(&inner) {
                return Poll::Ready(());
            }
            if !inner
                .wakers
                .iter()
                .any(|waker| waker.will_wake(context.waker()))
            {
                inner.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn move_to(&mut self, position: Position) {
        self.position = position;
        self.wakers.drain(..).for_each(Waker::wake);
    }
}
