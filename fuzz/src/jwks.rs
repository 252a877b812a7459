//! Key sets.
//!
//! A key that is accepted is as strong as the rules say by a naive reading, is the same key when it
//! stands alone, and gets through whatever stands beside it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;
use tokensmith_verify::{Key, KeyRefusal, KeySet};

use crate::naive::Tree;

/// Holds every property of key sets.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(set) = KeySet::from_json(&text) else {
        return;
    };
    let jwks = keys_of(&text);
    assert_eq!(
        set.len() + set.refused().len(),
        jwks.len(),
        "every key is accepted or refused"
    );
    for key in set.iter() {
        check_key(key, &set, &jwks);
    }
    check_refused(&set, &jwks);
    let reversed: Vec<_> = jwks.iter().rev().copied().collect();
    let mut kids = accepted(&read(&reversed));
    kids.reverse();
    assert_eq!(kids, accepted(&set), "the order of keys decides nothing");
}

fn check_key(key: &Key, set: &KeySet, jwks: &[&RawValue]) {
    let is_it = |jwk: &&&RawValue| kid(jwk).as_deref() == Some(key.kid());
    let same: Vec<_> = jwks.iter().filter(is_it).collect();
    assert_eq!(same.len(), 1, "a key id that is there twice names no key");
    let jwk = same[0];
    let naive = Tree::modest_object(jwk.get().as_bytes());
    let naive = naive.expect("an accepted key is one strict object");
    is_sound(&naive, key).expect("an accepted key keeps every rule");
    let found = set.find(key.kid()).expect("an accepted key is found");
    assert!(std::ptr::eq(found, key), "a key id finds its key");
    let alone = read(&[jwk]);
    assert_eq!(
        accepted(&alone),
        [description(key)],
        "a key that stands alone is the same key"
    );
    // Signatures that anybody can write down.
    for forged in forgeries(&naive) {
        assert!(
            key.verify_signature(b"message", &forged).is_err(),
            "nobody signs without the private key: {forged:?}"
        );
    }
}

/// What was refused for itself can be taken away without a change for the others.
fn check_refused(set: &KeySet, jwks: &[&RawValue]) {
    for refused in set.refused().iter().take(4) {
        let is_shared = jwks.iter().filter(|jwk| kid(jwk) == refused.kid).count() > 1;
        if refused.reason == KeyRefusal::DuplicateKid || is_shared {
            continue;
        }
        let mut others = jwks.to_vec();
        others.remove(refused.index);
        assert_eq!(
            accepted(&read(&others)),
            accepted(set),
            "a key that is refused is refused alone"
        );
    }
}

fn is_sound(jwk: &Tree, key: &Key) -> Option<()> {
    let require = |holds: bool| holds.then_some(());
    let text = |name: &str| jwk.get(name).and_then(Tree::text);
    for private in ["k", "d", "p", "q", "dp", "dq", "qi", "oth"] {
        require(jwk.get(private).is_none())?;
    }
    require(jwk.get("use").is_none() || text("use") == Some("sig"))?;
    let operations = jwk.get("key_ops").map(Tree::texts);
    require(operations.is_none_or(|operations| operations == Some(vec!["verify"])))?;
    require(text("alg") == Some(key.algorithm().as_str()))?;
    require(text("kid").is_some_and(|kid| (1..=256).contains(&kid.len())))?;
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    match (text("alg")?, text("kty")?) {
        ("RS256" | "PS256", "RSA") => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
            require((2_048..=4_096).contains(&bits) && n.last()? % 2 == 1)?;
            let e = e.iter().try_fold(0_u64, |value, byte| {
                value.checked_mul(256)?.checked_add(u64::from(*byte))
            })?;
            require((65_537..1 << 32).contains(&e) && e % 2 == 1)
        }
        ("ES256", "EC") => {
            require(text("crv") == Some("P-256"))?;
            require(bytes("x")?.len() == 32 && bytes("y")?.len() == 32)
        }
        ("Ed25519", "OKP") => require(text("crv") == Some("Ed25519") && bytes("x")?.len() == 32),
        _ => None,
    }
}

fn forgeries(jwk: &Tree) -> Vec<Vec<u8>> {
    let mut forgeries = vec![vec![0; 64], vec![0; 256], vec![0xff; 64]];
    // R is the neutral point of Edwards25519, S is zero.
    forgeries.push([&[1][..], &[0; 63]].concat());
    let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk.get(name)?.text()?).ok();
    if let Some(modulus) = number("n") {
        let one = modulus.len() - 1;
        forgeries.push(vec![0; modulus.len()]);
        forgeries.push([vec![0; one], vec![1]].concat());
        forgeries.push(modulus);
    }
    if let Some(x) = number("x") {
        forgeries.push([x, vec![0; 32]].concat());
    }
    forgeries
}

fn keys_of(text: &str) -> Vec<&RawValue> {
    #[derive(serde::Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        keys: Vec<&'a RawValue>,
    }
    let document: Document<'_> = serde_json::from_str(text).expect("a key set is JSON");
    document.keys
}

fn read(jwks: &[&RawValue]) -> KeySet {
    let jwks: Vec<_> = jwks.iter().map(|jwk| jwk.get()).collect();
    let text = format!(r#"{{"keys":[{}]}}"#, jwks.join(","));
    KeySet::from_json(&text).expect("fewer keys of a key set are one")
}

/// As far as a key can be told from others.
fn description(key: &Key) -> String {
    format!("{key:?}")
}

fn accepted(set: &KeySet) -> Vec<String> {
    set.iter().map(description).collect()
}

/// The key id of anything that is an object without repeated names.
fn kid(jwk: &RawValue) -> Option<String> {
    let jwk = Tree::modest_object(jwk.get().as_bytes())?;
    jwk.get("kid")?.text().map(str::to_owned)
}
