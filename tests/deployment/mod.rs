//! What stands in `deploy/` and in the guide for operators, held against the service.

mod backup;
mod files;
mod metrics;
mod proxy;
