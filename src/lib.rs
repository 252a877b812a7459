//! Tokensmith: a stateless token service. It signs short-lived RS256 access tokens, publishes a
//! JWKS, and lets other services verify tokens offline.
//!
//! `ARCHITECTURE.md` walks through the layers; imports point inward, and a test checks it.

pub mod accounts;
pub mod admin;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod grants;
pub mod http;
pub mod outbound;
pub mod relay;
pub mod replica;
pub mod revocation;
pub mod store;
pub mod telemetry;
pub mod web;
