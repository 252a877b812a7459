use std::sync::Arc;

use tempfile::TempDir;

use super::super::SystemEntropy;
use super::*;
use crate::domain::Timestamp;
use crate::domain::key::KeySchedule;

fn vault() -> (TempDir, SealedKeyVault) {
    let directory = tempfile::tempdir().unwrap();
    let entropy = Arc::new(SystemEntropy::default());
    let master = MasterKey::create(directory.path(), &*entropy).unwrap();
    (directory, SealedKeyVault::new(&master, entropy).unwrap())
}

fn stored(material: KeyMaterial, algorithm: Algorithm) -> SigningKey {
    let now = Timestamp::UNIX_EPOCH;
    SigningKey {
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
    }
}

fn import(pem: &str, algorithm: Algorithm) -> Result<KeyMaterial, KeyVaultError> {
    vault().1.import(pem, algorithm)
}

#[test]
fn a_key_of_every_algorithm_signs_after_it_was_sealed() {
    let (_directory, vault) = vault();
    for algorithm in Algorithm::ALL {
        let key = stored(vault.generate(algorithm).unwrap(), algorithm);
        let token = vault.open(&key).unwrap().sign_access_token(b"{}").unwrap();
        assert_eq!(token.split('.').count(), 3);
    }
}

#[test]
fn a_sealed_key_does_not_open_under_another_name_or_master_key_or_when_it_was_changed() {
    let (_directory, vault) = vault();
    let algorithm = Algorithm::Ed25519;
    let key = stored(vault.generate(algorithm).unwrap(), algorithm);
    let other = vault.generate(algorithm).unwrap().kid;
    let renamed = SigningKey {
        kid: other.clone(),
        ..key.clone()
    };
    assert_eq!(
        vault.open(&renamed).err(),
        Some(KeyVaultError::Sealed(other))
    );
    let refused = Some(KeyVaultError::Sealed(key.kid.clone()));
    assert_eq!(self::vault().1.open(&key).err(), refused);
    let sealed = key.sealed_private.clone().unwrap().0;
    for position in [0, 1, 13, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[position] ^= 1;
        let sealed_private = Some(SealedPrivateKey(changed));
        let changed = SigningKey {
            sealed_private,
            ..key.clone()
        };
        assert_eq!(vault.open(&changed).err(), refused, "byte {position}");
    }
    let foreign = vault.generate(algorithm).unwrap().public_jwk;
    let swapped = SigningKey {
        public_jwk: foreign,
        ..key.clone()
    };
    assert_eq!(
        vault.open(&swapped).err(),
        refused,
        "the public half must belong to the private"
    );
    let destroyed = SigningKey {
        sealed_private: None,
        ..key.clone()
    };
    assert_eq!(
        vault.open(&destroyed).err(),
        Some(KeyVaultError::Destroyed(key.kid))
    );
}

#[test]
fn pem_in_pkcs8_and_pkcs1_is_one_key() {
    let pkcs8 = import(include_str!("fixtures/rsa2048-pkcs8.pem"), Algorithm::RS256).unwrap();
    let pkcs1 = import(include_str!("fixtures/rsa2048-pkcs1.pem"), Algorithm::RS256).unwrap();
    assert_eq!(pkcs8.public_jwk, pkcs1.public_jwk);
    assert!(import(include_str!("fixtures/rsa4096.pem"), Algorithm::PS256).is_ok());
    assert!(import(include_str!("fixtures/p256.pem"), Algorithm::ES256).is_ok());
    assert!(import(include_str!("fixtures/ed25519.pem"), Algorithm::Ed25519).is_ok());
}

#[test]
fn a_weak_encrypted_or_foreign_key_is_refused_with_its_reason() {
    use Algorithm::{ES256, RS256};
    use KeyVaultError as No;
    for (pem, algorithm, reason) in [
        (include_str!("fixtures/rsa1024.pem"), RS256, No::RsaSize),
        (include_str!("fixtures/rsa5120.pem"), RS256, No::RsaSize),
        (
            include_str!("fixtures/rsa2048-e3.pem"),
            RS256,
            No::RsaExponent,
        ),
        (
            include_str!("fixtures/encrypted-pkcs8.pem"),
            RS256,
            No::Encrypted,
        ),
        (
            include_str!("fixtures/encrypted-pkcs1.pem"),
            RS256,
            No::Encrypted,
        ),
        (
            include_str!("fixtures/p256.pem"),
            RS256,
            No::WrongKind(RS256),
        ),
        (
            include_str!("fixtures/rsa2048-pkcs1.pem"),
            ES256,
            No::WrongKind(ES256),
        ),
        (
            include_str!("fixtures/public.pem"),
            RS256,
            No::NotAPrivateKey,
        ),
        ("", RS256, No::NotAPrivateKey),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            RS256,
            No::WrongKind(RS256),
        ),
    ] {
        assert_eq!(import(pem, algorithm), Err(reason));
    }
    let two = include_str!("fixtures/ed25519.pem").repeat(2);
    assert_eq!(import(&two, Algorithm::Ed25519), Err(No::NotAPrivateKey));
}

#[test]
fn an_even_exponent_is_refused() {
    let fixture = pem::parse(include_str!("fixtures/rsa2048-pkcs1.pem")).unwrap();
    let mut der = fixture.contents().to_vec();
    let exponent = [0x02, 0x03, 0x01, 0x00, 0x01];
    let at = der
        .windows(5)
        .position(|window| window == exponent)
        .unwrap();
    der[at + 4] = 0;
    let even = pem::encode(&pem::Pem::new("RSA PRIVATE KEY", der));
    assert!(import(&even, Algorithm::RS256).is_err());
}
