//! Changing a password ends all other sessions.

use std::net::IpAddr;

use super::registration::Registration;
use super::{AccountError, Accounts};
use crate::domain::Timestamp;
use crate::domain::audit::{Actor, AuditKind, Origin};
use crate::domain::id::UserId;
use crate::domain::password::Password;
use crate::domain::ports::{Charge, PasswordOrder, PasswordVerdict, UserChange};
use crate::domain::session::{Device, EndReason, SessionEnd, Staying};
use crate::domain::throttle::ThrottlePolicy;
use crate::domain::user::User;

/// A change of the password by the person. Without `Debug`: both are secrets.
#[derive(Clone, Copy)]
pub struct PasswordChange<'a> {
    /// The password that goes, as typed.
    pub current: &'a str,
    /// The password that comes, as typed.
    pub new: &'a str,
}

/// A person, and where they are signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonOn {
    /// Who.
    pub user: UserId,
    /// Where, and by what from now on.
    pub staying: Staying,
}

impl Accounts {
    /// A person changes the password on a device, where they stay signed in; everywhere else they
    /// are signed out.
    ///
    /// # Errors
    /// When the current password is wrong, the new one not good enough, or too many wrong ones
    /// came before.
    pub async fn change_password(
        &self,
        person: PersonOn,
        PasswordChange { current, new }: PasswordChange<'_>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        let PersonOn { user: id, staying } = person;
        let device = staying.device;
        let origin = Origin {
            actor: Actor::User(id),
            address,
        };
        let account = self
            .store
            .find_account_by_id(id)
            .await?
            .ok_or(AccountError::NoSuchUser(id))?;
        // Counted by device: whoever holds a stolen token must not guess the password.
        let counted = match &device {
            Device::App(session) => &session.0,
            Device::Browser(login) => &login.0,
        };
        let key = self.tokens.throttle_key("password-change", counted);
        let policy = ThrottlePolicy::ACCOUNT;
        if let Charge::BlockedUntil(until) =
            self.store.charge_attempt(&[(key, policy)], now).await?
        {
            return Err(AccountError::TooManyAttempts(until - now));
        }
        let replaces = account.user.password_changed_at;
        let verdict = match Password::presented(current) {
            Some(current) => self.hasher.verify(current, account.password).await,
            None => Ok(PasswordVerdict::Wrong),
        };
        if verdict != Ok(PasswordVerdict::Wrong) {
            // Right, or not looked at.
            self.store.refund_attempt(&[key]).await?;
        }
        let verdict = verdict?;
        if verdict == PasswordVerdict::Wrong {
            let mut record = self
                .trail
                .record(AuditKind::PasswordChangeRefused, &origin, now)?
                .about_user(id);
            if let Device::App(session) = device {
                record = record.about_session(session);
            }
            self.trail.write(&record).await?;
            return Err(AccountError::WrongPassword);
        }
        let chosen = self.acceptable(new, &registration(&account.user)).await?;
        let order = PasswordOrder {
            user: id,
            password: self.hasher.hash(chosen).await?,
            replaces,
            keep: Some(staying),
            end: password_changed(now),
        };
        match self.apply(&order, &origin, now).await? {
            UserChange::Changed => Ok(()),
            // Somebody else changed it in between; the current password is another one now.
            UserChange::Unchanged => Err(AccountError::WrongPassword),
            UserChange::NoSuchUser => Err(AccountError::NoSuchUser(id)),
        }
    }

    /// An administrator sets a password; all sessions end.
    ///
    /// # Errors
    /// When there is no such account or the password is not good enough.
    pub async fn set_password(
        &self,
        id: UserId,
        new: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        let user = self.show(id).await?;
        let chosen = self.acceptable(new, &registration(&user)).await?;
        let order = PasswordOrder {
            user: id,
            password: self.hasher.hash(chosen).await?,
            replaces: None,
            keep: None,
            end: password_changed(now),
        };
        match self.apply(&order, origin, now).await? {
            UserChange::Changed | UserChange::Unchanged => Ok(()),
            UserChange::NoSuchUser => Err(AccountError::NoSuchUser(id)),
        }
    }

    async fn apply(
        &self,
        order: &PasswordOrder,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<UserChange, AccountError> {
        let record = self
            .trail
            .record(AuditKind::PasswordChanged, origin, now)?
            .about_user(order.user);
        Ok(self.store.set_password(order, &record).await?)
    }
}

const fn password_changed(now: Timestamp) -> SessionEnd {
    SessionEnd {
        at: now,
        reason: EndReason::PasswordChanged,
    }
}

fn registration(user: &User) -> Registration {
    Registration {
        username: user.username.clone(),
        email: user.email.clone(),
        profile: user.profile.clone(),
    }
}
