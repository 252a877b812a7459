//! What may be registered: the checks that keep every later request from failing.

use std::time::Duration;

use serde_json::{Map, Value};
use tokensmith_verify::{Audience, Claims, MAX_ACCESS_TOKEN_LIFETIME, REGISTERED_CLAIMS};

use super::client::ClientMetadata;
use super::id::ClientId;
use super::issuer::Issuer;

/// The largest access token that a registration may lead to, in bytes. Beyond it, tokens stop
/// fitting into the request headers of common servers (a mapping that would pass it is refused
/// when it is configured, not when a token is asked for).
pub const MAX_TOKEN_BYTES: usize = 4096;

/// Header and signature of the largest key (RSA-4096), both base64url, and the two dots.
const TOKEN_OVERHEAD_BYTES: usize = 110 + 683 + 2;

/// Why a registration is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidRegistration {
    /// No grant at all.
    #[error("register at least one grant type")]
    NoGrant,
    /// A name that is empty, longer than 100 characters, or has control characters.
    #[error("client_name is 1 to 100 characters without control characters")]
    Name,
    /// Outside 1 to 3,600 seconds.
    #[error("access_token_ttl is 1 to 3600 seconds, not {0}")]
    AccessTokenTtl(u32),
    /// The same audience twice.
    #[error("audience {0} is named twice")]
    DuplicateAudience(String),
    /// A fixed claim with a name that the server or a standard gives a meaning.
    #[error("claim {0:?} has a meaning of its own and cannot be set")]
    ReservedClaim(String),
    /// Verifiers would not read such claims.
    #[error("claims are at most 64 in number, and nest at most 8 deep")]
    ClaimsTooComplex,
    /// The token would pass [`MAX_TOKEN_BYTES`].
    #[error(
        "a token with these scopes, audiences and claims would take {0} bytes; the most is \
         {MAX_TOKEN_BYTES}, so that it fits into request headers"
    )]
    TokenTooLarge(usize),
}

/// Checks a registration as a whole.
pub fn check(
    id: &ClientId,
    metadata: &ClientMetadata,
    issuer: &Issuer,
) -> Result<(), InvalidRegistration> {
    if metadata.grant_types.is_empty() {
        return Err(InvalidRegistration::NoGrant);
    }
    if metadata
        .client_name
        .as_deref()
        .is_some_and(|name| !is_display_name(name))
    {
        return Err(InvalidRegistration::Name);
    }
    if let Some(seconds) = metadata.access_token_ttl {
        let lifetime = Duration::from_secs(seconds.into());
        if lifetime.is_zero() || lifetime > MAX_ACCESS_TOKEN_LIFETIME {
            return Err(InvalidRegistration::AccessTokenTtl(seconds));
        }
    }
    for (position, audience) in metadata.audiences.iter().enumerate() {
        if metadata
            .audiences
            .iter()
            .take(position)
            .any(|earlier| earlier == audience)
        {
            return Err(InvalidRegistration::DuplicateAudience(audience.to_string()));
        }
    }
    let reserved = |name: &&String| REGISTERED_CLAIMS.contains(&name.as_str());
    if let Some(name) = metadata.access_token_claims.keys().find(reserved) {
        return Err(InvalidRegistration::ReservedClaim(name.clone()));
    }
    if !is_readable(
        &Value::Object(metadata.access_token_claims.clone()),
        MOST_DEPTH,
    ) {
        return Err(InvalidRegistration::ClaimsTooComplex);
    }
    let bytes = largest_token_bytes(id, metadata, issuer);
    if bytes > MAX_TOKEN_BYTES {
        return Err(InvalidRegistration::TokenTooLarge(bytes));
    }
    Ok(())
}

/// Half of what `tokensmith-verify` reads: 16 levels, 128 members of an object.
const MOST_DEPTH: usize = 8;
const MOST_MEMBERS: usize = 64;

fn is_readable(value: &Value, depth_left: usize) -> bool {
    let Some(depth_below) = depth_left.checked_sub(1) else {
        return false;
    };
    match value {
        Value::Object(members) => {
            members.len() <= MOST_MEMBERS
                && members
                    .values()
                    .all(|member| is_readable(member, depth_below))
        }
        Value::Array(items) => items.iter().all(|item| is_readable(item, depth_below)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn is_display_name(name: &str) -> bool {
    let length = name.chars().count();
    (1..=100).contains(&length) && !name.chars().any(char::is_control)
}

/// The size of the token that carries everything the client may ask for.
fn largest_token_bytes(id: &ClientId, metadata: &ClientMetadata, issuer: &Issuer) -> usize {
    let audience = Audience::try_from(
        metadata
            .audiences
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
    )
    .unwrap_or_else(|_| Audience::one(issuer.as_str()));
    let claims: Claims<Map<String, Value>> = Claims {
        iss: issuer.to_string(),
        sub: id.to_string(),
        aud: audience,
        client_id: id.to_string(),
        exp: i64::from(u32::MAX),
        iat: i64::from(u32::MAX),
        jti: "A".repeat(22),
        scope: metadata.scope.clone(),
        sid: None,
        auth_time: None,
        amr: Vec::new(),
        acr: None,
        status: None,
        cnf: None,
        act: None,
        custom: metadata.access_token_claims.clone(),
    };
    let payload = serde_json::to_vec(&claims).map_or(usize::MAX / 8, |json| json.len());
    TOKEN_OVERHEAD_BYTES + (payload * 4).div_ceil(3)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::client::GrantType;
    use super::*;

    fn verdict(change: impl FnOnce(&mut ClientMetadata)) -> Result<(), InvalidRegistration> {
        let mut metadata = ClientMetadata {
            grant_types: [GrantType::ClientCredentials].into(),
            scope: "orders:read orders:write".parse().unwrap(),
            audiences: vec!["https://api.example.com".parse().unwrap()],
            ..ClientMetadata::default()
        };
        change(&mut metadata);
        let issuer = Issuer::parse("https://login.example.com").unwrap();
        check(&"orders".parse().unwrap(), &metadata, &issuer)
    }

    #[test]
    fn an_ordinary_registration_is_accepted() {
        assert_eq!(verdict(|_| ()), Ok(()));
        assert_eq!(verdict(|m| m.access_token_ttl = Some(3600)), Ok(()));
        assert_eq!(
            verdict(|m| {
                m.access_token_claims.insert("tier".into(), json!(1));
            }),
            Ok(())
        );
    }

    #[test]
    fn each_mistake_is_refused_with_its_own_reason() {
        use InvalidRegistration as No;
        assert_eq!(verdict(|m| m.grant_types.clear()), Err(No::NoGrant));
        assert_eq!(
            verdict(|m| m.client_name = Some(String::new())),
            Err(No::Name)
        );
        assert_eq!(
            verdict(|m| m.client_name = Some("a\u{7}b".into())),
            Err(No::Name)
        );
        assert_eq!(
            verdict(|m| m.access_token_ttl = Some(0)),
            Err(No::AccessTokenTtl(0))
        );
        assert_eq!(
            verdict(|m| m.access_token_ttl = Some(3601)),
            Err(No::AccessTokenTtl(3601))
        );
        assert_eq!(
            verdict(|m| m.audiences.push("https://api.example.com".parse().unwrap())),
            Err(No::DuplicateAudience("https://api.example.com".into())),
        );
        for name in ["sub", "aud", "scope", "cnf", "act", "sid"] {
            assert_eq!(
                verdict(|m| {
                    m.access_token_claims.insert(name.into(), json!("x"));
                }),
                Err(No::ReservedClaim(name.into())),
            );
        }
    }

    #[test]
    fn claims_that_verifiers_would_not_read_are_refused() {
        let deep = (0..20).fold(json!(1), |inner, _| json!([inner]));
        let outcome = verdict(|m| {
            m.access_token_claims.insert("deep".into(), deep);
        });
        assert_eq!(outcome, Err(InvalidRegistration::ClaimsTooComplex));
        let outcome = verdict(|m| {
            m.access_token_claims = (0..65).map(|n| (format!("c{n}"), json!(n))).collect();
        });
        assert_eq!(outcome, Err(InvalidRegistration::ClaimsTooComplex));
    }

    #[test]
    fn a_token_that_would_not_fit_into_headers_is_refused_when_it_is_configured() {
        let long = "x".repeat(3000);
        let outcome = verdict(|m| {
            m.access_token_claims.insert("blob".into(), json!(long));
        });
        assert!(matches!(outcome, Err(InvalidRegistration::TokenTooLarge(bytes)) if bytes > 4096));
    }
}
