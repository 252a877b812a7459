//! The storage contract, on both databases.

mod clients;
mod schema;
mod signing_keys;
