//! The signature sets of Wycheproof: thousands of ways to get a signature almost right.
//!
//! Their messages are no JWS signing inputs, so they come in one layer below `jws::verify`: each
//! group's key is read by `KeySet::from_json` as part of a JWKS, and each signature goes to
//! `Key::verify_signature`, which is what `jws::verify` ends with. "Acceptable" is not acceptable
//! here. Sets of other hashes, salts, curves and encodings are run too: nothing of them may pass
//! but what is wrong there because it was made for ours, and that is known by its comment.

use serde_json::{Value, json};
use tokensmith_verify::{Key, KeyRefusal, KeySet};
use wycheproof::{EllipticCurve, HashFunction, Mgf, TestResult};
use wycheproof::{ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use crate::signer::encode;

/// What became of the tests of some sets.
#[derive(Default)]
struct Tally {
    accepted: usize,
    rejected: usize,
    /// Of those rejected, the ones that Wycheproof leaves to taste.
    acceptable: usize,
    refused_keys: Vec<KeyRefusal>,
    failures: Vec<String>,
}

impl Tally {
    fn check(
        &mut self,
        test: &str,
        key: &Key,
        (message, signature): (&[u8], &[u8]),
        (result, is_expected): (TestResult, bool),
    ) {
        let is_good = key.verify_signature(message, signature).is_ok();
        if is_good != is_expected {
            self.failures
                .push(format!("  {test}: {result:?}, accepted: {is_good}"));
        }
        if is_good {
            self.accepted += 1;
        } else {
            self.rejected += 1;
            self.acceptable += usize::from(result == TestResult::Acceptable);
        }
    }

    fn assert_no_failures(&self) {
        let failures = self.failures.join("\n");
        assert!(
            self.failures.is_empty(),
            "{} failures:\n{failures}",
            self.failures.len()
        );
    }
}

/// The key set of one group's key, or why the key is refused.
fn key_set(mut jwk: Value) -> Result<KeySet, KeyRefusal> {
    jwk["kid"] = json!("group");
    let keys = KeySet::from_json(&json!({ "keys": [jwk] }).to_string()).unwrap();
    match keys.refused().first() {
        Some(refused) => Err(refused.reason),
        None => Ok(keys),
    }
}

fn rsa_jwk(alg: &str, n: &[u8], e: &[u8]) -> Value {
    json!({ "kty": "RSA", "alg": alg, "n": encode(minimal(n)), "e": encode(minimal(e)) })
}

/// Wycheproof writes integers with a sign bit; RFC 7518 §2 wants the fewest octets.
fn minimal(integer: &[u8]) -> &[u8] {
    let start = integer.iter().position(|byte| *byte != 0).unwrap();
    &integer[start..]
}

/// What becomes of an RSA key of this size and exponent.
fn rsa_refusal(bits: usize, e: &[u8]) -> Option<KeyRefusal> {
    match (bits, minimal(e)) {
        (2_048..=4_096, [1, 0, 1]) => None,
        (2_048..=4_096, _) => Some(KeyRefusal::WeakExponent),
        _ => Some(KeyRefusal::ModulusSize),
    }
}

#[test]
fn every_pkcs1_signature_of_wycheproof_is_judged_as_rs256_demands() {
    let mut tally = Tally::default();
    for name in rsa_pkcs1_verify::TestName::all() {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let keys = key_set(rsa_jwk("RS256", &group.key.n, &group.key.e));
            let refusal = keys.as_ref().err().copied();
            assert_eq!(
                refusal,
                rsa_refusal(group.key_size, &group.key.e),
                "{name:?}"
            );
            tally.refused_keys.extend(refusal);
            let Ok(keys) = keys else { continue };
            let key = keys.find("group").unwrap();
            let is_ours = group.hash == HashFunction::Sha2_256;
            for test in &group.tests {
                let name = format!("{name:?} {}", test.tc_id);
                let is_expected = if is_ours {
                    test.result == TestResult::Valid
                } else {
                    let hashed = "The message is hashed with SHA-256 instead of";
                    test.comment.starts_with(hashed)
                };
                let signed: (&[u8], &[u8]) = (&test.msg, &test.sig);
                tally.check(&name, key, signed, (test.result, is_expected));
            }
        }
    }
    tally.assert_no_failures();
    // An empty set proves nothing.
    assert!(tally.accepted >= 30, "{}", tally.accepted);
    assert!(tally.rejected >= 5_000, "{}", tally.rejected);
    assert!(tally.acceptable >= 20, "{}", tally.acceptable);
    for refusal in [KeyRefusal::ModulusSize, KeyRefusal::WeakExponent] {
        assert!(tally.refused_keys.contains(&refusal), "{refusal:?}");
    }
}

#[test]
fn every_pss_signature_of_wycheproof_is_judged_as_ps256_demands() {
    let mut tally = Tally::default();
    for name in rsa_pss_verify::TestName::all() {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let keys = key_set(rsa_jwk("PS256", &group.key.n, &group.key.e)).unwrap();
            let key = keys.find("group").unwrap();
            // RFC 7518 §3.5: MGF1 with the same hash, and a salt as long as the hash.
            let is_but_for_the_salt = group.hash == HashFunction::Sha2_256
                && group.mgf == Mgf::Mgf1
                && group.mgf_hash == Some(HashFunction::Sha2_256);
            let is_ours = is_but_for_the_salt && group.salt_size == 32;
            for test in &group.tests {
                let name = format!("{name:?} {}", test.tc_id);
                let is_expected = if is_ours {
                    test.result == TestResult::Valid
                } else {
                    is_but_for_the_salt && test.comment == "s_len changed to 32"
                };
                let signed: (&[u8], &[u8]) = (&test.msg, &test.sig);
                tally.check(&name, key, signed, (test.result, is_expected));
            }
        }
    }
    tally.assert_no_failures();
    assert!(tally.accepted >= 300, "{}", tally.accepted);
    assert!(tally.rejected >= 2_000, "{}", tally.rejected);
}

#[test]
fn every_rsa_signature_of_wycheproof_is_wrong_under_the_other_padding() {
    let mut tally = Tally::default();
    for name in rsa_pkcs1_verify::TestName::all() {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let Ok(keys) = key_set(rsa_jwk("PS256", &group.key.n, &group.key.e)) else {
                continue;
            };
            let key = keys.find("group").unwrap();
            // Among what is wrong there are three with PSS; the last has a salt of 32 bytes.
            let made_for_us = group
                .tests
                .iter()
                .rfind(|test| test.comment == "RSASSA-PSS signature")
                .filter(|_| group.hash == HashFunction::Sha2_256)
                .map(|test| test.tc_id);
            for test in &group.tests {
                let name = format!("{name:?} {} as PS256", test.tc_id);
                let is_expected = Some(test.tc_id) == made_for_us;
                let signed: (&[u8], &[u8]) = (&test.msg, &test.sig);
                tally.check(&name, key, signed, (test.result, is_expected));
            }
        }
    }
    for name in rsa_pss_verify::TestName::all() {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let keys = key_set(rsa_jwk("RS256", &group.key.n, &group.key.e)).unwrap();
            let key = keys.find("group").unwrap();
            for test in &group.tests {
                let name = format!("{name:?} {} as RS256", test.tc_id);
                let is_expected = test.comment == "PKCS #1 v1.5 signature with SHA-256";
                let signed: (&[u8], &[u8]) = (&test.msg, &test.sig);
                tally.check(&name, key, signed, (test.result, is_expected));
            }
        }
    }
    tally.assert_no_failures();
    assert!(tally.rejected >= 7_000, "{}", tally.rejected);
}

#[test]
fn every_ecdsa_signature_of_wycheproof_is_judged_as_es256_demands() {
    let mut tally = Tally::default();
    for name in ecdsa::TestName::all() {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            // The uncompressed form of SEC 1 §2.3.3.
            let (x, y) = group.key.key[1..].split_at(group.key.key.len() / 2);
            let jwk = json!({
                "kty": "EC", "crv": "P-256", "alg": "ES256", "x": encode(x), "y": encode(y),
            });
            let keys = key_set(jwk);
            if group.key.curve != EllipticCurve::Secp256r1 {
                // A key of another curve under the name of ours.
                tally.refused_keys.push(keys.unwrap_err());
                continue;
            }
            let keys = keys.unwrap();
            let key = keys.find("group").unwrap();
            // RFC 7518 §3.4: SHA-256, and R and S side by side instead of ASN.1.
            let is_ours = group.hash == HashFunction::Sha2_256
                && group.test_type == ecdsa::TestGroupTypeId::EcdsaP1363;
            for test in &group.tests {
                let name = format!("{name:?} {}", test.tc_id);
                let is_expected = is_ours && test.result == TestResult::Valid;
                let signed: (&[u8], &[u8]) = (&test.msg, &test.sig);
                tally.check(&name, key, signed, (test.result, is_expected));
            }
        }
    }
    tally.assert_no_failures();
    assert!(tally.accepted >= 150, "{}", tally.accepted);
    assert!(tally.rejected >= 2_000, "{}", tally.rejected);
    for refusal in [KeyRefusal::InvalidKey, KeyRefusal::InvalidEncoding] {
        assert!(tally.refused_keys.contains(&refusal), "{refusal:?}");
    }
}

#[test]
fn every_eddsa_signature_of_wycheproof_is_judged_as_ed25519_demands() {
    let mut tally = Tally::default();
    for name in eddsa::TestName::all() {
        for group in eddsa::TestSet::load(name).unwrap().test_groups {
            let x = encode(&*group.key.pk);
            let keys = key_set(json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "x": x,
            }));
            if name == eddsa::TestName::Ed448 {
                tally.refused_keys.push(keys.unwrap_err());
                continue;
            }
            let keys = keys.unwrap();
            let key = keys.find("group").unwrap();
            for test in &group.tests {
                let name = format!("{name:?} {}", test.tc_id);
                let is_expected = test.result == TestResult::Valid;
                let signed: (&[u8], &[u8]) = (&test.msg, &test.sig);
                tally.check(&name, key, signed, (test.result, is_expected));
            }
        }
    }
    tally.assert_no_failures();
    assert!(tally.accepted >= 80, "{}", tally.accepted);
    assert!(tally.rejected >= 50, "{}", tally.rejected);
    assert!(!tally.refused_keys.is_empty());
}
