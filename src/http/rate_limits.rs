//! How many requests one caller may send (RFC 6585 §4). Counted are clients that have shown a secret,
//! where the operator sets a limit, and otherwise addresses: of requests that nobody vouches for, and
//! of those that lead nowhere. So a server that calls for many people is never punished by address.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::{HttpMessage, HttpRequest};
use chrono::TimeDelta;

use super::Endpoints;
use super::client::counted_address;
use super::error::ApiError;
use crate::domain::Timestamp;
use crate::domain::id::ClientId;
use crate::domain::network::AddressKey;
use crate::domain::rate_limit::{PaidUntil, RateLimit};
use crate::telemetry::metrics::RateLimitMetrics;

/// Requests a second.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits {
    /// From one address, of those that nobody vouches for.
    pub per_address: Option<RateLimit>,
    /// Of one client that has shown its secret.
    pub per_client: Option<RateLimit>,
}

/// Who has asked how much lately.
pub(super) struct Callers {
    addresses: Option<Meter<AddressKey>>,
    clients: Option<Meter<ClientId>>,
    metrics: RateLimitMetrics,
}

/// The address that a request was charged to; travels in its extensions.
#[derive(Clone, Copy)]
struct Charged(AddressKey);

impl Callers {
    pub(super) fn new(limits: RateLimits, metrics: RateLimitMetrics) -> Self {
        Self {
            addresses: limits.per_address.map(Meter::new),
            clients: limits.per_client.map(Meter::new),
            metrics,
        }
    }
}

impl Endpoints {
    /// Charges a request to the client that it has proved to be from.
    pub(super) fn charge_client(&self, id: &ClientId, now: Timestamp) -> Result<(), ApiError> {
        let Some(clients) = &self.callers.clients else {
            return Ok(());
        };
        clients.charge(id, now).map_err(|wait| {
            self.callers.metrics.turned_away("client");
            ApiError::TooManyRequests(wait)
        })
    }

    /// Charges a request that nobody vouches for to the address that it comes from.
    pub(super) fn charge_address(
        &self,
        request: &HttpRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let (Some(addresses), Some(address)) =
            (&self.callers.addresses, counted_address(self, request))
        else {
            return Ok(());
        };
        let address = AddressKey::from(address);
        addresses.charge(&address, now).map_err(|wait| {
            self.callers.metrics.turned_away("address");
            ApiError::TooManyRequests(wait)
        })?;
        request.extensions_mut().insert(Charged(address));
        Ok(())
    }

    /// The request has shown something that nobody can guess: it costs its address nothing.
    pub(super) fn refund_address(&self, request: &HttpRequest) {
        let charged = request.extensions_mut().remove::<Charged>();
        if let (Some(addresses), Some(Charged(address))) = (&self.callers.addresses, charged) {
            addresses.refund(&address);
        }
    }
}

/// The callers that are ahead of the clock.
struct Meter<K> {
    limit: RateLimit,
    known: Mutex<Known<K>>,
}

struct Known<K> {
    callers: HashMap<K, PaidUntil>,
    /// Those who are too many to be told apart.
    others: Option<PaidUntil>,
    swept_at: Option<Timestamp>,
}

/// So many callers are told apart: some ten megabytes. Further ones share what one may have, until
/// others have been quiet; a crowd of that size is an attack from many addresses.
const MOST_CALLERS: usize = 100_000;
/// How often those who have been quiet are looked for, when there is no room.
const SWEEP_EVERY: TimeDelta = TimeDelta::seconds(1);

impl<K: Clone + Eq + Hash> Meter<K> {
    fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            known: Mutex::new(Known {
                callers: HashMap::new(),
                others: None,
                swept_at: None,
            }),
        }
    }

    fn charge(&self, caller: &K, now: Timestamp) -> Result<(), TimeDelta> {
        let mut known = self.known();
        if let Some(paid) = known.callers.get_mut(caller) {
            *paid = self.limit.charge(Some(*paid), now)?;
            return Ok(());
        }
        if known.callers.len() >= MOST_CALLERS {
            known.sweep(now);
        }
        if known.callers.len() >= MOST_CALLERS {
            known.others = Some(self.limit.charge(known.others, now)?);
            return Ok(());
        }
        let paid = self.limit.charge(None, now)?;
        known.callers.insert(caller.clone(), paid);
        Ok(())
    }

    fn refund(&self, caller: &K) {
        let mut known = self.known();
        let known = &mut *known;
        if let Some(paid) = known.callers.get_mut(caller).or(known.others.as_mut()) {
            *paid = self.limit.refund(*paid);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known<K>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Known<K> {
    /// Forgets who has been quiet. A walk over all of them, so not at each request of a flood.
    fn sweep(&mut self, now: Timestamp) {
        if self.swept_at.is_some_and(|at| now - at < SWEEP_EVERY) {
            return;
        }
        self.swept_at = Some(now);
        self.callers.retain(|_, paid| !paid.is_over(now));
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn meter(requests: u32) -> Meter<u32> {
        Meter::new(RateLimit::per_second(NonZeroU32::new(requests).unwrap()))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn callers_are_counted_apart() {
        let meter = meter(1);
        for _ in 0..10 {
            meter.charge(&1, at(0)).unwrap();
        }
        assert_eq!(meter.charge(&1, at(0)), Err(TimeDelta::seconds(1)));
        assert_eq!(meter.charge(&2, at(0)), Ok(()));
        assert_eq!(meter.charge(&1, at(1)), Ok(()));
    }

    #[test]
    fn what_leads_somewhere_costs_nothing() {
        let meter = meter(1);
        for _ in 0..1_000 {
            meter.charge(&1, at(0)).unwrap();
            meter.refund(&1);
        }
    }

    #[test]
    fn a_crowd_is_counted_together_and_takes_no_more_memory() {
        let meter = meter(1);
        let crowd = u32::try_from(MOST_CALLERS).unwrap();
        for caller in 0..crowd {
            meter.charge(&caller, at(0)).unwrap();
        }
        let mut turned_away = 0;
        for caller in crowd..crowd + 1_000 {
            turned_away += u32::from(meter.charge(&caller, at(0)).is_err());
        }
        assert_eq!(turned_away, 990);
        assert_eq!(meter.known().callers.len(), MOST_CALLERS);
        // Who was known before is served as before.
        assert_eq!(meter.charge(&7, at(0)), Ok(()));
        // And when the others have been quiet there is room again.
        assert_eq!(meter.charge(&(crowd + 1), at(60)), Ok(()));
        assert_eq!(meter.known().callers.len(), 1);
    }
}
