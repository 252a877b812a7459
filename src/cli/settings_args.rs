//! The settings that can be given as flags.

use std::path::PathBuf;

use clap::Args;

use crate::config::{ConfigError, Environment, Flags, PrintedSetting, Settings};

/// Flags that are also settings; they beat variables and the file.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Settings (also in tokensmith.toml and as TOKENSMITH_* variables)")]
pub struct SettingsArgs {
    /// Read settings from this file instead of ./tokensmith.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The URL under which clients reach this server
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME` [default: a file in the data directory]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// The home of key material [default: ./keys]
    #[arg(long, value_name = "DIR")]
    keys_dir: Option<String>,
    /// The home of the embedded database [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
}

impl SettingsArgs {
    /// Reads the settings.
    ///
    /// # Errors
    /// Names the setting, its value, where that came from, and what would be right.
    pub fn load(&self) -> Result<Settings, ConfigError> {
        Settings::load(&self.flags(), &Environment::of_process())
    }

    pub(super) fn print(&self) -> Result<Vec<PrintedSetting>, ConfigError> {
        Settings::print(&self.flags(), &Environment::of_process())
    }

    fn flags(&self) -> Flags {
        let given = [
            ("listen", &self.listen),
            ("issuer", &self.issuer),
            ("database_url", &self.database_url),
            ("keys_dir", &self.keys_dir),
            ("data_dir", &self.data_dir),
        ];
        let values = given
            .into_iter()
            .filter_map(|(name, value)| value.clone().map(|value| (name, value)))
            .collect();
        Flags {
            config: self.config.clone(),
            values,
        }
    }
}
