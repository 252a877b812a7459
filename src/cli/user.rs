//! `tokensmith user`

mod create;
mod facts;
mod import;
mod password;

use clap::{Args, Subcommand};

use super::person::Person;
use super::settings_args::SettingsArgs;
use super::{Failure, output, seal};
use crate::accounts::view::UserView;
use crate::admin::Administration;
use crate::domain::audit::Origin;
use crate::domain::user::User;

pub use create::CreateArgs;
pub use import::ImportArgs;

/// `tokensmith user`
#[derive(Subcommand)]
pub enum UserCommand {
    /// Make an account
    Create(Box<CreateArgs>),
    /// Import accounts with the password hashes of another system
    Import(ImportArgs),
    /// List the accounts, oldest first
    List(ListArgs),
    /// Show one account
    Show(OneArgs),
    /// Let a person sign in no more, and end all their sessions
    Disable(OneArgs),
    /// Let a disabled person sign in again
    Enable(OneArgs),
    /// Set the password of a person, and end all their sessions
    SetPassword(SetPasswordArgs),
    /// Delete an account for good, and end its sessions
    Delete(OneArgs),
}

/// `tokensmith user list`
#[derive(Args)]
pub struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A command about one account.
#[derive(Args)]
pub struct OneArgs {
    /// The user id, the username or the e-mail address
    #[arg(allow_hyphen_values = true)]
    user: Person,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// `tokensmith user set-password`
#[derive(Args)]
pub struct SetPasswordArgs {
    /// Read the password from standard input; one line break at its end does not count
    #[arg(long, required = true)]
    password_stdin: bool,
    #[command(flatten)]
    one: OneArgs,
}

impl UserCommand {
    /// Whether the command makes sense where there is no installation yet.
    #[must_use]
    pub fn is_first_step(&self) -> bool {
        matches!(self, Self::Create(_) | Self::Import(_))
    }

    /// The settings that were given with the command.
    #[must_use]
    pub fn settings(&self) -> &SettingsArgs {
        match self {
            Self::Create(arguments) => &arguments.settings,
            Self::Import(arguments) => &arguments.settings,
            Self::List(arguments) => &arguments.settings,
            Self::SetPassword(arguments) => &arguments.one.settings,
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
pub async fn run(command: UserCommand, administration: &Administration) -> Result<(), Failure> {
    let outcome = match command {
        UserCommand::List(arguments) => return list(&arguments, administration).await,
        UserCommand::Show(one) => {
            return show(one.user.find(&administration.accounts).await?, one.json);
        }
        UserCommand::Create(arguments) => create(*arguments, administration).await,
        UserCommand::Import(arguments) => import::run(&arguments, administration).await,
        UserCommand::Disable(one) => set_enabled(&one, false, administration).await,
        UserCommand::Enable(one) => set_enabled(&one, true, administration).await,
        UserCommand::SetPassword(arguments) => set_password(&arguments.one, administration).await,
        UserCommand::Delete(one) => delete(&one, administration).await,
    };
    // An import that failed has done something before.
    let sealed = seal(administration).await;
    outcome.and(sealed)
}

async fn create(arguments: CreateArgs, administration: &Administration) -> Result<(), Failure> {
    let json = arguments.json;
    let user = create::run(arguments, administration).await?;
    let has_password = user.has_password;
    show(user, json)?;
    if !has_password {
        output::error_line(
            "The account has no password: nobody can sign in with it before `tokensmith user \
             set-password`.",
        );
    }
    Ok(())
}

/// Page by page as they come: there may be very many.
async fn list(arguments: &ListArgs, administration: &Administration) -> Result<(), Failure> {
    const PAGE: u32 = 500;
    const WIDTHS: [usize; 4] = [36, 8, 24, 0];
    let mut array = output::JsonArray::default();
    if !arguments.json {
        output::row(WIDTHS, ["USER", "STATE", "USERNAME", "E-MAIL"])?;
    }
    let mut last = None;
    loop {
        let page = administration.accounts.list(last, PAGE).await?;
        let Some(end) = page.last() else { break };
        last = Some(end.id);
        for user in page {
            if arguments.json {
                array.push(&UserView::from(user))?;
            } else {
                let id = user.id.to_string();
                let email = user.email.as_ref().map_or("", |email| email.as_str());
                let cells = [&id, facts::state(&user), user.username.as_str(), email];
                output::row(WIDTHS, cells)?;
            }
        }
    }
    if arguments.json {
        array.end()?;
    }
    Ok(())
}

async fn set_enabled(
    one: &OneArgs,
    enabled: bool,
    administration: &Administration,
) -> Result<(), Failure> {
    let accounts = &administration.accounts;
    let user = one.user.find(accounts).await?;
    let now = administration.clock.now();
    let origin = &Origin::COMMAND_LINE;
    let user = if enabled {
        accounts.enable(user.id, origin, now).await?
    } else {
        accounts.disable(user.id, origin, now).await?
    };
    show(user, one.json)
}

async fn set_password(one: &OneArgs, administration: &Administration) -> Result<(), Failure> {
    let accounts = &administration.accounts;
    let user = one.user.find(accounts).await?;
    let password = password::from_stdin()?;
    let now = administration.clock.now();
    accounts
        .set_password(user.id, &password, &Origin::COMMAND_LINE, now)
        .await?;
    show(accounts.show(user.id).await?, one.json)
}

async fn delete(one: &OneArgs, administration: &Administration) -> Result<(), Failure> {
    let accounts = &administration.accounts;
    let user = one.user.find(accounts).await?;
    let now = administration.clock.now();
    accounts.delete(user.id, &Origin::COMMAND_LINE, now).await?;
    if one.json {
        return Ok(output::json(
            &serde_json::json!({ "user_id": user.id, "deleted": true }),
        )?);
    }
    Ok(output::line(&format!(
        "Deleted user {} ({}).",
        user.id, user.username
    ))?)
}

fn show(user: User, json: bool) -> Result<(), Failure> {
    if json {
        return Ok(output::json(&UserView::from(user))?);
    }
    for (name, value) in facts::of(&user) {
        output::line(&format!("{name:10}  {value}"))?;
    }
    Ok(())
}
