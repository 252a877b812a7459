//! The running service.

mod admin_api;
mod audit_log;
mod authorization;
mod browser_login;
mod command_line;
mod conformance;
mod contract;
mod instant_logout;
mod interop;
mod login;
mod my_account;
mod operations;
mod people_command_line;
mod published_documents;
mod refresh;
mod relay;
mod replicas;
mod revocation;
mod revocation_stream;
mod token_endpoint;
mod token_information;
