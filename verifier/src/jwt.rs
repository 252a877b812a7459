//! The rules for an access token's claims (RFC 9068 §4, RFC 7519 §7.2).
//!
//! They run after the signature was verified, on members borrowed from the payload. Only a token
//! that passes all of them is turned into [`Claims`].

use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IntoDeserializer as _};

use crate::claims::{Actor, Confirmation, Status};
use crate::json::{Fault, Object, Value};
use crate::jws::Header;
use crate::numeric_date::NumericDate;
use crate::{ACCESS_TOKEN_TYP, Algorithm, Claims, Reject, ScopeSet};

/// What a verifier demands of a token.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) issuer: String,
    /// Any one of these; `None` accepts every audience.
    pub(crate) audiences: Option<Vec<String>>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) leeway: Duration,
    pub(crate) max_lifetime: Duration,
    pub(crate) max_token_bytes: usize,
}

impl Header<'_> {
    /// RFC 9068 §4: `at+jwt` or `application/at+jwt`, and nothing else. RFC 7515 §4.1.9: a media
    /// type, so case does not matter.
    pub(crate) fn require_access_token(&self) -> Result<(), Reject> {
        let typ = self.typ.as_deref().ok_or(Reject::WrongType)?;
        let (prefix, rest) = typ
            .split_at_checked("application/".len())
            .unwrap_or(("", typ));
        let subtype = if prefix.eq_ignore_ascii_case("application/") {
            rest
        } else {
            typ
        };
        if subtype.eq_ignore_ascii_case(ACCESS_TOKEN_TYP) {
            Ok(())
        } else {
            Err(Reject::WrongType)
        }
    }
}

/// The instants of a token, in Unix seconds: what is left to check of one that was good before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
}

impl Policy {
    /// Reads the payload of a token whose signature is good.
    pub(crate) fn read_claims<X: DeserializeOwned>(
        &self,
        payload: &[u8],
        now: i64,
    ) -> Result<(Claims<X>, Times), Reject> {
        let members = Object::parse(payload).map_err(malformed_payload)?;
        let times = self.check(&members, now)?;
        Ok((to_claims(&members)?, times))
    }

    fn check(&self, members: &Object<'_>, now: i64) -> Result<Times, Reject> {
        // RFC 9068 §4: the issuer must match exactly, so must one of the audiences.
        if non_empty_text(members, "iss")? != self.issuer {
            return Err(Reject::WrongIssuer);
        }
        self.check_audience(members)?;
        non_empty_text(members, "sub")?;
        non_empty_text(members, "client_id")?;
        non_empty_text(members, "jti")?;
        let times = self.read_times(members)?;
        self.check_times(times, now)?;
        Ok(times)
    }

    fn check_audience(&self, members: &Object<'_>) -> Result<(), Reject> {
        let is_meant = |recipient: &str| {
            self.audiences
                .as_ref()
                .is_none_or(|accepted| accepted.iter().any(|a| a == recipient))
        };
        let is_meant = match members.get("aud") {
            None => return Err(Reject::MissingClaim("aud")),
            Some(Value::Text(recipient)) if !recipient.is_empty() => is_meant(recipient),
            Some(Value::Array(recipients)) if !recipients.is_empty() => {
                let mut is_any_meant = false;
                for recipient in recipients {
                    // One bad element spoils the claim, whatever the others are.
                    let recipient = recipient.as_text().filter(|text| !text.is_empty());
                    is_any_meant |= is_meant(recipient.ok_or(Reject::InvalidClaim("aud"))?);
                }
                is_any_meant
            }
            Some(_) => return Err(Reject::InvalidClaim("aud")),
        };
        if is_meant {
            Ok(())
        } else {
            Err(Reject::WrongAudience)
        }
    }

    fn read_times(&self, members: &Object<'_>) -> Result<Times, Reject> {
        let exp = date(members, "exp")?.ok_or(Reject::MissingClaim("exp"))?;
        let iat = date(members, "iat")?.ok_or(Reject::MissingClaim("iat"))?;
        let nbf = date(members, "nbf")?;
        // Both instants come from the issuer's clock, so there is no skew to forgive.
        if exp <= iat {
            return Err(Reject::InvalidClaim("exp"));
        }
        if exp - iat > seconds(self.max_lifetime) {
            return Err(Reject::LifetimeTooLong);
        }
        Ok(Times { exp, iat, nbf })
    }

    /// Whether now is a time at which the token is good.
    pub(crate) fn check_times(&self, times: Times, now: i64) -> Result<(), Reject> {
        let Times { exp, iat, nbf } = times;
        let leeway = seconds(self.leeway);
        // RFC 7519 §4.1.4: now must be before `exp`.
        if now >= exp.saturating_add(leeway) {
            return Err(Reject::Expired);
        }
        let latest_start = now.saturating_add(leeway);
        if nbf.is_some_and(|nbf| nbf > latest_start) {
            return Err(Reject::NotYetValid);
        }
        if iat > latest_start {
            return Err(Reject::IssuedInFuture);
        }
        Ok(())
    }
}

/// Reads a payload that has passed every rule once more, for claims of another type.
pub(crate) fn read_claims_again<X: DeserializeOwned>(payload: &[u8]) -> Result<Claims<X>, Reject> {
    to_claims(&Object::parse(payload).map_err(malformed_payload)?)
}

fn to_claims<X: DeserializeOwned>(members: &Object<'_>) -> Result<Claims<X>, Reject> {
    Claims::deserialize(members.into_deserializer()).map_err(|_| culprit(members))
}

fn non_empty_text<'o>(members: &'o Object<'_>, name: &'static str) -> Result<&'o str, Reject> {
    let value = members.get(name).ok_or(Reject::MissingClaim(name))?;
    value
        .as_text()
        .filter(|text| !text.is_empty())
        .ok_or(Reject::InvalidClaim(name))
}

fn date(members: &Object<'_>, name: &'static str) -> Result<Option<i64>, Reject> {
    let Some(value) = members.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_number().and_then(NumericDate::unix_seconds);
    seconds.map(Some).ok_or(Reject::InvalidClaim(name))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn malformed_payload(fault: Fault) -> Reject {
    match fault {
        Fault::Syntax => Reject::MalformedPayload,
        Fault::DuplicateMember => Reject::DuplicateMember,
        Fault::TooComplex => Reject::JsonTooComplex,
    }
}

/// Names the claim that kept the members from becoming [`Claims`]; only runs on rejection.
fn culprit(members: &Object<'_>) -> Reject {
    fn lacks<'de, T: Deserialize<'de>>(value: &Value<'de>) -> bool {
        T::deserialize(value).is_err()
    }
    let is_wrong = |name: &&str| {
        members.get(name).is_some_and(|value| match *name {
            "scope" => lacks::<ScopeSet>(value),
            "sid" | "acr" => lacks::<String>(value),
            "auth_time" => value
                .as_number()
                .and_then(NumericDate::unix_seconds)
                .is_none(),
            "amr" => lacks::<Vec<String>>(value),
            "status" => lacks::<Status>(value),
            "cnf" => lacks::<Confirmation>(value),
            _ => lacks::<Actor>(value),
        })
    };
    [
        "scope",
        "sid",
        "auth_time",
        "amr",
        "acr",
        "status",
        "cnf",
        "act",
    ]
    .into_iter()
    .find(is_wrong)
    .map_or(Reject::InvalidCustomClaims, Reject::InvalidClaim)
}
