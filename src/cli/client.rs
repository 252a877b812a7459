//! `tokensmith client`

use chrono::TimeDelta;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use tokensmith_verify::ScopeSet;

use super::settings_args::SettingsArgs;
use super::{Failure, output};
use crate::admin::Administration;
use crate::admin::clients::{ClientWithSecret, MOST_OVERLAP, RotationWish};
use crate::admin::view::{ClientView, ClientWithSecretView};
use crate::domain::Timestamp;
use crate::domain::algorithm::Algorithm;
use crate::domain::client::{Client, ClientAuthMethod, ClientMetadata, GrantType};
use crate::domain::id::ClientId;
use crate::domain::resource::Resource;

/// `tokensmith client`
#[derive(Subcommand)]
pub enum ClientCommand {
    /// Register a client and print its secret, this once
    Create(Box<CreateArgs>),
    /// List the clients
    List(ListArgs),
    /// Show one client
    Show(OneArgs),
    /// Give a client no more tokens; those it has live until they expire
    Disable(OneArgs),
    /// Give a disabled client tokens again
    Enable(OneArgs),
    /// Make a second secret; the older one goes on for a while
    RotateSecret(RotateArgs),
    /// Delete a client and its secrets
    Delete(OneArgs),
}

/// `tokensmith client create`
#[derive(Args)]
pub struct CreateArgs {
    /// The client id; one is made up when absent
    #[arg(long, allow_hyphen_values = true)]
    id: Option<ClientId>,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// A grant that the client may use (repeatable): `client_credentials`
    #[arg(long, value_name = "GRANT", required = true)]
    grant: Vec<GrantType>,
    /// The scopes that the client may ask for, separated by spaces
    #[arg(long, value_name = "SCOPES")]
    scope: Option<ScopeSet>,
    /// An API that the client may ask tokens for (repeatable; the first is the default)
    #[arg(long, value_name = "URI")]
    audience: Vec<Resource>,
    /// How the client presents its secret; either way when absent
    #[arg(long, value_name = "client_secret_basic|client_secret_post")]
    auth_method: Option<ClientAuthMethod>,
    /// Lifetime of access tokens, such as 90s or 10m
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    access_token_ttl: Option<u32>,
    /// What signs the access tokens
    #[arg(long, value_name = "RS256|PS256|ES256|Ed25519", default_value_t)]
    access_token_alg: Algorithm,
    /// A fixed claim for the access tokens (repeatable): a name and JSON, or a name and text
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_claim)]
    claim: Vec<(String, Value)>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
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
    /// How long the older secret goes on, such as 24h; 0s ends it at once
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
        ClientCommand::Create(arguments) => create(*arguments, administration).await,
        ClientCommand::List(arguments) => list(&arguments, administration).await,
        ClientCommand::Show(one) => show(administration.clients.show(&one.id).await?, one.json),
        ClientCommand::Disable(one) => set_enabled(&one, false, administration).await,
        ClientCommand::Enable(one) => set_enabled(&one, true, administration).await,
        ClientCommand::RotateSecret(arguments) => rotate_secret(&arguments, administration).await,
        ClientCommand::Delete(one) => delete(&one, administration).await,
    }
}

async fn create(arguments: CreateArgs, administration: &Administration) -> Result<(), Failure> {
    let metadata = ClientMetadata {
        client_name: arguments.name,
        grant_types: arguments.grant.into_iter().collect(),
        scope: arguments.scope.unwrap_or_default(),
        audiences: arguments.audience,
        token_endpoint_auth_method: arguments.auth_method,
        access_token_ttl: arguments.access_token_ttl,
        access_token_alg: arguments.access_token_alg,
        access_token_claims: Map::from_iter(arguments.claim),
    };
    let now = administration.clock.now();
    show_secret(
        administration
            .clients
            .create(arguments.id, metadata, now)
            .await?,
        arguments.json,
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
            .set_enabled(&one.id, enabled, now)
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
        .rotate_secret(&arguments.one.id, wish, now)
        .await?;
    show_secret(rotated, arguments.one.json)
}

async fn delete(one: &OneArgs, administration: &Administration) -> Result<(), Failure> {
    administration
        .clients
        .delete(&one.id, administration.clock.now())
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
    output::line(&format!("client_secret  {secret}"))?;
    output::error_line("Keep the secret now: it is not shown again.");
    Ok(())
}

fn show(client: Client, json: bool) -> Result<(), Failure> {
    if json {
        return Ok(output::json(&ClientView::from(client))?);
    }
    let metadata = &client.metadata;
    let names = |names: Vec<String>| names.join(" ");
    let mut facts = vec![
        ("client_id", client.id.to_string()),
        ("name", metadata.client_name.clone().unwrap_or_default()),
        (
            "state",
            client
                .disabled_at
                .map_or("enabled".into(), |at| format!("disabled since {at}")),
        ),
        (
            "grants",
            names(
                metadata
                    .grant_types
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            ),
        ),
        ("scope", metadata.scope.to_string()),
        (
            "audiences",
            names(metadata.audiences.iter().map(ToString::to_string).collect()),
        ),
        ("signed with", metadata.access_token_alg.to_string()),
        ("created", client.created_at.to_rfc3339()),
    ];
    facts.extend(client.secrets.iter().map(|secret| {
        let day = |instant: Option<Timestamp>| {
            instant.map_or_else(|| "never".to_owned(), |instant| instant.to_rfc3339())
        };
        let (ends, used) = (day(secret.expires_at), day(secret.last_used_at));
        let made = secret.created_at.to_rfc3339();
        (
            "secret",
            format!("{} made {made}, ends {ends}, last used {used}", secret.id),
        )
    }));
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        output::line(&format!("{name:13}  {value}"))?;
    }
    Ok(())
}

fn parse_seconds(text: &str) -> Result<u32, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.subsec_nanos() != 0 {
        return Err("is not a whole number of seconds".to_owned());
    }
    u32::try_from(duration.as_secs()).map_err(|_| "is too long".to_owned())
}

fn parse_claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() {
        return Err("the name is empty".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}
