//! Revocation that offline verifiers honour: the formats that the server writes and verifiers read.
//!
//! A token names one bit of a Token Status List (draft-ietf-oauth-status-list). The lists are the
//! snapshot; what changes afterwards is pushed as numbered, hash-chained events, and a signed
//! heartbeat says twice a second how far the chain goes. `docs/revocation.md` describes the
//! protocol for other implementations.

mod documents;
mod events;
#[cfg(feature = "fetch")]
pub(crate) mod follower;
mod freshness;
mod position;
#[cfg_attr(
    not(any(feature = "fetch", feature = "testing")),
    expect(dead_code, reason = "without a network nothing feeds a reader")
)]
mod progress;
#[cfg(feature = "fetch")]
pub(crate) mod pulse;
#[cfg_attr(
    not(any(feature = "fetch", feature = "testing")),
    expect(dead_code, reason = "without a network nothing feeds a reader")
)]
mod reader;
pub mod sse;
#[cfg_attr(
    not(any(feature = "fetch", feature = "testing")),
    expect(dead_code, reason = "without a network nothing feeds a reader")
)]
pub(crate) mod state;
mod stats;
mod status_list;
pub(crate) mod watch;
mod watermarks;

pub use documents::{
    HEARTBEAT_TYP, Heartbeat, LIST_TYP, ListToken, SNAPSHOT_TYP, Snapshot, StatusListClaim,
};
pub use events::{
    Chain, Changes, Delta, Event, Frame, ListAnnouncement, MAX_INDICES, MalformedEvent,
};
pub use freshness::{Freshness, STALE_AFTER};
pub use position::{InvalidPosition, Position};
pub use reader::RevocationReader;
#[cfg(any(feature = "fetch", feature = "testing"))]
pub(crate) use reader::list_uris;
pub use stats::{RevocationStats, Transport};
pub use status_list::{
    BitList, InvalidStatusList, LIST_BYTES, LIST_SIZE, ListUris, deflate, inflate,
};
pub use watch::{Registration, RevocationWatch};
pub use watermarks::{Scope as WatermarkScope, Watermark, Watermarks};
