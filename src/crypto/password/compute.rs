//! Computes password hashes: Argon2, bcrypt and PBKDF2.

use std::iter;
use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use ring::pbkdf2;
use zeroize::Zeroizing;

use crate::domain::password::{Argon2Kind, Argon2Parameters, HashScheme, Password, Pbkdf2Digest};
use crate::domain::ports::PasswordError;

/// Computes hashes one after another, in memory that it keeps.
pub(super) struct HashComputer {
    blocks: Vec<Block>,
    usual_blocks: usize,
}

impl HashComputer {
    /// Will hold the memory that hashes with the parameters `usual` need, from the first one on.
    pub(super) fn new(usual: Argon2Parameters) -> Self {
        // One block is 1 KiB.
        let usual_blocks = usize::try_from(usual.memory_kib()).unwrap_or_default();
        Self {
            blocks: Vec::new(),
            usual_blocks,
        }
    }

    /// Gives the memory back until the next hash.
    pub(super) fn rest(&mut self) {
        self.blocks = Vec::new();
    }

    /// The output of Argon2id, version 19.
    pub(super) fn argon2id(
        &mut self,
        password: &Password,
        parameters: Argon2Parameters,
        salt: &[u8],
    ) -> Result<[u8; 32], PasswordError> {
        let mut output = [0; 32];
        let variant = (Algorithm::Argon2id, Version::V0x13);
        let argon2 = argon2(variant, parameters, output.len())?;
        self.argon2(&argon2, password, salt, &mut output)?;
        Ok(output)
    }

    /// Whether the password is the one behind the hash. Outputs are compared in constant time.
    pub(super) fn matches(
        &mut self,
        password: &Password,
        scheme: &HashScheme,
    ) -> Result<bool, PasswordError> {
        match scheme {
            HashScheme::Argon2 {
                kind,
                is_version_16,
                parameters,
                salt,
                output,
            } => {
                let algorithm = match kind {
                    Argon2Kind::Argon2id => Algorithm::Argon2id,
                    Argon2Kind::Argon2i => Algorithm::Argon2i,
                    Argon2Kind::Argon2d => Algorithm::Argon2d,
                };
                let version = if *is_version_16 {
                    Version::V0x10
                } else {
                    Version::V0x13
                };
                let mut computed = vec![0; output.len()];
                let argon2 = argon2((algorithm, version), *parameters, output.len())?;
                self.argon2(&argon2, password, salt, &mut computed)?;
                Ok(are_equal(&computed, output))
            }
            HashScheme::Bcrypt { cost, salt, output } => {
                Ok(are_equal(&bcrypt(password, *cost, *salt), output))
            }
            HashScheme::Pbkdf2 {
                digest,
                iterations,
                salt,
                output,
            } => {
                let mut computed = vec![0; output.len()];
                pbkdf2((*digest, *iterations), password, salt, &mut computed);
                Ok(are_equal(&computed, output))
            }
        }
    }

    fn argon2(
        &mut self,
        argon2: &Argon2<'_>,
        password: &Password,
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), PasswordError> {
        let missing = argon2
            .params()
            .block_count()
            .saturating_sub(self.blocks.len());
        if missing > 0 {
            self.blocks
                .try_reserve_exact(missing)
                .map_err(|_| PasswordError::Failed("there is not enough memory"))?;
            self.blocks
                .resize(self.blocks.len() + missing, Block::new());
        }
        let result = argon2.hash_password_into_with_memory(
            password.as_bytes(),
            salt,
            output,
            self.blocks.as_mut_slice(),
        );
        // What one stored hash needed is not kept: it is replaced by one of today.
        self.blocks.truncate(self.usual_blocks);
        self.blocks.shrink_to(self.usual_blocks);
        result.map_err(|_| PasswordError::Failed("argon2 refused the parameters"))
    }

    /// What the last Argon2 left behind.
    #[cfg(test)]
    pub(super) fn memory(&self) -> Vec<u64> {
        let words = self.blocks.iter().flat_map(AsRef::<[u64]>::as_ref);
        words.copied().collect()
    }
}

fn argon2(
    (algorithm, version): (Algorithm, Version),
    parameters: Argon2Parameters,
    output_length: usize,
) -> Result<Argon2<'static>, PasswordError> {
    let parameters = Params::new(
        parameters.memory_kib(),
        parameters.iterations(),
        parameters.parallelism(),
        Some(output_length),
    )
    .map_err(|_| PasswordError::Failed("argon2 refused the parameters"))?;
    Ok(Argon2::new(algorithm, version, parameters))
}

/// bcrypt's key is the password with a NUL after it, cut off after 72 bytes: so it is in OpenBSD,
/// libxcrypt, PHP and Python, and so only the first 72 bytes of a password count.
fn bcrypt(password: &Password, cost: u32, salt: [u8; 16]) -> [u8; 23] {
    let terminated = password.as_bytes().iter().copied().chain(iter::once(0));
    let key: Zeroizing<Vec<u8>> = Zeroizing::new(terminated.take(72).collect());
    let [output @ .., _never_stored] = bcrypt::bcrypt(cost, salt, &key);
    output
}

fn pbkdf2(
    (digest, iterations): (Pbkdf2Digest, NonZeroU32),
    password: &Password,
    salt: &[u8],
    output: &mut [u8],
) {
    let algorithm = match digest {
        Pbkdf2Digest::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        Pbkdf2Digest::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
    };
    pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), output);
}

fn are_equal(computed: &[u8], stored: &[u8]) -> bool {
    verify_slices_are_equal(computed, stored).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::password::PasswordHash;

    const PASSWORD: &str = "correct horse battery staple";

    fn password(text: &str) -> Password {
        Password::presented(text).unwrap()
    }

    fn usual() -> Argon2Parameters {
        Argon2Parameters::new(64, 1, 1).unwrap()
    }

    fn matches(text: &str, hash: &str) -> bool {
        let hash: PasswordHash = hash.parse().unwrap();
        HashComputer::new(usual())
            .matches(&password(text), hash.scheme())
            .unwrap()
    }

    /// Made by argon2-cffi 25.1 (the reference implementation).
    const ARGON2: &[&str] = &[
        "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$\
         gy5SuVm5Z7Vw7keB9se9p87QGcomaseB/S2U1OhTsM0",
        "$argon2id$v=19$m=64,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$\
         50WlLMTS62Tm0boTX6gj9/Twg9JqLCOkn3nUFhfCpHs",
        "$argon2i$v=19$m=64,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$\
         Mv9qSiLVjTK3Xn+4bXxMB9UyxmrbCAHn7xVenlS0Qn4",
        "$argon2d$v=19$m=64,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$aZyDxujQgvKSsstNJe6J3w",
        "$argon2i$v=16$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$\
         /PwJl4mStb48fOgHJ3gB++bUt8bqRyJ+klYGs1xibdg",
        "$argon2i$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$\
         /PwJl4mStb48fOgHJ3gB++bUt8bqRyJ+klYGs1xibdg",
        "$argon2id$v=19$m=32768,t=1,p=2$c2FsdHNhbHQ$\
         LRKMQj08o2ASX684wP2eSAkslyoY4ooH2JQgKbQN6FmcKB5mpq6xGHc9gFilYgkF6oWUhiS1OeFm+iOQ+VCJ3A",
    ];

    /// Made by Python's bcrypt 5.0 and by libxcrypt; the last has a salt with bits to spare.
    const BCRYPT: &[&str] = &[
        "$2a$04$Z4AHKWV5S4D7eRkfT5bP0.Dc.yyP0cWr92pkbsE23LfsgAkxGVn3K",
        "$2b$04$4EySwkZvkB3KkbmZJwg5..WTZhBWt2MtvCfYsbZhHx1dZrtqjzC/a",
        "$2y$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
        "$2b$04$abcdefghijklmnopqrstuz7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
    ];

    /// Made by passlib 1.7.4, by Python's hashlib, and as Django 5.2 does.
    const PBKDF2: &[&str] = &[
        "$pbkdf2-sha256$1000$8PHy8/T19vf4.fr7/P3./w$0A35jjZ8X.jm/Nj9sc4uzmU/RqA2wljSyf5enbVFSOY",
        "$pbkdf2-sha512$1000$8PHy8/T19vf4.fr7/P3./w$\
         7Ny4dUakS7JIZAfjYpLQGSZsWvUihs7A6xXDgyqRrc3BkpXb3nL1/MvPpT3VxDAwU6FzpGn1KkCfA3fC7/680Q",
        "$pbkdf2-sha256$i=1000,l=32$8PHy8/T19vf4+fr7/P3+/w$\
         0A35jjZ8X+jm/Nj9sc4uzmU/RqA2wljSyf5enbVFSOY",
        "$pbkdf2-sha512$i=1000$8PHy8/T19vf4+fr7/P3+/w$\
         7Ny4dUakS7JIZAfjYpLQGSZsWvUihs7A6xXDgyqRrc3BkpXb3nL1/MvPpT3VxDAwU6FzpGn1KkCfA3fC7/680Q",
        "pbkdf2_sha256$1000$gWXUqSjGUYLo5bGpbgmeJH$VOammIPVutYyR05B05DpeenbQvQkdTg8Bj8jupMKnno=",
    ];

    #[test]
    fn hashes_of_other_implementations_are_understood() {
        for hash in [ARGON2, BCRYPT, PBKDF2].concat() {
            assert!(matches(PASSWORD, hash), "{hash}");
            assert!(!matches("correct horse battery stapler", hash), "{hash}");
        }
    }

    #[test]
    fn bcrypt_hashes_utf8_and_its_first_72_bytes_count() {
        let umlauts = "$2b$04$abcdefghijklmnopqrstuulP40mix1kMuKfwOhZkUR3VAjfP8IpDK";
        assert!(matches("pässwörd€", umlauts));
        let digits = "0123456789".repeat(9);
        let of_80 = "$2b$04$abcdefghijklmnopqrstuum2G75IXDN/xsgbNa/hCiPSKyIHQd70S";
        let of_71 = "$2b$04$abcdefghijklmnopqrstuukow.iL/GuIgNNTSpCKVqIJG617.YQsi";
        for length in [72, 73, 80, 90] {
            assert!(matches(&digits[..length], of_80), "{length}");
        }
        assert!(matches(&digits[..71], of_71));
        assert!(!matches(&digits[..71], of_80) && !matches(&digits[..72], of_71));
    }

    #[test]
    fn memory_grows_for_a_strong_hash_and_is_given_back() {
        let mut computer = HashComputer::new(usual());
        assert_eq!(
            computer.blocks.capacity(),
            0,
            "nothing before the first hash"
        );
        let salt = [7; 16];
        let first = computer.argon2id(&password("x"), usual(), &salt).unwrap();
        let before = computer.blocks.capacity();
        for hash in ARGON2 {
            let hash: PasswordHash = hash.parse().unwrap();
            assert_eq!(
                computer.matches(&password(PASSWORD), hash.scheme()),
                Ok(true)
            );
            assert_eq!(computer.blocks.len(), 64);
            assert!(computer.blocks.capacity() <= 2 * before);
        }
        let again = computer.argon2id(&password("x"), usual(), &salt).unwrap();
        assert_eq!(first, again);
        computer.rest();
        assert_eq!(computer.blocks.capacity(), 0);
        let again = computer.argon2id(&password("x"), usual(), &salt).unwrap();
        assert_eq!(first, again);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_parses_can_be_computed(
            parallelism in 1_u32..=16, passes in 1_u32..=3, version in 15..=20, more_memory in 0_u32..100,
            kind in "argon2(id|i|d)", salt in "([A-Za-z0-9+/]{4}){1,24}", output in "([A-Za-z0-9+/]{4}){1,24}",
            text in "\\PC{1,40}|[\0a]{1,200}",
        ) {
            let memory = 8 * parallelism + more_memory;
            let costs = format!("m={memory},t={passes},p={parallelism}");
            for hash in [
                format!("${kind}$v={version}${costs}${salt}${output}"),
                format!("$2b$04${salt}${output}"),
                format!("$2b$04${}", &format!("{salt}{output}{salt:.>60}")[..53]),
                format!("$pbkdf2-sha512$i={passes}${salt}${output}"),
                format!("pbkdf2_sha256${passes}${salt}${output}"),
            ] {
                if let Ok(hash) = hash.parse::<PasswordHash>() {
                    let mut computer = HashComputer::new(usual());
                    prop_assert_eq!(computer.matches(&password(&text), hash.scheme()), Ok(false));
                }
            }
        }
    }
}
