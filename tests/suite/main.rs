//! Tests of the running service as its users meet it, and of the storage contract on both
//! databases. One binary, because each costs a link of the whole program.

mod architecture;
mod harness;
mod service;
mod store;
