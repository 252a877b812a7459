//! Token parsing and verification.
//!
//! What verifies has a signing input that the issuer signed, and comes out as it went in. The
//! header of what *is* signed is held against a naive reading.
//!
//! The input is a token, or, behind `+`, edits of a good one, or, behind `@`, a header and behind
//! an empty line a payload, which are then signed.

use std::sync::LazyLock;

use tokensmith::domain::ports::TokenKind;
use tokensmith_verify::jws::{self, DEFAULT_MAX_TOKEN_BYTES};
use tokensmith_verify::{Algorithm, KeySet, NoCustomClaims, Reject, Verifier};

use crate::choices::{Choices, edit};
use crate::naive::Tree;
use crate::signed::{AUDIENCE, ISSUER, KEYS, NOW, RAW_KID};

/// Everything that the issuer has ever signed.
static SIGNED: LazyLock<Vec<Signed>> = LazyLock::new(sign_some);
static KEY_SET: LazyLock<KeySet> = LazyLock::new(|| KEYS.key_set());
static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| verifier(0));
static REMEMBERING: LazyLock<Verifier> = LazyLock::new(|| verifier(64));

struct Signed {
    token: String,
    payload: Vec<u8>,
    is_access_token: bool,
}

/// Holds every property of tokens.
pub fn check(data: &[u8]) {
    match data.split_first() {
        Some((b'+', edits)) => check_edited(&mut Choices::new(edits)),
        Some((b'@', parts)) => check_signed(parts),
        _ => check_text(&String::from_utf8_lossy(data)),
    }
}

fn check_text(token: &str) {
    let verified = jws::verify(token, &KEY_SET);
    if token.len() > DEFAULT_MAX_TOKEN_BYTES {
        let limit = DEFAULT_MAX_TOKEN_BYTES;
        let too_large = Err(Reject::TooLarge { limit });
        assert_eq!(
            verified, too_large,
            "a long token is too large first of all"
        );
    }
    if let Some(limit) = token.len().checked_sub(1) {
        assert_eq!(
            jws::verify_within(token, &KEY_SET, limit),
            Err(Reject::TooLarge { limit }),
            "a token above the limit is too large, whatever else it is"
        );
    }
    let original = signed_as(token);
    if let Ok(payload) = &verified {
        let original = original.expect("what verifies has a signing input that we signed");
        assert_eq!(
            payload.bytes, original.payload,
            "a payload comes out as it went in"
        );
        // ECDSA signatures have two spellings; those of the others are as we made them.
        assert!(
            token == original.token || payload.algorithm == Algorithm::Es256,
            "a signature has one spelling"
        );
    }
    let claims = VERIFIER.verify_at::<NoCustomClaims>(token, NOW);
    if claims.is_ok() {
        let is_access_token = original.is_some_and(|original| original.is_access_token);
        assert!(
            is_access_token && verified.is_ok(),
            "only access tokens are accepted"
        );
    }
    for _ in 0..2 {
        let remembered = REMEMBERING.verify_at::<NoCustomClaims>(token, NOW);
        assert_eq!(
            remembered.as_ref().map(|claims| &**claims),
            claims.as_ref().map(|claims| &**claims),
            "a cache changes no answer"
        );
        let late = REMEMBERING.verify_at::<NoCustomClaims>(token, NOW + 3_600);
        assert!(
            late.is_err(),
            "a token that has expired is rejected, remembered or not"
        );
    }
}

fn check_edited(choices: &mut Choices<'_>) {
    let mut token = choices.pick(&SIGNED).token.clone().into_bytes();
    let mut edits_left = 8;
    while !choices.is_over() && edits_left > 0 {
        edits_left -= 1;
        if choices.byte().is_multiple_of(4) {
            token = transplanted(&token, choices);
        } else {
            edit(&mut token, choices);
        }
    }
    check_text(&String::from_utf8_lossy(&token));
}

/// With one part of another token in place of its own.
fn transplanted(token: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let donor = choices.pick(&SIGNED).token.as_bytes();
    let place = choices.place(3);
    let donated = donor.split(|byte| *byte == b'.').nth(place);
    let mut parts: Vec<&[u8]> = token.split(|byte| *byte == b'.').collect();
    if let (Some(part), Some(donated)) = (parts.get_mut(place), donated) {
        *part = donated;
    }
    parts.join(&b'.')
}

/// A header that is signed counts exactly if a naive reading says so.
fn check_signed(parts: &[u8]) {
    let blank = parts.windows(2).position(|pair| pair == b"\n\n");
    let (header, payload) =
        blank.map_or((parts, &b"{}"[..]), |at| (&parts[..at], &parts[at + 2..]));
    let token = KEYS.sign_raw(header, payload);
    let verified = jws::verify(&token, &KEY_SET);
    let is_whole =
        !header.is_empty() && !payload.is_empty() && token.len() <= DEFAULT_MAX_TOKEN_BYTES;
    match naive_header(header).filter(|_| is_whole) {
        Some(header) => {
            let verified = verified.expect("a signed token with a good header verifies");
            let typ = header.get("typ").and_then(Tree::text);
            assert_eq!(verified.typ.as_deref(), typ, "typ is what the header says");
            assert_eq!(verified.bytes, payload, "a payload comes out as it went in");
            assert_eq!(
                verified.kid, RAW_KID,
                "the key is the one that the header names"
            );
        }
        None => assert!(
            verified.is_err(),
            "a header with a fault is rejected: {verified:?}"
        ),
    }
}

/// A header that is in order.
fn naive_header(json: &[u8]) -> Option<Tree> {
    let header = Tree::modest_object(json)?;
    let has = |name: &str, value: &str| header.get(name).and_then(Tree::text) == Some(value);
    let has_type = header.get("typ").is_none_or(|typ| typ.text().is_some());
    let is_good = has("alg", "Ed25519") && has("kid", RAW_KID) && has_type;
    (is_good && header.get("crit").is_none()).then_some(header)
}

fn sign_some() -> Vec<Signed> {
    let good = format!(
        r#"{{"iss":"{ISSUER}","sub":"svc","aud":"{AUDIENCE}","client_id":"svc","exp":{},"iat":{NOW},"jti":"1"}}"#,
        NOW + 300
    );
    let for_others = good.replace(AUDIENCE, "https://other.example.com");
    let mut signed = Vec::new();
    for signer in &KEYS.signers {
        for (payload, is_access_token) in [(&good, true), (&for_others, false)] {
            let token = signer.sign_access_token(payload.as_bytes());
            signed.push(Signed {
                token: token.expect("a parsed key signs"),
                payload: payload.clone().into_bytes(),
                is_access_token,
            });
        }
        // The same keys sign these, and none of them may pass for an access token.
        for kind in [
            TokenKind::IdToken,
            TokenKind::LogoutToken,
            TokenKind::RevocationHeartbeat,
        ] {
            signed.push(Signed {
                token: signer
                    .sign(kind, good.as_bytes())
                    .expect("a parsed key signs"),
                payload: good.clone().into_bytes(),
                is_access_token: false,
            });
        }
    }
    signed
}

fn signed_as(token: &str) -> Option<&'static Signed> {
    let (wanted, _) = token.rsplit_once('.')?;
    let is_same = |signed: &&Signed| {
        let input = signed.token.rsplit_once('.');
        input.is_some_and(|(input, _)| input == wanted)
    };
    SIGNED.iter().find(is_same)
}

fn verifier(remembered: usize) -> Verifier {
    Verifier::with_keys(ISSUER, KEYS.key_set())
        .audience(AUDIENCE)
        .token_cache(remembered)
        .build()
        .expect("the settings are good")
}
