//! How many readers may follow the log of revocations at once. Everybody may read it, so what a
//! stranger can hold on to has to end somewhere.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::network::AddressKey;
use crate::telemetry::metrics::FeedMetrics;

/// How many may read at once.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// From one address.
    pub per_address: u32,
    /// In all.
    pub total: u32,
}

/// The places there are.
pub(super) struct Places {
    limits: StreamLimits,
    taken: Mutex<Taken>,
    metrics: FeedMetrics,
}

#[derive(Default)]
struct Taken {
    total: u32,
    by_address: HashMap<AddressKey, u32>,
}

/// There is no place left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// For this address.
    Address,
    /// For anybody.
    Everybody,
}

/// A place, given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    address: Option<AddressKey>,
}

impl Places {
    pub(super) fn new(limits: StreamLimits, metrics: FeedMetrics) -> Arc<Self> {
        Arc::new(Self {
            limits,
            taken: Mutex::default(),
            metrics,
        })
    }

    /// Takes a place. This machine is not counted as an address: whoever comes from here is perhaps a
    /// proxy that nobody has named, and could do worse.
    pub(super) fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Place, Full> {
        let address = address
            .filter(|address| !address.to_canonical().is_loopback())
            .map(AddressKey::from);
        let mut taken = self.taken();
        if taken.total >= self.limits.total {
            return Err(Full::Everybody);
        }
        if let Some(address) = address {
            let of_address = taken.by_address.entry(address).or_default();
            if *of_address >= self.limits.per_address {
                return Err(Full::Address);
            }
            *of_address += 1;
        }
        taken.total += 1;
        self.metrics.opened();
        Ok(Place {
            places: Arc::clone(self),
            address,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.total = taken.total.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(of_address) = taken.by_address.get_mut(&address)
        {
            *of_address = of_address.saturating_sub(1);
            if *of_address == 0 {
                taken.by_address.remove(&address);
            }
        }
        self.places.metrics.closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(per_address: u32, total: u32) -> Arc<Places> {
        Places::new(StreamLimits { per_address, total }, FeedMetrics::default())
    }

    fn take(places: &Arc<Places>, address: &str) -> Result<Place, Full> {
        places.take(Some(address.parse().unwrap()))
    }

    #[test]
    fn an_address_has_as_many_places_as_it_is_allowed_and_gets_them_back() {
        let places = places(2, 100);
        let first = take(&places, "192.0.2.1").unwrap();
        let _second = take(&places, "::ffff:192.0.2.1").unwrap();
        assert_eq!(take(&places, "192.0.2.1").err(), Some(Full::Address));
        let _other = take(&places, "192.0.2.2").unwrap();
        drop(first);
        assert!(take(&places, "192.0.2.1").is_ok());
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_address() {
        let places = places(1, 100);
        let _one = take(&places, "2001:db8::1").unwrap();
        assert_eq!(take(&places, "2001:db8::2").err(), Some(Full::Address));
        assert!(take(&places, "2001:db8:0:1::1").is_ok());
    }

    #[test]
    fn all_together_have_a_limit_too_and_this_machine_has_only_that() {
        let places = places(1, 3);
        let taken: Vec<_> = (0..3)
            .map(|_| take(&places, "127.0.0.1").unwrap())
            .collect();
        assert_eq!(take(&places, "127.0.0.1").err(), Some(Full::Everybody));
        assert_eq!(places.take(None).err(), Some(Full::Everybody));
        drop(taken);
        assert!(take(&places, "192.0.2.1").is_ok());
        assert!(
            places.taken().by_address.is_empty(),
            "nothing is kept of those who went"
        );
    }
}
