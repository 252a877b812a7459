//! Renewing the master key: what the former one has sealed or could forge ends, all else stays.

use std::time::Duration;

use super::AdminError;
use super::cut_offs::CutOffs;
use super::keys::{KeyAdministration, describe, signing_key};
use crate::domain::Timestamp;
use crate::domain::algorithm::Algorithm;
use crate::domain::audit::{AuditKind, AuditRecord, Origin, Seal};
use crate::domain::key::SigningKey;
use crate::domain::key_schedule::KeyChain;
use crate::domain::ports::{
    KeyMaterial, KeyTransition, MasterKeyFingerprint, MasterKeyRenewal, RenewalOutcome,
    RenewalRecords, SealedInheritance,
};
use crate::domain::revocation::{CutOffOrder, CutOffScope};

/// How often, and how many times, it is looked again whether the servers have gone. One that was stopped a
/// moment ago counts as there for six seconds.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);
const LOOKS: usize = 16;

/// From which master key to which.
#[derive(Clone, Debug)]
pub struct MasterKeyChange {
    /// The one that goes.
    pub from: MasterKeyFingerprint,
    /// The one that comes.
    pub to: MasterKeyFingerprint,
    /// What lives on, sealed for the one that comes.
    pub inheritance: SealedInheritance,
    /// Where the audit log ends.
    pub audit_end: Seal,
}

/// Why the master key was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// Keys or records could not be made, or the database did not do it.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Servers with the former master key must not go on.
    #[error("a server is at work on this database; stop all servers, and try again")]
    ServersAreThere,
    /// Something else was at work.
    #[error(
        "something was written to the database meanwhile, and nothing was changed; see that no server and \
         no other command is at work on it, and try again"
    )]
    Overtaken,
}

impl KeyAdministration {
    /// Hands the database over; answers how many sessions that has ended. The vault of this administration
    /// is that of the master key that comes.
    ///
    /// # Errors
    /// When a server is there, or somebody else is at work on the database.
    pub async fn renew_master_key(
        &self,
        change: &MasterKeyChange,
        origin: &Origin,
    ) -> Result<u64, RenewalError> {
        let material = self.generate(Algorithm::default()).await?;
        for _ in 0..LOOKS {
            let renewal = self.plan_renewal(change, &material, origin).await?;
            let outcome = self.store.renew_master_key(&renewal).await;
            match outcome.map_err(AdminError::from)? {
                RenewalOutcome::Renewed { ended_sessions } => return Ok(ended_sessions),
                RenewalOutcome::ServersAreThere => tokio::time::sleep(LOOK_AGAIN_AFTER).await,
                RenewalOutcome::AnotherMasterKey | RenewalOutcome::Overtaken => {
                    return Err(RenewalError::Overtaken);
                }
            }
        }
        Err(RenewalError::ServersAreThere)
    }

    async fn plan_renewal(
        &self,
        change: &MasterKeyChange,
        material: &KeyMaterial,
        origin: &Origin,
    ) -> Result<MasterKeyRenewal, AdminError> {
        let (keys, keys_seen) = self.store.signing_keys().await?;
        let now = self.clock.now();
        let keys = self.all_anew(&keys, material, now);
        let record = |kind| AuditRecord::new(kind, origin, now, &*self.entropy);
        let MasterKeyChange { from, to, .. } = change;
        let cut_offs = CutOffs {
            store: self.store.clone(),
            entropy: self.entropy.clone(),
        };
        Ok(MasterKeyRenewal {
            from: *from,
            to: *to,
            inheritance: change.inheritance.clone(),
            audit_end: change.audit_end,
            records: RenewalRecords {
                renewed: record(AuditKind::MasterKeyRenewed)?
                    .with_detail(format!("from {from}… to {to}…")),
                keys: record(AuditKind::SigningKeysChanged)?.with_detail(describe(&keys)),
                cut_off: cut_offs.record(now, origin, now)?,
            },
            keys,
            keys_seen,
            cut_off: CutOffOrder::new(CutOffScope::Issuer, now, now),
        })
    }

    /// The keys of all algorithms go. The default one has another at once; others get theirs when the
    /// server starts and finds clients that want them.
    fn all_anew(
        &self,
        keys: &[SigningKey],
        material: &KeyMaterial,
        now: Timestamp,
    ) -> KeyTransition {
        let mut transition = KeyTransition::default();
        for algorithm in Algorithm::ALL {
            let plan = KeyChain::of(keys, algorithm).begin_anew(now, &self.policy);
            transition.revoke.extend(plan.revoke);
            transition.destroy_private.extend(plan.destroy_private);
            if algorithm == Algorithm::default() {
                transition.insert = plan
                    .new_key
                    .map(|planned| signing_key(planned, material.clone(), now));
            }
        }
        transition
    }
}
