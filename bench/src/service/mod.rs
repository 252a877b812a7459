//! The service under measurement: a process of its own, in a directory of its own.

mod binary;
mod counters;
mod installation;
mod postgres;
mod process;
mod relay;

pub(crate) use binary::{Binary, cargo_target_directory};
pub(crate) use counters::Counters;
pub(crate) use installation::{AUDIENCE, Installation, PHONE, PHONE_SCOPE, SCOPE};
pub(crate) use postgres::{Postgres, postgres_program};
pub(crate) use process::Service;
pub(crate) use relay::Relay;
