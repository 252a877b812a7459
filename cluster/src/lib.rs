//! The service as a fleet, for tests and chaos: replicas as real processes, a PostgreSQL server that can be
//! stopped, crashed and frozen, wires that can be cut and slowed down, and clients that use all of it.
//! Everything here ends when it is dropped.

mod balancer;
mod cable;
mod failure;
pub mod load;
mod ports;
mod postgres;
mod replica;
mod waiting;

pub use balancer::Balancer;
pub use cable::Cable;
pub use failure::Failure;
pub use ports::free_port;
pub use postgres::Postgres;
pub use replica::{Replica, ReplicaSettings, command, command_with_input};
