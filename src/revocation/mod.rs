//! The log of revocations on its way to readers: one feed in memory, shared by all of them.

mod documents;
mod feed;
mod indices;
mod ring;
mod state;

pub use documents::{Document, DocumentError, Documents, LIST_TTL};
pub use feed::{Behind, Feed, NotBegun, Reader, Unreadable};
pub use indices::LeasedIndices;
pub use state::RevocationState;
