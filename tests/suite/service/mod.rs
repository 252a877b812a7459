//! The running service.

mod token_endpoint;
