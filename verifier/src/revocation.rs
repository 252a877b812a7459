//! Revocation that offline verifiers honour: the formats that the server writes and verifiers read.
//!
//! A token names one bit of a Token Status List (draft-ietf-oauth-status-list). The lists are the
//! snapshot; what changes afterwards is pushed as numbered, hash-chained events, and a signed
//! heartbeat says twice a second how far the chain goes. `docs/revocation.md` describes the
//! protocol for other implementations.

mod documents;
mod events;
mod position;
mod status_list;
mod watermarks;

pub use documents::{
    HEARTBEAT_TYP, Heartbeat, LIST_TYP, ListToken, SNAPSHOT_TYP, Snapshot, StatusListClaim,
};
pub use events::{Chain, Delta, Event, Frame, ListAnnouncement, MAX_INDICES, MalformedEvent};
pub use position::{InvalidPosition, Position};
pub use status_list::{
    BitList, InvalidStatusList, LIST_BYTES, LIST_SIZE, ListUris, deflate, inflate,
};
pub use watermarks::{Scope as WatermarkScope, Watermark, Watermarks};
