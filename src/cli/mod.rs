//! The command line, one file per command. Results go to standard output, logs and errors to
//! standard error. Exit codes: 0 done, 1 failed, 2 bad usage.

pub mod audit;
pub mod client;
pub mod completions;
pub mod config;
pub mod demo;
pub mod dev;
pub mod doctor;
pub mod keys;
mod output;
mod person;
pub mod relay;
pub mod session;
mod settings_args;
pub mod token;
pub mod user;

use clap::{Parser, Subcommand};

use crate::accounts::AccountError;
use crate::admin::{AdminError, Administration};
use crate::config::ConfigError;
pub use settings_args::SettingsArgs;

/// A stateless token service: RS256 access tokens, offline verification, and logout that every
/// verifier honours within a second.
#[derive(Parser)]
#[command(name = "tokensmith", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve on this machine with an embedded database, a demo service, a demo app and a demo person.
    Dev(SettingsArgs),
    /// Tell the whole story in one process, with its timings: login, offline verification, a lost
    /// response, a thief, and logout that a verifier sees.
    Demo(demo::DemoArgs),
    /// Serve in production: explicit issuer, nothing seeded.
    Serve(SettingsArgs),
    /// Pass the revocation log of a server on to many verifiers nearby.
    Relay(relay::RelayArgs),
    /// Register, list, disable and delete clients, and rotate their secrets.
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// Make, import, list, disable and delete accounts, and set passwords.
    #[command(subcommand)]
    User(user::UserCommand),
    /// List and end the sessions of people.
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Read the audit log, and prove that it is whole.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// List, rotate, import and revoke signing keys; renew the master key.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Look at a token, or verify it.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Check or print the settings.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Find out what is wrong with an installation.
    Doctor(doctor::DoctorArgs),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
}

/// Why a command failed: one line for whoever typed it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A setting is wrong or missing.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The administrative act was not done.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// What was asked for about an account was not done.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Anything else.
    #[error("{0}")]
    Message(String),
    /// The reason has been printed already.
    #[error("")]
    Reported,
    /// Standard output is gone.
    #[error("cannot write the result: {0}")]
    Output(#[from] std::io::Error),
}

/// Parses the command line of this process. Usage errors are printed and exit with 2.
#[must_use]
pub fn parse() -> Command {
    Arguments::parse().command
}

/// Seals the records of what a command did, so that the log proves it from here on.
async fn seal(administration: &Administration) -> Result<(), Failure> {
    let sealed = administration.accounts.trail.seal().await;
    sealed.map_err(|error| {
        let text = format!("done, but the audit log could not be sealed yet: {error}");
        Failure::Message(text)
    })
}

/// Tells the person at the terminal why a command failed.
pub fn report(failure: &Failure) {
    let text = failure.to_string();
    if !text.is_empty() {
        output::error_line(&format!("error: {text}"));
    }
}
