//! Choices that a client is registered with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whether a login must be bound to whoever started it (PKCE, RFC 7636).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PkcePolicy {
    /// A login without a code challenge is refused; the default.
    #[default]
    Required,
    /// A login may do without one. For confidential clients only (RFC 9700 §2.1.1).
    Optional,
}

impl PkcePolicy {
    /// Every policy.
    pub const ALL: [Self; 2] = [Self::Required, Self::Optional];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
        }
    }
}

impl fmt::Display for PkcePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no [`PkcePolicy`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a policy for PKCE; use required or optional")]
pub struct UnknownPkcePolicy(pub String);

impl FromStr for PkcePolicy {
    type Err = UnknownPkcePolicy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == name)
            .ok_or_else(|| UnknownPkcePolicy(name.to_owned()))
    }
}

/// What the access tokens of a client look like.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenFormat {
    /// Signed, so that anybody verifies them offline (RFC 9068); the default.
    #[default]
    Jwt,
    /// A name for the session, which says nothing without asking this server (RFC 7662).
    Reference,
}

impl AccessTokenFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Jwt, Self::Reference];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Reference => "reference",
        }
    }
}

impl fmt::Display for AccessTokenFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no [`AccessTokenFormat`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a format of access tokens; use jwt or reference")]
pub struct UnknownAccessTokenFormat(pub String);

impl FromStr for AccessTokenFormat {
    type Err = UnknownAccessTokenFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == name)
            .ok_or_else(|| UnknownAccessTokenFormat(name.to_owned()))
    }
}
