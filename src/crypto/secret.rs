//! Secrets that the server makes: 256 random bits with a prefix and a checksum, so that secret
//! scanners and people can tell what leaked. Stored as an HMAC: 256 bits need no slow hash, and a
//! fast check is what keeps the token endpoint fast.

use std::iter;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::MasterKey;
use crate::domain::client::{ClientSecret, SecretDigest};
use crate::domain::id::SecretId;
use crate::domain::ports::{Entropy, NoEntropy, SecretMint};

/// Client secrets: `tss1_`, 43 characters for 32 bytes, 6 characters of checksum.
const CLIENT_SECRET_PREFIX: &str = "tss1_";
const CHECKSUM_CHARACTERS: usize = 6;

/// Makes and compares secrets under a key derived from the master key.
pub struct HmacSecretMint {
    key: hmac::Key,
    /// Those of former master keys, under which older secrets are stored.
    former: Vec<hmac::Key>,
    entropy: Arc<dyn Entropy>,
}

impl HmacSecretMint {
    /// A mint for client secrets.
    #[must_use]
    pub fn new(master: &MasterKey, entropy: Arc<dyn Entropy>) -> Self {
        let key = |derived: &[u8; 32]| hmac::Key::new(hmac::HMAC_SHA256, derived);
        let former = master.inheritance().former().iter();
        Self {
            key: key(&master.derive("client-secret")),
            former: former.map(|keys| key(&keys.client_secret)).collect(),
            entropy,
        }
    }

    /// The digest under which a secret is stored.
    #[must_use]
    pub fn digest(&self, secret: &str) -> SecretDigest {
        let tag = hmac::sign(&self.key, secret.as_bytes());
        let mut digest = [0; 32];
        digest
            .iter_mut()
            .zip(tag.as_ref())
            .for_each(|(to, from)| *to = *from);
        SecretDigest(digest)
    }
}

impl SecretMint for HmacSecretMint {
    fn mint_client_secret(&self) -> Result<(String, SecretId, SecretDigest), NoEntropy> {
        let mut random = Zeroizing::new([0; 32]);
        self.entropy.fill(&mut *random)?;
        let mut id = [0; 16];
        self.entropy.fill(&mut id)?;
        let secret = with_checksum(CLIENT_SECRET_PREFIX, &random);
        let digest = self.digest(&secret);
        Ok((secret, SecretId(id), digest))
    }

    fn find_matching<'a>(
        &self,
        presented: &str,
        candidates: &mut dyn Iterator<Item = &'a ClientSecret>,
    ) -> Option<&'a ClientSecret> {
        // The HMACs are computed whether or not there is a candidate, and every candidate is
        // compared in constant time: an unknown client takes as long as a wrong secret.
        let tag = hmac::sign(&self.key, presented.as_bytes());
        let former = self.former.iter();
        let former: Vec<_> = former
            .map(|key| hmac::sign(key, presented.as_bytes()))
            .collect();
        let mut found = None;
        for candidate in candidates {
            for tag in iter::once(&tag).chain(&former) {
                if verify_slices_are_equal(tag.as_ref(), &candidate.digest.0).is_ok() {
                    found = Some(candidate);
                }
            }
        }
        found
    }
}

/// The secret of the client that `tokensmith dev` seeds. Derived, so that it can be printed again
/// at every start and stored nowhere.
#[must_use]
pub fn demo_client_secret(master: &MasterKey) -> String {
    with_checksum(CLIENT_SECRET_PREFIX, &master.derive("demo-client-secret"))
}

/// The password of the person that `tokensmith dev` seeds. Derived, as above.
#[must_use]
pub fn demo_password(master: &MasterKey) -> String {
    let derived = master.derive("demo-password");
    let text = URL_SAFE_NO_PAD.encode(derived.get(..12).unwrap_or_default());
    format!("demo-{text}")
}

/// Prefix, 43 characters for 32 bytes, 6 characters of checksum.
pub(super) fn with_checksum(prefix: &str, random: &[u8; 32]) -> String {
    let body = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random));
    let checksum = checksum(&body);
    body + &checksum
}

/// Whether a text has the shape of [`with_checksum`].
pub(super) fn is_well_formed(prefix: &str, text: &str) -> bool {
    let body_length = prefix.len() + 43;
    text.starts_with(prefix)
        && text
            .split_at_checked(body_length)
            .is_some_and(|(body, given)| checksum(body) == given)
}

fn checksum(body: &str) -> String {
    let digest = digest::digest(&digest::SHA256, body.as_bytes());
    let mut text = URL_SAFE_NO_PAD.encode(digest);
    text.truncate(CHECKSUM_CHARACTERS);
    text
}

#[cfg(test)]
mod tests {
    use super::super::SystemEntropy;
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::audit::Seal;
    use crate::domain::revocation::StatusIndex;

    fn mint() -> (tempfile::TempDir, HmacSecretMint) {
        let directory = tempfile::tempdir().unwrap();
        let master = MasterKey::create(directory.path(), &SystemEntropy::default()).unwrap();
        (
            directory,
            HmacSecretMint::new(&master, Arc::new(SystemEntropy::default())),
        )
    }

    fn stored(id: SecretId, digest: SecretDigest) -> ClientSecret {
        let created_at = Timestamp::UNIX_EPOCH;
        ClientSecret {
            id,
            digest,
            status: StatusIndex::new(0, 0),
            created_at,
            expires_at: None,
            last_used_at: None,
        }
    }

    #[test]
    fn a_secret_has_a_prefix_and_a_checksum_that_scanners_can_verify() {
        let (_directory, mint) = mint();
        let (secret, _, _) = mint.mint_client_secret().unwrap();
        let (body, checksum) = secret.split_at(secret.len() - CHECKSUM_CHARACTERS);
        assert!(body.starts_with("tss1_") && body.len() == 48);
        let expected = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, body.as_bytes()));
        assert_eq!(checksum, &expected[..6]);
    }

    #[test]
    fn secrets_of_before_are_found_when_the_master_key_is_renewed() {
        let entropy = || Arc::new(SystemEntropy::default());
        let (first, next) = (MasterKey::of([1; 32]), MasterKey::of([2; 32]));
        let inheritance = first.bequeath(&next, Seal::START, &*entropy());
        let next = next.inherit(&inheritance.unwrap()).unwrap();
        let of = |master: &MasterKey| HmacSecretMint::new(master, entropy());
        let (old, id, digest) = of(&first).mint_client_secret().unwrap();
        let (new, new_id, new_digest) = of(&next).mint_client_secret().unwrap();
        assert_ne!(
            of(&first).digest(&new),
            new_digest,
            "digested with the key of today"
        );
        let secrets = [stored(id, digest), stored(new_id, new_digest)];
        let mint = of(&next);
        let find = |text: &str| mint.find_matching(text, &mut secrets.iter()).map(|s| s.id);
        assert_eq!((find(&old), find(&new)), (Some(id), Some(new_id)));
        assert_eq!(find(&format!("{old} ")), None);
    }

    #[test]
    fn only_the_secret_itself_matches_its_digest() {
        let (_directory, mint) = mint();
        let (first, id, digest) = mint.mint_client_secret().unwrap();
        let (second, other_id, other_digest) = mint.mint_client_secret().unwrap();
        let secrets = [stored(id, digest), stored(other_id, other_digest)];
        let find = |text: &str| mint.find_matching(text, &mut secrets.iter()).map(|s| s.id);
        assert_eq!((find(&first), find(&second)), (Some(id), Some(other_id)));
        for wrong in [
            "",
            "tss1_",
            &first[1..],
            &format!("{first} "),
            &first.to_uppercase(),
        ] {
            assert_eq!(find(wrong), None);
        }
    }
}
