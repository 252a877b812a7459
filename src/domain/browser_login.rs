//! A *login*: one browser in which a person is signed in. The sessions of the apps that were opened
//! from it belong to it.

use std::net::IpAddr;

use chrono::TimeDelta;

use super::Timestamp;
use super::device::DeviceLabel;
use super::id::{LoginId, UserId};
use super::session::{Authentication, SessionSecret};

/// A login as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct BrowserLogin {
    /// Names it.
    pub id: LoginId,
    /// Who is signed in.
    pub user_id: UserId,
    /// Goes into the key of its cookie. A new one with each sign-in, so that a cookie from before
    /// is worth nothing afterwards.
    pub secret: SessionSecret,
    /// How and when the person last proved who they are.
    pub authentication: Authentication,
    /// What its owner sees in a list.
    pub device: Option<DeviceLabel>,
    /// Where it was last used from.
    pub address: Option<IpAddr>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_seen_at: Timestamp,
    /// When it ends unless it is used again.
    pub idle_expires_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When it was ended before its time.
    pub ended_at: Option<Timestamp>,
}

impl BrowserLogin {
    /// Whether the person is signed in at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.idle_expires_at && now < self.expires_at
    }
}

/// How long logins live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginPolicy {
    /// How long a login lives without being used; 3 days by default.
    pub idle_lifetime: TimeDelta,
    /// How long it lives at all; 7 days by default.
    pub lifetime: TimeDelta,
}

impl Default for LoginPolicy {
    fn default() -> Self {
        Self {
            idle_lifetime: TimeDelta::days(3),
            lifetime: TimeDelta::days(7),
        }
    }
}

impl LoginPolicy {
    /// When a login that is used at `now` ends unless it is used again.
    #[must_use]
    pub fn idle_expiry(&self, now: Timestamp) -> Timestamp {
        now + self.idle_lifetime
    }
}
