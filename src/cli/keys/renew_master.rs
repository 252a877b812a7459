//! `tokensmith keys renew-master`

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::cli::{Failure, SettingsArgs, output};
use crate::domain::id::Kid;

const HELP: &str = "\
For the day on which the master key has leaked. Stop all servers first.

What the old key has sealed or could forge ends: all signing keys are revoked, and everybody has to \
sign in again, in apps and in browsers. People and their passwords, consents, clients, client secrets \
and the audit log stay as they are.

The new key takes the place of the old one in the keys directory. Backups from before can only be \
restored with the old key, so keep a copy of it with them if you may need them. A master key that comes \
from a variable or another file is not replaced: name a file for the new one with --write, and put what \
is in it in place before the servers start.

A run that was interrupted goes on where it stopped when the same command is given again. Where it had \
not yet reached the database, it says which file to remove first.";

/// `tokensmith keys renew-master`
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct RenewMasterArgs {
    /// Yes, all servers are stopped, and everybody has to sign in again
    #[arg(long, required = true)]
    yes: bool,
    /// The file for the new key, where the present one is not in the keys directory
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl RenewMasterArgs {
    /// The settings that were given with the command.
    #[must_use]
    pub fn settings(&self) -> &SettingsArgs {
        &self.settings
    }

    /// Where the new key is to be written.
    #[must_use]
    pub fn write(&self) -> Option<&Path> {
        self.write.as_deref()
    }
}

/// What has been done.
#[derive(Serialize)]
pub struct Renewed {
    /// The beginning of the fingerprint of the new master key.
    pub master_key: String,
    /// The key that signs from now on.
    pub kid: Option<Kid>,
    /// How many sessions were live, and are over; `None` when an earlier run has ended them.
    pub ended_sessions: Option<u64>,
    /// Where the new master key is.
    pub file: String,
    /// Whether servers find it there.
    pub is_in_place: bool,
}

/// Says what has been done.
///
/// # Errors
/// When standard output is gone.
pub fn report(arguments: &RenewMasterArgs, done: &Renewed) -> Result<(), Failure> {
    if arguments.json {
        return Ok(output::json(done)?);
    }
    let Renewed {
        master_key, file, ..
    } = done;
    output::line(&format!(
        "The database belongs to the new master key {master_key}… now."
    ))?;
    if let Some(kid) = &done.kid {
        output::line(&format!(
            "All signing keys from before are revoked; {kid} signs from now on."
        ))?;
    }
    output::line(&match done.ended_sessions {
        Some(ended) => format!("{ended} sessions are over; everybody has to sign in again."),
        None => "An earlier run has ended all sessions; this one has finished it.".to_owned(),
    })?;
    Ok(output::line(&if done.is_in_place {
        format!(
            "The new master key is {file}. Back it up apart from the database, and start the servers."
        )
    } else {
        format!(
            "The new master key is in {file}. Put it where the servers find theirs, remove {file}, and start \
             the servers."
        )
    })?)
}
