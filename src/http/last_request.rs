//! Connections on which nothing more is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;

/// Says to the connection that a request came on that it was the last. A stream has no end after
/// which another could be answered; what its reader sends meanwhile would only pile up, and keep a
/// core busy with looking at it.
#[derive(Clone, Default)]
pub struct LastRequest(Arc<AtomicBool>);

impl LastRequest {
    /// Nothing more is read on the connection of this request.
    pub(super) fn take(request: &HttpRequest) {
        if let Some(Self(taken)) = request.conn_data() {
            taken.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the last request has come.
    #[must_use]
    pub fn was_taken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
