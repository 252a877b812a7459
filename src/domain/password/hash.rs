//! Stored password hashes: our own, and those that are brought along from elsewhere.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD};

use super::cost::{Argon2Parameters, CostOutOfBounds, within};

/// A stored password hash.
///
/// | kind | form |
/// |---|---|
/// | Argon2 | `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`, also `argon2i`, `argon2d`, `v=16` |
/// | bcrypt | `$2b$12$` and 53 characters, also `2a`, `2y` |
/// | PBKDF2 | `$pbkdf2-sha256$i=600000,l=32$SALT$HASH`, also `sha512` |
/// | PBKDF2 of passlib | `$pbkdf2-sha256$29000$SALT$HASH`, also `sha512` |
/// | PBKDF2 of Django | `pbkdf2_sha256$600000$SALT$HASH` |
///
/// Its costs are bounded, so that nobody brings a hash along that eats the memory or the time of
/// whoever checks a password against it. Salts have 8 (PBKDF2: 1) to 64 bytes, hashes 16 to 64.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    scheme: HashScheme,
}

impl PasswordHash {
    const MAX_LENGTH: usize = 512;

    /// A hash of today's kind: Argon2id (RFC 9106), version 19.
    #[must_use]
    pub fn argon2id(parameters: Argon2Parameters, salt: &[u8; 16], output: &[u8; 32]) -> Self {
        let text = format!(
            "$argon2id$v=19$m={},t={},p={}${}${}",
            parameters.memory_kib(),
            parameters.iterations(),
            parameters.parallelism(),
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(output),
        );
        let scheme = HashScheme::Argon2 {
            kind: Argon2Kind::Argon2id,
            is_version_16: false,
            parameters,
            salt: salt.to_vec(),
            output: output.to_vec(),
        };
        Self { text, scheme }
    }

    /// The stored form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it says.
    #[must_use]
    pub fn scheme(&self) -> &HashScheme {
        &self.scheme
    }

    /// Whether it is what [`Self::argon2id`] would make with these parameters. If not, it is
    /// replaced at the next login, when the password is at hand.
    #[must_use]
    pub fn is_up_to_date(&self, today: Argon2Parameters) -> bool {
        match &self.scheme {
            HashScheme::Argon2 {
                kind: Argon2Kind::Argon2id,
                is_version_16: false,
                parameters,
                salt,
                output,
            } => *parameters == today && salt.len() >= 16 && output.len() == 32,
            _ => false,
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// A hash in its parts.
#[derive(Clone, PartialEq, Eq)]
pub enum HashScheme {
    /// Argon2 (RFC 9106).
    Argon2 {
        /// The variant.
        kind: Argon2Kind,
        /// The draft's version 1.0, which overwrites memory where 1.3 combines.
        is_version_16: bool,
        /// The costs.
        parameters: Argon2Parameters,
        /// 8 to 64 bytes.
        salt: Vec<u8>,
        /// 16 to 64 bytes.
        output: Vec<u8>,
    },
    /// bcrypt.
    Bcrypt {
        /// The logarithm of the number of rounds, 4 to 15.
        cost: u32,
        /// The salt.
        salt: [u8; 16],
        /// What is stored of the 24 bytes that come out.
        output: [u8; 23],
    },
    /// PBKDF2 with HMAC (RFC 8018 §5.2).
    Pbkdf2 {
        /// The hash function of the HMAC.
        digest: Pbkdf2Digest,
        /// Up to 2,000,000.
        iterations: NonZeroU32,
        /// 1 to 64 bytes.
        salt: Vec<u8>,
        /// 16 to 64 bytes.
        output: Vec<u8>,
    },
}

/// A variant of Argon2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argon2Kind {
    /// The one of today.
    Argon2id,
    /// Older.
    Argon2i,
    /// Older.
    Argon2d,
}

/// The hash function of a PBKDF2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pbkdf2Digest {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// Why a text is not a password hash. Never repeats it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidPasswordHash {
    /// None of the forms that are read.
    #[error(
        "not a known kind of password hash: expected one that begins with $argon2id$, $argon2i$, \
         $argon2d$, $2a$, $2b$, $2y$, $pbkdf2-sha256$, $pbkdf2-sha512$ or pbkdf2_sha256$"
    )]
    UnknownKind,
    /// Of a known kind, but damaged or cut off.
    #[error("the password hash is malformed: expected {0}")]
    Malformed(&'static str),
    /// It would take too long to check, or too much memory.
    #[error("the password hash cannot be accepted: {0}")]
    Cost(#[from] CostOutOfBounds),
}

const ARGON2: InvalidPasswordHash = InvalidPasswordHash::Malformed(
    "$argon2id$v=19$m=MEMORY,t=ITERATIONS,p=PARALLELISM$SALT$HASH with a salt of 8 to 64 bytes and \
     a hash of 16 to 64 in base64",
);
const BCRYPT: InvalidPasswordHash =
    InvalidPasswordHash::Malformed("$2b$, a cost of two digits, $, and 53 characters");
const PBKDF2: InvalidPasswordHash = InvalidPasswordHash::Malformed(
    "$pbkdf2-sha256$i=ITERATIONS,l=LENGTH$SALT$HASH, or ITERATIONS only (passlib), with a salt of 1 \
     to 64 bytes and a hash of 16 to 64 in base64",
);
const DJANGO: InvalidPasswordHash = InvalidPasswordHash::Malformed(
    "pbkdf2_sha256$ITERATIONS$SALT$HASH with a salt of 1 to 64 bytes and a hash of 16 to 64 in \
     base64",
);

impl FromStr for PasswordHash {
    type Err = InvalidPasswordHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_LENGTH {
            return Err(InvalidPasswordHash::UnknownKind);
        }
        let fields: Vec<&str> = text.split('$').collect();
        let scheme = match fields.as_slice() {
            ["", "argon2id", rest @ ..] => argon2(Argon2Kind::Argon2id, rest),
            ["", "argon2i", rest @ ..] => argon2(Argon2Kind::Argon2i, rest),
            ["", "argon2d", rest @ ..] => argon2(Argon2Kind::Argon2d, rest),
            ["", "2a" | "2b" | "2y", rest @ ..] => bcrypt(rest),
            ["", "pbkdf2-sha256", rest @ ..] => pbkdf2(Pbkdf2Digest::Sha256, rest),
            ["", "pbkdf2-sha512", rest @ ..] => pbkdf2(Pbkdf2Digest::Sha512, rest),
            ["pbkdf2_sha256", rest @ ..] => django(rest),
            _ => Err(InvalidPasswordHash::UnknownKind),
        }?;
        let text = text.to_owned();
        Ok(Self { text, scheme })
    }
}

fn argon2(kind: Argon2Kind, fields: &[&str]) -> Result<HashScheme, InvalidPasswordHash> {
    let (is_version_16, costs, salt, output) = match fields {
        ["v=19", costs, salt, output] => (false, costs, salt, output),
        // Version 16 had no field for it at first.
        ["v=16", costs, salt, output] | [costs, salt, output] => (true, costs, salt, output),
        _ => return Err(ARGON2),
    };
    let mut costs = costs.split(',');
    let mut cost = |name| {
        costs
            .next()
            .and_then(|text| number(text.strip_prefix(name)?))
    };
    let (memory_kib, iterations, parallelism) = (cost("m="), cost("t="), cost("p="));
    let (Some(memory_kib), Some(iterations), Some(parallelism), None) =
        (memory_kib, iterations, parallelism, costs.next())
    else {
        return Err(ARGON2);
    };
    Ok(HashScheme::Argon2 {
        kind,
        is_version_16,
        parameters: Argon2Parameters::new(memory_kib, iterations, parallelism)?,
        salt: bytes(salt, 8..=64).ok_or(ARGON2)?,
        output: bytes(output, 16..=64).ok_or(ARGON2)?,
    })
}

fn bcrypt(fields: &[&str]) -> Result<HashScheme, InvalidPasswordHash> {
    // Some producers leave bits in the last character of the salt that belong to no byte; all
    // checkers pass over them.
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &alphabet::BCRYPT,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireNone),
    );
    let [cost, salt_and_output] = fields else {
        return Err(BCRYPT);
    };
    let cost = number(cost).filter(|_| cost.len() == 2).ok_or(BCRYPT)?;
    within("the cost of bcrypt", cost, 4..=15)?;
    let (salt, output) = salt_and_output.split_at_checked(22).ok_or(BCRYPT)?;
    let salt = BASE64.decode(salt).map_err(|_| BCRYPT)?;
    let output = BASE64.decode(output).map_err(|_| BCRYPT)?;
    Ok(HashScheme::Bcrypt {
        cost,
        salt: salt.try_into().map_err(|_| BCRYPT)?,
        output: output.try_into().map_err(|_| BCRYPT)?,
    })
}

fn pbkdf2(digest: Pbkdf2Digest, fields: &[&str]) -> Result<HashScheme, InvalidPasswordHash> {
    let [costs, salt, output] = fields else {
        return Err(PBKDF2);
    };
    let (iterations, length) = match costs.strip_prefix("i=") {
        Some(costs) => match costs.split_once(",l=") {
            Some((iterations, length)) => (iterations, Some(number(length).ok_or(PBKDF2)?)),
            None => (costs, None),
        },
        None => (*costs, None),
    };
    // passlib writes `.` for `+`.
    let salt = bytes(&salt.replace('.', "+"), 1..=64).ok_or(PBKDF2)?;
    let output = bytes(&output.replace('.', "+"), 16..=64).ok_or(PBKDF2)?;
    if length.is_some_and(|length| usize::try_from(length) != Ok(output.len())) {
        return Err(PBKDF2);
    }
    Ok(HashScheme::Pbkdf2 {
        digest,
        iterations: pbkdf2_iterations(iterations, PBKDF2)?,
        salt,
        output,
    })
}

fn django(fields: &[&str]) -> Result<HashScheme, InvalidPasswordHash> {
    let [iterations, salt, output] = fields else {
        return Err(DJANGO);
    };
    // The salt is the text itself.
    if !(1..=64).contains(&salt.len()) {
        return Err(DJANGO);
    }
    Ok(HashScheme::Pbkdf2 {
        digest: Pbkdf2Digest::Sha256,
        iterations: pbkdf2_iterations(iterations, DJANGO)?,
        salt: salt.as_bytes().to_vec(),
        output: bytes(output, 16..=64).ok_or(DJANGO)?,
    })
}

fn pbkdf2_iterations(
    text: &str,
    malformed: InvalidPasswordHash,
) -> Result<NonZeroU32, InvalidPasswordHash> {
    let iterations = number(text).ok_or(malformed)?;
    within("the iterations of pbkdf2", iterations, 1..=2_000_000)?;
    Ok(NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN))
}

/// A decimal number; one that is too large for 32 bits is as large as they go, and out of bounds.
fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u32::MAX))
}

/// Base64 with or without padding.
fn bytes(text: &str, length: RangeInclusive<usize>) -> Option<Vec<u8>> {
    let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    length.contains(&bytes.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARGON2ID: &str = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$\
                            gy5SuVm5Z7Vw7keB9se9p87QGcomaseB/S2U1OhTsM0";
    const BCRYPT_2B: &str = "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG";
    const PHC: &str = "$pbkdf2-sha256$i=1000,l=32$8PHy8/T19vf4+fr7/P3+/w$\
                       0A35jjZ8X+jm/Nj9sc4uzmU/RqA2wljSyf5enbVFSOY";
    const PASSLIB: &str = "$pbkdf2-sha256$1000$8PHy8/T19vf4.fr7/P3./w$\
                           0A35jjZ8X.jm/Nj9sc4uzmU/RqA2wljSyf5enbVFSOY";
    const DJANGO: &str = "pbkdf2_sha256$1000$gWXUqSjGUYLo5bGpbgmeJH$\
                          VOammIPVutYyR05B05DpeenbQvQkdTg8Bj8jupMKnno=";

    fn parse(text: &str) -> Result<PasswordHash, InvalidPasswordHash> {
        text.parse()
    }

    /// A hash with one of its parts replaced.
    fn with(text: &str, from: &str, to: &str) -> String {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    }

    #[test]
    fn every_known_form_is_kept_as_it_came() {
        for good in [
            ARGON2ID.to_owned(),
            with(ARGON2ID, "argon2id", "argon2i"),
            with(ARGON2ID, "argon2id", "argon2d"),
            with(ARGON2ID, "v=19", "v=16"),
            with(ARGON2ID, "v=19$", ""),
            BCRYPT_2B.to_owned(),
            with(BCRYPT_2B, "2b", "2a"),
            with(BCRYPT_2B, "2b", "2y"),
            PHC.to_owned(),
            with(PHC, ",l=32", ""),
            with(PHC, "sha256", "sha512"),
            PASSLIB.to_owned(),
            DJANGO.to_owned(),
        ] {
            assert_eq!(parse(&good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn the_forms_of_pbkdf2_say_the_same() {
        assert!(parse(PHC).unwrap().scheme() == parse(PASSLIB).unwrap().scheme());
        let HashScheme::Pbkdf2 { salt, .. } = parse(DJANGO).unwrap().scheme else {
            panic!()
        };
        assert_eq!(salt, b"gWXUqSjGUYLo5bGpbgmeJH");
    }

    #[test]
    fn unknown_kinds_are_refused_with_the_known_ones() {
        for unknown in [
            "",
            "$",
            "plain",
            "$1$salt$hash",
            "$2x$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
            "$argon2$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
            "$scrypt$ln=15,r=8,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
            "pbkdf2_sha1$1000$salt$c2FsdHNhbHRzYWx0c2FsdA",
            &format!("{ARGON2ID}{}", "A".repeat(512)),
        ] {
            assert_eq!(
                parse(unknown).err(),
                Some(InvalidPasswordHash::UnknownKind),
                "{unknown}"
            );
        }
        let words = InvalidPasswordHash::UnknownKind.to_string();
        assert!(words.contains("$argon2id$") && words.contains("pbkdf2_sha256$"));
    }

    #[test]
    fn damaged_hashes_are_refused_without_repeating_them() {
        for damaged in [
            with(ARGON2ID, "v=19", "v=18"),
            with(ARGON2ID, "m=19456,", ""),
            with(ARGON2ID, "p=1", "p=1,data=AAAA"),
            with(ARGON2ID, "m=", "m=+"),
            with(ARGON2ID, "m=19456,t=2", "t=2,m=19456"),
            with(ARGON2ID, "MDEyMzQ1Njc4OWFiY2RlZg", "MDEyMzQ"),
            with(ARGON2ID, "gy5", "g!5"),
            with(ARGON2ID, "S2U1OhTsM0", "S2U1OhTsM0$"),
            ARGON2ID[..70].to_owned(),
            with(BCRYPT_2B, "$04$", "$4$"),
            with(BCRYPT_2B, "$04$", "$004$"),
            with(BCRYPT_2B, "6CG", "6C"),
            with(BCRYPT_2B, "6CG", "6CGG"),
            with(BCRYPT_2B, "6CG", "6C="),
            with(
                BCRYPT_2B,
                "abcdefghijklmnopqrstuu",
                "abcdefghijklmnopqrstué",
            ),
            with(PHC, "l=32", "l=31"),
            with(PHC, "l=32", "x=32"),
            with(PHC, "8PHy8/T19vf4+fr7/P3+/w", ""),
            with(PASSLIB, "1000", "1000.0"),
            with(DJANGO, "gWXUqSjGUYLo5bGpbgmeJH", ""),
            with(
                DJANGO,
                "VOammIPVutYyR05B05DpeenbQvQkdTg8Bj8jupMKnno=",
                "VOammIPVutY=",
            ),
            with(DJANGO, "$gWX", "$$gWX"),
        ] {
            let error = parse(&damaged).unwrap_err();
            assert!(
                matches!(error, InvalidPasswordHash::Malformed(_)),
                "{damaged} {error}"
            );
            let secret = damaged.rsplit('$').next().unwrap();
            assert!(secret.is_empty() || !error.to_string().contains(secret));
        }
    }

    #[test]
    fn nobody_brings_along_a_hash_that_takes_minutes() {
        for (text, words) in [
            (
                with(ARGON2ID, "m=19456", "m=262145"),
                "argon2 in KiB must be 8 to 262144",
            ),
            (
                with(ARGON2ID, "m=19456", "m=99999999999"),
                "argon2 in KiB must be 8 to 262144",
            ),
            (
                with(ARGON2ID, "m=19456", "m=7"),
                "argon2 in KiB must be 8 to 262144",
            ),
            (
                with(ARGON2ID, "m=19456,t=2,p=1", "m=31,t=2,p=4"),
                "must be 32 to 262144",
            ),
            (
                with(ARGON2ID, "t=2", "t=17"),
                "iterations of argon2 must be 1 to 16",
            ),
            (
                with(ARGON2ID, "t=2", "t=0"),
                "iterations of argon2 must be 1 to 16",
            ),
            (
                with(ARGON2ID, "p=1", "p=17"),
                "parallelism of argon2 must be 1 to 16",
            ),
            (
                with(ARGON2ID, "p=1", "p=0"),
                "parallelism of argon2 must be 1 to 16",
            ),
            (
                with(ARGON2ID, "m=19456,t=2", "m=262144,t=5"),
                "must be 8 to 1048576",
            ),
            (
                with(BCRYPT_2B, "$04$", "$03$"),
                "cost of bcrypt must be 4 to 15",
            ),
            (
                with(BCRYPT_2B, "$04$", "$16$"),
                "cost of bcrypt must be 4 to 15",
            ),
            (
                with(PHC, "i=1000", "i=0"),
                "iterations of pbkdf2 must be 1 to 2000000",
            ),
            (
                with(PASSLIB, "1000", "2000001"),
                "iterations of pbkdf2 must be 1 to 2000000",
            ),
            (
                with(DJANGO, "1000", "99999999999"),
                "iterations of pbkdf2 must be 1 to 2000000",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(matches!(error, InvalidPasswordHash::Cost(_)), "{text}");
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(parse(&with(ARGON2ID, "m=19456,t=2,p=1", "m=262144,t=4,p=16")).is_ok());
        assert!(parse(&with(BCRYPT_2B, "$04$", "$15$")).is_ok());
        assert!(parse(&with(DJANGO, "1000", "2000000")).is_ok());
    }

    #[test]
    fn a_new_hash_is_written_as_it_is_read() {
        let parameters = Argon2Parameters::new(64, 3, 4).unwrap();
        let made = PasswordHash::argon2id(parameters, &[7; 16], &[9; 32]);
        assert!(
            made.as_str()
                .starts_with("$argon2id$v=19$m=64,t=3,p=4$BwcH")
        );
        assert!(parse(made.as_str()).unwrap() == made);
    }

    #[test]
    fn whatever_is_not_of_today_is_to_be_replaced() {
        let today = Argon2Parameters::default();
        assert!(parse(ARGON2ID).unwrap().is_up_to_date(today));
        for old in [
            &with(ARGON2ID, "m=19456", "m=19457"),
            &with(ARGON2ID, "t=2", "t=3"),
            &with(ARGON2ID, "p=1", "p=2"),
            &with(ARGON2ID, "argon2id", "argon2i"),
            &with(ARGON2ID, "v=19", "v=16"),
            &with(ARGON2ID, "MDEyMzQ1Njc4OWFiY2RlZg", "MDEyMzQ1Njc4OWFi"),
            BCRYPT_2B,
            PHC,
            DJANGO,
        ] {
            assert!(!parse(old).unwrap().is_up_to_date(today), "{old}");
        }
    }

    #[test]
    fn a_hash_is_not_printed() {
        assert_eq!(
            format!("{:?}", parse(ARGON2ID).unwrap()),
            "PasswordHash(..)"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(
            text in "\\PC{0,80}|\\$(argon2id?|2[aby]|pbkdf2-sha(256|512))\\$[$=,.+/a-z0-9é]{0,80}\
                     |pbkdf2_sha256[$=,./a-zA-Z0-9]{0,80}",
        ) {
            if let Ok(hash) = parse(&text) {
                prop_assert_eq!(hash.as_str(), text);
            }
        }
    }
}
