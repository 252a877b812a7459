//! Proof Key for Code Exchange (RFC 7636).

use crate::domain::client::{Client, PkcePolicy};
use crate::domain::error::OAuthError;

/// The challenge of a request (RFC 7636 §4.3, §4.4.1), unless the client may do without. `plain`,
/// which is also what no method means, protects nothing.
pub(super) fn check_challenge(
    client: &Client,
    challenge: Option<&str>,
    method: Option<&str>,
) -> Result<Option<String>, OAuthError> {
    let invalid = |description| Err(OAuthError::invalid_request(description));
    match (challenge, method) {
        (Some(challenge), Some("S256")) if is_s256_challenge(challenge) => {
            Ok(Some(challenge.to_owned()))
        }
        (Some(_), Some("S256")) => invalid("code_challenge is 43 characters of base64url"),
        (Some(_), _) => invalid("code_challenge_method must be S256"),
        (None, Some(_)) => invalid("code_challenge is missing"),
        (None, None) if client.metadata.pkce == PkcePolicy::Optional => Ok(None),
        (None, None) => invalid("code_challenge is missing: this client must use PKCE with S256"),
    }
}

fn is_s256_challenge(text: &str) -> bool {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    text.len() == 43 && text.bytes().all(base64url)
}

/// RFC 7636 §4.1: 43 to 128 unreserved characters.
pub(super) fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}
