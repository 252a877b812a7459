//! The running service.

mod admin_api;
mod command_line;
mod contract;
mod hostile_tokens;
mod interop;
mod operations;
mod published_documents;
mod replicas;
mod token_endpoint;
