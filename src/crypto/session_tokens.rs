//! Refresh tokens, reference tokens, authorization codes, and the keyed digests around them.
//!
//! The key of a session's tokens is `HKDF-Expand(PRK, label)` with
//! `PRK = HMAC(master-derived key, session secret)`: the master key in a file and the secret in the
//! database are both needed, so neither a stolen database nor a stolen file forges a token.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::MasterKey;
use super::secret::{is_well_formed, with_checksum};
use crate::domain::Timestamp;
use crate::domain::id::{LoginId, SessionId};
use crate::domain::ports::{
    CodeDigest, Entropy, NoEntropy, ReferenceToken, RequestDigest, SessionTokens,
    UnverifiedLoginCookie, UnverifiedReferenceToken, UnverifiedRefreshToken,
};
use crate::domain::rotation::{Generation, RetryKeyDigest};
use crate::domain::session::SessionSecret;
use crate::domain::throttle::ThrottleKey;

const REFRESH_PREFIX: &str = "tsr1_";
const REFERENCE_PREFIX: &str = "tsa1_";
const CODE_PREFIX: &str = "tsc1_";
const LOGIN_PREFIX: &str = "tsl1_";
/// RFC 9126 §2.2 leaves the form of a `request_uri` to the server.
const REQUEST_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// HMAC-SHA-256 cut to 192 bits (RFC 2104 §5 allows half).
const MAC_BYTES: usize = 24;
/// Session id and generation.
const REFRESH_BYTES: usize = 16 + 4;
/// Login id.
const LOGIN_BYTES: usize = 16;
/// Session id, instant of issue, instant of expiry.
const REFERENCE_BYTES: usize = 16 + 4 + 4;
/// The longest reference token that is read; scopes and audiences of a request are far shorter.
const MOST_REFERENCE_CHARACTERS: usize = 8 * 1024;
const NONCE_BYTES: usize = 12;

/// The labels under which the keys of a session's tokens are told apart.
#[derive(Clone, Copy)]
enum Label {
    Refresh,
    Reference,
    Login,
}

impl Label {
    /// Info and counter of the first block of HKDF-Expand (RFC 5869 §2.3).
    const fn block(self) -> &'static [u8] {
        match self {
            Self::Refresh => b"refresh-token\x01",
            Self::Reference => b"reference-token\x01",
            Self::Login => b"login-cookie\x01",
        }
    }
}

/// Makes and checks the tokens of sessions.
pub struct MasterKeyedTokens {
    sessions: hmac::Key,
    codes: hmac::Key,
    digests: hmac::Key,
    sealing: LessSafeKey,
    entropy: Arc<dyn Entropy>,
}

/// The cryptographic library refused a key; a defect.
#[derive(Debug, thiserror::Error)]
#[error("the cryptographic library refused a derived key")]
pub struct KeyRefused;

impl MasterKeyedTokens {
    /// Derives its keys from the master key.
    ///
    /// # Errors
    /// When the cryptographic library refuses a key.
    pub fn new(master: &MasterKey, entropy: Arc<dyn Entropy>) -> Result<Self, KeyRefused> {
        let key = |label| hmac::Key::new(hmac::HMAC_SHA256, &*master.derive(label));
        let sealing = UnboundKey::new(&AES_256_GCM, &*master.derive("sealed-state"))
            .map_err(|_| KeyRefused)?;
        Ok(Self {
            sessions: key("session-tokens"),
            codes: key("authorization-code"),
            digests: key("keyed-digest"),
            sealing: LessSafeKey::new(sealing),
            entropy,
        })
    }

    fn mac(&self, label: Label, secret: &SessionSecret, signed: &[u8]) -> [u8; MAC_BYTES] {
        let extracted = hmac::sign(&self.sessions, &secret.0);
        let extracted = hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref());
        let expanded = hmac::sign(&extracted, label.block());
        let key = hmac::Key::new(hmac::HMAC_SHA256, expanded.as_ref());
        first_bytes(hmac::sign(&key, signed).as_ref())
    }

    fn request_digest(&self, name: &str) -> RequestDigest {
        let mut context = hmac::Context::with_key(&self.digests);
        context.update(b"pushed-request");
        context.update(name.as_bytes());
        RequestDigest(first_bytes(context.sign().as_ref()))
    }

    /// A digest of several parts, each behind its length.
    fn keyed_digest(&self, kind: &str, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.digests);
        for part in [&[kind.as_bytes()], parts].concat() {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        first_bytes(context.sign().as_ref())
    }
}

impl SessionTokens for MasterKeyedTokens {
    fn new_session_secret(&self) -> Result<SessionSecret, NoEntropy> {
        let mut secret = [0; 16];
        self.entropy.fill(&mut secret)?;
        Ok(SessionSecret(secret))
    }

    fn refresh_token(
        &self,
        session: SessionId,
        generation: Generation,
        secret: &SessionSecret,
    ) -> Zeroizing<String> {
        let signed = refresh_bytes(session, generation);
        let mac = self.mac(Label::Refresh, secret, &signed);
        let body = URL_SAFE_NO_PAD.encode([signed.as_slice(), &mac].concat());
        Zeroizing::new(format!("{REFRESH_PREFIX}{body}"))
    }

    fn read_refresh_token(&self, text: &str) -> Option<UnverifiedRefreshToken> {
        let body = text.strip_prefix(REFRESH_PREFIX)?;
        if body.len() != (REFRESH_BYTES + MAC_BYTES).div_ceil(3) * 4 - 1 {
            return None;
        }
        // The engine refuses padding, other alphabets and stray bits at the end.
        let bytes = URL_SAFE_NO_PAD.decode(body).ok()?;
        let (session, rest) = bytes.split_first_chunk::<16>()?;
        let (generation, mac) = rest.split_first_chunk::<4>()?;
        Some(UnverifiedRefreshToken {
            session: SessionId(*session),
            generation: Generation(u32::from_be_bytes(*generation)),
            mac: mac.try_into().ok()?,
        })
    }

    fn refresh_token_is_good(
        &self,
        token: &UnverifiedRefreshToken,
        secret: &SessionSecret,
    ) -> bool {
        let signed = refresh_bytes(token.session, token.generation);
        let mac = self.mac(Label::Refresh, secret, &signed);
        verify_slices_are_equal(&mac, &token.mac).is_ok()
    }

    fn reference_token(&self, token: &ReferenceToken, secret: &SessionSecret) -> String {
        let mut bytes = Vec::with_capacity(REFERENCE_BYTES + MAC_BYTES);
        bytes.extend(token.session.0);
        bytes.extend(seconds(token.issued_at).to_be_bytes());
        bytes.extend(seconds(token.expires_at).to_be_bytes());
        // The session has the rest; what is narrower than it stands in the token itself.
        if token.scope.is_some() || token.audience.is_some() {
            bytes.extend(narrowing(token.scope.as_deref()).as_bytes());
            bytes.push(b'\n');
            bytes.extend(narrowing(token.audience.as_deref()).as_bytes());
        }
        let mac = self.mac(Label::Reference, secret, &bytes);
        bytes.extend(mac);
        format!("{REFERENCE_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    fn read_reference_token(&self, text: &str) -> Option<UnverifiedReferenceToken> {
        let body = text.strip_prefix(REFERENCE_PREFIX)?;
        if body.len() > MOST_REFERENCE_CHARACTERS {
            return None;
        }
        let mut signed = URL_SAFE_NO_PAD.decode(body).ok()?;
        let mac = signed.split_off(signed.len().checked_sub(MAC_BYTES)?);
        let (session, rest) = signed.split_first_chunk::<16>()?;
        let (issued_at, rest) = rest.split_first_chunk::<4>()?;
        let (expires_at, narrowed) = rest.split_first_chunk::<4>()?;
        let narrowed = std::str::from_utf8(narrowed).ok()?;
        let (scope, audience) = narrowed.split_once('\n').unwrap_or_default();
        let narrower = |text: &str| text.strip_prefix('=').map(ToOwned::to_owned);
        let instant = |bytes| Timestamp::from_timestamp(i64::from(u32::from_be_bytes(bytes)), 0);
        let token = ReferenceToken {
            session: SessionId(*session),
            issued_at: instant(*issued_at)?,
            expires_at: instant(*expires_at)?,
            scope: narrower(scope),
            audience: narrower(audience),
        };
        Some(UnverifiedReferenceToken {
            token,
            mac: mac.as_slice().try_into().ok()?,
            signed,
        })
    }

    fn reference_token_is_good(
        &self,
        token: &UnverifiedReferenceToken,
        secret: &SessionSecret,
    ) -> bool {
        let mac = self.mac(Label::Reference, secret, &token.signed);
        verify_slices_are_equal(&mac, &token.mac).is_ok()
    }

    fn new_code(&self) -> Result<(Zeroizing<String>, CodeDigest), NoEntropy> {
        let mut random = Zeroizing::new([0; 32]);
        self.entropy.fill(&mut *random)?;
        let code = Zeroizing::new(with_checksum(CODE_PREFIX, &random));
        let digest = CodeDigest(first_bytes(
            hmac::sign(&self.codes, code.as_bytes()).as_ref(),
        ));
        Ok((code, digest))
    }

    fn read_code(&self, text: &str) -> Option<CodeDigest> {
        is_well_formed(CODE_PREFIX, text).then(|| {
            CodeDigest(first_bytes(
                hmac::sign(&self.codes, text.as_bytes()).as_ref(),
            ))
        })
    }

    fn login_cookie(&self, login: LoginId, secret: &SessionSecret) -> Zeroizing<String> {
        let mac = self.mac(Label::Login, secret, &login.0);
        let body = URL_SAFE_NO_PAD.encode([login.0.as_slice(), &mac].concat());
        Zeroizing::new(format!("{LOGIN_PREFIX}{body}"))
    }

    fn read_login_cookie(&self, text: &str) -> Option<UnverifiedLoginCookie> {
        let body = text.strip_prefix(LOGIN_PREFIX)?;
        if body.len() > (LOGIN_BYTES + MAC_BYTES).div_ceil(3) * 4 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(body).ok()?;
        let (login, mac) = bytes.split_first_chunk::<LOGIN_BYTES>()?;
        Some(UnverifiedLoginCookie {
            login: LoginId(*login),
            mac: mac.try_into().ok()?,
        })
    }

    fn login_cookie_is_good(&self, cookie: &UnverifiedLoginCookie, secret: &SessionSecret) -> bool {
        let mac = self.mac(Label::Login, secret, &cookie.login.0);
        verify_slices_are_equal(&mac, &cookie.mac).is_ok()
    }

    fn form_token(&self, login: LoginId) -> String {
        URL_SAFE_NO_PAD.encode(self.keyed_digest("form-token", &[&login.0]))
    }

    fn form_token_is_good(&self, login: LoginId, presented: &str) -> bool {
        let expected = self.form_token(login);
        verify_slices_are_equal(expected.as_bytes(), presented.as_bytes()).is_ok()
    }

    fn new_browser_name(&self) -> Result<String, NoEntropy> {
        let mut random = [0; 16];
        self.entropy.fill(&mut random)?;
        Ok(URL_SAFE_NO_PAD.encode(random))
    }

    fn new_request_name(&self) -> Result<(String, RequestDigest), NoEntropy> {
        let mut random = [0; 32];
        self.entropy.fill(&mut random)?;
        let name = format!("{REQUEST_PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let digest = self.request_digest(&name);
        Ok((name, digest))
    }

    fn sealed_request_digest(&self, sealed: &str) -> RequestDigest {
        self.request_digest(sealed)
    }

    fn read_request_name(&self, text: &str) -> Option<RequestDigest> {
        let body = text.strip_prefix(REQUEST_PREFIX)?;
        let is_one = body.len() == 43 && URL_SAFE_NO_PAD.decode(body).is_ok();
        is_one.then(|| self.request_digest(text))
    }

    fn access_token_hash(&self, access_token: &str) -> String {
        let whole = digest::digest(&digest::SHA256, access_token.as_bytes());
        URL_SAFE_NO_PAD.encode(first_bytes::<16>(whole.as_ref()))
    }

    fn retry_key(&self, session: SessionId, key: &[u8]) -> RetryKeyDigest {
        RetryKeyDigest(self.keyed_digest("idempotency-key", &[&session.0, key]))
    }

    fn throttle_key(&self, kind: &'static str, name: &[u8]) -> ThrottleKey {
        ThrottleKey(self.keyed_digest("login-attempts", &[kind.as_bytes(), name]))
    }

    fn seal(&self, purpose: &'static str, plain: &[u8]) -> Result<String, NoEntropy> {
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce)?;
        let mut sealed = plain.to_vec();
        self.sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| NoEntropy)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    fn open(&self, purpose: &'static str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let length = self
            .sealing
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(purpose.as_bytes()),
                &mut plain,
            )
            .ok()?
            .len();
        plain.truncate(length);
        Some(plain)
    }

    fn pkce_matches(&self, verifier: &str, challenge: &str) -> bool {
        let computed = digest::digest(&digest::SHA256, verifier.as_bytes());
        let computed = URL_SAFE_NO_PAD.encode(computed);
        verify_slices_are_equal(computed.as_bytes(), challenge.as_bytes()).is_ok()
    }
}

fn refresh_bytes(session: SessionId, generation: Generation) -> [u8; REFRESH_BYTES] {
    let mut bytes = [0; REFRESH_BYTES];
    bytes
        .iter_mut()
        .zip(session.0.into_iter().chain(generation.0.to_be_bytes()))
        .for_each(|(to, from)| *to = from);
    bytes
}

/// `=` and the text where there is one: an empty scope is not the scope of the session.
fn narrowing(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!("={text}"))
}

fn seconds(instant: Timestamp) -> u32 {
    u32::try_from(instant.timestamp()).unwrap_or(u32::MAX)
}

fn first_bytes<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut first = [0; N];
    first
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
    first
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::SystemEntropy;
    use super::*;

    const SECRET: SessionSecret = SessionSecret([9; 16]);

    fn tokens() -> MasterKeyedTokens {
        let directory = tempfile::tempdir().unwrap();
        let master = MasterKey::create(directory.path(), &SystemEntropy::default()).unwrap();
        MasterKeyedTokens::new(&master, Arc::new(SystemEntropy::default())).unwrap()
    }

    fn is_good(tokens: &MasterKeyedTokens, text: &str, secret: &SessionSecret) -> bool {
        tokens
            .read_refresh_token(text)
            .is_some_and(|token| tokens.refresh_token_is_good(&token, secret))
    }

    #[test]
    fn a_refresh_token_is_the_same_each_time_and_carries_session_and_generation() {
        let tokens = tokens();
        let make = || tokens.refresh_token(SessionId([7; 16]), Generation(5), &SECRET);
        assert_eq!(make(), make());
        assert!(make().starts_with("tsr1_") && make().len() == 5 + 59);
        let read = tokens.read_refresh_token(&make()).unwrap();
        assert_eq!(
            (read.session, read.generation),
            (SessionId([7; 16]), Generation(5))
        );
        assert!(is_good(&tokens, &make(), &SECRET));
    }

    #[test]
    fn a_refresh_token_needs_the_master_key_and_the_secret_of_the_session() {
        let (ours, theirs) = (tokens(), tokens());
        let token = ours.refresh_token(SessionId([7; 16]), Generation(5), &SECRET);
        assert!(!is_good(&theirs, &token, &SECRET));
        assert!(!is_good(&ours, &token, &SessionSecret([8; 16])));
    }

    #[test]
    fn no_changed_character_of_a_refresh_token_is_accepted() {
        let tokens = tokens();
        let token = tokens.refresh_token(SessionId([7; 16]), Generation(5), &SECRET);
        for position in 0..token.len() {
            for replacement in ["A", "B", "_", "=", "é", ""] {
                let mut changed = token.to_string();
                changed.replace_range(position..=position, replacement);
                if changed != *token {
                    assert!(!is_good(&tokens, &changed, &SECRET), "{changed}");
                }
            }
        }
        for extended in [
            format!("{}A", *token),
            format!("{} ", *token),
            token.to_uppercase(),
        ] {
            assert!(!is_good(&tokens, &extended, &SECRET));
        }
    }

    #[test]
    fn a_reference_token_says_what_is_narrower_than_its_session() {
        let tokens = tokens();
        let at = |seconds| Timestamp::from_timestamp(seconds, 0).unwrap();
        let plain = ReferenceToken {
            session: SessionId([7; 16]),
            issued_at: at(1_000),
            expires_at: at(1_300),
            scope: None,
            audience: None,
        };
        let narrowed = [
            plain.clone(),
            ReferenceToken {
                scope: Some("a b".to_owned()),
                ..plain.clone()
            },
            ReferenceToken {
                scope: Some(String::new()),
                ..plain.clone()
            },
            ReferenceToken {
                audience: Some("https://a.example".to_owned()),
                ..plain.clone()
            },
        ];
        for token in narrowed {
            let text = tokens.reference_token(&token, &SECRET);
            let read = tokens.read_reference_token(&text).unwrap();
            assert_eq!(read.token, token);
            assert!(tokens.reference_token_is_good(&read, &SECRET));
            assert!(!tokens.reference_token_is_good(&read, &SessionSecret([8; 16])));
        }
    }

    #[test]
    fn tokens_of_one_kind_are_none_of_another() {
        let tokens = tokens();
        let refresh = tokens.refresh_token(SessionId([7; 16]), Generation(5), &SECRET);
        let disguised = refresh.replace("tsr1_", "tsa1_");
        let read = tokens.read_reference_token(&disguised);
        assert!(read.is_none_or(|token| !tokens.reference_token_is_good(&token, &SECRET)));
        assert!(tokens.read_code(&refresh).is_none());
        assert!(tokens.read_refresh_token("tsr1_").is_none());
    }

    #[test]
    fn a_code_is_found_by_its_digest_and_a_mistyped_one_is_none() {
        let tokens = tokens();
        let (code, digest) = tokens.new_code().unwrap();
        assert_eq!(tokens.read_code(&code), Some(digest));
        let mut mistyped = code.to_string();
        mistyped.replace_range(10..11, if &mistyped[10..11] == "A" { "B" } else { "A" });
        assert_eq!(tokens.read_code(&mistyped), None);
    }

    #[test]
    fn sealed_state_opens_for_its_purpose_only() {
        let tokens = tokens();
        let sealed = tokens.seal("login", b"state").unwrap();
        assert_eq!(
            tokens.open("login", &sealed).as_deref().map(Vec::as_slice),
            Some(b"state".as_slice())
        );
        assert!(tokens.open("consent", &sealed).is_none());
        assert!(tokens.open("login", &sealed[1..]).is_none());
        assert!(tokens.open("login", "").is_none());
    }

    #[test]
    fn a_login_cookie_dies_with_the_secret_it_was_made_with() {
        let tokens = tokens();
        let login = LoginId([7; 16]);
        let text = tokens.login_cookie(login, &SECRET);
        let read = tokens.read_login_cookie(&text).unwrap();
        assert_eq!(read.login, login);
        assert!(tokens.login_cookie_is_good(&read, &SECRET));
        assert!(!tokens.login_cookie_is_good(&read, &SessionSecret([8; 16])));
        // The same bytes are no token of a session.
        let disguised = text.replace(LOGIN_PREFIX, REFERENCE_PREFIX);
        let read = tokens.read_reference_token(&disguised);
        assert!(read.is_none_or(|token| !tokens.reference_token_is_good(&token, &SECRET)));
        for bad in ["", "tsl1_", "tsl1_AAAA", &format!("{}A", *text), &text[1..]] {
            let read = tokens.read_login_cookie(bad);
            assert!(
                read.is_none_or(|cookie| !tokens.login_cookie_is_good(&cookie, &SECRET)),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_token_of_a_form_is_of_one_login() {
        let tokens = tokens();
        let token = tokens.form_token(LoginId([7; 16]));
        assert!(tokens.form_token_is_good(LoginId([7; 16]), &token));
        assert!(!tokens.form_token_is_good(LoginId([8; 16]), &token));
        assert!(!tokens.form_token_is_good(LoginId([7; 16]), ""));
    }

    #[test]
    fn a_pushed_request_is_found_by_its_name() {
        let tokens = tokens();
        let (name, digest) = tokens.new_request_name().unwrap();
        assert_eq!(tokens.read_request_name(&name), Some(digest));
        for other in ["", "https://attacker.example/request", &name[1..]] {
            assert_eq!(tokens.read_request_name(other), None, "{other}");
        }
    }

    #[test]
    fn at_hash_is_that_of_the_example_in_openid_connect_core() {
        // Appendix A.3 of OpenID Connect Core 1.0.
        let access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(
            tokens().access_token_hash(access_token),
            "77QmUPtjPfzWtF2AnpK9RQ"
        );
    }

    #[test]
    fn the_example_of_rfc_7636_verifies() {
        let (verifier, challenge) = (
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        );
        assert!(tokens().pkce_matches(verifier, challenge));
        assert!(!tokens().pkce_matches(challenge, challenge));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "(tsr1_|tsa1_|tsc1_)?[ -~é]{0,120}") {
            let tokens = tokens();
            let refresh = tokens.read_refresh_token(&text);
            let is_forged = |token| !tokens.refresh_token_is_good(&token, &SECRET);
            prop_assert!(refresh.is_none_or(is_forged));
            let reference = tokens.read_reference_token(&text);
            let is_forged = |token| !tokens.reference_token_is_good(&token, &SECRET);
            prop_assert!(reference.is_none_or(is_forged));
            prop_assert!(tokens.read_code(&text).is_none());
            prop_assert!(tokens.open("login", &text).is_none());
        }
    }
}
