//! Keys of every kind that the tests sign with, and the ways an attacker abuses them.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
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
            "hmac_pkcs1_der" => hs256(self.rsa.public_key().as_ref(), message),
            "hmac_jwk" => hs256(self.jwk("rs256").to_string().as_bytes(), message),
            "hmac_modulus" => hs256(&self.modulus(), message),
            "empty" => Vec::new(),
            "zeros" => vec![0; 256],
            "one" => [vec![0; 255], vec![1]].concat(),
            "modulus" => self.modulus(),
            "modulus_minus_one" => {
                let mut signature = self.modulus();
                signature[255] -= 1;
                signature
            }
            "psychic" => vec![0; 64],
            "rs256_short" => self.sign("rs256", message)[..255].to_vec(),
            "rs256_long" => [self.sign("rs256", message), vec![0]].concat(),
            "rs256_zero_prefixed" => [vec![0], self.sign("rs256", message)].concat(),
            "rs256_huge" => self.sign("rs256", message).repeat(4),
            "rs256_flipped" => {
                let mut signature = self.sign("rs256", message);
                signature[128] ^= 1;
                signature
            }
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
        let body = STANDARD.encode(self.spki());
        let lines: Vec<_> = body
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        )
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
