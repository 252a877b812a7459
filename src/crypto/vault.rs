//! Private keys at rest: PKCS#8 sealed with AES-256-GCM under a key derived from the master key,
//! with algorithm and `kid` as associated data, so that a row cannot be passed off as another.

use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use tokensmith_verify::KeySet;
use zeroize::Zeroizing;

use super::MasterKey;
use super::key_pair::{KeyPair, MemorySigner};
use super::pem_import;
use crate::domain::algorithm::Algorithm;
use crate::domain::id::Kid;
use crate::domain::key::{SealedPrivateKey, SigningKey};
use crate::domain::ports::{Entropy, KeyMaterial, KeyVault, KeyVaultError, TokenSigner};

/// The first byte of every sealed key, so that the form can change later.
const FORMAT: u8 = 1;

/// Seals and opens private keys with one master key.
pub struct SealedKeyVault {
    sealing_key: LessSafeKey,
    entropy: Arc<dyn Entropy>,
}

impl SealedKeyVault {
    /// A vault under a master key.
    pub fn new(master: &MasterKey, entropy: Arc<dyn Entropy>) -> Result<Self, KeyVaultError> {
        let key = master.derive("key-sealing");
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| KeyVaultError::Failed)?;
        Ok(Self {
            sealing_key: LessSafeKey::new(key),
            entropy,
        })
    }

    fn material(&self, pair: &KeyPair, algorithm: Algorithm) -> Result<KeyMaterial, KeyVaultError> {
        let public_jwk = pair.public_jwk(algorithm)?;
        let kid: Kid = public_jwk.kid.parse().map_err(|_| KeyVaultError::Failed)?;
        let sealed_private = self.seal(&kid, algorithm, pair.to_pkcs8()?)?;
        Ok(KeyMaterial {
            kid,
            public_jwk,
            sealed_private,
        })
    }

    /// format | nonce | ciphertext and tag
    fn seal(
        &self,
        kid: &Kid,
        algorithm: Algorithm,
        mut private: Zeroizing<Vec<u8>>,
    ) -> Result<SealedPrivateKey, KeyVaultError> {
        let mut nonce = [0; NONCE_LEN];
        self.entropy
            .fill(&mut nonce)
            .map_err(|_| KeyVaultError::Failed)?;
        let tag = self
            .sealing_key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                associated_data(kid, algorithm),
                &mut private,
            )
            .map_err(|_| KeyVaultError::Failed)?;
        let mut sealed = vec![FORMAT];
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&private);
        sealed.extend_from_slice(tag.as_ref());
        Ok(SealedPrivateKey(sealed))
    }

    fn unseal(
        &self,
        kid: &Kid,
        algorithm: Algorithm,
        sealed: &SealedPrivateKey,
    ) -> Result<Zeroizing<Vec<u8>>, KeyVaultError> {
        let refused = || KeyVaultError::Sealed(kid.clone());
        let body = sealed.0.strip_prefix(&[FORMAT]).ok_or_else(refused)?;
        let (nonce, body) = body.split_first_chunk::<NONCE_LEN>().ok_or_else(refused)?;
        let mut buffer = Zeroizing::new(body.to_vec());
        let length = self
            .sealing_key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                associated_data(kid, algorithm),
                &mut buffer,
            )
            .map_err(|_| refused())?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

impl KeyVault for SealedKeyVault {
    fn generate(&self, algorithm: Algorithm) -> Result<KeyMaterial, KeyVaultError> {
        self.material(&KeyPair::generate(algorithm)?, algorithm)
    }

    fn import(&self, pem: &str, algorithm: Algorithm) -> Result<KeyMaterial, KeyVaultError> {
        let material = self.material(&pem_import::import(pem, algorithm)?, algorithm)?;
        refuse_what_verifiers_refuse(&material)?;
        Ok(material)
    }

    fn open(&self, key: &SigningKey) -> Result<Arc<dyn TokenSigner>, KeyVaultError> {
        let sealed = key
            .sealed_private
            .as_ref()
            .ok_or_else(|| KeyVaultError::Destroyed(key.kid.clone()))?;
        let private = self.unseal(&key.kid, key.algorithm, sealed)?;
        let pair = KeyPair::from_pkcs8(&private, key.algorithm)?;
        // The public half is not sealed; only the private one can vouch for it.
        if pair.public_jwk(key.algorithm)? != key.public_jwk {
            return Err(KeyVaultError::Sealed(key.kid.clone()));
        }
        Ok(Arc::new(MemorySigner::new(
            key.kid.clone(),
            key.algorithm,
            pair,
        )))
    }
}

/// A key that is published but refused by verifiers would sign tokens that nobody accepts.
fn refuse_what_verifiers_refuse(material: &KeyMaterial) -> Result<(), KeyVaultError> {
    let jwks = serde_json::json!({ "keys": [&material.public_jwk] }).to_string();
    let refused = |reason: String| KeyVaultError::RefusedByVerifiers(reason);
    let keys = KeySet::from_json(&jwks).map_err(|error| refused(error.to_string()))?;
    match keys.refused().first() {
        Some(key) => Err(refused(key.reason.to_string())),
        None => Ok(()),
    }
}

fn associated_data(kid: &Kid, algorithm: Algorithm) -> Aad<String> {
    Aad::from(format!("{algorithm} {kid}"))
}

#[cfg(test)]
mod tests;
