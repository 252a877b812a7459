//! A client (RFC 6749 §2) and its secrets.

mod policy;

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
use super::redirect_uri::RedirectUri;
use super::resource::Resource;
use super::revocation::StatusIndex;
use super::web_url::WebUrl;

pub use policy::{AccessTokenFormat, PkcePolicy, UnknownAccessTokenFormat, UnknownPkcePolicy};

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
    /// At most [`ClientSecret::MOST_LIVE`] of them are live. A public client has none.
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

    /// Whether the client may authenticate in this way. A client that registered no method may
    /// present its secret in either way, but not do without.
    #[must_use]
    pub fn accepts(&self, method: ClientAuthMethod) -> bool {
        match self.metadata.token_endpoint_auth_method {
            Some(registered) => registered == method,
            None => method != ClientAuthMethod::None,
        }
    }

    /// Whether a session or code of this id that was made then is of this very client, and not of
    /// one that was deleted before this one was registered under the same id.
    #[must_use]
    pub fn was_there(&self, then: Timestamp) -> bool {
        self.created_at <= then
    }

    /// Whether the client cannot keep a secret, and so has none (RFC 6749 §2.1).
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.metadata.is_public()
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
    /// A picture that people know it by, loaded by their browsers. None when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<WebUrl>,
    /// The grants it may use; at least one.
    pub grant_types: BTreeSet<GrantType>,
    /// The scopes it may ask for; all of them are granted when a request names none.
    #[serde(default, skip_serializing_if = "ScopeSet::is_empty")]
    pub scope: ScopeSet,
    /// The resources (RFC 8707) it may ask for. The first is the default; with none, the `aud` of
    /// its tokens is the issuer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<Resource>,
    /// The one way in which it presents its secret; either way when absent. With
    /// [`ClientAuthMethod::None`] it is a public client and has no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<ClientAuthMethod>,
    /// Where codes may be sent (RFC 6749 §3.1.2); at most 32, compared as
    /// [`RedirectUri::matches`] says. None when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<RedirectUri>,
    /// Where the browser may be sent after a logout (`OpenID` Connect RP-Initiated Logout 1.0 §3.1);
    /// at most 32, compared like `redirect_uris`. None when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// What this server calls when a session of the client ends (`OpenID` Connect Back-Channel
    /// Logout 1.0 §2.2). Nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<WebUrl>,
    /// Whether it belongs to whoever runs this server: it may take passwords itself, and nobody is
    /// asked for consent. Not when absent.
    #[serde(default)]
    pub first_party: bool,
    /// Whether its logins must use PKCE; they must when absent.
    #[serde(default)]
    pub pkce: PkcePolicy,
    /// Whether its logins in a browser must begin with a pushed request (RFC 9126 §6). Not when
    /// absent.
    #[serde(default)]
    pub require_pushed_authorization_requests: bool,
    /// Lifetime of its access tokens in seconds, 1 to 3,600; the server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_ttl: Option<u32>,
    /// The algorithm that signs its access tokens.
    #[serde(default)]
    pub access_token_alg: Algorithm,
    /// What its access tokens look like; signed when absent.
    #[serde(default)]
    pub access_token_format: AccessTokenFormat,
    /// Fixed claims added to its access tokens.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub access_token_claims: Map<String, Value>,
    /// How long its sessions live without being used, in seconds, 60 to ten years; the server's
    /// default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_idle_ttl: Option<u32>,
    /// How long its sessions live at all, in seconds, 60 to ten years and not less than
    /// `session_idle_ttl`; the server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_ttl: Option<u32>,
    /// Whether each use of a refresh token makes a new one; see [`Self::rotates_refresh_tokens`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_refresh_tokens: Option<bool>,
    /// How long after a rotation the refresh token before may be repeated without its
    /// `Idempotency-Key`, in seconds, 0 to 3,600; the server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_window: Option<u32>,
    /// The APIs in whose name it may introspect tokens (RFC 7662 §2.1). None when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_servers: Vec<Resource>,
}

impl ClientMetadata {
    /// The members that a request may have.
    pub const MEMBERS: [&str; 21] = [
        "client_name",
        "logo_uri",
        "grant_types",
        "scope",
        "audiences",
        "token_endpoint_auth_method",
        "redirect_uris",
        "post_logout_redirect_uris",
        "backchannel_logout_uri",
        "first_party",
        "pkce",
        "require_pushed_authorization_requests",
        "access_token_ttl",
        "access_token_alg",
        "access_token_format",
        "access_token_claims",
        "session_idle_ttl",
        "session_ttl",
        "rotate_refresh_tokens",
        "retry_window",
        "resource_servers",
    ];

    /// The lifetime of the client's access tokens.
    #[must_use]
    pub fn access_token_lifetime(&self, default: Duration) -> Duration {
        self.access_token_ttl
            .map_or(default, |seconds| Duration::from_secs(seconds.into()))
    }

    /// Whether it registers a client that cannot keep a secret (RFC 6749 §2.1).
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == Some(ClientAuthMethod::None)
    }

    /// Whether each use of a refresh token makes a new one. Unless it is registered otherwise, it
    /// does for public clients, where a stolen one would work for anybody (RFC 9700 §4.14.2), and
    /// not for those that prove who they are (FAPI 2.0 Security Profile §5.3.2.1).
    #[must_use]
    pub fn rotates_refresh_tokens(&self) -> bool {
        self.rotate_refresh_tokens.unwrap_or(self.is_public())
    }
}

/// One secret of a client. The secret itself is never stored, only its keyed digest.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientSecret {
    /// Names the secret in lists.
    pub id: SecretId,
    /// HMAC of the secret under a key derived from the master key.
    pub digest: SecretDigest,
    /// The bit of the tokens that it is exchanged for.
    pub status: StatusIndex,
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
    /// RFC 6749 §4.1: a person has logged in.
    AuthorizationCode,
    /// RFC 6749 §6: that login goes on.
    RefreshToken,
    /// RFC 6749 §4.4: a service acts for itself.
    ClientCredentials,
}

impl GrantType {
    /// Every grant.
    pub const ALL: [Self; 3] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
    ];

    /// The `grant_type` value on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
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
#[error(
    "{0:?} is not a grant type of this server; it offers authorization_code, refresh_token and \
     client_credentials"
)]
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

/// How a client authenticates (RFC 6749 §2.3.1, names of RFC 7591 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    /// With its secret in the `Authorization` header.
    ClientSecretBasic,
    /// With its secret in the form.
    ClientSecretPost,
    /// Not at all: a public client says who it is, and nobody can check it.
    None,
}

impl ClientAuthMethod {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::ClientSecretBasic, Self::ClientSecretPost, Self::None];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::None => "none",
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
#[error(
    "{0:?} is not an authentication method; use client_secret_basic, client_secret_post or none"
)]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn client(method: Option<ClientAuthMethod>) -> Client {
        Client {
            id: "phone".parse().unwrap(),
            metadata: ClientMetadata {
                token_endpoint_auth_method: method,
                ..ClientMetadata::default()
            },
            created_at: Timestamp::UNIX_EPOCH,
            disabled_at: None,
            secrets: Vec::new(),
        }
    }

    #[test]
    fn only_a_public_client_may_do_without_a_secret() {
        use ClientAuthMethod::{ClientSecretBasic, ClientSecretPost};
        let accepted = |registered: Option<ClientAuthMethod>| {
            let client = client(registered);
            ClientAuthMethod::ALL.map(|method| client.accepts(method))
        };
        assert_eq!(accepted(None), [true, true, false]);
        assert_eq!(accepted(Some(ClientSecretBasic)), [true, false, false]);
        assert_eq!(accepted(Some(ClientSecretPost)), [false, true, false]);
        assert_eq!(accepted(Some(ClientAuthMethod::None)), [false, false, true]);
        assert!(client(Some(ClientAuthMethod::None)).is_public());
        assert!(!client(None).is_public() && !client(Some(ClientSecretPost)).is_public());
    }

    #[test]
    fn refresh_tokens_of_public_clients_rotate_and_those_of_others_when_they_ask_for_it() {
        let rotates = |method, wish| {
            let mut client = client(method);
            client.metadata.rotate_refresh_tokens = wish;
            client.metadata.rotates_refresh_tokens()
        };
        assert!(rotates(Some(ClientAuthMethod::None), None));
        assert!(rotates(None, Some(true)));
        assert!(!rotates(None, None));
        assert!(!rotates(None, Some(false)));
    }

    #[test]
    fn what_an_older_release_stored_is_read_with_the_defaults() {
        let stored = r#"{"grant_types":["client_credentials"],"access_token_alg":"RS256","new":1}"#;
        let metadata: ClientMetadata = serde_json::from_str(stored).unwrap();
        let expected = ClientMetadata {
            grant_types: [GrantType::ClientCredentials].into(),
            ..ClientMetadata::default()
        };
        assert_eq!(metadata, expected);
        assert_eq!(metadata.pkce, PkcePolicy::Required);
        assert_eq!(metadata.access_token_format, AccessTokenFormat::Jwt);
        assert!(!metadata.first_party && metadata.redirect_uris.is_empty());
        assert!(!metadata.require_pushed_authorization_requests);
        assert_eq!(
            (metadata.logo_uri, metadata.backchannel_logout_uri),
            (None, None)
        );
    }

    #[test]
    fn every_member_may_be_in_a_request() {
        let full = ClientMetadata {
            client_name: Some("Phone".into()),
            logo_uri: Some("https://app.example.com/logo.png".parse().unwrap()),
            grant_types: GrantType::ALL.into(),
            scope: "openid".parse().unwrap(),
            audiences: vec!["https://api.example.com".parse().unwrap()],
            token_endpoint_auth_method: Some(ClientAuthMethod::None),
            redirect_uris: vec!["http://127.0.0.1/callback".parse().unwrap()],
            post_logout_redirect_uris: vec!["http://127.0.0.1/bye".parse().unwrap()],
            backchannel_logout_uri: Some("https://app.example.com/logout".parse().unwrap()),
            first_party: true,
            pkce: PkcePolicy::Optional,
            require_pushed_authorization_requests: true,
            access_token_ttl: Some(60),
            access_token_alg: Algorithm::ES256,
            access_token_format: AccessTokenFormat::Reference,
            access_token_claims: Map::from_iter([("tier".to_owned(), Value::from(1))]),
            session_idle_ttl: Some(60),
            session_ttl: Some(60),
            rotate_refresh_tokens: Some(true),
            retry_window: Some(0),
            resource_servers: vec!["https://api.example.com".parse().unwrap()],
        };
        let json = serde_json::to_value(&full).unwrap();
        let written: BTreeSet<&str> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(written, ClientMetadata::MEMBERS.into());
        let read: ClientMetadata = serde_json::from_value(json).unwrap();
        assert_eq!(read, full);
    }

    #[test]
    fn names_on_the_wire_are_the_same_as_text_and_as_json() {
        fn check<T>(all: &[T])
        where
            T: FromStr + Copy + fmt::Debug + fmt::Display + PartialEq + Serialize,
        {
            for value in all {
                let name = value.to_string();
                assert_eq!(name.parse().ok(), Some(*value), "{name}");
                assert_eq!(serde_json::to_value(value).unwrap(), name.as_str());
            }
            assert!("nonsense".parse::<T>().is_err());
        }
        check(&GrantType::ALL);
        check(&ClientAuthMethod::ALL);
        check(&PkcePolicy::ALL);
        check(&AccessTokenFormat::ALL);
    }
}
