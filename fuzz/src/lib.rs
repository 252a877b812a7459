//! What must hold for whatever input: one module for each fuzz target.
//!
//! Each has one function, `check`, that takes any bytes and panics with a sentence when a property
//! does not hold. It builds with stable Rust: `fuzz/targets` calls it from libFuzzer, and
//! `cargo test -p tokensmith-fuzz` with every file of the corpus.
//!
//! The properties go beyond "no panic". Where there is a format, what is read is printed and read
//! again; where there are rules, they are held against a second, naive reading of the same bytes.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a property that does not hold is a panic"
)]

mod choices;
mod naive;
mod signed;

pub mod basic;
pub mod claims;
pub mod client_address;
pub mod config;
pub mod form;
pub mod json_body;
pub mod jwks;
pub mod pem;
pub mod redirect_uri;
pub mod refresh_token;
pub mod status_list;
pub mod stream;
pub mod token;

/// A fuzz target.
pub struct Target {
    /// Its name: that of the module, of the folder in `fuzz/corpus`, and of the program.
    pub name: &'static str,
    /// What holds its properties.
    pub check: fn(&[u8]),
}

/// All of them, by name.
pub const TARGETS: &[Target] = &[
    target("basic", basic::check),
    target("claims", claims::check),
    target("client_address", client_address::check),
    target("config", config::check),
    target("form", form::check),
    target("json_body", json_body::check),
    target("jwks", jwks::check),
    target("pem", pem::check),
    target("redirect_uri", redirect_uri::check),
    target("refresh_token", refresh_token::check),
    target("status_list", status_list::check),
    target("stream", stream::check),
    target("token", token::check),
];

const fn target(name: &'static str, check: fn(&[u8])) -> Target {
    Target { name, check }
}
