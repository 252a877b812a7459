//! `tokensmith config`

use clap::{Args, Subcommand};

use super::settings_args::SettingsArgs;
use super::{Failure, output};

/// `tokensmith config`
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Check the settings and say what is wrong
    Check(SettingsArgs),
    /// Print every setting with where it came from; secrets are left out
    Print(PrintArgs),
}

/// `tokensmith config print`
#[derive(Args)]
pub struct PrintArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Runs the command.
///
/// # Errors
/// When it is not done.
pub fn run(command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(settings) => {
            settings.load()?;
            Ok(output::line("The settings are right.")?)
        }
        ConfigCommand::Print(arguments) => print(&arguments),
    }
}

fn print(arguments: &PrintArgs) -> Result<(), Failure> {
    let settings = arguments.settings.print()?;
    if arguments.json {
        return Ok(output::json(&settings)?);
    }
    let rows: Vec<[String; 3]> = settings
        .into_iter()
        .map(|setting| {
            let value = setting.value.unwrap_or_else(|| "(not set)".to_owned());
            [setting.name.to_owned(), value, setting.origin]
        })
        .collect();
    Ok(output::table(["SETTING", "VALUE", "FROM"], &rows)?)
}
