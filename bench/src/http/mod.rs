//! A lean HTTP/1.1 client. The generator shares the cores with the service, so it sends bytes that
//! were built beforehand and reads no more of the answers than it needs.

mod connection;
mod load;
mod open_loop;
mod request;
mod response;

pub(crate) use connection::Connection;
pub(crate) use load::{Client, Errand, Load, Repeater, Slice, is_sampled};
pub(crate) use open_loop::Arrivals;
pub(crate) use request::{basic, get, post_form};
pub(crate) use response::Response;
