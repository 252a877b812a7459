//! "Your devices": the browsers in which a person is signed in, with the apps under each, and the
//! apps that took the password themselves. And what apps may do.

use std::net::IpAddr;

use super::browser::BrowserOf;
use super::sessions::SessionsOf;
use super::{AccountError, Accounts};
use crate::domain::Timestamp;
use crate::domain::audit::{AuditKind, Origin};
use crate::domain::browser_login::BrowserLogin;
use crate::domain::consent::Consent;
use crate::domain::device::DeviceLabel;
use crate::domain::id::{ClientId, LoginId, SessionId, UserId};
use crate::domain::ports::UserChange;
use crate::domain::session::{EndReason, Session, SessionEnd, Staying};
use crate::domain::user::{Profile, User};

/// A device with the apps on it.
#[derive(Clone, Debug)]
pub enum SignedInDevice {
    /// A browser, and the sessions that were opened from it.
    Browser(BrowserLogin, Vec<Session>),
    /// A session by itself: an app that took the password, or one that goes on although its browser
    /// was signed out.
    App(Session),
}

impl SignedInDevice {
    /// What it is called.
    #[must_use]
    pub fn label(&self) -> Option<&DeviceLabel> {
        match self {
            Self::Browser(login, _) => login.device.as_ref(),
            Self::App(session) => session.device.as_ref(),
        }
    }

    /// Where it was last used from.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Browser(login, _) => login.address,
            Self::App(session) => session.address,
        }
    }

    /// When the person signed in on it.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        match self {
            Self::Browser(login, _) => login.created_at,
            Self::App(session) => session.terms.created_at,
        }
    }

    /// When it, or an app on it, was last used.
    #[must_use]
    pub fn last_seen_at(&self) -> Timestamp {
        match self {
            Self::Browser(login, sessions) => {
                let used = sessions.iter().map(Session::last_seen_at);
                used.fold(login.last_seen_at, Timestamp::max)
            }
            Self::App(session) => session.last_seen_at(),
        }
    }
}

/// What a person wants to end on the page of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndOnPage {
    /// A browser with all apps under it, or a session: whichever has this id.
    One([u8; 16]),
    /// Everything but the browser that asks.
    Others(Staying),
}

impl Accounts {
    /// The devices on which a person is signed in, the one used last first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn devices(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<SignedInDevice>, AccountError> {
        let logins = self.store.list_logins(user, now).await?;
        let mut sessions = self.store.list_sessions(user, now).await?;
        let mut devices = Vec::with_capacity(logins.len());
        for login in logins {
            let under = sessions.extract_if(.., |session| session.terms.login_id == Some(login.id));
            let under = under.collect();
            devices.push(SignedInDevice::Browser(login, under));
        }
        devices.extend(sessions.into_iter().map(SignedInDevice::App));
        devices.sort_by_key(|device| std::cmp::Reverse(device.last_seen_at()));
        Ok(devices)
    }

    /// Ends what a person no longer wants; answers whether there was anything.
    ///
    /// # Errors
    /// When the database does not do it.
    pub async fn end_on_page(
        &self,
        from: BrowserOf,
        which: EndOnPage,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, AccountError> {
        let reason = EndReason::EndedByUser;
        let user = from.user;
        match which {
            EndOnPage::Others(staying) => {
                let others = SessionsOf {
                    user,
                    except: Some(staying),
                };
                self.end_sessions_of(others, reason, origin, now).await?;
                Ok(true)
            }
            EndOnPage::One(id) => {
                // A guess of somebody else's id finds nothing: both ask for the person, too.
                let browser = BrowserOf {
                    user,
                    login: LoginId(id),
                };
                if self.end_login(browser, reason, origin, now).await? {
                    return Ok(true);
                }
                match self.own_session(user, SessionId(id), now).await {
                    Ok(session) => self.end_session(&session, reason, origin, now).await,
                    Err(AccountError::NoSuchSession(_)) => Ok(false),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// What a person has agreed to and is still remembered, by client.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn consents(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<Consent>, AccountError> {
        let all = self.store.list_consents(user).await?;
        let remembered = |consent: &Consent| now < consent.expires_at();
        Ok(all.into_iter().filter(remembered).collect())
    }

    /// A person takes back what a client may do: it is asked again, and its sessions end. `false` when
    /// there was nothing to take back.
    ///
    /// # Errors
    /// When the database does not do it.
    pub async fn withdraw_consent(
        &self,
        user: UserId,
        client: &ClientId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, AccountError> {
        let record = self
            .trail
            .record(AuditKind::ConsentWithdrawn, origin, now)?
            .about_user(user)
            .about_client(client);
        let end = SessionEnd {
            at: now,
            reason: EndReason::ConsentWithdrawn,
        };
        let store = &self.store;
        Ok(store.withdraw_consent(user, client, end, &record).await?)
    }

    /// A person changes what is known about them. Whether the e-mail address was verified is not
    /// theirs to say.
    ///
    /// # Errors
    /// When a text cannot be stored.
    pub async fn change_profile(
        &self,
        user: &User,
        wanted: Profile,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<User, AccountError> {
        let profile = Profile {
            email_verified: user.profile.email_verified,
            ..wanted
        };
        profile.check()?;
        let record = self
            .trail
            .record(AuditKind::ProfileChanged, origin, now)?
            .about_user(user.id);
        match self
            .store
            .change_profile(user.id, &profile, &record)
            .await?
        {
            UserChange::Changed | UserChange::Unchanged => Ok(User {
                profile,
                ..user.clone()
            }),
            UserChange::NoSuchUser => Err(AccountError::NoSuchUser(user.id)),
        }
    }
}
