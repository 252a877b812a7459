//! Calls to URLs that clients registered: the only code that connects to where somebody else says.
//!
//! Such a URL may name a host inside the operator's network (server-side request forgery), directly
//! or by a name whose addresses change between two lookups (DNS rebinding). So addresses, not names,
//! are allowed or forbidden, and a connection goes to exactly an address that was looked at.

mod logout_receivers;
mod reach;

pub use logout_receivers::{HttpLogoutReceivers, NoHttpClient};
pub use reach::Reach;
