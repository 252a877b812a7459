//! Private keys that an operator brings. They are untrusted input.

use zeroize::Zeroizing;

use super::key_pair::KeyPair;
use crate::domain::algorithm::Algorithm;
use crate::domain::ports::KeyVaultError;

const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Reads one private key from PEM and checks that it is strong enough.
pub(super) fn import(text: &str, algorithm: Algorithm) -> Result<KeyPair, KeyVaultError> {
    let blocks = pem::parse_many(text).map_err(|_| KeyVaultError::NotAPrivateKey)?;
    let mut private = blocks
        .into_iter()
        .filter(|block| block.tag().ends_with("PRIVATE KEY"));
    let (Some(block), None) = (private.next(), private.next()) else {
        return Err(KeyVaultError::NotAPrivateKey);
    };
    // PKCS#1 files announce their encryption in a header instead of the tag (RFC 1421).
    if block.tag() == "ENCRYPTED PRIVATE KEY" || block.headers().get("DEK-Info").is_some() {
        return Err(KeyVaultError::Encrypted);
    }
    let tag = block.tag().to_owned();
    let der = Zeroizing::new(block.into_contents());
    let pair = match tag.as_str() {
        "PRIVATE KEY" => KeyPair::from_pkcs8(&der, algorithm),
        "RSA PRIVATE KEY" => KeyPair::from_pkcs1(&der, algorithm),
        _ => return Err(KeyVaultError::NotAPrivateKey),
    };
    refuse_weak(pair?)
}

fn refuse_weak(pair: KeyPair) -> Result<KeyPair, KeyVaultError> {
    if let Some((modulus, exponent)) = pair.rsa_parameters() {
        let leading = modulus
            .first()
            .map_or(0, |byte| byte.leading_zeros() as usize);
        let bits = modulus.len() * 8 - leading.min(modulus.len() * 8);
        if !RSA_BITS.contains(&bits) {
            return Err(KeyVaultError::RsaSize);
        }
        // Small exponents make padding mistakes elsewhere exploitable; even ones are not RSA.
        let value = exponent
            .iter()
            .fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        if exponent.len() > 8 || value < 65_537 || value % 2 == 0 {
            return Err(KeyVaultError::RsaExponent);
        }
    }
    Ok(pair)
}
