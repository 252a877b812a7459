//! Revocations that a test makes up.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::revocation::state::{Change, State};
use crate::revocation::{Position, Watermark, list_uris};
use crate::{RevocationReader, Status, base64url};

/// The revocations of an issuer, in memory. Clones share them, and every verifier that was built
/// with them sees a change at once.
#[derive(Debug, Clone)]
pub struct Revocations {
    issuer: String,
    reader: Arc<RevocationReader>,
}

/// What is read of a token.
#[derive(Deserialize)]
struct Revocable {
    status: Status,
}

impl Revocations {
    pub(super) fn of(issuer: &str) -> Self {
        let reader = RevocationReader::new(issuer);
        reader.replace(State::new(1, []));
        reader.pretend_staleness(None);
        reader.progress().confirm(Position { epoch: 1, seq: 0 });
        Self {
            issuer: issuer.to_owned(),
            reader: Arc::new(reader),
        }
    }

    /// Revokes a token, and every other with the same status, as the end of a session does.
    ///
    /// # Panics
    ///
    /// When the token is not one of the forge with a status; see
    /// [`revocable`](super::TokenDraft::revocable).
    pub fn revoke(&self, token: &str) {
        let payload = token.split('.').nth(1);
        let payload = payload.and_then(|payload| base64url::decode(payload).ok());
        let claims = payload.and_then(|json| serde_json::from_slice::<Revocable>(&json).ok());
        let entry = claims.expect("the token has a status").status.status_list;
        let list = list_uris(&self.issuer).number(&entry.uri);
        self.apply(&Change::Revoke {
            list: list.expect("the status list is the forge's"),
            idx: vec![entry.idx],
        });
    }

    /// Cuts off all tokens of a client, a key or the issuer that were issued before an instant.
    pub fn cut_off(&self, watermark: Watermark) {
        self.apply(&Change::CutOff(watermark));
    }

    /// Announces the lists up to this number. At first there is list 0 alone.
    pub fn announce(&self, list: u32) {
        self.apply(&Change::Open(list));
    }

    /// As if nothing had been heard of revocations for so long. It grows older from there.
    pub fn fall_silent(&self, staleness: Duration) {
        self.reader.pretend_staleness(Some(staleness));
    }

    /// As if heartbeats came, from now on and for ever.
    pub fn be_heard(&self) {
        self.reader.pretend_staleness(None);
    }

    pub(crate) fn reader(&self) -> Arc<RevocationReader> {
        Arc::clone(&self.reader)
    }

    fn apply(&self, change: &Change) {
        let applied = self.reader.apply(change);
        applied.expect("a test needs no more than some thousand lists");
        let Position { epoch, seq } = self.reader.position();
        let position = Position {
            epoch,
            seq: seq + 1,
        };
        self.reader.progress().confirm(position);
    }
}
