//! Accounts: made, listed, disabled, deleted.

use std::collections::HashSet;

use zeroize::Zeroizing;

use super::{AccountError, Accounts};
use crate::domain::Timestamp;
use crate::domain::audit::{AuditKind, AuditRecord, Origin};
use crate::domain::id::UserId;
use crate::domain::identifier::{EmailAddress, IdentifierKey, Username};
use crate::domain::password::{Password, PasswordHash};
use crate::domain::ports::{NewUser, PasswordError, UserChange, UserCreation};
use crate::domain::session::{EndReason, SessionEnd};
use crate::domain::user::{Profile, User};

/// What an account is made of.
#[derive(Clone, Debug)]
pub struct Registration {
    /// What the person signs in with.
    pub username: Username,
    /// Signs in as well.
    pub email: Option<EmailAddress>,
    /// What else is known.
    pub profile: Profile,
}

/// A password as it comes with a new account.
pub enum NewPassword<'a> {
    /// None: the person cannot sign in until one is set.
    None,
    /// As chosen; it has to be good enough.
    Chosen(&'a str),
    /// As hashed by another system.
    Hashed(PasswordHash),
}

impl Accounts {
    /// Makes an account.
    ///
    /// # Errors
    /// When a rule is broken or the name is taken.
    pub async fn create(
        &self,
        registration: Registration,
        password: NewPassword<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<User, AccountError> {
        let record = self.trail.record(AuditKind::UserCreated, origin, now)?;
        self.make(registration, password, record).await
    }

    /// A person makes an account.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn sign_up(
        &self,
        registration: Registration,
        password: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<User, AccountError> {
        let record = self.trail.record(AuditKind::SignedUp, origin, now)?;
        self.make(registration, NewPassword::Chosen(password), record)
            .await
    }

    async fn make(
        &self,
        registration: Registration,
        password: NewPassword<'_>,
        record: AuditRecord,
    ) -> Result<User, AccountError> {
        registration.profile.check()?;
        if registration.profile.email_verified && registration.email.is_none() {
            return Err(AccountError::VerifiedNothing);
        }
        let password = match password {
            NewPassword::None => None,
            NewPassword::Hashed(hash) => Some(hash),
            NewPassword::Chosen(text) => {
                let chosen = self.acceptable(text, &registration).await?;
                Some(self.hasher.hash(chosen).await?)
            }
        };
        let new = self.new_user(registration, password, record.at)?;
        let record = record.about_user(new.id);
        match self.store.create_user(&new, &record).await? {
            UserCreation::Created => Ok(registered(new)),
            UserCreation::NameTaken => Err(AccountError::NameTaken),
        }
    }

    /// Makes many accounts whose passwords other systems have hashed; answers for each whether its
    /// name was free.
    ///
    /// # Errors
    /// When the database does not do it; then none of them is made.
    pub async fn import(
        &self,
        batch: Vec<(Registration, Option<PasswordHash>)>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<UserCreation>, AccountError> {
        let users = batch
            .into_iter()
            .map(|(registration, password)| self.new_user(registration, password, now))
            .collect::<Result<Vec<_>, _>>()?;
        let record = self
            .trail
            .record(AuditKind::UsersImported, origin, now)?
            .with_detail(format!("{} lines", users.len()));
        Ok(self.store.import_users(&users, &record).await?)
    }

    /// Which of these accounts are there, with the same username and e-mail address as written.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn are_there(&self, wanted: &[&Registration]) -> Result<Vec<bool>, AccountError> {
        let keys: Vec<_> = wanted.iter().map(|one| one.username.key()).collect();
        let found = self.store.find_users(&keys).await?;
        let there: HashSet<_> = found
            .iter()
            .map(|user| (&user.username, user.email.as_ref()))
            .collect();
        Ok(wanted
            .iter()
            .map(|one| there.contains(&(&one.username, one.email.as_ref())))
            .collect())
    }

    fn new_user(
        &self,
        registration: Registration,
        password: Option<PasswordHash>,
        now: Timestamp,
    ) -> Result<NewUser, AccountError> {
        Ok(NewUser {
            id: UserId::new(now, &*self.entropy)?,
            username: registration.username,
            email: registration.email,
            profile: registration.profile,
            password,
            created_at: now,
        })
    }

    /// Estimating a password can take 20 ms, so it happens away from the threads that answer.
    pub(super) async fn acceptable(
        &self,
        password: &str,
        person: &Registration,
    ) -> Result<Password, AccountError> {
        let mut about = vec![self.service_name.clone(), person.username.to_string()];
        about.extend(person.email.as_ref().map(ToString::to_string));
        about.extend(person.profile.name.clone());
        let password = Zeroizing::new(password.to_owned());
        let estimate = tokio::task::spawn_blocking(move || {
            let about: Vec<&str> = about.iter().map(String::as_str).collect();
            Password::chosen(&password, &about)
        });
        let estimated = estimate.await;
        Ok(estimated.map_err(|_| PasswordError::Failed("the estimate was cancelled"))??)
    }

    /// One account.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn show(&self, id: UserId) -> Result<User, AccountError> {
        let found = self.store.find_user(id).await?;
        found.ok_or(AccountError::NoSuchUser(id))
    }

    /// The account with a username or e-mail address.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find(&self, name: &str) -> Result<Option<User>, AccountError> {
        let Some(key) = IdentifierKey::of_login(name) else {
            return Ok(None);
        };
        let found = self.store.find_account(&key).await?;
        Ok(found.map(|account| account.user))
    }

    /// A page of accounts, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, AccountError> {
        Ok(self.store.list_users(after, limit).await?)
    }

    /// Lets a person sign in again.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn enable(
        &self,
        id: UserId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<User, AccountError> {
        let record = self.trail.record(AuditKind::UserEnabled, origin, now)?;
        let change = self.store.enable_user(id, &record.about_user(id)).await?;
        self.changed(id, change).await
    }

    /// Ends all sessions of a person and lets none begin.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn disable(
        &self,
        id: UserId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<User, AccountError> {
        let record = self.trail.record(AuditKind::UserDisabled, origin, now)?;
        let end = SessionEnd {
            at: now,
            reason: EndReason::UserDisabled,
        };
        let change = self
            .store
            .disable_user(id, end, &record.about_user(id))
            .await?;
        self.changed(id, change).await
    }

    async fn changed(&self, id: UserId, change: UserChange) -> Result<User, AccountError> {
        match change {
            UserChange::Changed | UserChange::Unchanged => self.show(id).await,
            UserChange::NoSuchUser => Err(AccountError::NoSuchUser(id)),
        }
    }

    /// Deletes an account for good and ends its sessions.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn delete(
        &self,
        id: UserId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        let record = self.trail.record(AuditKind::UserDeleted, origin, now)?;
        let end = SessionEnd {
            at: now,
            reason: EndReason::UserDeleted,
        };
        match self
            .store
            .delete_user(id, end, &record.about_user(id))
            .await?
        {
            UserChange::Changed => Ok(()),
            UserChange::Unchanged | UserChange::NoSuchUser => Err(AccountError::NoSuchUser(id)),
        }
    }
}

/// An account as it is right after it was made.
fn registered(new: NewUser) -> User {
    User {
        id: new.id,
        username: new.username,
        email: new.email,
        profile: new.profile,
        has_password: new.password.is_some(),
        password_changed_at: new.password.map(|_| new.created_at),
        created_at: new.created_at,
        last_login_at: None,
        disabled_at: None,
    }
}
