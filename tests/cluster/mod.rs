//! Several processes over one PostgreSQL, as an operator runs them: what changes at one is true at all of
//! them within a second, and nobody who asks notices that replicas come and go.

mod changes;
mod fleet;
mod keys;
mod logout;
mod migration;
mod outage;
mod restart;
