//! `tokensmith relay`: passes the revocation log of a server on to many verifiers nearby.

use std::path::PathBuf;

use clap::Args;

use crate::config::{ConfigError, Environment, Flags, Settings};

/// `tokensmith relay`
#[derive(Args)]
pub struct RelayArgs {
    /// The URL of the issuer whose revocation log is passed on
    #[arg(long, value_name = "URL")]
    pub upstream: String,
    /// Take the upstream over plain http, although it is not on this machine
    #[arg(long)]
    pub allow_plain_http: bool,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Read settings from this file instead of ./tokensmith.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl RelayArgs {
    /// Reads the settings.
    ///
    /// # Errors
    /// Names the setting, its value, where that came from, and what would be right.
    pub fn load(&self) -> Result<Settings, ConfigError> {
        let listen = self.listen.clone().map(|value| ("listen", value));
        let flags = Flags {
            config: self.config.clone(),
            values: listen.into_iter().collect(),
        };
        Settings::load(&flags, &Environment::of_process())
    }
}
