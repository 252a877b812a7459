//! The rules. No HTTP, no SQL, no clock and no randomness of its own: instants and random bytes
//! are arguments, and what the outside world must provide is named in [`ports`].

pub mod algorithm;
pub mod audit;
pub mod authorization;
pub mod browser_login;
pub mod claims;
pub mod client;
pub mod client_registration;
pub mod consent;
pub mod device;
pub mod entitlement;
pub mod error;
pub mod fleet;
pub mod id;
pub mod identifier;
pub mod issuer;
pub mod key;
pub mod key_schedule;
pub mod network;
pub mod password;
pub mod ports;
pub mod rate_limit;
pub mod redirect_uri;
pub mod resource;
pub mod revocation;
pub mod rotation;
pub mod session;
pub mod session_policy;
pub mod throttle;
pub mod user;
pub mod web_url;

/// An instant in UTC. Stored as milliseconds since the epoch; on the wire, JWT claims are whole
/// seconds (RFC 7519 §2, `NumericDate`).
pub type Timestamp = chrono::DateTime<chrono::Utc>;
