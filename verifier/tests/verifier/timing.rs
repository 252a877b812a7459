//! How long a rejection takes tells nobody why.
//!
//! What is measured is the time of one `verify`, on this thread, for tokens that are wrong in
//! different places. All kinds take turns, so that the noise of the machine hits all alike, and what
//! counts is the lower quartile of each kind: noise only ever adds. A kind may differ from another by
//! what its bound says, which is far below the time of a signature check (in an unoptimised build,
//! where our own code takes longest). A measurement that fails is taken again, three times at most.

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokensmith_verify::jws::access_token_header;
use tokensmith_verify::testing::{Forge, TokenDraft};
use tokensmith_verify::{Algorithm, Verifier};

use crate::issuer::AUDIENCE;
use crate::signer::{encode, keys};

const ROUNDS: usize = 600;

/// A kind of token.
struct Kind {
    name: &'static str,
    reason: &'static str,
    tokens: Vec<String>,
}

impl Kind {
    /// Several tokens, so that none lives off having been seen a moment ago.
    fn new(name: &'static str, reason: &'static str, token: impl Fn() -> String) -> Self {
        Self {
            name,
            reason,
            tokens: (0..8).map(|_| token()).collect(),
        }
    }
}

/// The lower quartile of each kind.
fn measure(verifier: &Verifier, kinds: &[Kind], batch: usize) -> Vec<Duration> {
    let mut times: Vec<Vec<Duration>> = kinds.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for place in 0..kinds.len() {
            // Every kind comes first, last and after every other.
            let index = (place * (1 + round % 2) + round) % kinds.len();
            let kind = &kinds[index];
            let token = &kind.tokens[round % kind.tokens.len()];
            let start = Instant::now();
            for _ in 0..batch {
                black_box(verifier.verify(black_box(token))).unwrap_err();
            }
            times[index].push(start.elapsed());
        }
    }
    let quartile = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 4]
    };
    times.into_iter().map(quartile).collect()
}

/// How much longer the slowest kind takes than the quickest, as a share.
fn spread(times: &[Duration]) -> f64 {
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    most.as_secs_f64() / least.as_secs_f64() - 1.0
}

/// Insists that no kind takes longer than another by more than `share`.
fn assert_alike(verifier: &Verifier, kinds: &[Kind], batch: usize, share: f64) {
    for kind in kinds {
        for token in &kind.tokens {
            let reject = verifier.verify(token).unwrap_err();
            assert_eq!(reject.reason(), kind.reason, "{}", kind.name);
        }
    }
    let mut told = String::new();
    for _ in 0..3 {
        let times = measure(verifier, kinds, batch);
        if spread(&times) <= share {
            return;
        }
        let lines = kinds.iter().zip(&times);
        let lines = lines.map(|(kind, time)| format!("  {time:?} {}\n", kind.name));
        told = lines.collect();
    }
    panic!("they differ by more than {share}:\n{told}");
}

fn good(forge: &Forge) -> TokenDraft {
    forge.issue("ada").audience(AUDIENCE).scope("orders:read")
}

/// A token whose signature has one bit flipped, in this byte.
fn with_flipped_signature(token: &str, byte: usize) -> String {
    let (input, mut signature) = parts(token);
    signature[byte] ^= 1;
    format!("{input}.{}", encode(signature))
}

fn parts(token: &str) -> (&str, Vec<u8>) {
    let (input, signature) = token.rsplit_once('.').unwrap();
    (input, URL_SAFE_NO_PAD.decode(signature).unwrap())
}

/// Whether a signature is a smaller number than every modulus. One that is not is rejected without
/// calculating anything (RFC 8017 §5.2.2 step 1), which tells nothing: the modulus is public.
fn is_in_range(signature: &[u8]) -> bool {
    signature[0] < 0x80
}

#[test]
fn which_claim_is_wrong_does_not_show_in_the_time() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let kinds = [
        Kind::new("issuer", "wrong_issuer", || {
            good(&forge).claim("iss", "https://auth.evil").sign()
        }),
        Kind::new("audience", "wrong_audience", || {
            forge
                .issue("ada")
                .audience("https://api.evil.examp")
                .scope("orders:read")
                .sign()
        }),
        Kind::new("subject", "invalid_claim", || {
            good(&forge).claim("sub", "").sign()
        }),
        Kind::new("token id", "invalid_claim", || {
            good(&forge).claim("jti", json!(1)).sign()
        }),
        Kind::new("expired", "expired", || good(&forge).expired().sign()),
        Kind::new("lifetime", "lifetime_too_long", || {
            good(&forge).expires_in(Duration::from_hours(2)).sign()
        }),
        Kind::new("scope", "invalid_claim", || {
            good(&forge).claim("scope", "a  b").sign()
        }),
    ];
    assert_alike(&verifier, &kinds, 2, 0.25);
}

#[test]
fn where_a_signature_is_wrong_does_not_show_in_the_time() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let sign = || {
        let mut tokens = std::iter::repeat_with(|| good(&forge).sign());
        tokens.find(|token| is_in_range(&parts(token).1)).unwrap()
    };
    let flipped = |byte| with_flipped_signature(&sign(), byte);
    let kinds = [
        Kind::new("first byte", "bad_signature", || flipped(0)),
        Kind::new("middle", "bad_signature", || flipped(128)),
        Kind::new("last byte", "bad_signature", || flipped(255)),
        Kind::new("of another token", "bad_signature", || {
            let (token, other) = (sign(), sign());
            format!("{}.{}", parts(&token).0, encode(parts(&other).1))
        }),
        Kind::new("of another key", "bad_signature", || {
            let mut forgeries = std::iter::repeat_with(|| {
                let token = sign();
                let input = parts(&token).0;
                (input.to_owned(), keys().sign("stranger", input.as_bytes()))
            });
            let in_range = |(_, signature): &(String, Vec<u8>)| is_in_range(signature);
            let (input, signature) = forgeries.find(in_range).unwrap();
            format!("{input}.{}", encode(signature))
        }),
    ];
    assert_alike(&verifier, &kinds, 2, 0.1);
}

/// Behind a good signature the payload is read as well, which is a fraction of the check. Whoever
/// can tell the two apart learns that the issuer has signed the token, which its holder knows.
#[test]
fn a_wrong_signature_takes_as_long_as_a_wrong_claim_but_for_reading_the_claims() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let kinds = [
        Kind::new("signature", "bad_signature", || {
            with_flipped_signature(&good(&forge).sign(), 128)
        }),
        Kind::new("signature of an expired token", "bad_signature", || {
            with_flipped_signature(&good(&forge).expired().sign(), 128)
        }),
        Kind::new("expired", "expired", || good(&forge).expired().sign()),
        Kind::new("issuer", "wrong_issuer", || {
            good(&forge).claim("iss", "https://auth.evil").sign()
        }),
    ];
    assert_alike(&verifier, &kinds, 2, 0.35);
}

#[test]
fn how_much_of_a_key_id_is_right_does_not_show_in_the_time() {
    let kid = "hD8zq0vT3m_2Yw7rJx1uKc5eNfLbPgQsAiRoZtVyWlE";
    let forge = Forge::new().with_kid(kid);
    let verifier = forge.verifier(AUDIENCE);
    let almost = |right: usize| {
        let wrong = format!("{}{}", &kid[..right], "-".repeat(kid.len() - right));
        let header = encode(access_token_header(Algorithm::Rs256, &wrong));
        format!("{header}.e30.AA")
    };
    let kinds = [
        Kind::new("nothing", "unknown_kid", || almost(0)),
        Kind::new("half", "unknown_kid", || almost(21)),
        Kind::new("all but one", "unknown_kid", || almost(42)),
    ];
    assert_alike(&verifier, &kinds, 100, 0.1);
}

/// The type is read before the signature is checked, and everybody can see it.
#[test]
fn the_measurement_sees_whether_a_signature_was_checked() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let header = r#"{"alg":"RS256","typ":"JWT","kid":"forge"}"#;
    let kinds = [
        Kind::new("type", "wrong_type", || good(&forge).header(header).sign()),
        Kind::new("expired", "expired", || good(&forge).expired().sign()),
    ];
    let times = measure(&verifier, &kinds, 2);
    assert!(spread(&times) > 0.35, "{times:?}");
}
