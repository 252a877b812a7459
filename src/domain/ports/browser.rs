//! Storage of what happens in browsers: logins, consents, pushed requests, and the word that a
//! session is over.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{AuthorizationCode, StoreError, UserChange};
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::browser_login::BrowserLogin;
use crate::domain::consent::Consent;
use crate::domain::id::{ClientId, LoginId, SessionId, UserId};
use crate::domain::session::SessionEnd;
use crate::domain::throttle::ThrottleKey;
use crate::domain::user::{Profile, User};

/// A sign-in that succeeded in a browser.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The login as it is from now on: a new one, or the one that was there, renewed.
    pub login: BrowserLogin,
    /// Whether the login was there before: the same person signs in again.
    pub renews: bool,
    /// The date of the password that was shown. When it is another by now, the password was changed
    /// in between and the sign-in is void.
    pub password_changed_at: Timestamp,
    /// Counts that are forgotten.
    pub forget: Vec<ThrottleKey>,
    /// Counts that get this one attempt back.
    pub refund: Vec<ThrottleKey>,
}

/// What became of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInOutcome {
    /// The person is signed in.
    SignedIn,
    /// The account was disabled, or its password changed, in between.
    AccountChanged,
    /// The login that was to be renewed is over.
    LoginOver,
}

/// A login with its person.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredLogin {
    /// The login.
    pub login: BrowserLogin,
    /// The person; `None` when disabled or gone.
    pub user: Option<User>,
}

/// How a login ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginEnd {
    /// When and why its sessions end.
    pub end: SessionEnd,
    /// Whether sessions with `offline_access` end as well.
    pub with_offline_sessions: bool,
}

/// A code for a person who is signed in, and what is written with it.
#[derive(Clone, Debug)]
pub struct CodeGrant {
    /// The code.
    pub code: AuthorizationCode,
    /// The login that vouches for the person; it has to be live, and lives on until then.
    pub login: LoginId,
    /// When the login ends unless it is used again.
    pub idle_expires_at: Timestamp,
    /// What allows it.
    pub basis: GrantBasis,
    /// The pushed request that is answered; it is good for this one answer.
    pub pushed: Option<PushedName>,
}

/// What allows a code.
#[derive(Clone, Debug, PartialEq)]
pub enum GrantBasis {
    /// The client is the issuer's own.
    FirstParty,
    /// What the person has agreed to just now; added to what is remembered.
    Agreed {
        /// The agreement.
        consent: Consent,
        /// Since when the client is registered: agreements before that were with another one.
        client_since: Timestamp,
    },
    /// An agreement of this instant; it has to be there still, unchanged.
    Remembered(Timestamp),
}

/// How a pushed request is named, and so what tells that it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PushedName {
    /// By a row, which is gone afterwards.
    Stored(RequestDigest),
    /// By itself, sealed; a row keeps in mind until then that it was answered.
    Sealed(RequestDigest, Timestamp),
}

/// What became of a code that was to be given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeGranting {
    /// It is good.
    Granted,
    /// The login is over, or the person disabled.
    LoginOver,
    /// The pushed request was answered before.
    RequestUsed,
    /// What the person had agreed to was taken back, or changed, in between.
    ConsentChanged,
}

/// The keyed digest under which a pushed request is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestDigest(pub [u8; 32]);

/// A request that a client has pushed (RFC 9126).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedRequest {
    /// Names it without telling it.
    pub digest: RequestDigest,
    /// Who pushed it.
    pub client_id: ClientId,
    /// The request as JSON.
    pub request: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Word for a client that a session is over (`OpenID` Connect Back-Channel Logout 1.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutDelivery {
    /// The session.
    pub session: SessionId,
    /// Whose session it was.
    pub client_id: ClientId,
    /// Of whom.
    pub user_id: UserId,
    /// How often it was tried, this time included.
    pub tries: u32,
    /// When the session ended.
    pub created_at: Timestamp,
}

/// Storage of what happens in browsers. Each method is one whole transition.
#[async_trait]
pub trait BrowserStore: Send + Sync {
    /// Begins or renews a login.
    async fn sign_in(
        &self,
        order: &SignIn,
        record: &AuditRecord,
    ) -> Result<SignInOutcome, StoreError>;
    /// One login, live or not.
    async fn find_login(&self, id: LoginId) -> Result<Option<StoredLogin>, StoreError>;
    /// Notes that a login is used.
    async fn note_login_use(
        &self,
        id: LoginId,
        now: Timestamp,
        idle_expires_at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Ends a login and its sessions. `false` when it was over.
    async fn end_login(
        &self,
        id: LoginId,
        user: UserId,
        end: LoginEnd,
        record: &AuditRecord,
    ) -> Result<bool, StoreError>;
    /// The logins of a person that are live at `now`, newest first, at most a thousand.
    async fn list_logins(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<BrowserLogin>, StoreError>;

    /// Gives out a code for a person who is signed in.
    async fn grant_code(
        &self,
        grant: &CodeGrant,
        now: Timestamp,
        record: &AuditRecord,
    ) -> Result<CodeGranting, StoreError>;

    /// What a person has agreed to with a client.
    async fn find_consent(
        &self,
        user: UserId,
        client: &ClientId,
    ) -> Result<Option<Consent>, StoreError>;
    /// What a person has agreed to, by client.
    async fn list_consents(&self, user: UserId) -> Result<Vec<Consent>, StoreError>;
    /// Takes an agreement back and ends the sessions of that client. `false` when there is none.
    async fn withdraw_consent(
        &self,
        user: UserId,
        client: &ClientId,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<bool, StoreError>;

    /// Keeps a pushed request.
    async fn push_request(&self, pushed: &PushedRequest) -> Result<(), StoreError>;
    /// A pushed request that was not answered yet, over or not.
    async fn find_pushed_request(
        &self,
        digest: RequestDigest,
    ) -> Result<Option<PushedRequest>, StoreError>;
    /// Removes a pushed request that was answered without a code. `false` when it was before.
    async fn discard_pushed_request(&self, digest: RequestDigest) -> Result<bool, StoreError>;

    /// Replaces what a person has written about themselves.
    async fn change_profile(
        &self,
        user: UserId,
        profile: &Profile,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError>;

    /// Takes deliveries that are due at `now`, at most `limit`. They are nobody else's until
    /// `until`; then they are due again.
    async fn claim_deliveries(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LogoutDelivery>, StoreError>;
    /// A delivery that has failed is due again then.
    async fn postpone_delivery(
        &self,
        session: SessionId,
        due_at: Timestamp,
    ) -> Result<(), StoreError>;
    /// A delivery is done, one way or the other.
    async fn finish_delivery(
        &self,
        session: SessionId,
        record: &AuditRecord,
    ) -> Result<(), StoreError>;
}
