//! People, sessions and audit records as others see them, on the command line (`--json`) and over
//! HTTP. Instants are RFC 3339 in UTC.

use std::net::IpAddr;

use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::audit::{ChainHash, StoredRecord};
use crate::domain::device::DeviceLabel;
use crate::domain::id::{AuditId, ClientId, SessionId, UserId};
use crate::domain::identifier::{EmailAddress, Username};
use crate::domain::session::Session;
use crate::domain::user::{Profile, User};

/// An account without anything secret.
#[derive(Debug, Serialize)]
pub struct UserView {
    user_id: UserId,
    username: Username,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<EmailAddress>,
    #[serde(flatten)]
    profile: Profile,
    enabled: bool,
    has_password: bool,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_changed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_login_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Timestamp>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            user_id: user.id,
            username: user.username,
            email: user.email,
            profile: user.profile,
            enabled: user.disabled_at.is_none(),
            has_password: user.has_password,
            created_at: user.created_at,
            password_changed_at: user.password_changed_at,
            last_login_at: user.last_login_at,
            disabled_at: user.disabled_at,
        }
    }
}

/// A session as its owner sees it.
#[derive(Debug, Serialize)]
pub struct SessionView {
    /// Names it.
    pub sid: SessionId,
    client_id: ClientId,
    device: Option<DeviceLabel>,
    address: Option<IpAddr>,
    created_at: Timestamp,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
    current: bool,
}

impl SessionView {
    /// The view of a session; `current` is the one that asks.
    #[must_use]
    pub fn of(session: Session, current: Option<SessionId>) -> Self {
        let last_seen_at = session.last_seen_at();
        let expires_at = session.chain.idle_expires_at.min(session.terms.expires_at);
        Self {
            sid: session.terms.id,
            current: current == Some(session.terms.id),
            client_id: session.terms.client_id,
            device: session.device,
            address: session.address,
            created_at: session.terms.created_at,
            last_seen_at,
            expires_at,
        }
    }
}

/// A record of the audit log.
#[derive(Debug, Serialize)]
pub struct AuditView {
    /// Names it.
    pub id: AuditId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: &'static str,
    /// Who did it.
    pub actor: String,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The person it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The client it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// The session it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// A few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Its number in the chain; absent for a moment after it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// Its hash in the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<ChainHash>,
}

impl From<StoredRecord> for AuditView {
    fn from(StoredRecord { record, seal }: StoredRecord) -> Self {
        Self {
            id: record.id,
            at: record.at,
            event: record.kind.as_str(),
            actor: record.origin.actor.to_string(),
            address: record.origin.address,
            user_id: record.user,
            client_id: record.client,
            sid: record.session,
            detail: record.detail,
            sequence: seal.map(|seal| seal.sequence),
            hash: seal.map(|seal| seal.hash),
        }
    }
}
