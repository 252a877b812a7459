//! Chores of this repository that are neither tests nor part of the program. `cargo xtask --help`.
#![expect(clippy::print_stdout, reason = "a chore says what it does")]
#![expect(clippy::print_stderr, reason = "and what went wrong")]

mod chaos;
mod fuzz;
mod sbom;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of this repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    Chaos(chaos::ChaosArguments),
    Fuzz(fuzz::FuzzArguments),
    Sbom(sbom::SbomArguments),
    Upgrade(upgrade::UpgradeArguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Chaos(arguments) => {
            chaos::run(&arguments, &root()).map_err(|error| error.to_string())
        }
        Chore::Fuzz(arguments) => fuzz::run(&arguments, &root()).map_err(|error| error.to_string()),
        Chore::Sbom(arguments) => sbom::run(&arguments, &root()).map_err(|error| error.to_string()),
        Chore::Upgrade(arguments) => {
            upgrade::run(&arguments, &root()).map_err(|error| error.to_string())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The top of the repository.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}
