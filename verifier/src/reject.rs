//! Why a token was not accepted.

/// Why a token was not accepted: precise for logs and metrics, and never for the sender.
///
/// An HTTP service answers every [permanent](Reject::is_transient) rejection with one opaque
/// `invalid_token` (RFC 6750 §3.1), so that nobody can use it as an oracle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// Longer than the limit; checked before anything is split or decoded.
    #[error("the token is longer than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Not three non-empty parts (RFC 7515 §7.1). Five would be JWE, a brace JSON serialisation
    /// (RFC 8725 §2.6).
    #[error("the token is not a compact JWS of three parts")]
    NotCompactJws,
    /// A part is not canonical base64url: padding, a foreign character, or stray trailing bits
    /// (RFC 7515 §2, RFC 4648 §3.5).
    #[error("a part of the token is not canonical base64url")]
    NotBase64url,
    /// The header is not one JSON object with the types that RFC 7515 §4.1 demands.
    #[error("the header is not a well-formed JOSE header")]
    MalformedHeader,
    /// The payload is not one JSON object (RFC 7519 §7.2).
    #[error("the payload is not a JSON object")]
    MalformedPayload,
    /// A member name occurs twice, in the header or anywhere in the payload (RFC 7515 §4,
    /// RFC 7519 §4).
    #[error("a member name occurs twice")]
    DuplicateMember,
    /// JSON nested deeper, or with more members, than any honest token has.
    #[error("the JSON is nested too deeply or has too many members")]
    JsonTooComplex,
    /// `alg` is `none`, unknown, or not on the verifier's list (RFC 8725 §3.1).
    #[error("the algorithm is not allowed")]
    AlgorithmNotAllowed,
    /// A `crit` header: this library implements no extension (RFC 7515 §4.1.11).
    #[error("the header demands an extension")]
    CriticalExtension,
    /// No `kid`. A key is never guessed.
    #[error("the header names no key")]
    MissingKid,
    /// `kid` is empty or too long to be one of ours.
    #[error("the key id is not plausible")]
    ImplausibleKid,
    /// No key of this id is in the key set. There is no fallback to another key.
    #[error("the key is unknown")]
    UnknownKid,
    /// The key is bound to another algorithm than the header names (RFC 8725 §3.1: one key, one
    /// algorithm).
    #[error("the key is not for this algorithm")]
    AlgorithmMismatch,
    /// The signature does not verify (RFC 7515 §5.2).
    #[error("the signature is wrong")]
    BadSignature,
    /// `typ` is not `at+jwt`: another kind of token (RFC 9068 §4, RFC 8725 §3.11).
    #[error("the token is of another type")]
    WrongType,
    /// A claim that RFC 9068 §2.2 requires is absent; with revocation also `status`.
    #[error("the claim `{0}` is missing")]
    MissingClaim(&'static str),
    /// A claim has the wrong type or an impossible value.
    #[error("the claim `{0}` is invalid")]
    InvalidClaim(&'static str),
    /// Issued by somebody else (RFC 9068 §4).
    #[error("the issuer is another")]
    WrongIssuer,
    /// Meant for somebody else (RFC 9068 §4).
    #[error("the audience is another")]
    WrongAudience,
    /// `exp` has passed (RFC 7519 §4.1.4).
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come yet (RFC 7519 §4.1.5).
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` lies in the future.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// `exp` − `iat` is above the longest lifetime accepted.
    #[error("the token lives longer than tokens may")]
    LifetimeTooLong,
    /// The custom claims do not have the type that the service asked for.
    #[error("the custom claims do not have the expected form")]
    InvalidCustomClaims,
    /// The token's session was ended, or the credential that it was issued for was withdrawn.
    #[error("the token was revoked")]
    Revoked,
    /// Issued before the instant from which tokens of its client, its key or its issuer count.
    #[error("the token was issued before a cut-off")]
    CutOff,
    /// The token's status is kept in a list that is not its issuer's. Nothing is fetched from it.
    #[error("the status list is not the issuer's")]
    ForeignStatusList,
    /// The token's status is kept in a list of its issuer that has not been announced yet.
    /// Transient: the reader takes a look.
    #[error("the status list is not known yet")]
    UnknownStatusList,
    /// Nothing has been heard of revocations for longer than the policy allows
    /// ([`Freshness`](crate::Freshness)). Transient.
    #[error("nothing has been heard of revocations for too long")]
    RevocationStale,
    /// Nothing is known of revocations yet. Transient.
    #[error("nothing is known of revocations yet")]
    RevocationUnavailable,
    /// There is no usable key set: nothing can be said about the token. Transient.
    #[error("no keys are available")]
    KeysUnavailable,
}

impl Reject {
    /// Every reason there is: the values that the label of a metric can have.
    pub const REASONS: &[&str] = &[
        "too_large",
        "not_compact_jws",
        "not_base64url",
        "malformed_header",
        "malformed_payload",
        "duplicate_member",
        "json_too_complex",
        "algorithm_not_allowed",
        "critical_extension",
        "missing_kid",
        "implausible_kid",
        "unknown_kid",
        "algorithm_mismatch",
        "bad_signature",
        "wrong_type",
        "missing_claim",
        "invalid_claim",
        "wrong_issuer",
        "wrong_audience",
        "expired",
        "not_yet_valid",
        "issued_in_future",
        "lifetime_too_long",
        "invalid_custom_claims",
        "revoked",
        "cut_off",
        "foreign_status_list",
        "unknown_status_list",
        "revocation_stale",
        "revocation_unavailable",
        "keys_unavailable",
    ];

    /// A short, stable label in `snake_case` for logs and metrics. It never contains anything that
    /// the sender chose.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotCompactJws => "not_compact_jws",
            Self::NotBase64url => "not_base64url",
            Self::MalformedHeader => "malformed_header",
            Self::MalformedPayload => "malformed_payload",
            Self::DuplicateMember => "duplicate_member",
            Self::JsonTooComplex => "json_too_complex",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::CriticalExtension => "critical_extension",
            Self::MissingKid => "missing_kid",
            Self::ImplausibleKid => "implausible_kid",
            Self::UnknownKid => "unknown_kid",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::BadSignature => "bad_signature",
            Self::WrongType => "wrong_type",
            Self::MissingClaim(_) => "missing_claim",
            Self::InvalidClaim(_) => "invalid_claim",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::InvalidCustomClaims => "invalid_custom_claims",
            Self::Revoked => "revoked",
            Self::CutOff => "cut_off",
            Self::ForeignStatusList => "foreign_status_list",
            Self::UnknownStatusList => "unknown_status_list",
            Self::RevocationStale => "revocation_stale",
            Self::RevocationUnavailable => "revocation_unavailable",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }

    /// The claim that is missing or invalid.
    #[must_use]
    pub fn claim(&self) -> Option<&'static str> {
        match self {
            Self::MissingClaim(name) | Self::InvalidClaim(name) => Some(name),
            _ => None,
        }
    }

    /// Whether the same token may be accepted later without anything being wrong with it: an HTTP
    /// service answers 503, not 401, so that clients keep their tokens.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::KeysUnavailable
                | Self::RevocationUnavailable
                | Self::RevocationStale
                | Self::UnknownStatusList
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_listed_in_the_order_of_the_variants() {
        // The compiler sees to it that `reason` knows every variant; here to it that the list does.
        let told: Vec<&str> = include_str!("reject.rs")
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once("=> \""))
            .filter_map(|(_, reason)| reason.strip_suffix("\","))
            .collect();
        assert_eq!(told, Reject::REASONS);
    }
}
