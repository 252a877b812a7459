//! The storage contract, on both databases.

mod clients;
mod signing_keys;
