//! The audit log: who did what, from where, and how it ended. Never a secret.
//!
//! A record is written in the transaction of what it speaks of. A moment later it is *sealed*: it
//! gets the next number of a chain, and a keyed hash over itself and the record before. Who
//! can write to the database but has no master key cannot change, remove or insert a sealed record
//! unseen.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::Timestamp;
use super::id::{AuditId, ClientId, SessionId, UserId};
use super::ports::{Entropy, NoEntropy};

/// Declares the kinds with their names.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal;)+) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum AuditKind {
            $($(#[$doc])* $kind,)+
        }

        impl AuditKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The name in the database and in views.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    /// A person signed in.
    LoginSucceeded = "login_succeeded";
    /// Name or password was wrong, or the account is disabled.
    LoginFailed = "login_failed";
    /// Too many failures before; the password was not looked at.
    LoginBlocked = "login_blocked";
    /// A person made an account for themselves.
    SignedUp = "signed_up";
    /// A browser was signed out.
    LoggedOut = "logged_out";
    /// A client got a code for a person who is signed in.
    AuthorizationGranted = "authorization_granted";
    /// A client got no code.
    AuthorizationRefused = "authorization_refused";
    /// A person took back what a client may do.
    ConsentWithdrawn = "consent_withdrawn";
    /// A person changed the own profile.
    ProfileChanged = "profile_changed";
    /// A client was told that a session is over, or could not be.
    LogoutDelivered = "logout_delivered";
    /// An authorization code was redeemed.
    SessionStarted = "session_started";
    /// A session was ended before its time.
    SessionEnded = "session_ended";
    /// A request did not prove which client it is from.
    ClientRefused = "client_refused";
    /// An authorization code was refused.
    CodeRefused = "code_refused";
    /// An authorization code was used again; the session that it began is ended.
    CodeReplayed = "code_replayed";
    /// A refresh token was refused.
    RefreshRefused = "refresh_refused";
    /// A refresh token was used again outside the rules; its session is ended.
    RefreshReused = "refresh_reused";
    /// A refresh token was ahead of the database, which must have been restored.
    RefreshCaughtUp = "refresh_caught_up";
    /// A revocation that was refused.
    RevocationRefused = "revocation_refused";
    /// A password was set or changed.
    PasswordChanged = "password_changed";
    /// A change of the password was refused.
    PasswordChangeRefused = "password_change_refused";
    /// An account was made.
    UserCreated = "user_created";
    /// Accounts were imported.
    UsersImported = "users_imported";
    /// An account was disabled.
    UserDisabled = "user_disabled";
    /// An account was enabled.
    UserEnabled = "user_enabled";
    /// An account was deleted.
    UserDeleted = "user_deleted";
    /// A client was registered.
    ClientCreated = "client_created";
    /// A client was disabled.
    ClientDisabled = "client_disabled";
    /// A client was enabled.
    ClientEnabled = "client_enabled";
    /// A client was deleted.
    ClientDeleted = "client_deleted";
    /// A client got a new secret.
    ClientSecretRotated = "client_secret_rotated";
    /// Signing keys were made, rescheduled, imported or withdrawn.
    SigningKeysChanged = "signing_keys_changed";
    /// Everything older than an instant was cut off.
    TokensCutOff = "tokens_cut_off";
    /// The database was handed over to a new master key.
    MasterKeyRenewed = "master_key_renewed";
}

/// The text names no kind of record.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown kind of audit record")]
pub struct UnknownAuditKind;

impl std::str::FromStr for AuditKind {
    type Err = UnknownAuditKind;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == name)
            .ok_or(UnknownAuditKind)
    }
}

/// Who did it, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// The network address of whoever asked, where there was one.
    pub address: Option<IpAddr>,
}

impl Origin {
    /// The server itself, on its own accord.
    pub const SYSTEM: Self = Self {
        actor: Actor::System,
        address: None,
    };

    /// Somebody at the command line of the server's machine.
    pub const COMMAND_LINE: Self = Self {
        actor: Actor::CommandLine,
        address: None,
    };
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The server itself.
    System,
    /// Whoever can run commands on the server's machine.
    CommandLine,
    /// Somebody at one of the pages who is not known (yet).
    Browser,
    /// Somebody who has not proved which client they are.
    Stranger,
    /// A client for itself, or on behalf of somebody not known (yet).
    Client(ClientId),
    /// A person.
    User(UserId),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::CommandLine => f.write_str("command_line"),
            Self::Browser => f.write_str("browser"),
            Self::Stranger => f.write_str("stranger"),
            Self::Client(id) => write!(f, "client:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
        }
    }
}

impl std::str::FromStr for Actor {
    type Err = UnknownAuditKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once(':') {
            Some(("client", id)) => Self::Client(id.parse().map_err(|_| UnknownAuditKind)?),
            Some(("user", id)) => Self::User(id.parse().map_err(|_| UnknownAuditKind)?),
            None if text == "system" => Self::System,
            None if text == "command_line" => Self::CommandLine,
            None if text == "browser" => Self::Browser,
            None if text == "stranger" => Self::Stranger,
            _ => return Err(UnknownAuditKind),
        })
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    /// Names the record.
    pub id: AuditId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: AuditKind,
    /// Who did it, and from where.
    pub origin: Origin,
    /// The person it concerns.
    pub user: Option<UserId>,
    /// The client it concerns.
    pub client: Option<ClientId>,
    /// The session it concerns.
    pub session: Option<SessionId>,
    /// A few words for people, of the server's own making; never what was sent.
    pub detail: Option<String>,
    /// Proof that the record was written by somebody with the master key; made when it is stored.
    pub mac: Option<RecordMac>,
}

/// A keyed digest of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMac(pub [u8; 16]);

impl AuditRecord {
    /// A record of this instant that concerns nobody yet.
    pub fn new(
        kind: AuditKind,
        origin: &Origin,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, NoEntropy> {
        Ok(Self {
            id: AuditId::new(now, entropy)?,
            at: now,
            kind,
            origin: origin.clone(),
            user: None,
            client: None,
            session: None,
            detail: None,
            mac: None,
        })
    }

    /// The same, about a person.
    #[must_use]
    pub fn about_user(mut self, id: UserId) -> Self {
        self.user = Some(id);
        self
    }

    /// The same, about a client.
    #[must_use]
    pub fn about_client(mut self, id: &ClientId) -> Self {
        self.client = Some(id.clone());
        self
    }

    /// The same, about a session.
    #[must_use]
    pub fn about_session(mut self, id: SessionId) -> Self {
        self.session = Some(id);
        self
    }

    /// The same, with a few words. Never what was sent.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The bytes that are sealed: every member, each behind its length, so that no two records
    /// have the same bytes.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let address = self.origin.address.map(|address| address.to_string());
        let client = self.client.as_ref().map(ClientId::as_str);
        let members: [Option<&[u8]>; 9] = [
            Some(&self.id.0),
            Some(&self.at.timestamp_millis().to_be_bytes()),
            Some(self.kind.as_str().as_bytes()),
            Some(&self.origin.actor.to_string().into_bytes()),
            address.as_deref().map(str::as_bytes),
            self.user.as_ref().map(|id| id.0.as_slice()),
            client.map(str::as_bytes),
            self.session.as_ref().map(|id| id.0.as_slice()),
            self.detail.as_deref().map(str::as_bytes),
        ];
        let mut bytes = Vec::with_capacity(160);
        for member in members {
            // An absent member differs from an empty one.
            let length = member.map_or(u32::MAX, |member| {
                u32::try_from(member.len()).unwrap_or(u32::MAX - 1)
            });
            bytes.extend(length.to_be_bytes());
            bytes.extend(member.unwrap_or_default());
        }
        bytes
    }
}

/// The place of a record in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Counts from 1 without a gap.
    pub sequence: i64,
    /// Keyed hash over the hash before and the record.
    pub hash: ChainHash,
}

/// A keyed hash in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// What the first record is chained to.
    pub const START: Self = Self([0; 32]);
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for ChainHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Seal {
    /// The end of an empty chain.
    pub const START: Self = Self {
        sequence: 0,
        hash: ChainHash::START,
    };
}

/// A record with its place in the chain, once it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecord {
    /// The record.
    pub record: AuditRecord,
    /// Its place.
    pub seal: Option<Seal>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> AuditRecord {
        AuditRecord {
            id: AuditId([1; 16]),
            at: Timestamp::UNIX_EPOCH,
            kind: AuditKind::LoginFailed,
            origin: Origin {
                actor: Actor::Client("phone".parse().unwrap()),
                address: Some([192, 0, 2, 1].into()),
            },
            user: None,
            client: None,
            session: None,
            detail: None,
            mac: None,
        }
    }

    #[test]
    fn every_member_is_part_of_what_is_sealed() {
        let base = record();
        let changed = [
            AuditRecord {
                id: AuditId([2; 16]),
                ..base.clone()
            },
            AuditRecord {
                at: Timestamp::from_timestamp_millis(1).unwrap(),
                ..base.clone()
            },
            AuditRecord {
                kind: AuditKind::LoginSucceeded,
                ..base.clone()
            },
            AuditRecord {
                origin: Origin::SYSTEM,
                ..base.clone()
            },
            base.clone().about_user(UserId([3; 16])),
            base.clone().about_client(&"phone".parse().unwrap()),
            base.clone().about_session(SessionId([3; 16])),
            base.clone().with_detail(""),
            base.clone().with_detail("x"),
        ];
        let mut all: Vec<_> = changed.iter().map(AuditRecord::canonical_bytes).collect();
        all.push(base.canonical_bytes());
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn actors_and_kinds_survive_the_database() {
        for actor in [
            Actor::System,
            Actor::CommandLine,
            Actor::Client("phone".parse().unwrap()),
            Actor::User(UserId([7; 16])),
        ] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        for kind in AuditKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
    }
}
