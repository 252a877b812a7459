//! `tokensmith client`

mod create;
mod facts;

use chrono::TimeDelta;
use clap::{Args, Subcommand};

use super::settings_args::SettingsArgs;
use super::{Failure, output, seal};
use crate::admin::Administration;
use crate::admin::clients::{ClientWithSecret, MOST_OVERLAP, RotationWish};
use crate::admin::view::{ClientView, ClientWithSecretView};
use crate::domain::audit::Origin;
use crate::domain::client::Client;
use crate::domain::id::ClientId;

pub use create::CreateArgs;

/// `tokensmith client`
#[derive(Subcommand)]
pub enum ClientCommand {
    /// Register a client and print its secret, if it has one, this once
    Create(Box<CreateArgs>),
    /// List the clients
    List(ListArgs),
    /// Show one client
    Show(OneArgs),
    /// Give a client no more tokens, and take back those it has
    Disable(OneArgs),
    /// Give a disabled client tokens again
    Enable(OneArgs),
    /// Make a second secret; the older one goes on for a while
    RotateSecret(RotateArgs),
    /// Delete a client and its secrets, and take back its tokens
    Delete(OneArgs),
}

/// `tokensmith client list`
#[derive(Args)]
pub struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A command about one client.
#[derive(Args)]
pub struct OneArgs {
    /// The client id
    #[arg(allow_hyphen_values = true)]
    id: ClientId,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// How to rotate.
#[derive(Args)]
pub struct RotateArgs {
    /// How long the older secret goes on, such as 24h; 0s ends it at once, with the tokens got with it
    #[arg(long, value_name = "DURATION", default_value = "24h",
          value_parser = humantime::parse_duration)]
    overlap: std::time::Duration,
    /// Rotate although two secrets are live; the older of them ends at once
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    one: OneArgs,
}

impl ClientCommand {
    /// Whether the command makes sense where there is no installation yet.
    #[must_use]
    pub fn is_first_step(&self) -> bool {
        matches!(self, Self::Create(_))
    }

    /// The settings that were given with the command.
    #[must_use]
    pub fn settings(&self) -> &SettingsArgs {
        match self {
            Self::Create(arguments) => &arguments.settings,
            Self::List(arguments) => &arguments.settings,
            Self::RotateSecret(arguments) => &arguments.one.settings,
            Self::Show(one) | Self::Disable(one) | Self::Enable(one) | Self::Delete(one) => {
                &one.settings
            }
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the act is not done.
pub async fn run(command: ClientCommand, administration: &Administration) -> Result<(), Failure> {
    match command {
        ClientCommand::List(arguments) => return list(&arguments, administration).await,
        ClientCommand::Show(one) => {
            return show(administration.clients.show(&one.id).await?, one.json);
        }
        ClientCommand::Create(arguments) => create(*arguments, administration).await,
        ClientCommand::Disable(one) => set_enabled(&one, false, administration).await,
        ClientCommand::Enable(one) => set_enabled(&one, true, administration).await,
        ClientCommand::RotateSecret(arguments) => rotate_secret(&arguments, administration).await,
        ClientCommand::Delete(one) => delete(&one, administration).await,
    }?;
    seal(administration).await
}

async fn create(arguments: CreateArgs, administration: &Administration) -> Result<(), Failure> {
    let now = administration.clock.now();
    let json = arguments.json;
    let (id, metadata) = arguments.registration();
    show_secret(
        administration
            .clients
            .create(id, metadata, &Origin::COMMAND_LINE, now)
            .await?,
        json,
    )
}

async fn list(arguments: &ListArgs, administration: &Administration) -> Result<(), Failure> {
    const PAGE: u32 = 200;
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let after = clients.last().map(|client| client.id.clone());
        let page = administration.clients.list(after.as_ref(), PAGE).await?;
        if page.is_empty() {
            break;
        }
        clients.extend(page);
    }
    if arguments.json {
        let views: Vec<ClientView> = clients.into_iter().map(ClientView::from).collect();
        return Ok(output::json(&views)?);
    }
    let rows: Vec<[String; 4]> = clients
        .into_iter()
        .map(|client| {
            let state = if client.disabled_at.is_some() {
                "disabled"
            } else {
                "enabled"
            };
            [
                client.id.to_string(),
                state.to_owned(),
                client.metadata.scope.to_string(),
                client.metadata.client_name.unwrap_or_default(),
            ]
        })
        .collect();
    Ok(output::table(["CLIENT", "STATE", "SCOPE", "NAME"], &rows)?)
}

async fn set_enabled(
    one: &OneArgs,
    enabled: bool,
    administration: &Administration,
) -> Result<(), Failure> {
    let now = administration.clock.now();
    show(
        administration
            .clients
            .set_enabled(&one.id, enabled, &Origin::COMMAND_LINE, now)
            .await?,
        one.json,
    )
}

async fn rotate_secret(
    arguments: &RotateArgs,
    administration: &Administration,
) -> Result<(), Failure> {
    let overlap = TimeDelta::from_std(arguments.overlap)
        .ok()
        .filter(|overlap| *overlap <= MOST_OVERLAP)
        .ok_or_else(|| Failure::Message("the overlap is a year at most".to_owned()))?;
    let wish = RotationWish {
        overlap,
        force: arguments.force,
    };
    let now = administration.clock.now();
    let rotated = administration
        .clients
        .rotate_secret(&arguments.one.id, wish, &Origin::COMMAND_LINE, now)
        .await?;
    show_secret(rotated, arguments.one.json)
}

async fn delete(one: &OneArgs, administration: &Administration) -> Result<(), Failure> {
    administration
        .clients
        .delete(&one.id, &Origin::COMMAND_LINE, administration.clock.now())
        .await?;
    if one.json {
        return Ok(output::json(
            &serde_json::json!({ "client_id": one.id, "deleted": true }),
        )?);
    }
    Ok(output::line(&format!("Deleted client {}.", one.id))?)
}

fn show_secret(created: ClientWithSecret, json: bool) -> Result<(), Failure> {
    if json {
        return Ok(output::json(&ClientWithSecretView::from(created))?);
    }
    let ClientWithSecret { client, secret } = created;
    show(client, false)?;
    if let Some(secret) = secret {
        output::line(&format!("client_secret  {secret}"))?;
        output::error_line("Keep the secret now: it is not shown again.");
    }
    Ok(())
}

fn show(client: Client, json: bool) -> Result<(), Failure> {
    if json {
        return Ok(output::json(&ClientView::from(client))?);
    }
    for (name, value) in facts::of(&client) {
        output::line(&format!("{name:13}  {value}"))?;
    }
    Ok(())
}
