//! The claims of an access token (RFC 9068 §2.2): the one definition of the format.
//!
//! The server serialises these types and the verifier deserialises them, so the two cannot drift.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::numeric_date::NumericDate;
use crate::{Audience, ScopeSet};

/// The `typ` header of an access token (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYP: &str = "at+jwt";

/// The longest life that an access token may have: one hour.
///
/// The server refuses to issue more, and a verifier rejects what claims more, so that a signing
/// mistake or a stolen key cannot make a token that lives for years.
pub const MAX_ACCESS_TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// Every claim name that custom claims may not use.
///
/// The claims of this format, and the registered ones of RFC 7519 §4.1, RFC 7662, RFC 7800,
/// RFC 8693, RFC 9068, `OpenID` Connect Core and the token status list that change how a token is
/// understood.
pub const REGISTERED_CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "client_id",
    "exp",
    "nbf",
    "iat",
    "jti",
    "scope",
    "active",
    "token_type",
    "sid",
    "auth_time",
    "amr",
    "acr",
    "status",
    "cnf",
    "act",
    "may_act",
    "azp",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "events",
    "toe",
    "txn",
    "sub_id",
    "sub_jwk",
    "authorization_details",
    "token_introspection",
    "status_list",
    "ttl",
    "htm",
    "htu",
    "ath",
    "_claim_names",
    "_claim_sources",
];

/// The claims of one access token, in the order in which they are serialised.
///
/// `X` holds the custom claims that a client's claim mapping added; they sit beside the registered
/// ones on the wire. The default ignores them.
///
/// ```
/// # use tokensmith_verify::Claims;
/// #[derive(serde::Deserialize)]
/// struct Tenant {
///     tenant: String,
/// }
/// let claims: Claims<Tenant> = serde_json::from_str(
///     r#"{"iss":"https://auth.example.com","sub":"ada","aud":"https://api.example.com",
///         "client_id":"phone","exp":300,"iat":0,"jti":"1","scope":"orders:read","tenant":"acme"}"#,
/// )?;
/// assert!(claims.has_scope("orders:read"));
/// assert_eq!(claims.custom.tenant, "acme");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims<X = NoCustomClaims> {
    /// Who issued the token: the issuer's URL, compared exactly.
    pub iss: String,
    /// Whom the token speaks of: a user's id, or the client's id for a service.
    pub sub: String,
    /// The services that the token is meant for.
    pub aud: Audience,
    /// The client that the token was issued to (RFC 8693 §4.3).
    pub client_id: String,
    /// The instant from which the token is dead, in Unix seconds.
    #[serde(deserialize_with = "numeric_date")]
    pub exp: i64,
    /// The instant of issue, in Unix seconds.
    #[serde(deserialize_with = "numeric_date")]
    pub iat: i64,
    /// The token's unique id.
    pub jti: String,
    /// What was granted; space-delimited on the wire, absent when empty.
    #[serde(default, skip_serializing_if = "ScopeSet::is_empty")]
    pub scope: ScopeSet,
    /// The session that the token belongs to; absent for a service.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub sid: Option<String>,
    /// When the person last proved who they are, in Unix seconds (RFC 9068 §2.2.1).
    #[serde(
        default,
        deserialize_with = "present_numeric_date",
        skip_serializing_if = "Option::is_none"
    )]
    pub auth_time: Option<i64>,
    /// How the person proved it (RFC 8176), such as `pwd` and `otp`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// How strong that proof was: `1` for a password, `2` with a second factor.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub acr: Option<String>,
    /// The token's bit in a Token Status List (draft-ietf-oauth-status-list §6).
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub status: Option<Status>,
    /// The key that the sender must prove possession of (RFC 7800, RFC 9449 §6).
    ///
    /// A token that has it is not a bearer token.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub cnf: Option<Confirmation>,
    /// Who acts for the subject, after a token exchange (RFC 8693 §4.1).
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub act: Option<Actor>,
    /// Every other claim.
    #[serde(flatten)]
    pub custom: X,
}

impl<X> Claims<X> {
    /// Whether `scope` was granted. Scopes are compared exactly; none implies another.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scope.contains(scope)
    }

    /// Whether the token is for a service itself and not for a person: RFC 9068 §2.2 makes `sub`
    /// the client's id when no resource owner takes part.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.sub == self.client_id
    }

    /// The registered claims alone.
    pub(crate) fn registered(&self) -> Claims {
        Claims {
            iss: self.iss.clone(),
            sub: self.sub.clone(),
            aud: self.aud.clone(),
            client_id: self.client_id.clone(),
            exp: self.exp,
            iat: self.iat,
            jti: self.jti.clone(),
            scope: self.scope.clone(),
            sid: self.sid.clone(),
            auth_time: self.auth_time,
            amr: self.amr.clone(),
            acr: self.acr.clone(),
            status: self.status.clone(),
            cnf: self.cnf.clone(),
            act: self.act.clone(),
            custom: NoCustomClaims {},
        }
    }

    /// Whether the token is bound to a key and so must not be accepted as a bearer token
    /// (RFC 9449 §7.2).
    #[must_use]
    pub fn is_sender_constrained(&self) -> bool {
        self.cnf.is_some()
    }
}

/// No custom claims: those that a token carries are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoCustomClaims {}

/// Where the token's status can be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The position in a Token Status List.
    pub status_list: StatusListEntry,
}

/// One position in one Token Status List.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusListEntry {
    /// The index of the token's bit.
    pub idx: u32,
    /// The URI of the list.
    pub uri: String,
}

/// The key that the token is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The RFC 7638 SHA-256 thumbprint of the `DPoP` key, base64url (RFC 9449 §6.1).
    pub jkt: String,
}

/// A party that acts for the subject; the outermost is the current one (RFC 8693 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Who acts.
    pub sub: String,
    /// For whom that party in turn acted before.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub act: Option<Box<Actor>>,
}

/// A member that is there must have its type: `null` is not the same as absent.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let date = NumericDate::deserialize(deserializer)?;
    date.unix_seconds()
        .ok_or_else(|| D::Error::custom("a NumericDate is out of range"))
}

fn present_numeric_date<'de, D>(deserializer: D) -> Result<Option<i64>, D::Error>
where
    D: Deserializer<'de>,
{
    numeric_date(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"{"iss":"https://a","sub":"s","aud":"https://b","client_id":"c","exp":2,"iat":1,"jti":"j"}"#;

    #[test]
    fn a_minimal_token_survives_the_round_trip_byte_for_byte() {
        let claims: Claims = serde_json::from_str(MINIMAL).unwrap();
        assert_eq!(serde_json::to_string(&claims).unwrap(), MINIMAL);
    }

    #[test]
    fn a_full_token_survives_the_round_trip_byte_for_byte() {
        let full = r#"{"iss":"https://a","sub":"s","aud":["https://b","https://c"],"client_id":"c","exp":2,"iat":1,"jti":"j","scope":"x y","sid":"1","auth_time":1,"amr":["pwd"],"acr":"1","status":{"status_list":{"idx":7,"uri":"https://a/status-lists/0"}},"cnf":{"jkt":"t"},"act":{"sub":"d","act":{"sub":"e"}}}"#;
        let claims: Claims = serde_json::from_str(full).unwrap();
        assert_eq!(serde_json::to_string(&claims).unwrap(), full);
        assert!(claims.is_sender_constrained());
    }

    #[test]
    fn a_null_is_not_an_absent_claim() {
        for name in [
            "sid",
            "auth_time",
            "amr",
            "acr",
            "status",
            "cnf",
            "act",
            "scope",
        ] {
            let text = MINIMAL.replace('}', &format!(r#","{name}":null}}"#));
            assert!(serde_json::from_str::<Claims>(&text).is_err(), "{name}");
        }
    }

    #[test]
    fn a_status_index_is_a_whole_number_below_two_to_the_32nd() {
        for idx in ["-1", "1.5", "\"1\"", "4294967296", "null"] {
            let status = format!(r#"{{"status_list":{{"idx":{idx},"uri":"u"}}}}"#);
            assert!(serde_json::from_str::<Status>(&status).is_err(), "{idx}");
        }
    }

    #[test]
    fn every_claim_of_the_format_is_registered() {
        for name in [
            "iss",
            "sub",
            "aud",
            "client_id",
            "exp",
            "iat",
            "jti",
            "scope",
            "sid",
            "auth_time",
            "amr",
            "acr",
            "status",
            "cnf",
            "act",
        ] {
            assert!(REGISTERED_CLAIMS.contains(&name), "{name}");
        }
    }
}
