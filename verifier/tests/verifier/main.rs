//! The verifier as a downstream service sees it.
//!
//! One binary, because every binary links the whole world again.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, also in the functions that tests share"
)]

mod fetching;
mod following;
mod issuer;
mod log;
mod memory;
mod mutation;
mod revoking;
mod setup;
mod signer;
mod timing;
mod vectors;
mod web;
mod wycheproof;
