//! Being signed in in a browser.

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::login::Login;
use super::{AccountError, Accounts};
use crate::domain::Timestamp;
use crate::domain::audit::{Actor, AuditKind, AuditRecord, Origin};
use crate::domain::browser_login::BrowserLogin;
use crate::domain::client::Client;
use crate::domain::device::DeviceLabel;
use crate::domain::id::{LoginId, UserId};
use crate::domain::ports::{LoginEnd, SignIn, SignInOutcome, StoreError};
use crate::domain::session::{Device, EndReason, SessionEnd, Staying};
use crate::domain::user::User;

/// Somebody who is signed in in a browser.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The browser's login, live.
    pub login: BrowserLogin,
    /// The person, enabled.
    pub user: User,
}

/// The browser of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrowserOf {
    /// Whose.
    pub user: UserId,
    /// The login in it.
    pub login: LoginId,
}

impl SignedIn {
    /// The browser and whose it is.
    #[must_use]
    pub const fn browser(&self) -> BrowserOf {
        BrowserOf {
            user: self.user.id,
            login: self.login.id,
        }
    }
}

/// A person who has proved who they are in a browser.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// Who, and how.
    pub proved: &'a Login,
    /// Where.
    pub browser: Browser<'a>,
    /// For which client; none on the way to the account page.
    pub client: Option<&'a Client>,
}

/// The browser in which somebody signs in.
#[derive(Clone, Copy)]
pub struct Browser<'a> {
    /// The address of the device, where it is known.
    pub address: Option<IpAddr>,
    /// What it calls itself.
    pub device: Option<&'a DeviceLabel>,
    /// Who is signed in in it up to now.
    pub before: Option<&'a SignedIn>,
}

/// A login and what the browser keeps to prove it. Without `Debug`: the cookie is a secret.
pub struct FreshLogin {
    /// Who is signed in now.
    pub signed_in: SignedIn,
    /// What the browser keeps.
    pub cookie: Zeroizing<String>,
}

impl Accounts {
    /// Signs a person in who has proved who they are. The cookie is always a new one, so that one
    /// that was planted or stolen before is worth nothing (session fixation). When somebody else
    /// was signed in, that login ends. `None` when the account changed in between.
    ///
    /// # Errors
    /// When the database does not do it.
    pub async fn sign_in(
        &self,
        arrival: Arrival<'_>,
        now: Timestamp,
    ) -> Result<Option<FreshLogin>, AccountError> {
        let Arrival {
            proved, browser, ..
        } = arrival;
        // Whoever has shown a password has one, and it has a date.
        let Some(password_changed_at) = proved.user.password_changed_at else {
            return Ok(None);
        };
        let before = browser.before.map(|before| &before.login);
        let same = before.filter(|login| login.user_id == proved.user.id);
        let record = self.about_arrival(AuditKind::LoginSucceeded, arrival, now)?;
        let mut order = SignIn {
            login: self.new_login(proved, browser, same, now)?,
            renews: same.is_some(),
            password_changed_at,
            forget: proved.forget.clone(),
            refund: proved.refund.clone(),
        };
        let mut outcome = self.store.sign_in(&order, &record).await?;
        if outcome == SignInOutcome::LoginOver {
            // Ended on another device a moment ago; so it is a new one.
            order.login = self.new_login(proved, browser, None, now)?;
            order.renews = false;
            outcome = self.store.sign_in(&order, &record).await?;
        }
        if outcome != SignInOutcome::SignedIn {
            let record = self
                .about_arrival(AuditKind::LoginFailed, arrival, now)?
                .with_detail("the account changed in between");
            self.trail.write(&record).await?;
            return Ok(None);
        }
        if let Some(other) = before.filter(|login| login.user_id != proved.user.id) {
            let origin = Origin {
                actor: Actor::User(other.user_id),
                address: browser.address,
            };
            let other = BrowserOf {
                user: other.user_id,
                login: other.id,
            };
            self.sign_out(other, &origin, now).await?;
        }
        let login = order.login;
        Ok(Some(FreshLogin {
            cookie: self.tokens.login_cookie(login.id, &login.secret),
            signed_in: SignedIn {
                login,
                user: proved.user.clone(),
            },
        }))
    }

    fn new_login(
        &self,
        proved: &Login,
        browser: Browser<'_>,
        renewed: Option<&BrowserLogin>,
        now: Timestamp,
    ) -> Result<BrowserLogin, AccountError> {
        let id = match renewed {
            Some(login) => login.id,
            None => LoginId::new(now, &*self.entropy)?,
        };
        Ok(BrowserLogin {
            id,
            user_id: proved.user.id,
            secret: self.tokens.new_session_secret()?,
            authentication: proved.authentication.clone(),
            device: browser.device.cloned(),
            address: browser.address,
            created_at: renewed.map_or(now, |login| login.created_at),
            last_seen_at: now,
            idle_expires_at: self.login_policy.idle_expiry(now),
            expires_at: now + self.login_policy.lifetime,
            ended_at: None,
        })
    }

    fn about_arrival(
        &self,
        kind: AuditKind,
        arrival: Arrival<'_>,
        now: Timestamp,
    ) -> Result<AuditRecord, AccountError> {
        let user = arrival.proved.user.id;
        let origin = Origin {
            actor: Actor::User(user),
            address: arrival.browser.address,
        };
        let mut record = self.trail.record(kind, &origin, now)?;
        record.client = arrival.client.map(|client| client.id.clone());
        Ok(record.about_user(user))
    }

    /// Who is signed in in the browser that keeps this cookie.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn signed_in(
        &self,
        cookie: &str,
        now: Timestamp,
    ) -> Result<Option<SignedIn>, StoreError> {
        /// A login's last use is exact to this.
        const SEEN_EVERY: chrono::TimeDelta = chrono::TimeDelta::minutes(1);
        let Some(cookie) = self.tokens.read_login_cookie(cookie) else {
            return Ok(None);
        };
        let found = self.store.find_login(cookie.login).await?;
        let found = found.filter(|stored| {
            stored.login.is_live(now)
                && self
                    .tokens
                    .login_cookie_is_good(&cookie, &stored.login.secret)
        });
        let Some((login, user)) = found.and_then(|stored| Some((stored.login, stored.user?)))
        else {
            return Ok(None);
        };
        if now - login.last_seen_at >= SEEN_EVERY {
            let idle_expires_at = self.login_policy.idle_expiry(now);
            self.store
                .note_login_use(login.id, now, idle_expires_at)
                .await?;
        }
        Ok(Some(SignedIn { login, user }))
    }

    /// How somebody stays signed in in a browser when everybody else who may have a copy of its cookie
    /// is shut out: the secret that the login gets, and the cookie to keep once it has.
    ///
    /// # Errors
    /// Without random bytes.
    pub fn stay_in(
        &self,
        browser: BrowserOf,
    ) -> Result<(Staying, Zeroizing<String>), AccountError> {
        let secret = self.tokens.new_session_secret()?;
        let cookie = self.tokens.login_cookie(browser.login, &secret);
        let staying = Staying {
            device: Device::Browser(browser.login),
            secret: Some(secret),
        };
        Ok((staying, cookie))
    }

    /// Signs a browser out: its login ends, and the sessions under it, except those that a person has
    /// agreed to go on while away (`offline_access`). `false` when that was done before.
    ///
    /// # Errors
    /// When the database does not do it.
    pub async fn sign_out(
        &self,
        browser: BrowserOf,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, AccountError> {
        self.end_login(browser, EndReason::LoggedOut, origin, now)
            .await
    }

    /// Ends a login with all sessions under it, or, when it is only signed out, with those that do
    /// not outlive it.
    pub(super) async fn end_login(
        &self,
        BrowserOf { user, login }: BrowserOf,
        reason: EndReason,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, AccountError> {
        let record = self
            .trail
            .record(AuditKind::LoggedOut, origin, now)?
            .about_user(user)
            .with_detail(format!("login {login}: {}", reason.as_str()));
        let end = LoginEnd {
            end: SessionEnd { at: now, reason },
            with_offline_sessions: reason != EndReason::LoggedOut,
        };
        Ok(self.store.end_login(login, user, end, &record).await?)
    }
}
