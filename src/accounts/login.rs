//! Signing in by password.
//!
//! An attempt is charged before the password is looked at; a wrong password, an unknown name and
//! a disabled account are the same answer after the same work.

use std::net::IpAddr;

use super::{AccountError, Accounts};
use crate::domain::Timestamp;
use crate::domain::audit::{Actor, AuditKind, AuditRecord, Origin};
use crate::domain::client::Client;
use crate::domain::id::{SessionId, UserId};
use crate::domain::identifier::IdentifierKey;
use crate::domain::network::AddressKey;
use crate::domain::password::{Password, PasswordHash};
use crate::domain::ports::{Account, Charge, PasswordError, PasswordVerdict, StoreError};
use crate::domain::session::{Authentication, AuthenticationMethod};
use crate::domain::throttle::{ThrottleKey, ThrottlePolicy};
use crate::domain::user::User;

/// A name and a password, and where they come from.
pub struct Credentials<'a> {
    /// Username or e-mail address, as typed.
    pub identifier: &'a str,
    /// The password, as typed.
    pub password: &'a str,
    /// The client through which the person signs in.
    pub client: &'a Client,
    /// The address of the device, where it is known.
    pub address: Option<IpAddr>,
    /// Whether failures count against the address; not when a server calls for many people.
    pub counts_address: bool,
    /// A refresh token of a session of the same person on this device: its holder is not kept out
    /// by what strangers have tried.
    pub device_token: Option<&'a str>,
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
    /// Checks a name and a password.
    ///
    /// # Errors
    /// [`AccountError::WrongPassword`] for whatever is wrong with name, password or account;
    /// [`AccountError::TooManyAttempts`] after too many failures, without looking at the password;
    /// [`crate::domain::ports::PasswordError::Busy`] when too many logins are waiting.
    pub async fn log_in(
        &self,
        given: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<Login, AccountError> {
        if self.hasher.is_busy() {
            // Before the database is asked for anything: a flood ends here.
            return Err(PasswordError::Busy.into());
        }
        let key = IdentifierKey::of_login(given.identifier);
        let (account, charges) = match given.device_token {
            // First the count, then the account: who has to wait learns nothing about it.
            None => {
                let charges = self.charges(given, key.as_ref(), None);
                self.charge(given, &charges, now).await?;
                (self.find_by_key(key.as_ref()).await?, charges)
            }
            Some(token) => {
                let account = self.find_by_key(key.as_ref()).await?;
                let device = self.known_device(token, given, account.as_ref(), now);
                let charges = self.charges(given, key.as_ref(), device.await?);
                self.charge(given, &charges, now).await?;
                (account, charges)
            }
        };
        match self.check(given, account.as_ref()).await {
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
        given: &Credentials<'_>,
        account: Option<&Account>,
    ) -> Result<PasswordVerdict, AccountError> {
        let stored = account.and_then(|account| account.password.clone());
        // A password that nobody can have is checked like any other, against nothing.
        let (password, stored) = match Password::presented(given.password) {
            Some(password) => (password, stored),
            None => match Password::presented("impossible") {
                Some(stand_in) => (stand_in, None),
                None => return Ok(PasswordVerdict::Wrong),
            },
        };
        Ok(self.hasher.verify(password, stored).await?)
    }

    /// The session on this device, if its token proves that it is one of this very account.
    async fn known_device(
        &self,
        token: &str,
        given: &Credentials<'_>,
        account: Option<&Account>,
        now: Timestamp,
    ) -> Result<Option<SessionId>, AccountError> {
        let Some(token) = self.tokens.read_refresh_token(token) else {
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
                    && session.terms.is_of(given.client)
                    && (token.generation == generation
                        || token.generation.next() == Some(generation))
                    && self
                        .tokens
                        .refresh_token_is_good(&token, &session.terms.secret)
            })
            .map(|session| session.terms.id))
    }

    fn charges(
        &self,
        given: &Credentials<'_>,
        key: Option<&IdentifierKey>,
        known_device: Option<SessionId>,
    ) -> Charges {
        let mut charges = Charges::default();
        if let Some(session) = known_device {
            charges.account(self.tokens.throttle_key("device", &session.0));
            return charges;
        }
        let name = key.map_or(given.identifier, IdentifierKey::as_str);
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
        let origin = Origin {
            actor: Actor::Client(given.client.id.clone()),
            address: given.address,
        };
        let record = self
            .trail
            .record(kind, &origin, now)?
            .about_client(&given.client.id);
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

    /// Replaces an old hash after a login has shown the password. Failing is no harm: the next
    /// login tries again.
    pub async fn upgrade_hash(&self, id: UserId, password: &str, from: &PasswordHash) {
        let Some(password) = Password::presented(password) else {
            return;
        };
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
