//! `tokensmith keys`

pub mod renew_master;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use self::renew_master::RenewMasterArgs;
use super::settings_args::SettingsArgs;
use super::{Failure, output, seal};
use crate::admin::{Administration, view};
use crate::domain::algorithm::Algorithm;
use crate::domain::audit::Origin;
use crate::domain::id::Kid;
use crate::domain::key::SigningKey;
use crate::domain::key_schedule::Activation;

/// `tokensmith keys`
#[derive(Subcommand)]
pub enum KeysCommand {
    #[command(flatten)]
    Signing(SigningKeysCommand),
    /// Renew the master key when it has leaked, with all servers stopped; everybody signs in again
    RenewMaster(RenewMasterArgs),
}

/// What works on signing keys, beside running servers.
#[derive(Subcommand)]
pub enum SigningKeysCommand {
    /// List the signing keys and when they sign
    List(KeysArgs),
    /// Publish the next key now; it signs after the lead time
    Rotate(RotateArgs),
    /// Take a private key in PEM (PKCS#8 or PKCS#1) into service
    Import(ImportArgs),
    /// Take a key out at once; tokens it has signed are refused as caches of the JWKS expire
    Revoke(RevokeArgs),
}

/// What all key commands take.
#[derive(Args)]
pub struct KeysArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// How to rotate.
#[derive(Args)]
pub struct RotateArgs {
    /// The algorithm whose key is rotated
    #[arg(long, value_name = "RS256|PS256|ES256|Ed25519", default_value_t)]
    alg: Algorithm,
    /// For emergencies: the new key signs two seconds later
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    keys: KeysArgs,
}

/// `tokensmith keys import`
#[derive(Args)]
pub struct ImportArgs {
    /// The PEM file, or - for standard input
    file: PathBuf,
    #[command(flatten)]
    rotate: RotateArgs,
}

/// `tokensmith keys revoke`
#[derive(Args)]
pub struct RevokeArgs {
    /// The key id
    #[arg(allow_hyphen_values = true)]
    kid: Kid,
    #[command(flatten)]
    keys: KeysArgs,
}

impl SigningKeysCommand {
    /// Whether the command makes sense where there is no installation yet.
    #[must_use]
    pub fn is_first_step(&self) -> bool {
        matches!(self, Self::Rotate(_) | Self::Import(_))
    }

    /// The settings that were given with the command.
    #[must_use]
    pub fn settings(&self) -> &SettingsArgs {
        match self {
            Self::List(arguments) => &arguments.settings,
            Self::Rotate(arguments) => &arguments.keys.settings,
            Self::Import(arguments) => &arguments.rotate.keys.settings,
            Self::Revoke(arguments) => &arguments.keys.settings,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the act is not done.
pub async fn run(
    command: SigningKeysCommand,
    administration: &Administration,
) -> Result<(), Failure> {
    match command {
        SigningKeysCommand::List(arguments) => {
            let keys = administration.keys.list().await?;
            return show(administration, &keys, arguments.json);
        }
        SigningKeysCommand::Rotate(arguments) => rotate(&arguments, administration).await,
        SigningKeysCommand::Import(arguments) => import(&arguments, administration).await,
        SigningKeysCommand::Revoke(arguments) => {
            let keys = administration
                .keys
                .revoke(&arguments.kid, &Origin::COMMAND_LINE)
                .await?;
            show(administration, &keys, arguments.keys.json)
        }
    }?;
    seal(administration).await
}

async fn rotate(arguments: &RotateArgs, administration: &Administration) -> Result<(), Failure> {
    let keys = administration
        .keys
        .rotate(arguments.alg, arguments.activation(), &Origin::COMMAND_LINE)
        .await?;
    show(administration, &keys, arguments.keys.json)
}

async fn import(arguments: &ImportArgs, administration: &Administration) -> Result<(), Failure> {
    let pem = read(&arguments.file)?;
    let rotate = &arguments.rotate;
    let keys = administration
        .keys
        .import(&pem, rotate.alg, rotate.activation(), &Origin::COMMAND_LINE)
        .await?;
    show(administration, &keys, rotate.keys.json)
}

impl RotateArgs {
    fn activation(&self) -> Activation {
        if self.now {
            Activation::Immediately
        } else {
            Activation::AfterLeadTime
        }
    }
}

fn read(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    text.map(Zeroizing::new)
        .map_err(|error| Failure::Message(format!("cannot read {}: {error}", file.display())))
}

fn show(administration: &Administration, keys: &[SigningKey], json: bool) -> Result<(), Failure> {
    let views = view::keys(keys, administration.clock.now());
    if json {
        return Ok(output::json(&views)?);
    }
    let rows: Vec<[String; 5]> = views
        .iter()
        .map(|key| {
            let instant = |at: crate::domain::Timestamp| at.format("%Y-%m-%d %H:%M").to_string();
            [
                key.kid.clone(),
                key.alg.to_owned(),
                key.state.to_string(),
                instant(key.active_from),
                instant(key.retires_at),
            ]
        })
        .collect();
    Ok(output::table(
        ["KEY", "ALG", "STATE", "SIGNS FROM (UTC)", "UNTIL"],
        &rows,
    )?)
}
