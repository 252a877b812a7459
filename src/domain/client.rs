//! A client (RFC 6749 §2) and its secrets.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokensmith_verify::ScopeSet;

use super::Timestamp;
use super::algorithm::Algorithm;
use super::id::{ClientId, SecretId};
use super::resource::Resource;

/// A registered client with its live and expired secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Also the `sub` of the tokens it gets for itself.
    pub id: ClientId,
    /// What was registered.
    pub metadata: ClientMetadata,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Since when it gets no tokens; `None` while it is enabled.
    pub disabled_at: Option<Timestamp>,
    /// At most [`ClientSecret::MOST_LIVE`] of them are live.
    pub secrets: Vec<ClientSecret>,
}

impl Client {
    /// The secrets that authenticate the client at `now`.
    pub fn live_secrets(&self, now: Timestamp) -> impl Iterator<Item = &ClientSecret> {
        self.secrets
            .iter()
            .filter(move |secret| secret.is_live(now))
    }

    /// Whether the client may use a grant.
    #[must_use]
    pub fn allows(&self, grant: GrantType) -> bool {
        self.metadata.grant_types.contains(&grant)
    }

    /// Whether the client may present its secret in this way. A client that registered no method
    /// may use either.
    #[must_use]
    pub fn accepts(&self, method: ClientAuthMethod) -> bool {
        self.metadata
            .token_endpoint_auth_method
            .is_none_or(|registered| registered == method)
    }
}

/// What a client registers. Member names follow RFC 7591 §2 where it has one.
///
/// This is also the stored form, so members that are not known are passed over: a newer release
/// that runs beside this one may have written them. Requests are held to [`Self::MEMBERS`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientMetadata {
    /// Shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// The grants it may use; at least one.
    pub grant_types: BTreeSet<GrantType>,
    /// The scopes it may ask for; all of them are granted when a request names none.
    #[serde(default, skip_serializing_if = "ScopeSet::is_empty")]
    pub scope: ScopeSet,
    /// The resources (RFC 8707) it may ask for. The first is the default; with none, the `aud` of
    /// its tokens is the issuer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<Resource>,
    /// The one way in which it presents its secret; either way when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<ClientAuthMethod>,
    /// Lifetime of its access tokens in seconds, 1 to 3,600; the server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_ttl: Option<u32>,
    /// The algorithm that signs its access tokens.
    #[serde(default)]
    pub access_token_alg: Algorithm,
    /// Fixed claims added to its access tokens.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub access_token_claims: Map<String, Value>,
}

impl ClientMetadata {
    /// The members that a request may have.
    pub const MEMBERS: [&str; 8] = [
        "client_name",
        "grant_types",
        "scope",
        "audiences",
        "token_endpoint_auth_method",
        "access_token_ttl",
        "access_token_alg",
        "access_token_claims",
    ];

    /// The lifetime of the client's access tokens.
    #[must_use]
    pub fn access_token_lifetime(&self, default: Duration) -> Duration {
        self.access_token_ttl
            .map_or(default, |seconds| Duration::from_secs(seconds.into()))
    }
}

/// One secret of a client. The secret itself is never stored, only its keyed digest.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientSecret {
    /// Names the secret in lists.
    pub id: SecretId,
    /// HMAC of the secret under a key derived from the master key.
    pub digest: SecretDigest,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it is refused; `None` while no end is planned.
    pub expires_at: Option<Timestamp>,
    /// When it last authenticated the client, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl ClientSecret {
    /// How many secrets of one client may be live at once, so that rotating one is no outage.
    pub const MOST_LIVE: usize = 2;

    /// Whether the secret authenticates at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// The keyed digest under which a server-made secret is stored. Compare it only through
/// [`super::ports::SecretMint`], which does so in constant time; it has no `PartialEq` of use to
/// an authentication decision.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretDigest(pub [u8; 32]);

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(..)")
    }
}

/// The grants of this server (RFC 6749 §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// RFC 6749 §4.4: a service acts for itself.
    ClientCredentials,
}

impl GrantType {
    /// Every grant.
    pub const ALL: [Self; 1] = [Self::ClientCredentials];

    /// The `grant_type` value on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
        }
    }
}

impl fmt::Display for GrantType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no grant of this server.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a grant type of this server; it offers client_credentials")]
pub struct UnknownGrantType(pub String);

impl FromStr for GrantType {
    type Err = UnknownGrantType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|grant| grant.as_str() == name)
            .ok_or_else(|| UnknownGrantType(name.to_owned()))
    }
}

/// How a client presents its secret (RFC 6749 §2.3.1, names of RFC 7591 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    /// In the `Authorization` header.
    ClientSecretBasic,
    /// In the form.
    ClientSecretPost,
}

impl ClientAuthMethod {
    /// Every method.
    pub const ALL: [Self; 2] = [Self::ClientSecretBasic, Self::ClientSecretPost];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }
}

impl fmt::Display for ClientAuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no authentication method of this server.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an authentication method; use client_secret_basic or client_secret_post")]
pub struct UnknownAuthMethod(pub String);

impl FromStr for ClientAuthMethod {
    type Err = UnknownAuthMethod;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|method| method.as_str() == name)
            .ok_or_else(|| UnknownAuthMethod(name.to_owned()))
    }
}
