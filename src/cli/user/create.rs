//! `tokensmith user create`

use clap::Args;

use super::password;
use crate::accounts::registration::{NewPassword, Registration};
use crate::admin::Administration;
use crate::cli::{Failure, SettingsArgs};
use crate::domain::audit::Origin;
use crate::domain::identifier::{EmailAddress, Username};
use crate::domain::user::{Profile, User};

/// `tokensmith user create`
#[derive(Args)]
pub struct CreateArgs {
    /// What the person signs in with
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    username: Username,
    /// Signs in as well
    #[arg(long, value_name = "ADDRESS", allow_hyphen_values = true)]
    email: Option<EmailAddress>,
    /// The e-mail address is known to be the person's
    #[arg(long, requires = "email")]
    email_verified: bool,
    /// The full name
    #[arg(long)]
    name: Option<String>,
    /// The telephone number, such as +442079460000
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    phone: Option<String>,
    /// The postal address as one text
    #[arg(long)]
    address: Option<String>,
    /// Read the password from standard input; one line break at its end does not count. Without
    /// it, nobody can sign in before `tokensmith user set-password`
    #[arg(long)]
    password_stdin: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// Makes the account.
pub(super) async fn run(
    arguments: CreateArgs,
    administration: &Administration,
) -> Result<User, Failure> {
    let given = if arguments.password_stdin {
        Some(password::from_stdin()?)
    } else {
        None
    };
    let chosen = given
        .as_ref()
        .map_or(NewPassword::None, |text| NewPassword::Chosen(text));
    let registration = Registration {
        username: arguments.username,
        email: arguments.email,
        profile: Profile {
            name: arguments.name,
            phone: arguments.phone,
            address: arguments.address,
            email_verified: arguments.email_verified,
        },
    };
    let now = administration.clock.now();
    let origin = &Origin::COMMAND_LINE;
    Ok(administration
        .accounts
        .create(registration, chosen, origin, now)
        .await?)
}
