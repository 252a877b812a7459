//! What a verifier is made of, and what it refuses to be made of.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokensmith_verify::testing::Forge;
use tokensmith_verify::{Algorithm, Key, KeyRefusal, KeySet, Reject, Verifier, jws};

const AUDIENCE: &str = "https://api.example.com";

#[test]
fn a_verifier_and_its_clones_share_one_key_set() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let clone = verifier.clone();
    let token = forge.issue("ada").audience(AUDIENCE).sign();
    assert!(clone.verify(&token).is_ok());

    let other = forge.clone().with_kid("other");
    verifier.replace_keys(KeySet::from_json(&other.jwks()).unwrap());
    assert_eq!(clone.verify(&token).unwrap_err().reason(), "unknown_kid");
    assert!(
        clone
            .verify(&other.issue("ada").audience(AUDIENCE).sign())
            .is_ok()
    );

    verifier.replace_keys(KeySet::default());
    let reject = clone.verify(&token).unwrap_err();
    assert_eq!(reject.reason(), "keys_unavailable");
    assert!(reject.is_transient());
}

#[test]
fn custom_claims_are_typed_and_checked() {
    #[derive(Debug, serde::Deserialize)]
    struct Tenant {
        tenant: String,
        seats: Option<u32>,
    }

    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let good = forge
        .issue("ada")
        .audience(AUDIENCE)
        .claim("tenant", "acme")
        .sign();
    let claims = verifier.verify_as::<Tenant>(&good).unwrap();
    assert_eq!(
        (claims.custom.tenant.as_str(), claims.custom.seats),
        ("acme", None)
    );

    for bad in [
        forge.issue("ada").audience(AUDIENCE),
        forge.issue("ada").audience(AUDIENCE).claim("tenant", 1),
        forge
            .issue("ada")
            .audience(AUDIENCE)
            .claim("tenant", "acme")
            .claim("seats", -1),
    ] {
        let reject = verifier.verify_as::<Tenant>(&bad.sign()).unwrap_err();
        assert_eq!(reject.reason(), "invalid_custom_claims");
    }
}

#[test]
fn a_verifier_without_sense_is_not_built() {
    let keys = || KeySet::from_json(&Forge::new().jwks()).unwrap();
    let good = || Verifier::with_keys("https://a.example", keys()).audience("b");
    assert!(good().build().is_ok());
    assert!(good().leeway(Duration::from_secs(301)).build().is_err());
    assert!(good().algorithms(&[]).build().is_err());
    assert!(good().max_token_bytes(0).build().is_err());
    assert!(good().max_lifetime(Duration::ZERO).build().is_err());
    assert!(
        Verifier::with_keys("https://a.example", keys())
            .build()
            .is_err()
    );
    assert!(
        Verifier::with_keys("https://a.example", keys())
            .audience("")
            .build()
            .is_err()
    );
    assert!(
        Verifier::with_keys("https://a.example", keys())
            .audience("a b")
            .build()
            .is_err()
    );
    assert!(
        Verifier::with_keys("https://a.example", KeySet::default())
            .audience("b")
            .build()
            .is_err()
    );
    for issuer in [
        "",
        "a.example",
        "https://",
        "https:///x",
        "https://a?b",
        "https://a#b",
        "ftp://a",
        "https://a b",
    ] {
        assert!(
            Verifier::with_keys(issuer, keys())
                .audience("b")
                .build()
                .is_err(),
            "{issuer}"
        );
    }
    assert!(
        Verifier::with_keys("https://a.example", keys())
            .danger_accept_any_audience()
            .build()
            .unwrap()
            .verify(
                &Forge::for_issuer("https://a.example")
                    .issue("x")
                    .audience("any")
                    .sign()
            )
            .is_ok()
    );
}

#[test]
fn of_two_keys_with_one_kid_neither_is_used() {
    let jwk = Forge::new().jwk();
    let other = Forge::new().with_kid("other").jwk();
    let jwks = serde_json::json!({ "keys": [jwk, other, jwk] }).to_string();
    let keys = KeySet::from_json(&jwks).unwrap();
    assert_eq!(keys.iter().map(Key::kid).collect::<Vec<_>>(), ["other"]);
    assert_eq!(keys.refused().len(), 2);
}

#[test]
fn a_bad_key_spoils_the_kid_that_it_shares() {
    let jwk = Forge::new().jwk();
    let secret = serde_json::json!({ "kty": "oct", "kid": "forge", "alg": "HS256", "k": "AAAA" });
    let other = Forge::new().with_kid("other").jwk();
    let jwks = serde_json::json!({ "keys": [jwk, secret, other] }).to_string();
    let keys = KeySet::from_json(&jwks).unwrap();
    assert_eq!(keys.iter().map(Key::kid).collect::<Vec<_>>(), ["other"]);
    let reasons: Vec<_> = keys
        .refused()
        .iter()
        .map(|refused| refused.reason)
        .collect();
    assert_eq!(reasons, [KeyRefusal::DuplicateKid, KeyRefusal::Symmetric]);
}

#[test]
fn every_bad_key_of_a_set_is_refused_and_the_good_ones_stay() {
    let good = Forge::new().jwk();
    let bad = |name: &str, value: serde_json::Value| {
        let mut jwk = Forge::new().with_kid(name).jwk();
        jwk[name] = value;
        jwk
    };
    let jwks = serde_json::json!({ "keys": [
        bad("use", "enc".into()),
        bad("alg", "RS512".into()),
        good,
        bad("d", "AQAB".into()),
        bad("e", "AQ".into()),
        { "kty": "oct", "kid": "secret", "k": "AAAA" },
        Forge::new().with_kid("last").jwk(),
        bad("key_ops", serde_json::json!(["encrypt"])),
    ] });
    let keys = KeySet::from_json(&jwks.to_string()).unwrap();
    let kids: Vec<_> = keys.iter().map(Key::kid).collect();
    assert_eq!(kids, ["forge", "last"]);
    let refused = keys.refused().iter();
    let refused: Vec<_> = refused.map(|key| (key.index, key.reason)).collect();
    assert_eq!(
        refused,
        [
            (0, KeyRefusal::WrongUse),
            (1, KeyRefusal::UnsupportedAlgorithm),
            (3, KeyRefusal::Private),
            (4, KeyRefusal::WeakExponent),
            (5, KeyRefusal::Symmetric),
            (7, KeyRefusal::WrongKeyOps),
        ]
    );
}

/// What is not there cannot be confused with anything.
#[test]
fn there_is_no_symmetric_signature_in_the_library() {
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut lines = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter(|line| !line.trim().starts_with("//")) {
                lines += 1;
                let line = line.to_ascii_lowercase();
                let is_there = ["hmac", "hs256", "hs384", "hs512"]
                    .iter()
                    .any(|name| line.contains(name));
                assert!(!is_there, "{}: {line}", path.display());
            }
        }
    }
    assert!(lines > 3_000, "{lines}");
}

#[test]
fn a_text_that_is_no_jwks_is_an_error() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[]"#,
        r#"{"keys":[],"keys":[]}"#,
    ] {
        assert!(KeySet::from_json(text).is_err(), "{text}");
    }
    let many = vec!["{}"; 65].join(",");
    assert!(KeySet::from_json(&format!(r#"{{"keys":[{many}]}}"#)).is_err());
    let large = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(300_000));
    assert!(KeySet::from_json(&large).is_err());
}

#[test]
fn a_key_verifies_the_example_of_its_rfc() {
    // RFC 8037 appendix A.2 and A.4, under the name that RFC 9864 gave the algorithm.
    let jwks = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"Ed25519","kid":"a",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let keys = KeySet::from_json(jwks).unwrap();
    let key = keys.find("a").unwrap();
    assert!(key.verify_signature(message, &signature).is_ok());
    assert!(key.verify_signature(&message[1..], &signature).is_err());
}

#[test]
fn the_layer_below_verifies_the_example_of_its_rfc_whose_payload_is_no_json() {
    // RFC 7520 §4.1; its key names no algorithm, which is demanded here.
    let jwks = r#"{"keys":[{"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig",
        "alg":"RS256","e":"AQAB","n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"}]}"#;
    let text = "It\u{2019}s a dangerous business, Frodo, going out your door. You step onto the road, \
        and if you don't keep your feet, there\u{2019}s no knowing where you might be swept off to.";
    let signature = "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";
    let header = r#"{"alg":"RS256","kid":"bilbo.baggins@hobbiton.example"}"#;
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let token = format!("{}.{}.{signature}", encode(header), encode(text));
    let keys = KeySet::from_json(jwks).unwrap();
    let payload = jws::verify(&token, &keys).unwrap();
    assert_eq!(payload.bytes, text.as_bytes());
    assert_eq!((payload.algorithm, payload.typ), (Algorithm::Rs256, None));
    let changed = token.replace(&encode(text), &encode("It's a safe business."));
    assert_eq!(jws::verify(&changed, &keys), Err(Reject::BadSignature));
}

#[test]
fn the_layer_below_verifies_payloads_of_any_kind_and_names_their_type() {
    let forge = Forge::new();
    let keys = KeySet::from_json(&forge.jwks()).unwrap();
    let header = r#"{"alg":"RS256","typ":"statuslist+jwt","kid":"forge"}"#;
    let payload = jws::verify(&forge.sign_raw(header, b"no JSON"), &keys).unwrap();
    assert_eq!(payload.typ.as_deref(), Some("statuslist+jwt"));
    assert_eq!(
        (payload.kid.as_str(), payload.bytes.as_slice()),
        ("forge", &b"no JSON"[..])
    );

    let large = forge.sign_raw(header, &vec![0; 20_000]);
    assert_eq!(
        jws::verify(&large, &keys).unwrap_err().reason(),
        "too_large"
    );
    assert!(jws::verify_within(&large, &keys, 64 * 1_024).is_ok());
}
