//! `tokensmith session`

use std::str::FromStr;

use clap::{Args, Subcommand};

use super::person::Person;
use super::settings_args::SettingsArgs;
use super::{Failure, output, seal};
use crate::accounts::sessions::SessionsOf;
use crate::accounts::view::SessionView;
use crate::admin::Administration;
use crate::domain::Timestamp;
use crate::domain::audit::Origin;
use crate::domain::id::{ClientId, SessionId};
use crate::domain::session::{EndReason, Session};

/// `tokensmith session`
#[derive(Subcommand)]
pub enum SessionCommand {
    /// List the live sessions of a person, newest first
    List(ListArgs),
    /// End a session, or all sessions of a person, and take their access tokens back
    #[command(override_usage = "tokensmith session end <SID>\n       \
                                tokensmith session end --user <USER>")]
    End(EndArgs),
    /// Cut off whatever is older than an instant: access tokens, and the sessions and logins of whoever
    /// signed in before it; of one client, what was begun before it. For the end of a restore, and
    /// for emergencies
    CutOff(CutOffArgs),
}

/// `tokensmith session list`
#[derive(Args)]
pub struct ListArgs {
    /// The user id, the username or the e-mail address
    #[arg(allow_hyphen_values = true)]
    user: Person,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// `tokensmith session end`
#[derive(Args)]
pub struct EndArgs {
    /// The id of the session, the `sid` of its tokens
    #[arg(required_unless_present = "user", conflicts_with = "user")]
    sid: Option<SessionId>,
    /// End all sessions of this person: the user id, the username or the e-mail address
    #[arg(long, allow_hyphen_values = true)]
    user: Option<Person>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// `tokensmith session cut-off`
#[derive(Args)]
pub struct CutOffArgs {
    /// The instant, such as 2026-11-22T09:30:00Z, or `now`; not in the future
    #[arg(long, value_name = "INSTANT")]
    before: Before,
    /// Only what belongs to this client
    #[arg(long, allow_hyphen_values = true)]
    client: Option<ClientId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// The instant of a cut-off.
#[derive(Clone, Copy)]
enum Before {
    Now,
    At(Timestamp),
}

impl FromStr for Before {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Now);
        }
        let expected = "expected `now` or an instant such as 2026-11-22T09:30:00Z";
        text.parse().map(Self::At).map_err(|_| expected.to_owned())
    }
}

impl SessionCommand {
    /// The settings that were given with the command.
    #[must_use]
    pub fn settings(&self) -> &SettingsArgs {
        match self {
            Self::List(arguments) => &arguments.settings,
            Self::End(arguments) => &arguments.settings,
            Self::CutOff(arguments) => &arguments.settings,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the act is not done.
pub async fn run(command: SessionCommand, administration: &Administration) -> Result<(), Failure> {
    match command {
        SessionCommand::List(arguments) => list(&arguments, administration).await,
        SessionCommand::End(arguments) => {
            match (arguments.sid, &arguments.user) {
                (Some(sid), _) => end(sid, arguments.json, administration).await?,
                (None, Some(user)) => end_all(user, arguments.json, administration).await?,
                // The parser has seen to it that one of them is there.
                (None, None) => {}
            }
            seal(administration).await
        }
        SessionCommand::CutOff(arguments) => {
            cut_off(&arguments, administration).await?;
            seal(administration).await
        }
    }
}

async fn cut_off(arguments: &CutOffArgs, administration: &Administration) -> Result<(), Failure> {
    let cut_offs = &administration.cut_offs;
    let now = administration.clock.now();
    let before = match arguments.before {
        Before::Now => now,
        Before::At(instant) => instant,
    };
    let origin = &Origin::COMMAND_LINE;
    match &arguments.client {
        Some(client) => cut_offs.of_client(client, before, origin, now).await?,
        None => cut_offs.of_issuer(before, origin, now).await?,
    }
    if arguments.json {
        let done = serde_json::json!({ "before": before, "client_id": arguments.client });
        return Ok(output::json(&done)?);
    }
    let instant = before.to_rfc3339();
    let done = match &arguments.client {
        Some(client) => format!(
            "Cut off all tokens of client {client} from before {instant}, and its sessions that were begun \
             before it."
        ),
        None => format!(
            "Cut off all tokens from before {instant}; whoever signed in before it has to sign in again."
        ),
    };
    Ok(output::line(&done)?)
}

async fn list(arguments: &ListArgs, administration: &Administration) -> Result<(), Failure> {
    let accounts = &administration.accounts;
    let user = arguments.user.find(accounts).await?;
    let now = administration.clock.now();
    let sessions = accounts.sessions(user.id, now).await?;
    if arguments.json {
        let views: Vec<SessionView> = sessions
            .into_iter()
            .map(|session| SessionView::of(session, None))
            .collect();
        return Ok(output::json(&views)?);
    }
    let rows: Vec<[String; 6]> = sessions.iter().map(cells).collect();
    Ok(output::table(
        [
            "SESSION",
            "CLIENT",
            "DEVICE",
            "FROM",
            "SINCE (UTC)",
            "LAST SEEN",
        ],
        &rows,
    )?)
}

fn cells(session: &Session) -> [String; 6] {
    let instant = |at: Timestamp| at.format("%Y-%m-%d %H:%M").to_string();
    let device = session.device.as_ref();
    let address = session.address;
    [
        session.terms.id.to_string(),
        session.terms.client_id.to_string(),
        device.map_or_else(|| "-".to_owned(), ToString::to_string),
        address.map_or_else(|| "-".to_owned(), |address| address.to_string()),
        instant(session.terms.created_at),
        instant(session.last_seen_at()),
    ]
}

async fn end(sid: SessionId, json: bool, administration: &Administration) -> Result<(), Failure> {
    let accounts = &administration.accounts;
    let now = administration.clock.now();
    let session = accounts.session(sid, now).await?;
    let reason = EndReason::EndedByAdministrator;
    // Whether it was this that ended it or somebody else a moment before: it is over.
    accounts
        .end_session(&session, reason, &Origin::COMMAND_LINE, now)
        .await?;
    if json {
        return Ok(output::json(
            &serde_json::json!({ "sid": sid, "ended": true }),
        )?);
    }
    Ok(output::line(&format!("Ended session {sid}."))?)
}

async fn end_all(
    user: &Person,
    json: bool,
    administration: &Administration,
) -> Result<(), Failure> {
    let accounts = &administration.accounts;
    let user = user.find(accounts).await?;
    let now = administration.clock.now();
    let sessions = SessionsOf {
        user: user.id,
        except: None,
    };
    let reason = EndReason::EndedByAdministrator;
    let origin = &Origin::COMMAND_LINE;
    let ended = accounts
        .end_sessions_of(sessions, reason, origin, now)
        .await?;
    if json {
        return Ok(output::json(
            &serde_json::json!({ "user_id": user.id, "sessions_ended": ended }),
        )?);
    }
    Ok(output::line(&format!(
        "Ended {ended} sessions of user {} ({}).",
        user.id, user.username
    ))?)
}
