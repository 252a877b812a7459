//! The three signed documents: a status list, the snapshot, and the heartbeat.

use serde::{Deserialize, Serialize};

use super::{Chain, Position, Watermark};

/// `typ` of a status list (draft-ietf-oauth-status-list §5.1).
pub const LIST_TYP: &str = "statuslist+jwt";
/// `typ` of a snapshot.
pub const SNAPSHOT_TYP: &str = "revocation-snapshot+jwt";
/// `typ` of a heartbeat.
pub const HEARTBEAT_TYP: &str = "revocation-heartbeat+jwt";

/// A Token Status List (draft-ietf-oauth-status-list §5.1), with the place in the log that it
/// includes, so that a reader can go on from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListToken {
    /// Who signed it.
    pub iss: String,
    /// The URI of the list.
    pub sub: String,
    /// When it was made, in Unix seconds.
    pub iat: i64,
    /// When it must no longer be used.
    pub exp: i64,
    /// How many seconds it may be used before a new one is fetched.
    pub ttl: u64,
    /// The bits.
    pub status_list: StatusListClaim,
    /// The epoch of the log.
    pub epoch: u64,
    /// The last event that the bits include.
    pub seq: u64,
    /// The chain at that event.
    pub chain: Chain,
}

/// The claim `status_list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusListClaim {
    /// Bits per token; always 1 here.
    pub bits: u8,
    /// base64url of the zlib-compressed bytes.
    pub lst: String,
}

/// The whole state but for the bits themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Who signed it.
    pub iss: String,
    /// When it was made, in Unix seconds.
    pub iat: i64,
    /// When it must no longer be used.
    pub exp: i64,
    /// The epoch of the log.
    pub epoch: u64,
    /// The last event that it includes.
    pub seq: u64,
    /// The chain at that event.
    pub chain: Chain,
    /// How many lists have been announced. They are numbered from 0.
    pub announced: u32,
    /// The URIs of those that have a bit set; all others are zero throughout.
    pub lists: Vec<String>,
    /// The cut-offs that may still matter.
    pub watermarks: Vec<Watermark>,
}

/// Word that the log ends here at this instant. Freshness is believed from nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who signed it.
    pub iss: String,
    /// The epoch of the log.
    pub epoch: u64,
    /// The last event.
    pub seq: u64,
    /// The chain at that event.
    pub chain: Chain,
    /// The instant, in milliseconds since 1970.
    pub as_of: i64,
}

macro_rules! positioned {
    ($($document:ty),+) => {
        $(impl $document {
            /// The place in the log.
            #[must_use]
            pub const fn position(&self) -> Position {
                Position {
                    epoch: self.epoch,
                    seq: self.seq,
                }
            }
        })+
    };
}

positioned!(ListToken, Snapshot, Heartbeat);
