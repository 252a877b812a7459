//! `tokensmith keys renew-master`: a new master key for an installation whose old one has leaked.
//!
//! Three steps, and each can be the last one of a process: the new key is written to a file, the database
//! is handed over to it in one transaction, and the file takes the place of the old key. The command, run
//! again, finds out how far it has come.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::master_key::{place_of, with_inheritance};
use super::{DemoSecrets, Parts, StartError, demo, refuse_missing_database};
use crate::accounts::AccountError;
use crate::accounts::trail::{SealError, Trail};
use crate::admin::AdminError;
use crate::admin::master_key::{MasterKeyChange, RenewalError};
use crate::cli::keys::renew_master::Renewed;
use crate::config::Settings;
use crate::crypto::{HmacChainSealer, MasterKey, MasterKeySource, SystemEntropy};
use crate::domain::algorithm::Algorithm;
use crate::domain::audit::{Origin, Seal};
use crate::domain::id::Kid;
use crate::domain::issuer::Issuer;
use crate::domain::key_schedule::KeyChain;
use crate::domain::ports::{Entropy, MasterKeyFingerprint, Store, StoreError};
use crate::store;
use crate::telemetry::metrics::Metrics;

/// Why the master key was not renewed, or not to the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenewalFailure {
    /// The installation cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The keys directory is this program's, any other place is not.
    #[error(
        "the master key comes from {0}, which only you can change: name a file for the new one with \
         --write FILE"
    )]
    NowhereToWrite(String),
    /// The keys directory needs no other place.
    #[error(
        "--write is for a master key that comes from a variable or another file; this one is {0}, and is \
         replaced there"
    )]
    HasItsPlace(String),
    /// The file for the new key has the present one in it.
    #[error(
        "{} holds the present master key; name a file that does not exist, or remove this one",
        .0.display()
    )]
    HoldsPresentKey(PathBuf),
    /// A key that has leaked before is no new one.
    #[error("{} holds a master key that this installation has had before; remove it", .0.display())]
    HoldsFormerKey(PathBuf),
    /// The log of the former key must be sealed while that still counts.
    #[error("the audit log cannot be sealed with the present master key: {0}")]
    Seal(#[from] SealError),
    /// The transaction was not made.
    #[error(transparent)]
    Renewal(#[from] RenewalError),
    /// The transaction was made, and something after it failed.
    #[error(
        "the database belongs to the new master key, but the rest is not done; run the command again: {0}"
    )]
    Unfinished(#[source] StartError),
}

/// How often a server looks whether its master key is still that of the database.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits until the database belongs to another master key than the one of this server. Where a server was
/// suspended, or cut off from the database, a renewal may not have seen it.
pub(super) async fn until_renewed(store: &dyn Store, mine: MasterKeyFingerprint) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let owner = store.master_key_fingerprint().await;
        // Trouble with the database shows elsewhere.
        if matches!(owner, Ok(Some(owner)) if owner != mine) {
            return;
        }
    }
}

/// Where the new master key is.
struct Target {
    file: PathBuf,
    /// The keys directory, where the file takes the place of the present key.
    directory: Option<PathBuf>,
}

/// Renews the master key, or finishes what an earlier run has begun.
pub(super) async fn run(
    settings: &Settings,
    issuer: Issuer,
    write: Option<&Path>,
) -> Result<Renewed, RenewalFailure> {
    let target = Target::of(settings, write)?;
    refuse_missing_database(settings)?;
    let metrics = Metrics::default();
    let location = &settings.database;
    let store = store::open_alone(location, settings.database_limits, metrics.store.clone());
    let store = store.await.map_err(StartError::from)?;
    let claimed = store.master_key_fingerprint().await;
    let owner = claimed
        .map_err(StartError::from)?
        .ok_or_else(|| StartError::NoInstallation(location.to_string()))?;
    let present = MasterKey::load(&settings.master_key).map_err(StartError::from)?;
    let next = MasterKey::read_file(&target.file).map_err(StartError::from)?;
    let demo_before = present.as_ref().map(DemoSecrets::of);
    let (next, change) = match next {
        Some(next) if next.fingerprint() == owner => {
            if present.is_some_and(|present| present.fingerprint() == owner) {
                return Err(RenewalFailure::HoldsPresentKey(target.file));
            }
            // An earlier run was interrupted after the transaction.
            (with_inheritance(next, &*store).await?, None)
        }
        next => {
            let present = refuse_another_key(present, owner, settings)?;
            let present = with_inheritance(present, &*store).await?;
            let is_made_here = next.is_none();
            let (next, order) = prepare(&present, next, &target, &store).await?;
            let change = Change {
                order,
                is_made_here,
            };
            (next, Some(change))
        }
    };
    let parts = Parts::assemble(settings, issuer, (Arc::clone(&store), metrics), &next)?;
    let ended_sessions = match &change {
        Some(change) => Some(hand_over(&parts, change, &target).await?),
        None => None,
    };
    let kid = finish(&parts, demo_before.as_ref(), &target).await;
    let kid = kid.map_err(RenewalFailure::Unfinished)?;
    store.close().await;
    Ok(Renewed {
        master_key: next.fingerprint().to_string(),
        kid,
        ended_sessions,
        is_in_place: target.directory.is_some(),
        file: match target.directory {
            Some(_) => place_of(&settings.master_key),
            None => target.file.display().to_string(),
        },
    })
}

impl Target {
    fn of(settings: &Settings, write: Option<&Path>) -> Result<Self, RenewalFailure> {
        let source = &settings.master_key;
        match (source, write) {
            (MasterKeySource::KeysDirectory(directory), None) => Ok(Self {
                file: MasterKey::next_in(directory),
                directory: Some(directory.clone()),
            }),
            (MasterKeySource::KeysDirectory(_), Some(_)) => {
                Err(RenewalFailure::HasItsPlace(place_of(source)))
            }
            (MasterKeySource::Value(_) | MasterKeySource::File(_), Some(file)) => Ok(Self {
                file: file.to_owned(),
                directory: None,
            }),
            (MasterKeySource::Value(_) | MasterKeySource::File(_), None) => {
                Err(RenewalFailure::NowhereToWrite(place_of(source)))
            }
        }
    }
}

fn refuse_another_key(
    present: Option<MasterKey>,
    expected: MasterKeyFingerprint,
    settings: &Settings,
) -> Result<MasterKey, StartError> {
    let place = place_of(&settings.master_key);
    let present = present.ok_or_else(|| StartError::MissingMasterKey {
        expected,
        place: place.clone(),
    })?;
    let given = present.fingerprint();
    if given == expected {
        return Ok(present);
    }
    Err(StartError::WrongMasterKey {
        expected,
        given,
        place,
    })
}

/// What hands the database over to the new master key.
struct Change {
    order: MasterKeyChange,
    /// Whether the file was not there before this run.
    is_made_here: bool,
}

/// Makes the new master key, unless an earlier run has done so, and seals its inheritance.
async fn prepare(
    present: &MasterKey,
    next: Option<MasterKey>,
    target: &Target,
    store: &Arc<dyn Store>,
) -> Result<(MasterKey, MasterKeyChange), RenewalFailure> {
    if next.as_ref().is_some_and(|next| present.is_heir_of(next)) {
        return Err(RenewalFailure::HoldsFormerKey(target.file.clone()));
    }
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    let sealer = Arc::new(HmacChainSealer::new(present));
    let trail = Trail::new(Arc::clone(store), sealer, Arc::clone(&entropy));
    trail.seal().await?;
    let audit_end = end_of_audit_log(&**store).await.map_err(StartError::from)?;
    let next = match next {
        Some(next) => next,
        None => MasterKey::create_file(&target.file, &*entropy).map_err(StartError::from)?,
    };
    let inheritance = present.bequeath(&next, audit_end, &*entropy);
    let inheritance = inheritance
        .map_err(AdminError::from)
        .map_err(RenewalError::from)?;
    let change = MasterKeyChange {
        from: present.fingerprint(),
        to: next.fingerprint(),
        audit_end,
        inheritance,
    };
    // Also proves that what is stored can be opened again.
    let next = next.inherit(&change.inheritance);
    Ok((next.map_err(StartError::from)?, change))
}

/// The transaction; answers how many sessions it has ended.
async fn hand_over(parts: &Parts, change: &Change, target: &Target) -> Result<u64, RenewalError> {
    let keys = &parts.administration.keys;
    let renewed = keys.renew_master_key(&change.order, &Origin::COMMAND_LINE);
    let renewed = renewed.await;
    let is_refused = matches!(
        renewed,
        Err(RenewalError::ServersAreThere | RenewalError::Overtaken)
    );
    if is_refused && change.is_made_here {
        // It certainly belongs to nothing, and a key that lies about is the next to leak.
        let _gone = std::fs::remove_file(&target.file);
    }
    renewed
}

async fn end_of_audit_log(store: &dyn Store) -> Result<Seal, StoreError> {
    Ok(store.unsealed_records(1).await?.1)
}

/// What follows the transaction, as often as it takes; answers which key signs.
async fn finish(
    parts: &Parts,
    demo_before: Option<&DemoSecrets>,
    target: &Target,
) -> Result<Option<Kid>, StartError> {
    // While the old key is still there to tell what came of it.
    if let Some(before) = demo_before {
        demo::renew(parts, before).await?;
    }
    let sealed = parts.administration.accounts.trail.seal().await;
    sealed.map_err(AccountError::from)?;
    let keys = parts.administration.keys.list().await?;
    let now = parts.administration.clock.now();
    let signer = KeyChain::of(&keys, Algorithm::default()).signer(now);
    if let Some(directory) = &target.directory {
        MasterKey::put_next_in_place(directory)?;
    }
    Ok(signer.map(|key| key.kid.clone()))
}
