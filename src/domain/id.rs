//! Identifiers, parsed once at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::Timestamp;
use super::ports::{Entropy, NoEntropy};

/// A client identifier (RFC 6749 §2.2).
///
/// 1 to 100 characters of `A-Z a-z 0-9 . _ ~ -`: the unreserved set of RFC 3986, so that an id is
/// the same in a form, in a Basic header, in a URL and in a log line. It never parses as a UUID,
/// because a user's `sub` is one (RFC 9700 §4.15: a client must not be able to pose as a user).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ClientId(String);

impl ClientId {
    const MAX_LENGTH: usize = 100;

    /// The id as it was registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a client id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidClientId {
    /// Empty, longer than 100 characters, or with a character outside the unreserved set.
    #[error("a client id is 1 to 100 characters of A-Z a-z 0-9 . _ ~ -")]
    Grammar,
    /// The text parses as a UUID, as the `sub` of a user does.
    #[error("a client id must not be a UUID, because the ids of users are")]
    Uuid,
    /// The text has the form of a secret or a token of this server.
    #[error("a client id must not begin as secrets and tokens do, such as `tss1_`")]
    Secret,
}

impl FromStr for ClientId {
    type Err = InvalidClientId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
        if text.is_empty() || text.len() > Self::MAX_LENGTH || !text.bytes().all(unreserved) {
            return Err(InvalidClientId::Grammar);
        }
        if uuid::Uuid::try_parse(text).is_ok() {
            return Err(InvalidClientId::Uuid);
        }
        // Client ids are logged as they come. Whoever mixes up id and secret must not log the secret.
        if let [b't', b's', kind, version, b'_', ..] = text.as_bytes()
            && kind.is_ascii_lowercase()
            && version.is_ascii_digit()
        {
            return Err(InvalidClientId::Secret);
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A key id: the RFC 7638 SHA-256 thumbprint of the public key, 43 characters of base64url.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Kid(String);

impl Kid {
    /// The thumbprint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text cannot be a SHA-256 thumbprint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a key id is the 43-character base64url thumbprint that `tokensmith keys list` shows")]
pub struct InvalidKid;

impl FromStr for Kid {
    type Err = InvalidKid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if text.len() == 43 && text.bytes().all(base64url) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidKid)
        }
    }
}

/// Names one secret of a client in lists and logs; it is not secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId(pub [u8; 16]);

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl Serialize for SecretId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Declares a 16-byte id that is a UUID version 7 (RFC 9562 §5.7): 48 bits of time, so that rows made
/// together stand together, and 74 random bits.
macro_rules! time_ordered_id {
    ($(#[$doc:meta])* $name:ident, $error:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// A new id of the instant `now`.
            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
                let mut random = [0; 10];
                entropy.fill(&mut random)?;
                let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or_default();
                let uuid = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random);
                Ok(Self(uuid.into_uuid().into_bytes()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).fmt(f)
            }
        }

        #[doc = concat!("The text is not the id of a ", $what, ".")]
        #[derive(Debug, thiserror::Error, PartialEq, Eq)]
        #[error("the id of a {} is a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057", $what)]
        pub struct $error;

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                // One spelling, the one that is printed; `Uuid` would read braces and URNs, too.
                let uuid = uuid::Uuid::try_parse(text).map_err(|_| $error)?;
                if uuid.hyphenated().to_string() == text {
                    Ok(Self(uuid.into_bytes()))
                } else {
                    Err($error)
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}

time_ordered_id! {
    /// A person; the `sub` of their tokens.
    UserId, InvalidUserId, "user"
}

time_ordered_id! {
    /// A session: one login of one person with one client on one device; the `sid` of its tokens.
    SessionId, InvalidSessionId, "session"
}

time_ordered_id! {
    /// A login: one browser in which a person is signed in.
    LoginId, InvalidLoginId, "login"
}

time_ordered_id! {
    /// A running server among others on one database, from its start to its stop.
    ReplicaId, InvalidReplicaId, "replica"
}

time_ordered_id! {
    /// A record of the audit log.
    AuditId, InvalidAuditId, "audit record"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_a_short_unreserved_name() {
        assert!("orders".parse::<ClientId>().is_ok());
        assert!("-starts.with_hyphen~".parse::<ClientId>().is_ok());
        let too_long = "a".repeat(101);
        for bad in [
            "",
            "a b",
            "a/b",
            "ümlaut",
            "a\0b",
            "a:b",
            "a%41",
            too_long.as_str(),
        ] {
            assert_eq!(
                bad.parse::<ClientId>(),
                Err(InvalidClientId::Grammar),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_client_id_can_never_be_taken_for_a_user_id() {
        for uuid in [
            "01890a5d-ac96-774b-bcce-b302099a8057",
            "01890A5DAC96774BBCCEB302099A8057",
        ] {
            assert_eq!(uuid.parse::<ClientId>(), Err(InvalidClientId::Uuid));
        }
    }

    #[test]
    fn a_client_id_can_never_be_taken_for_a_secret() {
        for secret in [
            "tss1_q3NfW2m8Zk1dVb7xR0tYcJ4p",
            "tsr1_AA",
            "tsc1_",
            "tsl2_x",
        ] {
            assert_eq!(secret.parse::<ClientId>(), Err(InvalidClientId::Secret));
        }
        for id in [
            "ts",
            "tss1",
            "tss-1_",
            "tss1.shop",
            "tssh_shop",
            "orders_tss1_",
        ] {
            assert!(id.parse::<ClientId>().is_ok(), "{id}");
        }
    }

    #[test]
    fn a_kid_has_the_shape_of_a_sha256_thumbprint() {
        assert!(
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
                .parse::<Kid>()
                .is_ok()
        );
        for bad in [
            "",
            "abc",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9X=",
            "../../etc/passwd",
        ] {
            assert_eq!(bad.parse::<Kid>(), Err(InvalidKid));
        }
    }
}
