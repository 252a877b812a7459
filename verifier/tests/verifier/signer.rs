//! Keys of every kind that the tests sign with, and the ways an attacker abuses them.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{encoding::AsDer as _, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub(crate) struct Keys {
    /// The issuer's.
    rsa: RsaKeyPair,
    /// Somebody else's.
    stranger: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

pub(crate) fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys {
        rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        stranger: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        ed: Ed25519KeyPair::generate().unwrap(),
    })
}

impl Keys {
    /// The public key that is published under this name; the name is also its `kid`.
    pub(crate) fn jwk(&self, name: &str) -> Value {
        match name {
            "rs256" => rsa_jwk(&self.rsa, "RS256", name),
            "ps256" => rsa_jwk(&self.rsa, "PS256", name),
            "stranger" => rsa_jwk(&self.stranger, "RS256", name),
            // Two that every key set refuses.
            "no_alg" => {
                let mut jwk = rsa_jwk(&self.rsa, "RS256", name);
                jwk.as_object_mut().unwrap().remove("alg");
                jwk
            }
            "weak" => {
                let mut jwk = rsa_jwk(&self.rsa, "RS256", name);
                jwk["e"] = json!("Aw");
                jwk
            }
            "es256" => {
                let point = self.ec.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": name,
                    "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
            "ed25519" => json!({"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "use": "sig",
                "kid": name, "x": encode(self.ed.public_key().as_ref())}),
            other => panic!("no key is called {other}"),
        }
    }

    /// The signature bytes that a recipe asks for.
    pub(crate) fn sign(&self, how: &str, message: &[u8]) -> Vec<u8> {
        match how {
            "rs256" => rsa(&self.rsa, &RSA_PKCS1_SHA256, message),
            "rs384" => rsa(&self.rsa, &RSA_PKCS1_SHA384, message),
            "rs512" => rsa(&self.rsa, &RSA_PKCS1_SHA512, message),
            "ps256" => rsa(&self.rsa, &RSA_PSS_SHA256, message),
            "stranger" => rsa(&self.stranger, &RSA_PKCS1_SHA256, message),
            "es256" => self
                .ec
                .sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec(),
            "ed25519" => self.ed.sign(message).as_ref().to_vec(),
            "hmac_empty" => hs256(b"", message),
            "hmac_spki_der" => hs256(&self.spki(), message),
            "hmac_spki_pem" => hs256(self.pem().as_bytes(), message),
            "hmac_spki_pem_padded" => hs256(format!("\n {}", self.pem()).as_bytes(), message),
            "hmac_spki_pem_bare" => hs256(self.pem().trim_end().as_bytes(), message),
            "hmac_spki_pem_in_garbage" => {
                hs256(format!("garbage{}garbage", self.pem()).as_bytes(), message)
            }
            "hmac_pkcs1_der" => hs256(self.rsa.public_key().as_ref(), message),
            "hmac_pkcs1_pem" => {
                let pem = pem("RSA PUBLIC KEY", self.rsa.public_key().as_ref());
                hs256(pem.as_bytes(), message)
            }
            "hmac_jwk" => hs256(self.jwk("rs256").to_string().as_bytes(), message),
            "hmac_modulus" => hs256(&self.modulus(), message),
            "hmac_kid" => hs256(b"rs256", message),
            "hmac_one_byte" => hs256(b"\0", message),
            "empty" => Vec::new(),
            "zeros" => vec![0; 256],
            "one" => [vec![0; 255], vec![1]].concat(),
            "ones" => vec![0xff; 256],
            "modulus" => self.modulus(),
            "modulus_minus_one" => {
                let mut signature = self.modulus();
                signature[255] -= 1;
                signature
            }
            "modulus_plus_one" => {
                let mut signature = self.modulus();
                for byte in signature.iter_mut().rev() {
                    *byte = byte.wrapping_add(1);
                    if *byte != 0 {
                        break;
                    }
                }
                signature
            }
            "psychic" => vec![0; 64],
            "rs256_short" => self.sign("rs256", message)[..255].to_vec(),
            "rs256_long" => [self.sign("rs256", message), vec![0]].concat(),
            "rs256_zero_prefixed" => [vec![0], self.sign("rs256", message)].concat(),
            "rs256_huge" => self.sign("rs256", message).repeat(4),
            "rs256_half" => self.sign("rs256", message)[..128].to_vec(),
            "rs256_twice" => self.sign("rs256", message).repeat(2),
            "rs256_reversed" => self.sign("rs256", message).into_iter().rev().collect(),
            "rs256_first_flipped" => flipped(self.sign("rs256", message), 0),
            "rs256_flipped" => flipped(self.sign("rs256", message), 128),
            "rs256_last_flipped" => flipped(self.sign("rs256", message), 255),
            "es256_swapped" => {
                let mut signature = self.sign("es256", message);
                signature.rotate_left(32);
                signature
            }
            "es256_short" => self.sign("es256", message)[..63].to_vec(),
            "es256_long" => [self.sign("es256", message), vec![0]].concat(),
            "ed25519_long" => [self.sign("ed25519", message), vec![0]].concat(),
            "es256_der" => {
                let fixed = self.sign("es256", message);
                let (r, s) = fixed.split_at(32);
                let integer = |n: &[u8]| [vec![2, 33, 0], n.to_vec()].concat();
                [vec![0x30, 70], integer(r), integer(s)].concat()
            }
            other => panic!("no way of signing is called {other}"),
        }
    }

    fn modulus(&self) -> Vec<u8> {
        self.rsa
            .public_key()
            .modulus()
            .big_endian_without_leading_zero()
            .to_vec()
    }

    fn spki(&self) -> Vec<u8> {
        self.rsa.public_key().as_der().unwrap().as_ref().to_vec()
    }

    fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki())
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa_jwk(key: &RsaKeyPair, alg: &str, kid: &str) -> Value {
    let public_key = key.public_key();
    json!({"kty": "RSA", "use": "sig", "alg": alg, "kid": kid,
        "n": encode(public_key.modulus().big_endian_without_leading_zero()),
        "e": encode(public_key.exponent().big_endian_without_leading_zero())})
}

fn rsa(key: &RsaKeyPair, padding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(padding, &SystemRandom::new(), message, &mut signature)
        .unwrap();
    signature
}

fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message)
        .as_ref()
        .to_vec()
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

fn flipped(mut signature: Vec<u8>, byte: usize) -> Vec<u8> {
    signature[byte] ^= 1;
    signature
}
