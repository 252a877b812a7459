//! The rules. No HTTP, no SQL, no clock and no randomness of its own: instants and random bytes
//! are arguments, and what the outside world must provide is named in [`ports`].

pub mod algorithm;
pub mod client;
pub mod client_registration;
pub mod entitlement;
pub mod error;
pub mod id;
pub mod issuer;
pub mod key;
pub mod key_schedule;
pub mod ports;
pub mod resource;

/// An instant in UTC. Stored as milliseconds since the epoch; on the wire, JWT claims are whole
/// seconds (RFC 7519 §2, `NumericDate`).
pub type Timestamp = chrono::DateTime<chrono::Utc>;
