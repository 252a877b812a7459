//! Storage of people, their sessions, and what leads to one.

use std::net::IpAddr;

use async_trait::async_trait;
use tokensmith_verify::{Audience, ScopeSet};

use super::StoreError;
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::claims::RequestedClaims;
use crate::domain::device::DeviceLabel;
use crate::domain::id::{ClientId, LoginId, SessionId, UserId};
use crate::domain::identifier::{EmailAddress, IdentifierKey, Username};
use crate::domain::password::PasswordHash;
use crate::domain::rotation::Step;
use crate::domain::session::{Authentication, Session, SessionEnd, Staying};
use crate::domain::throttle::{ThrottleKey, ThrottlePolicy};
use crate::domain::user::{Profile, User};

/// An account to store for the first time.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// What the person signs in with.
    pub username: Username,
    /// Signs in as well.
    pub email: Option<EmailAddress>,
    /// What else is known.
    pub profile: Profile,
    /// The password, where there is one.
    pub password: Option<PasswordHash>,
    /// When it is made.
    pub created_at: Timestamp,
}

/// What became of a request to make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserCreation {
    /// Done.
    Created,
    /// Another account has that username or e-mail address.
    NameTaken,
}

/// What became of a request to change an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChange {
    /// Done.
    Changed,
    /// It was so already.
    Unchanged,
    /// There is no such account.
    NoSuchUser,
}

/// An account with its password, for whoever checks one.
#[derive(Clone, Debug)]
pub struct Account {
    /// The account.
    pub user: User,
    /// Its password, where it has one.
    pub password: Option<PasswordHash>,
}

/// A new password and what becomes of the sessions.
#[derive(Clone, Debug)]
pub struct PasswordOrder {
    /// Whose.
    pub user: UserId,
    /// The new password.
    pub password: PasswordHash,
    /// The date of the password that was there when the change was allowed; with `None`, whatever is
    /// there.
    pub replaces: Option<Timestamp>,
    /// Where the person stays signed in.
    pub keep: Option<Staying>,
    /// How and when the other sessions end.
    pub end: SessionEnd,
}

/// Whether a login may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// It may; the attempt is counted.
    Charged,
    /// Not before this instant; nothing is counted.
    BlockedUntil(Timestamp),
}

/// The keyed digest under which an authorization code is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeDigest(pub [u8; 32]);

/// What a code stands for (RFC 6749 §4.1.2).
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationCode {
    /// Names it without telling it.
    pub digest: CodeDigest,
    /// Who may redeem it.
    pub client_id: ClientId,
    /// Who signed in.
    pub user_id: UserId,
    /// What was granted.
    pub scope: ScopeSet,
    /// What it was granted for.
    pub audience: Audience,
    /// `S256` challenge (RFC 7636 §4.2); `None` for clients that may do without.
    pub code_challenge: Option<String>,
    /// Where the code was sent; `None` when it was not sent by redirect.
    pub redirect_uri: Option<String>,
    /// The browser's login that it was given out under; `None` when there was no browser.
    pub login_id: Option<LoginId>,
    /// Repeated in the ID token.
    pub nonce: Option<String>,
    /// What userinfo shall tell beyond the scope.
    pub userinfo_claims: RequestedClaims,
    /// What the ID token shall tell.
    pub id_token_claims: RequestedClaims,
    /// How the person signed in.
    pub authentication: Authentication,
    /// The device that signed in.
    pub device: Option<DeviceLabel>,
    /// From where.
    pub address: Option<IpAddr>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A code as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCode {
    /// What it stands for.
    pub code: AuthorizationCode,
    /// The session that it began, once it is redeemed.
    pub redeemed_for: Option<SessionId>,
}

/// A login that succeeded: what becomes of it, in one transition.
#[derive(Clone, Debug)]
pub struct LoginSuccess {
    /// The code to give out.
    pub code: AuthorizationCode,
    /// The date of the password that was shown. When it is another by now, the password was changed
    /// in between and the login is void.
    pub password_changed_at: Timestamp,
    /// Counts that are forgotten.
    pub forget: Vec<ThrottleKey>,
    /// Counts that get this one attempt back.
    pub refund: Vec<ThrottleKey>,
}

/// What became of an attempt to redeem a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redemption {
    /// The session has begun.
    Started,
    /// Somebody was first, or the code is gone.
    AlreadyUsed,
    /// The person is disabled or gone.
    UserDisabled,
}

/// A session with what else decides whether it may go on.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSession {
    /// The session.
    pub session: Session,
    /// Whether the person is there and enabled.
    pub user_is_enabled: bool,
}

/// A move of a session's refresh token.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Which session.
    pub session: SessionId,
    /// Which move.
    pub step: Step,
    /// From where it was asked for.
    pub address: Option<IpAddr>,
}

/// Word that a session was used without a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionUse {
    /// Which session.
    pub session: SessionId,
    /// When.
    pub seen_at: Timestamp,
    /// When it ends unless it is used again; `None` when the use does not count for that.
    pub idle_expires_at: Option<Timestamp>,
}

/// Storage of people and sessions. Each method is one whole transition, committed when it returns.
#[async_trait]
pub trait PeopleStore: Send + Sync {
    /// Makes an account.
    async fn create_user(
        &self,
        new: &NewUser,
        record: &AuditRecord,
    ) -> Result<UserCreation, StoreError>;
    /// Makes many accounts in one transaction; answers for each whether its name was free.
    async fn import_users(
        &self,
        users: &[NewUser],
        record: &AuditRecord,
    ) -> Result<Vec<UserCreation>, StoreError>;
    /// One account.
    async fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError>;
    /// The account that has a username or e-mail address, with its password.
    async fn find_account(&self, key: &IdentifierKey) -> Result<Option<Account>, StoreError>;
    /// The accounts that have one of these usernames or e-mail addresses, in no order; one that
    /// has two of them comes twice.
    async fn find_users(&self, keys: &[IdentifierKey]) -> Result<Vec<User>, StoreError>;
    /// An account with its password.
    async fn find_account_by_id(&self, id: UserId) -> Result<Option<Account>, StoreError>;
    /// A page of accounts in the order of their ids, which is that of their making.
    async fn list_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError>;
    /// Enables an account.
    async fn enable_user(&self, id: UserId, record: &AuditRecord)
    -> Result<UserChange, StoreError>;
    /// Disables an account and ends its sessions.
    async fn disable_user(
        &self,
        id: UserId,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError>;
    /// Deletes an account and ends its sessions.
    async fn delete_user(
        &self,
        id: UserId,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError>;
    /// Sets a password and ends logins and sessions but those of one device. [`UserChange::Unchanged`] when the hash that
    /// it replaces is no longer there.
    async fn set_password(
        &self,
        order: &PasswordOrder,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError>;
    /// Replaces a hash by a better one of the same password, if it is still there.
    async fn upgrade_password_hash(
        &self,
        id: UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<(), StoreError>;

    /// Counts an attempt to log in under every key, unless one of them has to wait.
    async fn charge_attempt(
        &self,
        keys: &[(ThrottleKey, ThrottlePolicy)],
        now: Timestamp,
    ) -> Result<Charge, StoreError>;
    /// Gives attempts back that turned out to be none.
    async fn refund_attempt(&self, keys: &[ThrottleKey]) -> Result<(), StoreError>;

    /// Gives out a code for a login that succeeded. `false` when the account was disabled, or its
    /// password changed, in between.
    async fn issue_code(
        &self,
        login: &LoginSuccess,
        now: Timestamp,
        record: &AuditRecord,
    ) -> Result<bool, StoreError>;
    /// A code, redeemed or not.
    async fn find_code(&self, digest: CodeDigest) -> Result<Option<StoredCode>, StoreError>;
    /// Redeems a code for a new session, at most once.
    async fn redeem_code(
        &self,
        digest: CodeDigest,
        session: &Session,
        record: &AuditRecord,
    ) -> Result<Redemption, StoreError>;

    /// One session, live or not.
    async fn find_session(&self, id: SessionId) -> Result<Option<StoredSession>, StoreError>;
    /// Moves the refresh token of a session: one statement, guarded by the generation that was
    /// read, by the session being live, and by its person being enabled. `false` when a guard did
    /// not hold.
    async fn rotate_session(&self, rotation: &Rotation) -> Result<bool, StoreError>;
    /// As [`Self::rotate_session`], after the database lost its tail; with a record of it.
    async fn catch_up_session(
        &self,
        rotation: &Rotation,
        record: &AuditRecord,
    ) -> Result<bool, StoreError>;
    /// Ends a session. `false` when it has ended before or does not exist; then nothing is
    /// recorded.
    async fn end_session(
        &self,
        id: SessionId,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<bool, StoreError>;
    /// Ends the logins and sessions of a person, except on one device; answers how many sessions.
    async fn end_sessions_of(
        &self,
        user: UserId,
        except: Option<&Staying>,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<u64, StoreError>;
    /// The sessions of a person that are live at `now`, newest first, at most a thousand.
    async fn list_sessions(&self, user: UserId, now: Timestamp)
    -> Result<Vec<Session>, StoreError>;
    /// Names the device of a live session. `false` when the person has no such session.
    async fn rename_session(
        &self,
        user: UserId,
        id: SessionId,
        device: &DeviceLabel,
    ) -> Result<bool, StoreError>;
    /// Notes when sessions were last used.
    async fn record_session_use(&self, uses: &[SessionUse]) -> Result<(), StoreError>;
    /// Removes what has been over for long: looks at the `limit` sessions after `after`, and at
    /// codes and counts. Answers where to go on; `None` at the end.
    async fn sweep(
        &self,
        after: Option<SessionId>,
        over_before: Timestamp,
        limit: u32,
    ) -> Result<Option<SessionId>, StoreError>;
}
