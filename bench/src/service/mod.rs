//! The service under measurement: a process of its own, in a directory of its own.

mod binary;
mod installation;
mod process;

pub(crate) use binary::Binary;
pub(crate) use installation::{AUDIENCE, Installation, SCOPE};
pub(crate) use process::Service;
