//! Tests of the running service as its users meet it, and of the storage contract on both
//! databases. One binary, because each costs a link of the whole program.

// Said once more, so that clippy takes the harness for tests, too.
#[cfg(test)]
mod architecture;
// Folders of their own beside this one, so that whoever looks for the fleet or the attacks finds them.
#[cfg(test)]
#[path = "../cluster/mod.rs"]
mod cluster;
#[cfg(test)]
#[path = "../deployment/mod.rs"]
mod deployment;
#[cfg(test)]
mod harness;
#[cfg(test)]
#[path = "../hostile/mod.rs"]
mod hostile;
#[cfg(test)]
mod model;
#[cfg(test)]
mod service;
#[cfg(test)]
mod store;
#[cfg(test)]
mod supply_chain;
