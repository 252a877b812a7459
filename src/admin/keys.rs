//! Signing keys: made ahead of time, rotated and imported by hand, revoked in an emergency.
//!
//! Each use case reads the table, plans with [`KeyChain`], and applies the plan by
//! compare-and-swap; when another replica was first, it reads and plans again.

use std::sync::Arc;

use super::AdminError;
use crate::domain::Timestamp;
use crate::domain::algorithm::Algorithm;
use crate::domain::audit::{AuditKind, AuditRecord, Origin};
use crate::domain::id::Kid;
use crate::domain::key::SigningKey;
use crate::domain::key_schedule::{Activation, KeyChain, KeyPlan, PlannedKey, RotationPolicy};
use crate::domain::ports::{Clock, Entropy, KeyMaterial, KeyTransition, KeyVault, Store};

/// How many keys of one algorithm may be published. Four algorithms stay well below the 64 keys
/// that `tokensmith-verify` takes.
const MOST_PUBLISHED: usize = 12;

/// How often a plan is made again before giving up.
const ATTEMPTS: usize = 10;

/// The use cases around signing keys.
#[derive(Clone)]
pub struct KeyAdministration {
    /// Where keys are kept.
    pub store: Arc<dyn Store>,
    /// Makes and imports key pairs.
    pub vault: Arc<dyn KeyVault>,
    /// The durations of a key's life.
    pub policy: RotationPolicy,
    /// The time at which a plan is applied, which making a key pair may have put off.
    pub clock: Arc<dyn Clock>,
    /// For the ids of audit records.
    pub entropy: Arc<dyn Entropy>,
}

impl KeyAdministration {
    /// All keys, also those that are gone: their public halves are kept.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list(&self) -> Result<Vec<SigningKey>, AdminError> {
        Ok(self.store.signing_keys().await?.0)
    }

    /// The ordinary work on one chain: whatever is due now.
    ///
    /// # Errors
    /// When a key cannot be made or the database does not answer.
    pub async fn upkeep(&self, algorithm: Algorithm) -> Result<(), AdminError> {
        let plan =
            |keys: &[SigningKey], now| Ok(KeyChain::of(keys, algorithm).upkeep(now, &self.policy));
        self.change(None, &Origin::SYSTEM, plan).await?;
        Ok(())
    }

    /// Makes the first key of an algorithm where there is none.
    ///
    /// # Errors
    /// As [`Self::upkeep`].
    pub async fn ensure_signer(&self, algorithm: Algorithm) -> Result<(), AdminError> {
        let keys = self.list().await?;
        match KeyChain::of(&keys, algorithm).signer(self.clock.now()) {
            Some(_) => Ok(()),
            None => self.upkeep(algorithm).await,
        }
    }

    /// Publishes the next key, or brings the waiting one forward.
    ///
    /// # Errors
    /// As [`Self::upkeep`].
    pub async fn rotate(
        &self,
        algorithm: Algorithm,
        activation: Activation,
        origin: &Origin,
    ) -> Result<Vec<SigningKey>, AdminError> {
        let plan = |keys: &[SigningKey], now| {
            let chain = KeyChain::of(keys, algorithm);
            refuse_too_many(&chain, now)?;
            Ok(chain.rotate(now, activation, &self.policy))
        };
        self.change(None, origin, plan).await
    }

    /// Takes a key pair in PEM into the chain of its algorithm.
    ///
    /// # Errors
    /// When the PEM holds no acceptable key, or one that is known already.
    pub async fn import(
        &self,
        pem: &str,
        algorithm: Algorithm,
        activation: Activation,
        origin: &Origin,
    ) -> Result<Vec<SigningKey>, AdminError> {
        let material = self.vault.import(pem, algorithm)?;
        let kid = material.kid.clone();
        let plan = |keys: &[SigningKey], now| {
            if keys.iter().any(|key| key.kid == kid) {
                return Err(AdminError::KeyExists(kid.clone()));
            }
            let chain = KeyChain::of(keys, algorithm);
            refuse_too_many(&chain, now)?;
            Ok(chain.import(now, activation, &self.policy))
        };
        self.change(Some(material), origin, plan).await
    }

    /// Withdraws a key at once; another takes its place if it was signing.
    ///
    /// # Errors
    /// When there is no such live key.
    pub async fn revoke(&self, kid: &Kid, origin: &Origin) -> Result<Vec<SigningKey>, AdminError> {
        let plan = |keys: &[SigningKey], now| {
            keys.iter()
                .find(|key| key.kid == *kid)
                .map(|key| KeyChain::of(keys, key.algorithm))
                .and_then(|chain| chain.revoke(kid, now, &self.policy))
                .ok_or_else(|| AdminError::NoSuchKey(kid.clone()))
        };
        self.change(None, origin, plan).await
    }

    /// Plans and applies until the plan meets the keys it was made for; answers the keys after it.
    ///
    /// Making an RSA key takes a while, and the lead time counts from the moment at which the key
    /// is published. So when a plan needs a key pair, that is made first and the plan anew.
    async fn change(
        &self,
        mut material: Option<KeyMaterial>,
        origin: &Origin,
        plan: impl Fn(&[SigningKey], Timestamp) -> Result<KeyPlan, AdminError> + Send + Sync,
    ) -> Result<Vec<SigningKey>, AdminError> {
        for _ in 0..ATTEMPTS {
            let (keys, seen) = self.store.signing_keys().await?;
            let now = self.clock.now();
            let plan = plan(&keys, now)?;
            if plan.is_empty() {
                return Ok(keys);
            }
            let insert = match (plan.new_key, &material) {
                (None, _) => None,
                (Some(planned), Some(made)) => Some(signing_key(planned, made.clone(), now)),
                (Some(planned), None) => {
                    material = Some(self.generate(planned.algorithm).await?);
                    continue;
                }
            };
            let transition = KeyTransition {
                insert,
                reschedule: plan.reschedule,
                revoke: plan.revoke,
                destroy_private: plan.destroy_private,
            };
            let kind = AuditKind::SigningKeysChanged;
            let record = AuditRecord::new(kind, origin, now, &*self.entropy)?
                .with_detail(describe(&transition));
            if self
                .store
                .change_signing_keys(&transition, seen, &record)
                .await?
            {
                return self.list().await;
            }
        }
        Err(AdminError::Contended)
    }

    pub(super) async fn generate(&self, algorithm: Algorithm) -> Result<KeyMaterial, AdminError> {
        let vault = Arc::clone(&self.vault);
        let made = tokio::task::spawn_blocking(move || vault.generate(algorithm));
        Ok(made.await.map_err(|_| AdminError::Cancelled)??)
    }
}

/// Which keys come, move and go, for the audit log.
pub(super) fn describe(transition: &KeyTransition) -> String {
    let made = transition.insert.iter().map(|key| ("made", &key.kid));
    let moved = transition.reschedule.iter();
    let moved = moved.map(|(kid, _)| ("rescheduled", kid));
    let revoked = transition.revoke.iter().map(|kid| ("revoked", kid));
    let destroyed = transition.destroy_private.iter();
    let destroyed = destroyed.map(|kid| ("destroyed", kid));
    made.chain(moved)
        .chain(revoked)
        .chain(destroyed)
        .map(|(what, kid)| format!("{what} {kid}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn refuse_too_many(chain: &KeyChain<'_>, now: Timestamp) -> Result<(), AdminError> {
    match chain.published(now) {
        published if published < MOST_PUBLISHED => Ok(()),
        published => Err(AdminError::TooManyKeys(published)),
    }
}

pub(super) fn signing_key(
    planned: PlannedKey,
    material: KeyMaterial,
    now: Timestamp,
) -> SigningKey {
    SigningKey {
        kid: material.kid,
        algorithm: planned.algorithm,
        slot: planned.slot,
        public_jwk: material.public_jwk,
        sealed_private: Some(material.sealed_private),
        created_at: now,
        schedule: planned.schedule,
        revoked_at: None,
    }
}
