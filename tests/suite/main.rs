//! Tests of the running service as its users meet it, and of the storage contract on both
//! databases. One binary, because each costs a link of the whole program.

// Said once more, so that clippy takes the harness for tests, too.
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod model;
#[cfg(test)]
mod service;
#[cfg(test)]
mod store;
