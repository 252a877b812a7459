//! The yardstick: RSA-2048 by aws-lc-rs and nothing else.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};

use super::{Latencies, Work, cores, work_on};
use crate::failure::{Doing, Outcome};

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
        Ok(self.sign_on(cores()?, message, duration)?.cpu_us())
    }

    /// Signs on so many threads at once.
    pub(crate) fn sign_on(
        &self,
        threads: NonZeroUsize,
        message: &[u8],
        duration: Duration,
    ) -> Outcome<Work> {
        work_on(threads, duration, || {
            Ok(|| {
                std::hint::black_box(self.sign(message)?);
                Ok(())
            })
        })
    }

    /// Makes one signature for each instant, counted from the beginning, one after the other on this thread;
    /// answers how long after their instants they were there.
    pub(crate) fn sign_at(
        &self,
        message: &[u8],
        instants: impl Iterator<Item = Duration>,
    ) -> Outcome<Latencies> {
        let mut latencies = Latencies::new()?;
        let start = Instant::now();
        for due in instants {
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            std::hint::black_box(self.sign(message)?);
            latencies.record(start.elapsed().saturating_sub(due));
        }
        Ok(latencies)
    }

    /// The other half of the yardstick: the signature of a message, to be verified.
    pub(crate) fn verifier(&self, message: &[u8]) -> Outcome<RawRsaVerifier> {
        let public = self.pair.public_key();
        let n = public.modulus().big_endian_without_leading_zero();
        let e = public.exponent().big_endian_without_leading_zero();
        Ok(RawRsaVerifier {
            key: raw_rsa_public_key(n, e)?,
            message: message.to_vec(),
            signature: self.sign(message)?,
        })
    }
}

/// Verifies one signature again and again, with a public key that is parsed once.
pub(crate) struct RawRsaVerifier {
    key: ParsedPublicKey,
    message: Vec<u8>,
    signature: [u8; 256],
}

impl RawRsaVerifier {
    /// Verifies on so many threads at once.
    pub(crate) fn verify_on(&self, threads: NonZeroUsize, duration: Duration) -> Outcome<Work> {
        let verify = || self.key.verify_sig(&self.message, &self.signature);
        work_on(threads, duration, || Ok(|| verify().doing("verifying")))
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
    use super::*;

    #[test]
    fn the_yardstick_makes_real_signatures_and_verifies_them() {
        let signer = RawRsaSigner::new().unwrap();
        let mut verifier = signer.verifier(b"message").unwrap();
        let (one, moment) = (NonZeroUsize::MIN, Duration::from_millis(5));
        assert!(verifier.verify_on(one, moment).unwrap().cpu_us() > 0.0);
        verifier.message = b"another".to_vec();
        assert!(verifier.verify_on(one, moment).is_err());
        assert!(signer.sign_on_every_core(b"message", moment).unwrap() > 0.0);
    }
}
