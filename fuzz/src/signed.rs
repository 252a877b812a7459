//! An issuer with fixed keys, so that what it signed once is good in every run. Signing is the
//! server's own, with the keys that its tests import.

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;
use tokensmith::crypto::{MasterKey, MasterKeySource, SealedKeyVault, SystemEntropy};
use tokensmith::domain::Timestamp;
use tokensmith::domain::algorithm::Algorithm;
use tokensmith::domain::key::{KeySchedule, SigningKey};
use tokensmith::domain::ports::{KeyMaterial, KeyVault as _, TokenSigner};
use tokensmith_verify::KeySet;
use zeroize::Zeroizing;

pub(crate) const ISSUER: &str = "https://auth.example.com";
pub(crate) const AUDIENCE: &str = "https://api.example.com";
/// The instant at which everything happens, in Unix seconds.
pub(crate) const NOW: i64 = 1_700_000_000;

/// The name of the key that signs what no server would sign.
pub(crate) const RAW_KID: &str = "raw";

pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(Keys::new);

/// One key of each algorithm, and the raw one.
pub(crate) struct Keys {
    /// The server's signers, in the order of [`Algorithm::ALL`].
    pub(crate) signers: Vec<Arc<dyn TokenSigner>>,
    pub(crate) jwks: String,
    raw: Ed25519KeyPair,
}

impl Keys {
    fn new() -> Self {
        let pems = [
            include_str!("../../src/crypto/vault/fixtures/rsa2048-pkcs8.pem"),
            // Another RSA key: with the same one the two would have one `kid`.
            include_str!("../../src/crypto/vault/fixtures/rsa4096.pem"),
            include_str!("../../src/crypto/vault/fixtures/p256.pem"),
            include_str!("../../src/crypto/vault/fixtures/ed25519.pem"),
        ];
        let raw = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("a seed has 32 bytes");
        let mut jwks = vec![json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "use": "sig", "kid": RAW_KID,
            "x": URL_SAFE_NO_PAD.encode(raw.public_key()),
        })];
        let mut signers = Vec::new();
        for (pem, algorithm) in pems.into_iter().zip(Algorithm::ALL) {
            let material = vault()
                .import(pem, algorithm)
                .expect("the keys of the tests are good");
            jwks.push(json!(&material.public_jwk));
            signers.push(signer(material, algorithm));
        }
        Self {
            signers,
            jwks: json!({ "keys": jwks }).to_string(),
            raw,
        }
    }

    pub(crate) fn key_set(&self) -> KeySet {
        let keys = KeySet::from_json(&self.jwks).expect("the key set is well-formed");
        assert!(keys.refused().is_empty(), "every key of the issuer is good");
        keys
    }

    /// A signature behind exactly this header and payload, however wrong they are.
    pub(crate) fn sign_raw(&self, header: &[u8], payload: &[u8]) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signing_input = format!("{}.{}", encode(header), encode(payload));
        let signature = self.raw.sign(signing_input.as_bytes());
        format!("{signing_input}.{}", encode(signature.as_ref()))
    }

    /// The signer that is fast and always signs alike.
    pub(crate) fn ed25519(&self) -> &dyn TokenSigner {
        &**self.signers.last().expect("there are four")
    }
}

pub(crate) fn master_key() -> MasterKey {
    let source = MasterKeySource::Value(Zeroizing::new(STANDARD.encode([7; 32])));
    let master = MasterKey::load(&source).expect("32 bytes in base64 are a key");
    master.expect("the key was given")
}

pub(crate) fn vault() -> SealedKeyVault {
    let entropy = Arc::new(SystemEntropy::default());
    SealedKeyVault::new(&master_key(), entropy).expect("a derived key has its length")
}

/// The signer of a key that was imported a moment ago.
pub(crate) fn signer(material: KeyMaterial, algorithm: Algorithm) -> Arc<dyn TokenSigner> {
    let now = Timestamp::UNIX_EPOCH;
    let key = SigningKey {
        kid: material.kid,
        algorithm,
        slot: 1,
        public_jwk: material.public_jwk,
        sealed_private: Some(material.sealed_private),
        created_at: now,
        schedule: KeySchedule {
            active_from: now,
            retires_at: now,
            removed_at: now,
        },
        revoked_at: None,
    };
    vault().open(&key).expect("what was sealed opens again")
}
