//! A session: one login of one person with one client on one device. One row, however often its
//! refresh token is used.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tokensmith_verify::{Audience, ScopeSet};

use super::Timestamp;
use super::claims::RequestedClaims;
use super::client::Client;
use super::device::DeviceLabel;
use super::id::{ClientId, LoginId, SessionId, UserId};
use super::revocation::StatusIndex;
use super::rotation::Chain;

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// What never changes.
    pub terms: SessionTerms,
    /// Where its refresh token stands.
    pub chain: Chain,
    /// When it was last used, apart from rotations; written in batches.
    pub last_seen_at: Option<Timestamp>,
    /// What its owner sees in a list.
    pub device: Option<DeviceLabel>,
    /// Where it was last used from.
    pub address: Option<IpAddr>,
    /// When and why it was ended.
    pub end: Option<SessionEnd>,
}

impl Session {
    /// When it was last used in any way.
    #[must_use]
    pub fn last_seen_at(&self) -> Timestamp {
        self.last_seen_at.map_or(self.chain.rotated_at, |seen| {
            seen.max(self.chain.rotated_at)
        })
    }

    /// Whether its tokens are good at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.end.is_none() && now < self.chain.idle_expires_at && now < self.terms.expires_at
    }
}

impl SessionTerms {
    /// Where the person is signed in with this session.
    #[must_use]
    pub fn signed_in_on(&self) -> Device {
        self.login_id.map_or(Device::App(self.id), Device::Browser)
    }

    /// Whether the session goes on when the browser signs out (`OpenID` Connect Core §11).
    #[must_use]
    pub fn outlives_login(&self) -> bool {
        self.login_id.is_none() || goes_on_while_away(&self.scope)
    }

    /// Whether the session is that of a client, and of the very one that is registered now.
    #[must_use]
    pub fn is_of(&self, client: &Client) -> bool {
        self.client_id == client.id && client.was_there(self.created_at)
    }
}

/// What never changes in the life of a session, and so may be remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionTerms {
    /// `sid` of its tokens.
    pub id: SessionId,
    /// `sub` of its tokens.
    pub user_id: UserId,
    /// Whose session it is.
    pub client_id: ClientId,
    /// The browser's login that it began under; `None` for an app that took the password itself.
    pub login_id: Option<LoginId>,
    /// Goes into the key of its tokens, so that the master key alone forges none.
    pub secret: SessionSecret,
    /// The bit of its access tokens.
    pub status: StatusIndex,
    /// The most that its tokens may carry.
    pub scope: ScopeSet,
    /// The APIs that its tokens may be for.
    pub audience: Audience,
    /// What userinfo tells beyond the scope.
    pub claims: RequestedClaims,
    /// How the person proved who they are.
    pub authentication: Authentication,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

/// Whether a scope lets the client go on while the person is away (`OpenID` Connect Core §11).
#[must_use]
pub fn goes_on_while_away(scope: &ScopeSet) -> bool {
    scope.contains("offline_access")
}

/// Where a person is signed in: a browser with the apps under it, or an app by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// A browser.
    Browser(LoginId),
    /// An app that took the password itself.
    App(SessionId),
}

/// Where a person stays signed in while they are signed out everywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staying {
    /// Where.
    pub device: Device,
    /// A new secret for the login of a browser, so that a copy of its cookie is worth nothing.
    pub secret: Option<SessionSecret>,
}

impl From<Device> for Staying {
    /// The person stays signed in by what they have.
    fn from(device: Device) -> Self {
        Self {
            device,
            secret: None,
        }
    }
}

/// 128 random bits in the row of a session. Without them the master key forges nothing; without
/// the master key they forge nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(pub [u8; 16]);

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}

/// How and when a person proved who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// `auth_time` (RFC 9068 §2.2.1).
    pub at: Timestamp,
    /// `amr` (RFC 8176).
    pub methods: Vec<AuthenticationMethod>,
}

impl Authentication {
    /// `acr`: "1" for a password. "2" will be for a second factor.
    #[must_use]
    pub const fn context_class(&self) -> &'static str {
        "1"
    }
}

/// A method of RFC 8176 §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthenticationMethod {
    /// A password.
    #[serde(rename = "pwd")]
    Password,
}

impl AuthenticationMethod {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "pwd",
        }
    }
}

/// When and why a session was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionEnd {
    /// From when its tokens are dead.
    pub at: Timestamp,
    /// Why.
    pub reason: EndReason,
}

/// Why a session was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The client revoked a token of it (RFC 7009).
    Revoked,
    /// A refresh token was used again outside the rules: two parties hold it.
    RefreshReuse,
    /// The authorization code that began it was used again (RFC 6749 §4.1.2).
    CodeReplay,
    /// The person signed out of the browser that it began in.
    LoggedOut,
    /// The person took back what the client may do.
    ConsentWithdrawn,
    /// The person ended it.
    EndedByUser,
    /// An administrator ended it.
    EndedByAdministrator,
    /// The password was changed somewhere else.
    PasswordChanged,
    /// The person was disabled.
    UserDisabled,
    /// The person was deleted.
    UserDeleted,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Revoked,
        Self::RefreshReuse,
        Self::CodeReplay,
        Self::LoggedOut,
        Self::ConsentWithdrawn,
        Self::EndedByUser,
        Self::EndedByAdministrator,
        Self::PasswordChanged,
        Self::UserDisabled,
        Self::UserDeleted,
    ];

    /// The name in the database, in views and in the audit log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::RefreshReuse => "refresh_reuse",
            Self::CodeReplay => "code_replay",
            Self::LoggedOut => "logged_out",
            Self::ConsentWithdrawn => "consent_withdrawn",
            Self::EndedByUser => "ended_by_user",
            Self::EndedByAdministrator => "ended_by_administrator",
            Self::PasswordChanged => "password_changed",
            Self::UserDisabled => "user_disabled",
            Self::UserDeleted => "user_deleted",
        }
    }
}

/// The text names no reason.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown reason for the end of a session")]
pub struct UnknownEndReason;

impl std::str::FromStr for EndReason {
    type Err = UnknownEndReason;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == name)
            .ok_or(UnknownEndReason)
    }
}
