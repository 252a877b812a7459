//! Resource indicators (RFC 8707): the APIs that a token is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

/// An absolute URI without fragment that names an API (RFC 8707 §2). It becomes a member of `aud`.
///
/// Kept and compared as written: two spellings of one URL are two resources, as `aud` is compared
/// by verifiers (RFC 7519 §2, `StringOrURI`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Resource(String);

impl Resource {
    const MAX_LENGTH: usize = 512;

    /// The URI as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a resource indicator.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a resource is an absolute URI without fragment, at most 512 characters (RFC 8707 section 2)"
)]
pub struct InvalidResource;

impl FromStr for Resource {
    type Err = InvalidResource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.len() > Self::MAX_LENGTH || !printable || text.contains('#') {
            return Err(InvalidResource);
        }
        Url::parse(text).map_err(|_| InvalidResource)?;
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_uri_without_fragment_is_a_resource() {
        for good in [
            "https://api.example.com",
            "urn:example:orders",
            "https://a/b?c=d",
        ] {
            assert!(good.parse::<Resource>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "orders",
            "/orders",
            "https://a/#frag",
            "https://a/#",
            "https://a b",
            "a\n:b",
        ] {
            assert_eq!(bad.parse::<Resource>(), Err(InvalidResource), "{bad:?}");
        }
    }
}
