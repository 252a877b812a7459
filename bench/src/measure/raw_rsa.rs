//! The yardstick: RSA-2048 by aws-lc-rs and nothing else.

use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};

use super::{cpu_time, real};
use crate::failure::{Doing, Failure, Outcome};

/// Signs with a key pair that is parsed once.
pub(crate) struct RawRsaSigner {
    pair: RsaKeyPair,
    random: SystemRandom,
}

impl RawRsaSigner {
    /// A signer with a new key.
    pub(crate) fn new() -> Outcome<Self> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).doing("making an RSA key")?;
        Ok(Self {
            pair,
            random: SystemRandom::new(),
        })
    }

    /// Makes one signature.
    pub(crate) fn sign(&self, message: &[u8]) -> Outcome<[u8; 256]> {
        let mut signature = [0; 256];
        debug_assert_eq!(signature.len(), self.pair.public_modulus_len());
        self.pair
            .sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
            .doing("signing")?;
        Ok(signature)
    }

    /// Signs on every core at once, as a loaded service does, for about `duration`; answers the
    /// CPU time of one signature in µs.
    pub(crate) fn sign_on_every_core(&self, message: &[u8], duration: Duration) -> Outcome<f64> {
        let cores = std::thread::available_parallelism().doing("counting the cores")?;
        let sums = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..cores.get())
                .map(|_| scope.spawn(|| self.sign_for(message, duration)))
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Outcome<(Duration, u64)>>| {
                let panicked = |_| Err(Failure::new("a signing thread has panicked"));
                thread.join().unwrap_or_else(panicked)
            };
            threads.into_iter().map(join).collect::<Outcome<Vec<_>>>()
        })?;
        let time: Duration = sums.iter().map(|(time, _)| *time).sum();
        let signatures: u64 = sums.iter().map(|(_, signatures)| *signatures).sum();
        Ok(time.as_secs_f64() * 1e6 / real(signatures))
    }

    fn sign_for(&self, message: &[u8], duration: Duration) -> Outcome<(Duration, u64)> {
        let (start, before) = (Instant::now(), cpu_time::of_this_thread());
        let mut signatures = 0;
        while start.elapsed() < duration {
            std::hint::black_box(self.sign(message)?);
            signatures += 1;
        }
        Ok((
            cpu_time::of_this_thread().saturating_sub(before),
            signatures,
        ))
    }
}

/// A parsed public key from its two numbers, big-endian.
pub(crate) fn raw_rsa_public_key(n: &[u8], e: &[u8]) -> Outcome<ParsedPublicKey> {
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .doing("parsing the public key")
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::KeyPair as _;

    use super::*;

    #[test]
    fn the_yardstick_makes_real_signatures() {
        let signer = RawRsaSigner::new().unwrap();
        let signature = signer.sign(b"message").unwrap();
        let public = signer.pair.public_key();
        let n = public.modulus().big_endian_without_leading_zero();
        let e = public.exponent().big_endian_without_leading_zero();
        let key = raw_rsa_public_key(n, e).unwrap();
        assert!(key.verify_sig(b"message", &signature).is_ok());
        assert!(key.verify_sig(b"another", &signature).is_err());
        let microseconds = signer.sign_on_every_core(b"message", Duration::from_millis(5));
        assert!(microseconds.unwrap() > 0.0);
    }
}
