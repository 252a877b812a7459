//! What rejecting tokens takes and what it leaves behind. The allocator of this binary counts what
//! the thread of a test asks for and gives back, so tests beside each other do not disturb it.
//!
//! What the crypto library takes from the C heap for a signature is not seen here;
//! `tokensmith-bench reject` looks at the memory of the whole process.

use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use tokensmith_verify::testing::Forge;
use tokensmith_verify::{KeySet, NoCustomClaims, Reject, Verifier, jws};

use crate::issuer::{AUDIENCE, Issuer, until};
use crate::signer::encode;

const HOUR: Duration = Duration::from_hours(1);
const KIB: u64 = 1024;

/// Random numbers that are the same in every run (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    fn character(&mut self) -> char {
        const CHARACTERS: &[u8] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ {";
        char::from(CHARACTERS[self.roll(CHARACTERS.len())])
    }
}

/// Makes tokens wrong, one after the other, in memory that it keeps.
struct Spoiler {
    dice: Dice,
    good: String,
    header_length: usize,
    text: String,
}

impl Spoiler {
    fn of(good: String) -> Self {
        Self {
            dice: Dice(1),
            header_length: good.find('.').unwrap(),
            text: String::with_capacity(2 * good.len()),
            good,
        }
    }

    fn next(&mut self) -> &str {
        self.text.clear();
        match self.dice.roll(64) {
            // Nothing but noise, of any length.
            0..8 => {
                for _ in 0..self.dice.roll(400) {
                    let character = self.dice.character();
                    self.text.push(character);
                }
            }
            // Cut off somewhere.
            8..12 => {
                let end = self.dice.roll(self.good.len());
                self.text.push_str(&self.good[..end]);
            }
            // A signature that is checked: one in 64, because it takes longer than all the others.
            12 => self.spoil(self.header_length + 1..self.good.len()),
            // A header that says something else, or nothing.
            _ => self.spoil(0..self.header_length),
        }
        &self.text
    }

    /// Puts another character somewhere.
    fn spoil(&mut self, range: std::ops::Range<usize>) {
        self.text.push_str(&self.good);
        let position = range.start + self.dice.roll(range.len());
        let old = self.good[position..].chars().next();
        let mut new = std::iter::repeat_with(|| self.dice.character());
        let new = new.find(|new| Some(*new) != old).unwrap();
        self.text
            .replace_range(position..=position, new.encode_utf8(&mut [0; 4]));
    }
}

fn assert_nothing_lasts(info: AllocationInfo) {
    assert_eq!((info.count_current, info.bytes_current), (0, 0), "{info:?}");
}

/// A token of our key whose `kid` nobody has.
fn of_unknown_key(number: usize) -> String {
    let header = format!(r#"{{"alg":"RS256","typ":"at+jwt","kid":"unknown-{number}"}}"#);
    format!("{}.e30.AA", encode(header))
}

#[tokio::test]
async fn a_million_random_and_mutated_tokens_leave_nothing_behind() {
    const TOKENS: usize = 1_000_000;
    let issuer = Issuer::start().await;
    let verifier = issuer
        .discover()
        .token_cache(1_000)
        .refetch_cooldown(HOUR)
        .connect()
        .await
        .unwrap();
    let good = issuer.forge().issue("ada").audience(AUDIENCE).sign();
    let mut spoiler = Spoiler::of(good.clone());
    // Unknown keys are remembered up to a limit: let it be reached before.
    for number in 0..1_000 {
        assert!(verifier.verify(&of_unknown_key(number)).is_err());
    }
    issuer.jwks_requested(2).await;
    until("the refetch is over", || {
        measure(|| drop(verifier.verify(&of_unknown_key(0)))).bytes_current == 0
    })
    .await;
    assert!(verifier.verify(&good).is_ok());

    let (mut rejected, mut checked) = (0, 0);
    let info = measure(|| {
        for _ in 0..TOKENS {
            match verifier.verify(spoiler.next()) {
                Ok(_) => {}
                Err(Reject::BadSignature) => (rejected, checked) = (rejected + 1, checked + 1),
                Err(_) => rejected += 1,
            }
        }
    });
    assert_eq!(rejected, TOKENS);
    assert!(checked >= 5_000, "{checked}");
    assert_nothing_lasts(info);
    assert!(info.bytes_max <= 16 * KIB, "{info:?}");
    assert_eq!(issuer.jwks_requests().len(), 2);
}

#[test]
fn a_hundred_megabytes_of_dots_are_not_even_looked_at() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let keys = KeySet::from_json(&forge.jwks()).unwrap();
    let dots = ".".repeat(100_000_000);
    let too_large = Reject::TooLarge {
        limit: jws::DEFAULT_MAX_TOKEN_BYTES,
    };
    // The first look at the keys on a thread makes a note of the thread.
    assert!(verifier.verify(".").is_err());
    let mut outcomes = [None, None];
    let info = measure(|| {
        outcomes = [
            verifier.verify(&dots).err(),
            jws::verify(&dots, &keys).err(),
        ];
    });
    assert_eq!(outcomes, [Some(too_large.clone()), Some(too_large)]);
    assert_eq!(info.count_total, 0, "{info:?}");
}

#[test]
fn eight_thousand_dots_are_looked_at_without_memory() {
    let keys = KeySet::from_json(&Forge::new().jwks()).unwrap();
    let dots = ".".repeat(jws::DEFAULT_MAX_TOKEN_BYTES);
    let mut outcome = None;
    let info = measure(|| outcome = jws::verify(&dots, &keys).err());
    assert_eq!(outcome, Some(Reject::NotCompactJws));
    assert_eq!(info.count_total, 0, "{info:?}");
}

#[test]
fn the_greediest_token_that_is_short_enough_takes_little_memory_for_a_moment() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let header = r#"{"alg":"RS256","typ":"at+jwt","kid":"forge"}"#;
    for (name, value) in [
        ("elements", format!("[{}0]", "0,".repeat(2_800))),
        ("empty objects", format!("[{}{{}}]", "{},".repeat(1_800))),
        (
            "one member each",
            format!("[{}1]", r#"{"":0},"#.repeat(800)),
        ),
        ("escapes", format!("\"{}\"", r"\u00e4".repeat(900))),
        ("open brackets", "[".repeat(5_000)),
        ("numbers", "9".repeat(5_000)),
    ] {
        let token = forge.sign_raw(header, format!(r#"{{"x":{value}}}"#).as_bytes());
        assert!(token.len() <= jws::DEFAULT_MAX_TOKEN_BYTES, "{name}");
        let info = measure(|| assert!(verifier.verify(&token).is_err()));
        assert_nothing_lasts(info);
        assert!(info.bytes_max <= 512 * KIB, "{name}: {info:?}");
    }
}

#[test]
fn a_hundred_thousand_claims_are_given_up_early_even_where_tokens_may_be_long() {
    let forge = Forge::new();
    let keys = KeySet::from_json(&forge.jwks()).unwrap();
    let verifier = Verifier::with_keys(forge.issuer(), keys)
        .audience(AUDIENCE)
        .max_token_bytes(4_000_000)
        .build()
        .unwrap();
    let claims: Vec<_> = (0..100_000).map(|n| format!("\"{n}\":{n}")).collect();
    let claims = format!("{{{}}}", claims.join(","));
    let header = r#"{"alg":"RS256","typ":"at+jwt","kid":"forge"}"#;
    let token = forge.sign_raw(header, claims.as_bytes());
    let mut outcome = None;
    let info = measure(|| outcome = verifier.verify(&token).err());
    assert_eq!(outcome, Some(Reject::JsonTooComplex));
    // The decoded payload, and little beside it.
    let payload = u64::try_from(claims.len()).unwrap();
    assert!(info.bytes_max <= payload + 64 * KIB, "{info:?}");
}

#[tokio::test]
async fn what_is_remembered_of_unknown_keys_is_bounded() {
    let issuer = Issuer::start().await;
    let verifier = issuer
        .discover()
        .refetch_cooldown(HOUR)
        .connect()
        .await
        .unwrap();
    let long = "k".repeat(200);
    let flood: Vec<_> = (0..10_000)
        .map(|number| of_unknown_key(number).replace("unknown", &long))
        .collect();
    let info = measure(|| {
        for token in &flood {
            assert_eq!(verifier.verify(token), Err(Reject::UnknownKid));
        }
    });
    // 256 ids of at most 256 bytes each, and what holds them.
    assert!(info.bytes_current <= 128 * 1_024, "{info:?}");
    // The refetch runs on this thread, too.
    issuer.jwks_requested(2).await;
    let waited = verifier.verify_waiting::<NoCustomClaims>(&flood[0]).await;
    assert_eq!(waited, Err(Reject::UnknownKid));
    let info = measure(|| {
        for token in &flood {
            assert_eq!(verifier.verify(token), Err(Reject::UnknownKid));
        }
    });
    assert_nothing_lasts(info);
    assert_eq!(issuer.jwks_requests().len(), 2);
}

#[test]
fn the_token_cache_is_bounded_and_has_no_place_for_rejected_tokens() {
    const CAPACITY: usize = 16;
    let forge = Forge::new();
    let keys = KeySet::from_json(&forge.jwks()).unwrap();
    let verifier = Verifier::with_keys(forge.issuer(), keys)
        .audience(AUDIENCE)
        .token_cache(CAPACITY)
        .build()
        .unwrap();
    let token = || forge.issue("ada").audience(AUDIENCE).sign();
    let fill = |tokens: usize| {
        let mut lasting = 0;
        for _ in 0..tokens {
            let token = token();
            let info = measure(|| assert!(verifier.verify(&token).is_ok()));
            lasting += info.bytes_current;
        }
        lasting
    };
    let full = fill(20 * CAPACITY);
    // About a kilobyte a token: its text, its payload and its claims.
    assert!(full <= 64 * 1_024, "{full}");
    let more = fill(20 * CAPACITY);
    assert!(more.abs() <= 4 * 1_024, "{more}");

    let expired = forge.issue("ada").audience(AUDIENCE).expired().sign();
    let elsewhere = forge.issue("ada").audience("https://b.example").sign();
    for rejected in [expired, elsewhere, token().replace('.', "..")] {
        assert_nothing_lasts(measure(|| assert!(verifier.verify(&rejected).is_err())));
    }
}
