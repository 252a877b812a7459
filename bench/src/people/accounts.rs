//! Accounts with a password, written straight into the database: one hash for all of them takes
//! less time than one request for each.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokensmith::clock::SystemClock;
use tokensmith::crypto::{PasswordPool, SystemEntropy};
use tokensmith::domain::id::UserId;
use tokensmith::domain::password::{Argon2Parameters, Password};
use tokensmith::domain::ports::{Clock, Entropy, PasswordHasher};

use super::Database;
use crate::failure::{Doing, Failure, Outcome};
use crate::service::Installation;

/// Everybody's password.
pub(crate) const PASSWORD: &str = "seventeen-quiet-lanterns";

/// The name of the n-th person.
pub(crate) fn username(number: usize) -> String {
    format!("person-{number}")
}

/// An account as it is stored.
pub(super) struct Account {
    pub(super) id: [u8; 16],
    /// In the form in which it is compared, too.
    pub(super) username: String,
    pub(super) password_hash: String,
    pub(super) created_at_ms: i64,
}

/// Makes accounts for the first `count` people.
pub(crate) async fn sign_up(installation: &Installation, count: usize) -> Outcome<()> {
    let now = SystemClock.now();
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    let today = Argon2Parameters::default();
    let one = NonZeroUsize::MIN;
    let hasher = PasswordPool::start(today, one, one, &entropy).doing("starting to hash")?;
    let password = Password::presented(PASSWORD).ok_or_else(|| Failure::new("no password"))?;
    let hash = hasher.hash(password).await.doing("hashing a password")?;
    let accounts = (0..count).map(|number| {
        let id = UserId::new(now, &*entropy).doing("making a user id")?;
        Ok(Account {
            id: id.0,
            username: username(number),
            password_hash: hash.as_str().to_owned(),
            created_at_ms: now.timestamp_millis(),
        })
    });
    let accounts = accounts.collect::<Outcome<Vec<_>>>()?;
    let mut database = Database::connect(&installation.database()?).await?;
    database.insert_accounts(&accounts).await
}
