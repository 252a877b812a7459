//! What may be registered: the checks that keep every later request from failing.

use std::time::Duration;

use serde_json::{Map, Value};
use tokensmith_verify::{Audience, Claims, MAX_ACCESS_TOKEN_LIFETIME, REGISTERED_CLAIMS};

use super::client::{AccessTokenFormat, ClientMetadata, GrantType, PkcePolicy};
use super::id::ClientId;
use super::issuer::Issuer;

/// The largest access token that a registration may lead to, in bytes. Beyond it, tokens stop
/// fitting into the request headers of common servers (a mapping that would pass it is refused
/// when it is configured, not when a token is asked for).
pub const MAX_TOKEN_BYTES: usize = 4096;

/// Header and signature of the largest key (RSA-4096), both base64url, and the two dots.
const TOKEN_OVERHEAD_BYTES: usize = 110 + 683 + 2;

/// The most redirect URIs of one client, for codes and as many after a logout.
pub const MOST_REDIRECT_URIS: usize = 32;

/// The longest that the refresh token before the current one may be repeated, in seconds: an hour.
pub const MAX_RETRY_WINDOW: u32 = 3600;

/// The shortest lifetime of a session, used or unused, in seconds: a minute.
pub const MIN_SESSION_TTL: u32 = 60;

/// The longest lifetime of a session, used or unused, in seconds: ten years.
pub const MAX_SESSION_TTL: u32 = 315_360_000;

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
    /// The same redirect URI twice.
    #[error("redirect URI {0} is named twice")]
    DuplicateRedirectUri(String),
    /// The same redirect URI for after a logout twice.
    #[error("post-logout redirect URI {0} is named twice")]
    DuplicatePostLogoutRedirectUri(String),
    /// The same resource server twice.
    #[error("resource server {0} is named twice")]
    DuplicateResourceServer(String),
    /// More than [`MOST_REDIRECT_URIS`].
    #[error("a client has at most {MOST_REDIRECT_URIS} redirect URIs, not {0}")]
    TooManyRedirectUris(usize),
    /// More than [`MOST_REDIRECT_URIS`].
    #[error("a client has at most {MOST_REDIRECT_URIS} post-logout redirect URIs, not {0}")]
    TooManyPostLogoutRedirectUris(usize),
    /// Nowhere to send a code to, and no right to take passwords itself.
    #[error("authorization_code needs at least one redirect URI, unless the client is first-party")]
    NoRedirectUri,
    /// A session begins with a login.
    #[error("the grant refresh_token needs the grant authorization_code as well")]
    RefreshWithoutLogin,
    /// Only who was logged in is logged out.
    #[error("backchannel_logout_uri needs the grant authorization_code")]
    LogoutWithoutLogin,
    /// Whoever knows its id would get tokens.
    #[error(
        "a public client cannot have the grant client_credentials: it does not prove who it is \
         (RFC 6749 section 4.4)"
    )]
    PublicService,
    /// Nothing else binds its codes to it.
    #[error("pkce cannot be optional for a public client (RFC 9700 section 2.1.1)")]
    PublicWithoutPkce,
    /// Nothing else tells a thief of its refresh token from itself.
    #[error("rotate_refresh_tokens cannot be false for a public client (RFC 9700 section 4.14.2)")]
    PublicWithoutRotation,
    /// Anybody could ask about tokens in its name.
    #[error(
        "a public client cannot introspect tokens, so it has no resource_servers (RFC 7662 \
         section 2.1)"
    )]
    PublicResourceServer,
    /// A service has no session that the token could stand for.
    #[error(
        "access_token_format reference and the grant client_credentials do not go together: a \
         reference token stands for a session"
    )]
    ReferenceWithoutSession,
    /// More than [`MAX_RETRY_WINDOW`].
    #[error("retry_window is 0 to {MAX_RETRY_WINDOW} seconds, not {0}")]
    RetryWindow(u32),
    /// Shorter than [`MIN_SESSION_TTL`] or longer than [`MAX_SESSION_TTL`].
    #[error("session_idle_ttl is {MIN_SESSION_TTL} to {MAX_SESSION_TTL} seconds, not {0}")]
    SessionIdleTtl(u32),
    /// Shorter than [`MIN_SESSION_TTL`] or longer than [`MAX_SESSION_TTL`].
    #[error("session_ttl is {MIN_SESSION_TTL} to {MAX_SESSION_TTL} seconds, not {0}")]
    SessionTtl(u32),
    /// Unused sessions would outlive used ones.
    #[error("session_idle_ttl ({idle}) is at most session_ttl ({absolute})")]
    IdleBeyondSession {
        /// `session_idle_ttl`, in seconds.
        idle: u32,
        /// `session_ttl`, in seconds.
        absolute: u32,
    },
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
    if metadata
        .client_name
        .as_deref()
        .is_some_and(|name| !is_display_name(name))
    {
        return Err(InvalidRegistration::Name);
    }
    check_grants(metadata)?;
    check_public_client(metadata)?;
    check_lists(metadata)?;
    check_lifetimes(metadata)?;
    check_claims(&metadata.access_token_claims)?;
    let bytes = largest_token_bytes(id, metadata, issuer);
    if bytes > MAX_TOKEN_BYTES {
        return Err(InvalidRegistration::TokenTooLarge(bytes));
    }
    Ok(())
}

fn check_grants(metadata: &ClientMetadata) -> Result<(), InvalidRegistration> {
    let has = |grant| metadata.grant_types.contains(&grant);
    if metadata.grant_types.is_empty() {
        return Err(InvalidRegistration::NoGrant);
    }
    let logs_in = has(GrantType::AuthorizationCode);
    if has(GrantType::RefreshToken) && !logs_in {
        return Err(InvalidRegistration::RefreshWithoutLogin);
    }
    if metadata.backchannel_logout_uri.is_some() && !logs_in {
        return Err(InvalidRegistration::LogoutWithoutLogin);
    }
    if logs_in && !metadata.first_party && metadata.redirect_uris.is_empty() {
        return Err(InvalidRegistration::NoRedirectUri);
    }
    let is_reference = metadata.access_token_format == AccessTokenFormat::Reference;
    if is_reference && has(GrantType::ClientCredentials) {
        return Err(InvalidRegistration::ReferenceWithoutSession);
    }
    Ok(())
}

/// What a client that cannot prove who it is must not have.
fn check_public_client(metadata: &ClientMetadata) -> Result<(), InvalidRegistration> {
    if !metadata.is_public() {
        return Ok(());
    }
    // RFC 6749 §4.4: the grant is for confidential clients only.
    if metadata.grant_types.contains(&GrantType::ClientCredentials) {
        return Err(InvalidRegistration::PublicService);
    }
    if metadata.pkce == PkcePolicy::Optional {
        return Err(InvalidRegistration::PublicWithoutPkce);
    }
    if !metadata.rotates_refresh_tokens() {
        return Err(InvalidRegistration::PublicWithoutRotation);
    }
    if !metadata.resource_servers.is_empty() {
        return Err(InvalidRegistration::PublicResourceServer);
    }
    Ok(())
}

fn check_lists(metadata: &ClientMetadata) -> Result<(), InvalidRegistration> {
    use InvalidRegistration as No;
    if let Some(audience) = find_duplicate(&metadata.audiences) {
        return Err(No::DuplicateAudience(audience.to_string()));
    }
    if let Some(uri) = find_duplicate(&metadata.redirect_uris) {
        return Err(No::DuplicateRedirectUri(uri.to_string()));
    }
    if let Some(uri) = find_duplicate(&metadata.post_logout_redirect_uris) {
        return Err(No::DuplicatePostLogoutRedirectUri(uri.to_string()));
    }
    if let Some(server) = find_duplicate(&metadata.resource_servers) {
        return Err(No::DuplicateResourceServer(server.to_string()));
    }
    let redirect_uris = metadata.redirect_uris.len();
    if redirect_uris > MOST_REDIRECT_URIS {
        return Err(No::TooManyRedirectUris(redirect_uris));
    }
    let after_logout = metadata.post_logout_redirect_uris.len();
    if after_logout > MOST_REDIRECT_URIS {
        return Err(No::TooManyPostLogoutRedirectUris(after_logout));
    }
    Ok(())
}

fn find_duplicate<T: PartialEq>(items: &[T]) -> Option<&T> {
    let mut places = items.iter().enumerate();
    places
        .find(|(place, item)| items.iter().take(*place).any(|earlier| earlier == *item))
        .map(|(_, item)| item)
}

fn check_lifetimes(metadata: &ClientMetadata) -> Result<(), InvalidRegistration> {
    use InvalidRegistration as No;
    if let Some(seconds) = metadata.access_token_ttl {
        let lifetime = Duration::from_secs(seconds.into());
        if lifetime.is_zero() || lifetime > MAX_ACCESS_TOKEN_LIFETIME {
            return Err(No::AccessTokenTtl(seconds));
        }
    }
    if let Some(seconds) = metadata.retry_window.filter(|s| *s > MAX_RETRY_WINDOW) {
        return Err(No::RetryWindow(seconds));
    }
    let is_out_of_bounds = |seconds: &u32| !(MIN_SESSION_TTL..=MAX_SESSION_TTL).contains(seconds);
    if let Some(seconds) = metadata.session_idle_ttl.filter(is_out_of_bounds) {
        return Err(No::SessionIdleTtl(seconds));
    }
    if let Some(seconds) = metadata.session_ttl.filter(is_out_of_bounds) {
        return Err(No::SessionTtl(seconds));
    }
    match metadata.session_idle_ttl.zip(metadata.session_ttl) {
        Some((idle, absolute)) if idle > absolute => Err(No::IdleBeyondSession { idle, absolute }),
        _ => Ok(()),
    }
}

fn check_claims(claims: &Map<String, Value>) -> Result<(), InvalidRegistration> {
    let reserved = |name: &&String| REGISTERED_CLAIMS.contains(&name.as_str());
    if let Some(name) = claims.keys().find(reserved) {
        return Err(InvalidRegistration::ReservedClaim(name.clone()));
    }
    if !is_readable(&Value::Object(claims.clone()), MOST_DEPTH) {
        return Err(InvalidRegistration::ClaimsTooComplex);
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

/// The size of the largest token that carries everything the client may ask for.
fn largest_token_bytes(id: &ClientId, metadata: &ClientMetadata, issuer: &Issuer) -> usize {
    let has = |grant| metadata.grant_types.contains(&grant);
    let own = has(GrantType::ClientCredentials).then(|| claims_for_itself(id, metadata, issuer));
    let of_person = has(GrantType::AuthorizationCode)
        .then(|| claims_for_a_person(claims_for_itself(id, metadata, issuer)));
    let payload = own
        .into_iter()
        .chain(of_person)
        .map(|claims| serde_json::to_vec(&claims).map_or(usize::MAX / 8, |json| json.len()))
        .max()
        .unwrap_or_default();
    TOKEN_OVERHEAD_BYTES + (payload * 4).div_ceil(3)
}

fn claims_for_itself(
    id: &ClientId,
    metadata: &ClientMetadata,
    issuer: &Issuer,
) -> Claims<Map<String, Value>> {
    let audience = Audience::try_from(
        metadata
            .audiences
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
    )
    .unwrap_or_else(|_| Audience::one(issuer.as_str()));
    Claims {
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
    }
}

/// The same token for somebody who has logged in with a second factor.
fn claims_for_a_person(claims: Claims<Map<String, Value>>) -> Claims<Map<String, Value>> {
    // People and sessions have UUIDs for ids.
    let uuid = "0".repeat(36);
    Claims {
        sub: uuid.clone(),
        sid: Some(uuid),
        auth_time: Some(i64::from(u32::MAX)),
        amr: vec!["pwd".to_owned(), "otp".to_owned()],
        acr: Some("1".to_owned()),
        ..claims
    }
}

#[cfg(test)]
mod tests;
