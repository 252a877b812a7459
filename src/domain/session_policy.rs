//! How long sessions live and how forgiving their rotation is: the server's settings, and what a
//! client has registered instead.

use chrono::TimeDelta;

use super::Timestamp;
use super::client::ClientMetadata;
use super::rotation::RotationPolicy;

/// What applies to clients that registered nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// How long a session lives without being used; 30 days by default.
    pub idle_lifetime: TimeDelta,
    /// How long it lives at all; 180 days by default.
    pub lifetime: TimeDelta,
    /// How long the refresh token before the current one may be repeated without its
    /// `Idempotency-Key`; 30 seconds by default.
    pub retry_window: TimeDelta,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            idle_lifetime: TimeDelta::days(30),
            lifetime: TimeDelta::days(180),
            retry_window: TimeDelta::seconds(30),
        }
    }
}

impl SessionPolicy {
    /// The policy for a client.
    #[must_use]
    pub fn of(&self, client: &ClientMetadata) -> Self {
        let or = |seconds: Option<u32>, default| {
            seconds.map_or(default, |seconds| TimeDelta::seconds(seconds.into()))
        };
        Self {
            idle_lifetime: or(client.session_idle_ttl, self.idle_lifetime),
            lifetime: or(client.session_ttl, self.lifetime),
            retry_window: or(client.retry_window, self.retry_window),
        }
    }

    /// What rotation needs of it for a client.
    #[must_use]
    pub fn rotation(&self, client: &ClientMetadata) -> RotationPolicy {
        let policy = self.of(client);
        RotationPolicy {
            rotates: client.rotates_refresh_tokens(),
            retry_window: policy.retry_window,
            idle_lifetime: policy.idle_lifetime,
        }
    }

    /// When a session of a client that begins now is over at the latest.
    #[must_use]
    pub fn expiry(&self, client: &ClientMetadata, now: Timestamp) -> Timestamp {
        now + self.of(client).lifetime
    }
}
