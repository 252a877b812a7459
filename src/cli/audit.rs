//! `tokensmith audit`

mod verify;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::person::Person;
use super::settings_args::SettingsArgs;
use super::{Failure, output};
use crate::accounts::AccountError;
use crate::accounts::view::AuditView;
use crate::admin::Administration;
use crate::domain::audit::{AuditKind, AuditRecord, StoredRecord};
use crate::domain::id::{ClientId, SessionId};
use crate::domain::ports::AuditFilter;

pub use verify::VerifyArgs;

/// `tokensmith audit`
#[derive(Subcommand)]
pub enum AuditCommand {
    /// List what happened, newest first
    List(ListArgs),
    /// Prove that no record was changed, removed or put in: exit 0, or exit 1 and where
    Verify(VerifyArgs),
}

/// `tokensmith audit list`; every flag narrows.
#[derive(Args)]
pub struct ListArgs {
    /// Only what happened in this way
    #[arg(long, value_parser = event_parser(), hide_possible_values = true,
          long_help = event_help())]
    event: Option<AuditKind>,
    /// Only what concerns this person: the user id (also of an account that is gone), the username
    /// or the e-mail address
    #[arg(long, allow_hyphen_values = true)]
    user: Option<Person>,
    /// Only what concerns this client
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    client: Option<ClientId>,
    /// Only what concerns this session
    #[arg(long, value_name = "SID")]
    session: Option<SessionId>,
    /// How many records at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl AuditCommand {
    /// The settings that were given with the command.
    #[must_use]
    pub fn settings(&self) -> &SettingsArgs {
        match self {
            Self::List(arguments) => &arguments.settings,
            Self::Verify(arguments) => &arguments.settings,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When it is not done, or the log is broken.
pub async fn run(command: AuditCommand, administration: &Administration) -> Result<(), Failure> {
    match command {
        AuditCommand::List(arguments) => list(&arguments, administration).await,
        AuditCommand::Verify(arguments) => verify::run(&arguments, administration).await,
    }
}

fn event_parser() -> impl TypedValueParser<Value = AuditKind> {
    let names = AuditKind::ALL.iter().map(|kind| kind.as_str());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<AuditKind>())
}

fn event_help() -> String {
    let names: Vec<&str> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
    format!("Only what happened in this way: {}", names.join(", "))
}

async fn list(arguments: &ListArgs, administration: &Administration) -> Result<(), Failure> {
    const PAGE: usize = 500;
    let accounts = &administration.accounts;
    let user = match &arguments.user {
        Some(person) => Some(person.id(accounts).await?),
        None => None,
    };
    let filter = AuditFilter {
        kind: arguments.event,
        user,
        client: arguments.client.clone(),
        session: arguments.session,
    };
    let mut records: Vec<StoredRecord> = Vec::new();
    while records.len() < arguments.limit {
        let before = records.last().map(|stored| stored.record.id);
        let wanted = (arguments.limit - records.len()).min(PAGE);
        let limit = u32::try_from(wanted).unwrap_or(u32::MAX);
        let page = accounts.trail.list(&filter, before, limit).await;
        let page = page.map_err(AccountError::from)?;
        if page.is_empty() {
            break;
        }
        records.extend(page);
    }
    if arguments.json {
        let views: Vec<AuditView> = records.into_iter().map(AuditView::from).collect();
        return Ok(output::json(&views)?);
    }
    let rows: Vec<[String; 6]> = records.iter().map(|stored| cells(&stored.record)).collect();
    Ok(output::table(
        ["TIME (UTC)", "EVENT", "ACTOR", "ABOUT", "FROM", "DETAIL"],
        &rows,
    )?)
}

fn cells(record: &AuditRecord) -> [String; 6] {
    let user = record.user.map(|id| format!("user:{id}"));
    let client = record.client.as_ref().map(|id| format!("client:{id}"));
    let session = record.session.map(|id| format!("session:{id}"));
    let about: Vec<String> = [user, client, session].into_iter().flatten().collect();
    let address = record.origin.address;
    [
        record.at.format("%Y-%m-%d %H:%M:%S").to_string(),
        record.kind.as_str().to_owned(),
        record.origin.actor.to_string(),
        about.join(" "),
        address.map_or_else(|| "-".to_owned(), |address| address.to_string()),
        record.detail.clone().unwrap_or_default(),
    ]
}
