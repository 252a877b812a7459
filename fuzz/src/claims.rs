//! The claims of an access token, behind a good signature.
//!
//! A payload is accepted exactly if a naive reading of the same bytes finds every rule kept, and what
//! comes out is what stands in it.

use std::sync::LazyLock;

use tokensmith_verify::fuzzing::ClaimsRules;
use tokensmith_verify::jws::DEFAULT_MAX_TOKEN_BYTES;
use tokensmith_verify::{Claims, NoCustomClaims, Verifier, VerifierBuilder};

use crate::naive::Tree;
use crate::signed::{AUDIENCE, ISSUER, KEYS, NOW};

const OTHER_AUDIENCE: &str = "https://other.example.com";
/// What verifiers forgive unless told otherwise.
const LEEWAY: i64 = 30;
const MAX_LIFETIME: i64 = 3_600;

static RULES: LazyLock<ClaimsRules> =
    LazyLock::new(|| ClaimsRules::of(&builder()).expect("the settings are good"));
static VERIFIER: LazyLock<Verifier> =
    LazyLock::new(|| builder().build().expect("the settings are good"));

/// Holds every property of claims.
pub fn check(payload: &[u8]) {
    let read = RULES.read(payload, NOW);
    let naive = Tree::modest_object(payload).filter(|claims| keeps_the_rules(claims).is_some());
    assert_eq!(
        read.is_ok(),
        naive.is_some(),
        "two readings of one payload agree: {read:?}"
    );
    if let (Ok(claims), Some(naive)) = (read, naive) {
        check_accepted(payload, &claims, &naive);
    }
}

fn check_accepted(payload: &[u8], claims: &Claims, naive: &Tree) {
    assert_eq!(claims.iss, ISSUER, "the issuer is ours");
    for (name, value) in [
        ("sub", &claims.sub),
        ("client_id", &claims.client_id),
        ("jti", &claims.jti),
    ] {
        let naive = naive.get(name).and_then(Tree::text);
        assert_eq!(naive, Some(value.as_str()), "{name} is what was signed");
    }
    assert_eq!(
        naive.get("exp").and_then(date),
        Some(claims.exp),
        "exp is what was signed"
    );
    assert_eq!(
        naive.get("iat").and_then(date),
        Some(claims.iat),
        "iat is what was signed"
    );
    let printed = serde_json::to_vec(claims).expect("claims are JSON");
    let again = RULES
        .read(&printed, NOW)
        .expect("claims that were printed are read again");
    assert_eq!(&again, claims, "parse then print is the identity");
    let signer = KEYS.ed25519();
    let token = signer
        .sign_access_token(payload)
        .expect("a parsed key signs");
    if token.len() <= DEFAULT_MAX_TOKEN_BYTES {
        let verified = VERIFIER.verify_at::<NoCustomClaims>(&token, NOW);
        let verified = verified.expect("a signed token with good claims is accepted");
        assert_eq!(
            &*verified, claims,
            "the verifier believes what was read here"
        );
    }
}

/// Whether a value keeps a rule.
type Rule = fn(&Tree) -> Option<()>;

/// RFC 9068 §4, RFC 7519 §4.1 and the types of the optional claims, read off one by one.
fn keeps_the_rules(claims: &Tree) -> Option<()> {
    let named = |name: &str| claims.get(name)?.text().filter(|text| !text.is_empty());
    require(named("iss")? == ISSUER)?;
    named("sub")?;
    named("client_id")?;
    named("jti")?;
    let recipients = match claims.get("aud")? {
        Tree::Text(one) => vec![one.as_str()],
        several => several.texts()?,
    };
    require(recipients.iter().all(|recipient| !recipient.is_empty()))?;
    require(recipients.contains(&AUDIENCE) || recipients.contains(&OTHER_AUDIENCE))?;
    let (exp, iat) = (date(claims.get("exp")?)?, date(claims.get("iat")?)?);
    require(exp > iat && exp - iat <= MAX_LIFETIME)?;
    require(exp + LEEWAY > NOW && iat <= NOW + LEEWAY)?;
    if let Some(nbf) = claims.get("nbf") {
        require(date(nbf)? <= NOW + LEEWAY)?;
    }
    let optional: [(&str, Rule); 8] = [
        ("scope", scope),
        ("sid", text),
        ("acr", text),
        ("auth_time", |value| date(value).map(drop)),
        ("amr", |value| value.texts().map(drop)),
        ("status", status),
        ("cnf", |value| text(value.get("jkt")?)),
        ("act", actor),
    ];
    for (name, is_good) in optional {
        if let Some(value) = claims.get(name) {
            is_good(value)?;
        }
    }
    Some(())
}

fn require(holds: bool) -> Option<()> {
    holds.then_some(())
}

fn text(value: &Tree) -> Option<()> {
    value.text().map(drop)
}

/// RFC 6749 §3.3.
fn scope(value: &Tree) -> Option<()> {
    let is_token = |token: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        !token.is_empty() && token.bytes().all(is_allowed)
    };
    require(value.text()?.split(' ').all(is_token))
}

fn status(value: &Tree) -> Option<()> {
    let entry = value.get("status_list")?;
    text(entry.get("uri")?)?;
    match entry.get("idx")? {
        Tree::Number(idx) => require(u32::try_from(idx.as_u64()?).is_ok()),
        _ => None,
    }
}

fn actor(value: &Tree) -> Option<()> {
    text(value.get("sub")?)?;
    value.get("act").map_or(Some(()), actor)
}

/// A date in whole seconds, if it can be counted with.
fn date(value: &Tree) -> Option<i64> {
    const MOST: u64 = 1 << 53;
    let Tree::Number(number) = value else {
        return None;
    };
    if let Some(whole) = number.as_u64() {
        return i64::try_from(whole).ok().filter(|_| whole <= MOST);
    }
    let floored = number.as_f64().filter(|number| *number >= 0.0)?.floor();
    // The text of a whole float is exact up to there.
    let whole: u64 = format!("{floored:.0}")
        .trim_start_matches('-')
        .parse()
        .ok()?;
    i64::try_from(whole).ok().filter(|_| whole <= MOST)
}

fn builder() -> VerifierBuilder<tokensmith_verify::KeySet> {
    Verifier::with_keys(ISSUER, KEYS.key_set())
        .audience(AUDIENCE)
        .audience(OTHER_AUDIENCE)
}
