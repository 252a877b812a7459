//! Settings about what one caller, and all together, may use up. `docs/limits.md` lists every limit,
//! also those that cannot be set.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use super::layers::{ConfigError, Layers, Setting};
use super::{duration, parse_number};
use crate::domain::rate_limit::RateLimit;
use crate::http::RateLimits;

/// What may be used up. Units and defaults are those of [`super::settings`].
#[derive(Clone, Copy, Debug)]
pub struct LimitSettings {
    /// Requests a second.
    pub rates: RateLimits,
    /// Connections at once; as many as there are file descriptors for when `None`.
    pub connections: Option<NonZeroUsize>,
    /// How long a client may leave what it is sent unread.
    pub unread_timeout: Duration,
    /// How long a connection may go without an answer.
    pub idle_timeout: Duration,
}

/// Part of [`super::settings`].
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "limits.address_per_second",
        "20",
        "a number up to 1000000; 0 for no limit",
    ),
    Setting::new(
        "limits.client_per_second",
        "0",
        "a number up to 1000000; 0 for no limit",
    ),
    Setting::new(
        "limits.connections",
        "0",
        "a number up to 10000000; 0 for as many as files may be open",
    ),
    Setting::new("limits.unread_timeout", "30s", "a duration from 1s to 1h"),
    Setting::new("limits.idle_timeout", "2m", "a duration from 1s to 1h"),
];

pub(super) fn read(layers: &Layers) -> Result<LimitSettings, ConfigError> {
    let rate = |name| {
        let requests = layers.parse(name, |text| parse_number(text, 0..=1_000_000))?;
        Ok(NonZeroU32::new(requests).map(RateLimit::per_second))
    };
    let connections = layers.parse("limits.connections", |text| {
        parse_number(text, 0..=10_000_000)
    })?;
    let moderate = |text: &str| duration(text, Duration::from_secs(1)..=Duration::from_hours(1));
    Ok(LimitSettings {
        rates: RateLimits {
            per_address: rate("limits.address_per_second")?,
            per_client: rate("limits.client_per_second")?,
        },
        connections: NonZeroUsize::new(connections as usize),
        unread_timeout: layers.parse("limits.unread_timeout", moderate)?,
        idle_timeout: layers.parse("limits.idle_timeout", moderate)?,
    })
}
