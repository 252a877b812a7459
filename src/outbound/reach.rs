//! Which addresses may be called, and a resolver that gives no others.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::domain::network::{Networks, is_safe_to_call};

/// Which addresses may be called: public ones, and what is named here.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The setting `private_receivers`.
    pub private: Networks,
    /// Whether this machine may be called, as in `tokensmith dev`.
    pub loopback: bool,
}

impl Reach {
    fn allows(&self, address: IpAddr) -> bool {
        is_safe_to_call(address)
            || self.private.contains(address)
            || (self.loopback && address.to_canonical().is_loopback())
    }

    /// Whether a URL may be called as far as can be told before its name is resolved. The HTTP
    /// client asks no resolver about an address, so this is the only check that an address meets.
    pub(super) fn allows_literal(&self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Ipv4(address)) => self.allows(address.into()),
            Some(Host::Ipv6(address)) => self.allows(address.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        }
    }

    /// Those addresses of a name that may be called.
    fn filter(&self, name: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        // RFC 6761 §6.3: localhost is loopback, whatever a resolver says. URLs with plain http may
        // name it, and must not leave this machine.
        let is_believable = |address: IpAddr| name != "localhost" || address.is_loopback();
        let allowed: Vec<SocketAddr> = found
            .into_iter()
            .filter(|found| is_believable(found.ip()) && self.allows(found.ip()))
            .collect();
        if allowed.is_empty() {
            return Err(Forbidden);
        }
        Ok(allowed)
    }
}

/// None of the addresses of a name may be called.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no address of the host may be called")]
pub(super) struct Forbidden;

/// Resolves names to addresses that may be called. The connection goes to exactly what it answers,
/// without a second lookup, so this is where an address is pinned.
pub(super) struct FilteringResolver(pub(super) Arc<Reach>);

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = Arc::clone(&self.0);
        Box::pin(async move {
            // Port 0 stands for that of the URL.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = reach.filter(name.as_str(), found.collect())?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts
            .iter()
            .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
            .collect()
    }

    fn reach(private: &str, loopback: bool) -> Reach {
        Reach {
            private: private.parse().unwrap(),
            loopback,
        }
    }

    #[test]
    fn of_the_addresses_of_a_name_those_that_may_be_called_are_left() {
        let found = || addresses(&["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111", "fd00::1"]);
        let left = |reach: Reach| reach.filter("app.example.com", found());
        assert_eq!(
            left(Reach::default()),
            Ok(addresses(&["1.1.1.1", "2606:4700::1111"])),
        );
        assert_eq!(
            left(reach("10.0.0.0/8 fd00::1", false)),
            Ok(addresses(&[
                "10.0.0.1",
                "1.1.1.1",
                "2606:4700::1111",
                "fd00::1"
            ])),
        );
        assert_eq!(
            left(reach("", true)),
            Ok(addresses(&["1.1.1.1", "::1", "2606:4700::1111"])),
        );
    }

    #[test]
    fn a_name_without_such_an_address_is_forbidden() {
        let inside = ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "0.0.0.0"];
        let found = addresses(&inside);
        assert_eq!(Reach::default().filter("a.example", found), Err(Forbidden));
        let metadata = addresses(&["169.254.169.254"]);
        assert_eq!(
            reach("", true).filter("a.example", metadata),
            Err(Forbidden)
        );
    }

    #[test]
    fn localhost_does_not_leave_this_machine() {
        let found = addresses(&["1.1.1.1", "127.0.0.1"]);
        let reach = reach("", true);
        assert_eq!(
            reach.filter("localhost", found),
            Ok(addresses(&["127.0.0.1"]))
        );
        let elsewhere = addresses(&["1.1.1.1"]);
        assert_eq!(reach.filter("localhost", elsewhere), Err(Forbidden));
    }

    #[test]
    fn an_address_in_a_url_is_held_to_the_same_rules() {
        let allows = |reach: &Reach, url: &str| reach.allows_literal(&url.parse().unwrap());
        for inside in [
            "https://127.0.0.1/",
            "https://10.0.0.1/",
            "https://169.254.169.254/",
            "https://0.0.0.0/",
            "https://[::1]/",
            "https://[::]/",
            "https://[fe80::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[64:ff9b::7f00:1]/",
        ] {
            assert!(!allows(&Reach::default(), inside), "{inside}");
        }
        for outside in ["https://1.1.1.1/", "https://[2606:4700::1111]/"] {
            assert!(allows(&Reach::default(), outside), "{outside}");
        }
        assert!(allows(&reach("10.0.0.1", false), "https://10.0.0.1/"));
        assert!(!allows(&reach("10.0.0.1", false), "https://10.0.0.2/"));
        for own in ["http://127.0.0.2/", "http://[::1]/"] {
            assert!(allows(&reach("", true), own), "{own}");
        }
        assert!(!allows(&reach("", true), "https://10.0.0.1/"));
    }
}
