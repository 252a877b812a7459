//! Making and checking what is given to clients besides access tokens in JWT form.

use serde_json::{Map, Value};
use tokensmith_verify::{Claims, Reject};
use zeroize::Zeroizing;

use super::{CodeDigest, NoEntropy, RequestDigest};
use crate::domain::Timestamp;
use crate::domain::id::{ClientId, LoginId, SessionId, UserId};
use crate::domain::rotation::{Generation, RetryKeyDigest};
use crate::domain::session::SessionSecret;
use crate::domain::throttle::ThrottleKey;

/// A refresh token that parses; whether its MAC is good is not known before the secret of its
/// session is.
#[derive(Clone)]
pub struct UnverifiedRefreshToken {
    /// The session that it claims to be of.
    pub session: SessionId,
    /// The generation that it claims to be.
    pub generation: Generation,
    /// What proves it.
    pub mac: [u8; 24],
}

/// What a reference access token says (`tsa1_…`). It has no row of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceToken {
    /// The session that it stands for.
    pub session: SessionId,
    /// When it was made, in whole seconds.
    pub issued_at: Timestamp,
    /// When it ends, in whole seconds.
    pub expires_at: Timestamp,
    /// The scope, space-delimited, where it is narrower than that of the session.
    pub scope: Option<String>,
    /// The audience, space-delimited, where it is not that of the session.
    pub audience: Option<String>,
}

/// A reference token that parses.
#[derive(Clone)]
pub struct UnverifiedReferenceToken {
    /// What it claims.
    pub token: ReferenceToken,
    /// The bytes under the MAC.
    pub signed: Vec<u8>,
    /// What proves it.
    pub mac: [u8; 24],
}

/// What a browser sent as proof of a login.
#[derive(Clone)]
pub struct UnverifiedLoginCookie {
    /// The login that it claims to be of.
    pub login: LoginId,
    /// What proves it.
    pub mac: [u8; 24],
}

/// Makes and checks the tokens of sessions, authorization codes, and keyed digests.
///
/// The key of a session's tokens is derived from the master key *and* the secret in the session's
/// row: neither alone forges one.
pub trait SessionTokens: Send + Sync {
    /// A new secret for a session.
    fn new_session_secret(&self) -> Result<SessionSecret, NoEntropy>;

    /// The refresh token of a generation: `tsr1_` and base64url of session, generation and MAC. The
    /// same every time it is asked for.
    fn refresh_token(
        &self,
        session: SessionId,
        generation: Generation,
        secret: &SessionSecret,
    ) -> Zeroizing<String>;
    /// Reads a refresh token. One that is malformed or not canonical is none.
    fn read_refresh_token(&self, text: &str) -> Option<UnverifiedRefreshToken>;
    /// Whether the MAC is good; in constant time.
    fn refresh_token_is_good(&self, token: &UnverifiedRefreshToken, secret: &SessionSecret)
    -> bool;

    /// A reference access token.
    fn reference_token(&self, token: &ReferenceToken, secret: &SessionSecret) -> String;
    /// Reads a reference token.
    fn read_reference_token(&self, text: &str) -> Option<UnverifiedReferenceToken>;
    /// Whether the MAC is good; in constant time.
    fn reference_token_is_good(
        &self,
        token: &UnverifiedReferenceToken,
        secret: &SessionSecret,
    ) -> bool;

    /// A new authorization code: its text, given out once, and its digest, stored.
    fn new_code(&self) -> Result<(Zeroizing<String>, CodeDigest), NoEntropy>;
    /// The digest of what looks like a code.
    fn read_code(&self, text: &str) -> Option<CodeDigest>;

    /// What a browser keeps to prove a login. The same every time it is asked for.
    fn login_cookie(&self, login: LoginId, secret: &SessionSecret) -> Zeroizing<String>;
    /// Reads what a browser sent as proof of a login.
    fn read_login_cookie(&self, text: &str) -> Option<UnverifiedLoginCookie>;
    /// Whether the MAC is good; in constant time.
    fn login_cookie_is_good(&self, cookie: &UnverifiedLoginCookie, secret: &SessionSecret) -> bool;
    /// What the forms of a login carry, so that no other site can post them.
    fn form_token(&self, login: LoginId) -> String;
    /// Whether a form carries the token of that login; in constant time.
    fn form_token_is_good(&self, login: LoginId, presented: &str) -> bool;
    /// A random name for a browser: 128 bits.
    fn new_browser_name(&self) -> Result<String, NoEntropy>;

    /// A new name for a pushed request, and the digest under which it is stored.
    fn new_request_name(&self) -> Result<(String, RequestDigest), NoEntropy>;
    /// The digest under which it is kept in mind that a sealed request was answered.
    fn sealed_request_digest(&self, sealed: &str) -> RequestDigest;
    /// The digest of what looks like the name of a pushed request.
    fn read_request_name(&self, text: &str) -> Option<RequestDigest>;

    /// `at_hash` of an access token for RS256 (`OpenID` Connect Core §3.1.3.6).
    fn access_token_hash(&self, access_token: &str) -> String;

    /// The digest of an `Idempotency-Key`, bound to the session.
    fn retry_key(&self, session: SessionId, key: &[u8]) -> RetryKeyDigest;
    /// The digest under which attempts are counted.
    fn throttle_key(&self, kind: &'static str, name: &[u8]) -> ThrottleKey;

    /// Seals bytes (AES-256-GCM) for the way through a client and back.
    fn seal(&self, purpose: &'static str, plain: &[u8]) -> Result<String, NoEntropy>;
    /// Opens what [`Self::seal`] made for the same purpose.
    fn open(&self, purpose: &'static str, sealed: &str) -> Option<Zeroizing<Vec<u8>>>;

    /// Whether `verifier` belongs to the `S256` challenge (RFC 7636 §4.6).
    fn pkce_matches(&self, verifier: &str, challenge: &str) -> bool;
}

/// What an ID token of this server says about whom it is for, however old it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenHint {
    /// The client that it was issued to.
    pub client_id: ClientId,
    /// Of whom it speaks.
    pub user_id: UserId,
    /// The session in which it was issued.
    pub session: Option<SessionId>,
}

/// Reads the signed ID tokens of this server.
pub trait IdTokenReader: Send + Sync {
    /// What an ID token says whose signature is good and which is of this issuer. Its expiry does not
    /// count, and its key may have left the key set (`OpenID` Connect Core §3.1.2.1), unless that was
    /// withdrawn.
    fn read_id_token_hint(&self, text: &str) -> Option<IdTokenHint>;
}

/// Reads the signed access tokens of this server, whatever API they are for.
pub trait AccessTokenReader: Send + Sync {
    /// What a token says whose signature is good, which is of this issuer, and which has not
    /// expired. Whether its session is live it does not know.
    ///
    /// # Errors
    /// Which rule the token breaks: for logs and metrics, never for the sender.
    fn read_access_token(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Result<Claims<Map<String, Value>>, Reject>;
}
