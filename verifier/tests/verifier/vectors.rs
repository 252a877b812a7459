//! Runs every hostile vector of `tests/vectors/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokensmith_verify::revocation::Watermark;
use tokensmith_verify::testing::{Forge, Revocations};
use tokensmith_verify::{Algorithm, Claims, Freshness, KeySet, Reject, Verified, Verifier, jws};

use crate::signer::{encode, keys};

const NOW: i64 = 1_700_000_000;
const ISSUER: &str = "https://auth.example.com";
const AUDIENCE: &str = "https://api.example.com";

#[derive(Deserialize)]
struct VectorFile<T> {
    vectors: Vec<T>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    reference: String,
    expect: String,
    claim: Option<String>,
    #[serde(default)]
    header: Map<String, Value>,
    #[serde(default)]
    header_without: Vec<String>,
    header_text: Option<String>,
    header_encoded: Option<String>,
    #[serde(default)]
    claims: Map<String, Value>,
    #[serde(default)]
    claims_without: Vec<String>,
    payload_text: Option<String>,
    payload_encoded: Option<String>,
    sign: Option<String>,
    signature_encoded: Option<String>,
    #[serde(default)]
    edit: Edit,
    token: Option<Value>,
    keys: Option<Vec<String>>,
    now: Option<i64>,
    #[serde(default)]
    settings: Settings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    suffix: String,
    replace: Option<(String, String)>,
    #[serde(default)]
    trailing_bit: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    leeway_seconds: Option<u64>,
    max_lifetime_seconds: Option<u64>,
    max_token_bytes: Option<usize>,
    algorithms: Option<Vec<String>>,
    audiences: Option<Vec<String>>,
    revocation: Option<Revocation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Revocation {
    announced: u32,
    revoked: Vec<u32>,
    watermarks: Vec<Watermark>,
    silent_seconds: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyVector {
    name: String,
    reference: String,
    expect: String,
    base: Option<String>,
    #[serde(default)]
    jwk: Map<String, Value>,
    #[serde(default)]
    without: Vec<String>,
    jwk_text: Option<String>,
}

#[test]
fn every_hostile_token_fails_for_its_reason() {
    let vectors: Vec<Vector> = load(|file| file != "keys.json");
    assert!(vectors.len() >= 600, "only {} vectors", vectors.len());
    let failures: Vec<String> = vectors.iter().filter_map(Vector::failure).collect();
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn what_the_layer_below_rejects_is_rejected_above_for_the_same_reason() {
    let vectors: Vec<Vector> = load(|file| file != "keys.json");
    let mut rejected = 0;
    for vector in &vectors {
        let max_bytes = vector.settings.max_token_bytes;
        let max_bytes = max_bytes.unwrap_or(jws::DEFAULT_MAX_TOKEN_BYTES);
        let below = jws::verify_within(&vector.text(), &vector.key_set(), max_bytes);
        let Err(below) = below else {
            continue;
        };
        rejected += 1;
        // The type is looked at before the signature, and only above.
        let above = vector.expect.as_str();
        assert!(
            [below.reason(), "wrong_type"].contains(&above),
            "{}: {above} above, {} below",
            vector.name,
            below.reason()
        );
    }
    assert!(rejected >= 250, "only {rejected}");
}

#[test]
fn every_bad_key_is_refused_alone_and_for_its_reason() {
    let vectors: Vec<KeyVector> = load(|file| file == "keys.json");
    assert!(vectors.len() >= 120, "only {} vectors", vectors.len());
    let failures: Vec<String> = vectors.iter().filter_map(KeyVector::failure).collect();
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_vector_has_a_name_of_its_own_and_a_reference() {
    #[derive(Deserialize)]
    struct Label {
        name: String,
        reference: String,
    }

    for vectors in [
        load::<Label>(|file| file == "keys.json"),
        load(|file| file != "keys.json"),
    ] {
        let mut names = BTreeSet::new();
        for Label { name, reference } in vectors {
            assert!(!reference.is_empty(), "{name}");
            assert!(names.insert(name.clone()), "{name} is there twice");
        }
    }
}

#[test]
fn every_reason_is_the_expectation_of_some_vector() {
    let vectors: Vec<Vector> = load(|file| file != "keys.json");
    for reason in [
        "too_large",
        "not_compact_jws",
        "not_base64url",
        "malformed_header",
        "malformed_payload",
        "duplicate_member",
        "json_too_complex",
        "algorithm_not_allowed",
        "critical_extension",
        "missing_kid",
        "implausible_kid",
        "unknown_kid",
        "algorithm_mismatch",
        "bad_signature",
        "wrong_type",
        "missing_claim",
        "invalid_claim",
        "wrong_issuer",
        "wrong_audience",
        "expired",
        "not_yet_valid",
        "issued_in_future",
        "lifetime_too_long",
        "revoked",
        "cut_off",
        "foreign_status_list",
        "unknown_status_list",
        "revocation_stale",
        "accept",
    ] {
        assert!(
            vectors.iter().any(|vector| vector.expect == reason),
            "{reason}"
        );
    }
}

impl Vector {
    fn failure(&self) -> Option<String> {
        let (outcome, claim) = match self.verify() {
            Ok(_) => ("accept", None),
            Err(reject) => (reject.reason(), reject.claim()),
        };
        let is_expected = outcome == self.expect && claim == self.claim.as_deref();
        (!is_expected).then(|| {
            format!(
                "  {} [{}]: expected {} {:?}, got {outcome} {claim:?}",
                self.name, self.reference, self.expect, self.claim
            )
        })
    }

    fn verify(&self) -> Result<Verified<Claims>, Reject> {
        self.verifier()
            .verify_at(&self.text(), self.now.unwrap_or(NOW))
    }

    fn key_set(&self) -> KeySet {
        let names = self
            .keys
            .clone()
            .unwrap_or_else(|| vec!["rs256".to_owned()]);
        let jwks: Vec<Value> = names.iter().map(|name| keys().jwk(name)).collect();
        KeySet::from_json(&json!({ "keys": jwks }).to_string()).unwrap()
    }

    fn verifier(&self) -> Verifier {
        let mut builder = Verifier::with_keys(ISSUER, self.key_set());
        match &self.settings.audiences {
            None => builder = builder.audience(AUDIENCE),
            Some(audiences) => {
                for audience in audiences {
                    builder = builder.audience(audience);
                }
            }
        }
        if let Some(seconds) = self.settings.leeway_seconds {
            builder = builder.leeway(Duration::from_secs(seconds));
        }
        if let Some(seconds) = self.settings.max_lifetime_seconds {
            builder = builder.max_lifetime(Duration::from_secs(seconds));
        }
        if let Some(bytes) = self.settings.max_token_bytes {
            builder = builder.max_token_bytes(bytes);
        }
        if let Some(names) = &self.settings.algorithms {
            let algorithms: Vec<Algorithm> = Algorithm::ALL
                .iter()
                .copied()
                .filter(|algorithm| names.iter().any(|name| name == algorithm.as_str()))
                .collect();
            builder = builder.algorithms(&algorithms);
        }
        if let Some(revocation) = &self.settings.revocation {
            builder = builder.revocations(&revocation.play(), Freshness::Strict);
        }
        builder.build().unwrap()
    }

    fn text(&self) -> String {
        if let Some(token) = &self.token {
            return match token {
                Value::String(text) => expand(text),
                repeat => {
                    let text = repeat["repeat"][0].as_str().unwrap();
                    let times = repeat["repeat"][1].as_u64().unwrap();
                    text.repeat(usize::try_from(times).unwrap())
                }
            };
        }
        let header = self.header_encoded.clone().unwrap_or_else(|| {
            let text = self.header_text.as_deref().map(expand);
            encode(text.unwrap_or_else(|| {
                let default = [("alg", "RS256"), ("typ", "at+jwt"), ("kid", "rs256")];
                patched(
                    default.map(|(n, v)| (n, json!(v))),
                    &self.header,
                    &self.header_without,
                )
            }))
        });
        let payload =
            self.payload_encoded.clone().unwrap_or_else(|| {
                let text = self.payload_text.as_deref().map(expand);
                encode(text.unwrap_or_else(|| {
                    patched(default_claims(), &self.claims, &self.claims_without)
                }))
            });
        let input = format!("{header}.{payload}");
        let signature = self.signature_encoded.clone().unwrap_or_else(|| {
            encode(keys().sign(self.sign.as_deref().unwrap_or("rs256"), input.as_bytes()))
        });
        let mut text = format!("{input}.{signature}");
        if let Some((from, to)) = &self.edit.replace {
            assert!(
                text.contains(from.as_str()),
                "{}: nothing to replace",
                self.name
            );
            text = text.replacen(from, to, 1);
        }
        if self.edit.trailing_bit {
            set_trailing_bit(&mut text);
        }
        format!("{}{text}{}", self.edit.prefix, self.edit.suffix)
    }
}

impl Revocation {
    fn play(&self) -> Revocations {
        let forge = Forge::for_issuer(ISSUER);
        let revocations = forge.revocations();
        revocations.announce(self.announced);
        for idx in &self.revoked {
            revocations.revoke(&forge.issue("x").status(0, *idx).sign());
        }
        for watermark in &self.watermarks {
            revocations.cut_off(watermark.clone());
        }
        if self.silent_seconds > 0 {
            revocations.fall_silent(Duration::from_secs(self.silent_seconds));
        }
        revocations
    }
}

impl KeyVector {
    fn failure(&self) -> Option<String> {
        let mut good = keys().jwk("stranger");
        good["kid"] = json!("bystander");
        let jwk = self.jwk_text.clone().unwrap_or_else(|| {
            let base = keys().jwk(self.base.as_deref().unwrap_or("rs256"));
            let base = base.as_object().unwrap().clone();
            patched(
                base.iter().map(|(n, v)| (n.as_str(), v.clone())),
                &self.jwk,
                &self.without,
            )
        });
        let set = KeySet::from_json(&format!(r#"{{"keys":[{},{good}]}}"#, expand(&jwk))).unwrap();
        let outcome = match set.refused() {
            [] => "accept".to_owned(),
            [refused] => format!("{:?}", refused.reason),
            several => format!("{several:?}"),
        };
        let is_alone = set.find("bystander").is_some();
        (outcome != self.expect || !is_alone).then(|| {
            format!(
                "  {} [{}]: expected {}, got {outcome}, bystander kept: {is_alone}",
                self.name, self.reference, self.expect
            )
        })
    }
}

/// Sets a bit of the last character that stands for nothing.
fn set_trailing_bit(text: &mut String) {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = ALPHABET.find(text.pop().unwrap()).unwrap();
    assert_eq!(value % 4, 0, "every bit stands for something");
    text.push_str(&ALPHABET[value + 1..value + 2]);
}

fn default_claims() -> [(&'static str, Value); 8] {
    [
        ("iss", json!(ISSUER)),
        ("sub", json!("svc")),
        ("aud", json!(AUDIENCE)),
        ("client_id", json!("svc")),
        ("exp", json!(NOW + 300)),
        ("iat", json!(NOW)),
        ("jti", json!("1")),
        ("scope", json!("orders:read")),
    ]
}

/// An object in its order, with members set and left out.
fn patched<'n>(
    base: impl IntoIterator<Item = (&'n str, Value)>,
    set: &Map<String, Value>,
    without: &[String],
) -> String {
    let mut members: Vec<(String, Value)> = base
        .into_iter()
        .map(|(name, value)| (name.to_owned(), set.get(name).cloned().unwrap_or(value)))
        .collect();
    for (name, value) in set {
        if !members.iter().any(|(member, _)| member == name) {
            members.push((name.clone(), value.clone()));
        }
    }
    let members: Vec<String> = members
        .iter()
        .filter(|(name, _)| !without.contains(name))
        .map(|(name, value)| format!("{}:{value}", json!(name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn expand(text: &str) -> String {
    let claims = patched(default_claims(), &Map::new(), &[]);
    let claims = claims.trim_start_matches('{').trim_end_matches('}');
    let mut text = text.replace("$CLAIMS", claims);
    while let Some(start) = text.find("$REPEAT(") {
        let end = start + text[start..].find(')').unwrap();
        let (what, times) = text[start + 8..end].rsplit_once(',').unwrap();
        let repeated = what.repeat(times.parse().unwrap());
        text.replace_range(start..=end, &repeated);
    }
    text
}

fn load<T: for<'de> Deserialize<'de>>(select: impl Fn(&str) -> bool) -> Vec<T> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    // Sorted, so that failures come in a stable order.
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
            && select(&name)
        {
            files.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
    let parse = |(name, text): (&String, &String)| {
        let file: VectorFile<T> =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        file.vectors
    };
    files.iter().flat_map(parse).collect()
}
