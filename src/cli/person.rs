//! People as they are named on the command line.

use std::convert::Infallible;
use std::str::FromStr;

use super::Failure;
use crate::accounts::Accounts;
use crate::domain::id::UserId;
use crate::domain::user::User;

/// A person, as whoever types the command names them.
#[derive(Clone, Debug)]
pub(super) enum Person {
    /// By id.
    Id(UserId),
    /// By username or e-mail address.
    Name(String),
}

impl FromStr for Person {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        // No name is a UUID, so nobody is taken for somebody else.
        Ok(text
            .parse()
            .map_or_else(|_| Self::Name(text.to_owned()), Self::Id))
    }
}

impl Person {
    /// The account.
    pub(super) async fn find(&self, accounts: &Accounts) -> Result<User, Failure> {
        match self {
            Self::Id(id) => Ok(accounts.show(*id).await?),
            Self::Name(name) => accounts
                .find(name)
                .await?
                .ok_or_else(|| Failure::Message(format!("there is no user {name}"))),
        }
    }

    /// The id, which may be that of an account that is gone.
    pub(super) async fn id(&self, accounts: &Accounts) -> Result<UserId, Failure> {
        match self {
            Self::Id(id) => Ok(*id),
            Self::Name(_) => Ok(self.find(accounts).await?.id),
        }
    }
}
