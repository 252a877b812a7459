//! Private keys that an operator brings.
//!
//! The input is a PEM file, or, behind `#` and the letter `p` or `r`, what stands in the base64 of a
//! block `PRIVATE KEY` or `RSA PRIVATE KEY`. A key that is imported signs what the verifier accepts,
//! and nothing that is said of one that is not has a part of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokensmith::domain::algorithm::Algorithm;
use tokensmith::domain::ports::{KeyMaterial, KeyVault as _, KeyVaultError};
use tokensmith_verify::{KeySet, jws};

use crate::signed::{signer, vault};

/// Holds every property of key import.
pub fn check(data: &[u8]) {
    match data {
        [b'#', b'p', der @ ..] => check_pem(&wrapped("PRIVATE KEY", der)),
        [b'#', b'r', der @ ..] => check_pem(&wrapped("RSA PRIVATE KEY", der)),
        _ => check_pem(&String::from_utf8_lossy(data)),
    }
}

fn wrapped(tag: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN {tag}-----\n{body}\n-----END {tag}-----\n")
}

fn check_pem(pem: &str) {
    for algorithm in Algorithm::ALL {
        match vault().import(pem, algorithm) {
            Ok(material) => check_imported(pem, material, algorithm),
            Err(error) => check_refused(pem, &error),
        }
    }
}

fn check_imported(pem: &str, material: KeyMaterial, algorithm: Algorithm) {
    let again = vault()
        .import(pem, algorithm)
        .expect("what was imported once");
    assert_eq!(again.public_jwk, material.public_jwk, "a key has one name");
    let jwk = serde_json::to_value(&material.public_jwk).expect("a JWK is JSON");
    assert!(jwk.get("d").is_none(), "the public key has nothing private");
    let jwks = format!(r#"{{"keys":[{jwk}]}}"#);
    let keys = KeySet::from_json(&jwks).expect("a key set of one key");
    assert_eq!(
        (keys.len(), keys.refused()),
        (1, &[][..]),
        "verifiers take the key"
    );
    let kid = material.kid.as_str().to_owned();
    let token = signer(material, algorithm).sign_access_token(b"{}");
    let token = token.expect("an imported key signs");
    let payload = jws::verify(&token, &keys).expect("what it signs verifies");
    assert_eq!(
        (payload.kid, &payload.bytes[..]),
        (kid, &b"{}"[..]),
        "as it was signed"
    );
    assert_eq!(
        payload.algorithm.as_str(),
        algorithm.as_str(),
        "for its one algorithm"
    );
}

fn check_refused(pem: &str, error: &KeyVaultError) {
    // A text may stand in the words of the message, a key does not.
    let said = error.to_string();
    let lines = pem
        .lines()
        .filter(|line| line.len() >= 32 && !line.contains(' '));
    for line in lines {
        assert!(
            !said.contains(line),
            "nothing that is said has a part of the key"
        );
    }
    let begins = |tag: &str| pem.matches(tag).count();
    let encrypted = begins("-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    if encrypted == 1 && begins("-----BEGIN") == 1 && *error != KeyVaultError::NotAPrivateKey {
        assert_eq!(
            *error,
            KeyVaultError::Encrypted,
            "an encrypted key is called by its name"
        );
    }
}
