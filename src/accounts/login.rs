//! Signing in by password.
//!
//! An attempt is charged before the password is looked at; a wrong password, an unknown name and
//! a disabled account are the same answer after the same work.
//!
//! The pages and the challenge endpoint both go through [`Accounts::log_in`], which answers with
//! the person or with what is still to be shown: a further factor is a further [`Challenge`], and
//! neither of them has to learn how it is checked.

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::{AccountError, Accounts};
use crate::domain::Timestamp;
use crate::domain::audit::{Actor, AuditKind, AuditRecord, Origin};
use crate::domain::browser_login::BrowserLogin;
use crate::domain::client::Client;
use crate::domain::identifier::IdentifierKey;
use crate::domain::network::AddressKey;
use crate::domain::password::{Password, PasswordHash};
use crate::domain::ports::{Account, Charge, PasswordError, PasswordVerdict, StoreError};
use crate::domain::session::{Authentication, AuthenticationMethod};
use crate::domain::throttle::{ThrottleKey, ThrottlePolicy};
use crate::domain::user::User;

/// What somebody shows to sign in, and from where. Without `Debug`: it holds a password.
pub struct Credentials<'a> {
    /// Username or e-mail address, as typed.
    pub identifier: Option<&'a str>,
    /// The password, as typed.
    pub password: Option<&'a str>,
    /// The client through which the person signs in; none on the way to the account page.
    pub client: Option<&'a Client>,
    /// The address of the device, where it is known.
    pub address: Option<IpAddr>,
    /// Whether failures count against the address; not when a server calls for many people.
    pub counts_address: bool,
    /// A refresh token of a session of the same person on this device: its holder is not kept out
    /// by what strangers have tried.
    pub device_token: Option<&'a str>,
    /// The login of the browser, where somebody is signed in already: that person is not kept out
    /// either.
    pub browser: Option<&'a BrowserLogin>,
}

/// How far somebody has come with signing in.
#[derive(Debug)]
pub enum LoginStep {
    /// The person is who they say.
    Done(Box<Login>),
    /// Something is still to be shown.
    Next(Challenge),
}

/// What is still to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A name and a password.
    Password,
    /// The right ones; the one answer to a wrong name, a wrong password and a disabled account.
    RightPassword,
}

/// A person who has signed in.
#[derive(Debug)]
pub struct Login {
    /// Who.
    pub user: User,
    /// When and how.
    pub authentication: Authentication,
    /// The hash that the password was checked against; none right after signing up.
    pub password: Option<PasswordHash>,
    /// Whether that hash is of an older kind.
    pub needs_upgrade: bool,
    /// Counts that end with this login.
    pub forget: Vec<ThrottleKey>,
    /// Counts that get this attempt back.
    pub refund: Vec<ThrottleKey>,
}

impl Login {
    /// Whoever has just made the account with a password need not show it again.
    #[must_use]
    pub fn after_sign_up(user: User, now: Timestamp) -> Self {
        Self {
            user,
            authentication: Authentication {
                at: now,
                methods: vec![AuthenticationMethod::Password],
            },
            password: None,
            needs_upgrade: false,
            forget: Vec::new(),
            refund: Vec::new(),
        }
    }
}

impl Accounts {
    /// Checks what somebody shows.
    ///
    /// # Errors
    /// [`AccountError::TooManyAttempts`] after too many failures, without looking at the password;
    /// [`crate::domain::ports::PasswordError::Busy`] when too many logins are waiting.
    pub async fn log_in(
        &self,
        given: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<LoginStep, AccountError> {
        let (Some(identifier), Some(password)) = (given.identifier, given.password) else {
            return Ok(LoginStep::Next(Challenge::Password));
        };
        match self.check_password(given, identifier, password, now).await {
            Ok(login) => Ok(LoginStep::Done(Box::new(login))),
            Err(AccountError::WrongPassword) => Ok(LoginStep::Next(Challenge::RightPassword)),
            Err(error) => Err(error),
        }
    }

    async fn check_password(
        &self,
        given: &Credentials<'_>,
        identifier: &str,
        password: &str,
        now: Timestamp,
    ) -> Result<Login, AccountError> {
        if self.hasher.is_busy() {
            // Before the database is asked for anything: a flood ends here.
            return Err(PasswordError::Busy.into());
        }
        let key = IdentifierKey::of_login(identifier);
        let (account, charges) = if given.device_token.is_none() && given.browser.is_none() {
            // First the count, then the account: who has to wait learns nothing about it.
            let charges = self.charges(given, name(identifier, key.as_ref()), None);
            self.charge(given, &charges, now).await?;
            (self.find_by_key(key.as_ref()).await?, charges)
        } else {
            let account = self.find_by_key(key.as_ref()).await?;
            let device = self.known_device(given, account.as_ref(), now).await?;
            let charges = self.charges(given, name(identifier, key.as_ref()), device);
            self.charge(given, &charges, now).await?;
            (account, charges)
        };
        match self.check(password, account.as_ref()).await {
            Ok(PasswordVerdict::Right { needs_upgrade }) => match account {
                Some(Account { user, password }) if user.disabled_at.is_none() => Ok(Login {
                    user,
                    authentication: Authentication {
                        at: now,
                        methods: vec![AuthenticationMethod::Password],
                    },
                    password,
                    needs_upgrade,
                    forget: charges.forget,
                    refund: charges.refund,
                }),
                disabled => {
                    let record = self
                        .about(AuditKind::LoginFailed, given, disabled.as_ref(), now)?
                        .with_detail("the account is disabled");
                    self.trail.write(&record).await?;
                    Err(AccountError::WrongPassword)
                }
            },
            Ok(PasswordVerdict::Wrong) => {
                let record = self.about(AuditKind::LoginFailed, given, account.as_ref(), now)?;
                self.trail.write(&record).await?;
                Err(AccountError::WrongPassword)
            }
            Err(error) => {
                // Nothing was tried, so nothing is charged.
                let keys: Vec<ThrottleKey> = charges.all.iter().map(|(key, _)| *key).collect();
                self.store.refund_attempt(&keys).await?;
                Err(error)
            }
        }
    }

    async fn find_by_key(
        &self,
        key: Option<&IdentifierKey>,
    ) -> Result<Option<Account>, StoreError> {
        match key {
            Some(key) => self.store.find_account(key).await,
            None => Ok(None),
        }
    }

    async fn charge(
        &self,
        given: &Credentials<'_>,
        charges: &Charges,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        let Charge::BlockedUntil(until) = self.store.charge_attempt(&charges.all, now).await?
        else {
            return Ok(());
        };
        let record = self.about(AuditKind::LoginBlocked, given, None, now)?;
        self.trail.refuse(record).await?;
        Err(AccountError::TooManyAttempts(until - now))
    }

    async fn check(
        &self,
        presented: &str,
        account: Option<&Account>,
    ) -> Result<PasswordVerdict, AccountError> {
        let stored = account.and_then(|account| account.password.clone());
        // A password that nobody can have is checked like any other, against nothing.
        let (password, stored) = match Password::presented(presented) {
            Some(password) => (password, stored),
            None => match Password::presented("impossible") {
                Some(stand_in) => (stand_in, None),
                None => return Ok(PasswordVerdict::Wrong),
            },
        };
        Ok(self.hasher.verify(password, stored).await?)
    }

    /// The session or login on this device, if it is proved to be one of this very account.
    async fn known_device(
        &self,
        given: &Credentials<'_>,
        account: Option<&Account>,
        now: Timestamp,
    ) -> Result<Option<[u8; 16]>, AccountError> {
        let is_theirs =
            |login: &&BrowserLogin| account.is_some_and(|account| account.user.id == login.user_id);
        if let Some(login) = given.browser.filter(is_theirs) {
            return Ok(Some(login.id.0));
        }
        let token = given.device_token;
        let Some(token) = token.and_then(|token| self.tokens.read_refresh_token(token)) else {
            return Ok(None);
        };
        // Read also when nobody has that name, so that the time does not tell.
        let found = self.store.find_session(token.session).await?;
        let Some(account) = account else {
            return Ok(None);
        };
        Ok(found
            .map(|stored| stored.session)
            .filter(|session| {
                let generation = session.chain.generation;
                session.is_live(now)
                    && session.terms.user_id == account.user.id
                    && given
                        .client
                        .is_some_and(|client| session.terms.is_of(client))
                    && (token.generation == generation
                        || token.generation.next() == Some(generation))
                    && self
                        .tokens
                        .refresh_token_is_good(&token, &session.terms.secret)
            })
            .map(|session| session.terms.id.0))
    }

    fn charges(
        &self,
        given: &Credentials<'_>,
        name: &str,
        known_device: Option<[u8; 16]>,
    ) -> Charges {
        let mut charges = Charges::default();
        if let Some(device) = known_device {
            charges.account(self.tokens.throttle_key("device", &device));
            return charges;
        }
        charges.account(self.tokens.throttle_key("account", name.as_bytes()));
        if let Some(address) = given.address.filter(|_| given.counts_address) {
            let network = AddressKey::from(address).to_string();
            charges.address(self.tokens.throttle_key("address", network.as_bytes()));
        }
        charges
    }

    fn about(
        &self,
        kind: AuditKind,
        given: &Credentials<'_>,
        account: Option<&Account>,
        now: Timestamp,
    ) -> Result<AuditRecord, AccountError> {
        let actor = match given.client {
            Some(client) => Actor::Client(client.id.clone()),
            None => Actor::Browser,
        };
        let origin = Origin {
            actor,
            address: given.address,
        };
        let mut record = self.trail.record(kind, &origin, now)?;
        record.client = given.client.map(|client| client.id.clone());
        Ok(match account {
            Some(account) => record.about_user(account.user.id),
            None => record,
        })
    }

    /// Counts a new account against the address that it is made from.
    ///
    /// # Errors
    /// [`AccountError::TooManyAttempts`] when too many were made from there.
    pub async fn charge_sign_up(
        &self,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        let network = AddressKey::from(address).to_string();
        let key = self.tokens.throttle_key("sign-up", network.as_bytes());
        let charge = [(key, ThrottlePolicy::ADDRESS)];
        match self.store.charge_attempt(&charge, now).await? {
            Charge::Charged => Ok(()),
            Charge::BlockedUntil(until) => Err(AccountError::TooManyAttempts(until - now)),
        }
    }

    /// Replaces a hash of an older kind after a login has shown the password. Failing is no harm: the
    /// next login tries again.
    pub async fn upgrade_hash(&self, login: &Login, shown: &Option<Zeroizing<String>>) {
        let (Some(from), Some(shown)) = (&login.password, shown) else {
            return;
        };
        let Some(password) = Password::presented(shown).filter(|_| login.needs_upgrade) else {
            return;
        };
        let id = login.user.id;
        match self.hasher.hash(password).await {
            Ok(to) => {
                if let Err(error) = self.store.upgrade_password_hash(id, from, &to).await {
                    tracing::warn!(%error, "a password hash was not upgraded");
                }
            }
            Err(error) => tracing::debug!(%error, "a password hash was not upgraded"),
        }
    }
}

/// The name under which attempts are counted.
fn name<'a>(typed: &'a str, key: Option<&'a IdentifierKey>) -> &'a str {
    key.map_or(typed, IdentifierKey::as_str)
}

#[derive(Default)]
struct Charges {
    all: Vec<(ThrottleKey, ThrottlePolicy)>,
    forget: Vec<ThrottleKey>,
    refund: Vec<ThrottleKey>,
}

impl Charges {
    fn account(&mut self, key: ThrottleKey) {
        self.all.push((key, ThrottlePolicy::ACCOUNT));
        self.forget.push(key);
    }

    /// One success does not clear an address: a guesser may own an account.
    fn address(&mut self, key: ThrottleKey) {
        self.all.push((key, ThrottlePolicy::ADDRESS));
        self.refund.push(key);
    }
}
