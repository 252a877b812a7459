//! Accounts with a password, written through the storage of the service: one hash for all of them
//! takes less time than one request for each.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokensmith::clock::SystemClock;
use tokensmith::crypto::{PasswordPool, SystemEntropy};
use tokensmith::domain::audit::{Actor, AuditKind, AuditRecord, Origin};
use tokensmith::domain::id::UserId;
use tokensmith::domain::password::{Argon2Parameters, Password};
use tokensmith::domain::ports::{Clock, Entropy, NewUser, PasswordHasher, UserCreation};
use tokensmith::domain::user::Profile;
use tokensmith::store;
use tokensmith::telemetry::metrics::StoreMetrics;

use crate::failure::{Doing, Failure, Outcome};
use crate::service::Installation;

/// Everybody's password.
pub(crate) const PASSWORD: &str = "seventeen-quiet-lanterns";

/// The name of the n-th person.
pub(crate) fn username(number: usize) -> String {
    format!("person-{number}")
}

/// Makes accounts for the first `count` people. The service must not be running on SQLite: it
/// would not harm, but it would wait.
pub(crate) async fn sign_up(installation: &Installation, count: usize) -> Outcome<()> {
    let now = SystemClock.now();
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    let today = Argon2Parameters::default();
    let one = NonZeroUsize::MIN;
    let hasher = PasswordPool::start(today, one, one, &entropy).doing("starting to hash")?;
    let password = Password::presented(PASSWORD).ok_or_else(|| Failure::new("no password"))?;
    let hash = hasher.hash(password).await.doing("hashing a password")?;
    let people = (0..count).map(|number| {
        Ok(NewUser {
            id: UserId::new(now, &*entropy).doing("making a user id")?,
            username: username(number).parse().doing("making a username")?,
            email: None,
            profile: Profile::default(),
            password: Some(hash.clone()),
            created_at: now,
        })
    });
    let people = people.collect::<Outcome<Vec<_>>>()?;
    let origin = Origin {
        actor: Actor::CommandLine,
        address: None,
    };
    let record = AuditRecord::new(AuditKind::UserCreated, &origin, now, &*entropy);
    let record = record.doing("making an audit record")?;
    let location = installation.database()?;
    let store = store::open(&location, 1, StoreMetrics::default());
    let store = store.await.doing("opening the database")?;
    let created = store.import_users(&people, &record).await;
    store.close().await;
    let created = created.doing("making accounts")?;
    if created.iter().all(|one| *one == UserCreation::Created) {
        Ok(())
    } else {
        Err(Failure::new("the database is not empty"))
    }
}
