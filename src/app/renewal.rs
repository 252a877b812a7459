//! `tokensmith keys renew-master`: a new master key for an installation whose old one has leaked.
//!
//! Three steps, and each can be the last one of a process: the new key is written to a file, the database
//! is handed over to it in one transaction, and the file takes the place of the old key. The command, run
//! again, goes on after the transaction. Before it a file proves nothing: it is refused, and removed by hand.

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
use crate::domain::ports::{Entropy, MasterKeyFingerprint, NoEntropy, Store, StoreError};
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
    /// Anybody may have put it there, or read it since.
    #[error(
        "{} is there, and the database does not belong to the master key in it: it was left by a renewal \
         that was interrupted, or put there by somebody. Nothing was changed. If no other renewal is under \
         way, remove it and try again",
        .0.display()
    )]
    HoldsUnknownKey(PathBuf),
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
    // To the end of the command.
    let _turn = MasterKey::reserve(&target.file).map_err(StartError::from)?;
    let claimed = store.master_key_fingerprint().await;
    let owner = claimed
        .map_err(StartError::from)?
        .ok_or_else(|| StartError::NoInstallation(location.to_string()))?;
    let present = MasterKey::load(&settings.master_key).map_err(StartError::from)?;
    let next = MasterKey::read_file(&target.file).map_err(StartError::from)?;
    let demo_before = present.as_ref().map(DemoSecrets::of);
    let (next, order) = match next {
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
            refuse_found_key(&present, next.as_ref(), &target)?;
            let (next, order) = prepare(&present, &store).await?;
            (next, Some(order))
        }
    };
    let parts = Parts::assemble(settings, issuer, (Arc::clone(&store), metrics), &next)?;
    let ended_sessions = match &order {
        Some(order) => Some(hand_over(&parts, (&next, order), &target, &*store).await?),
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

/// Only a key that this run makes is known to be new, and nobody else's.
fn refuse_found_key(
    present: &MasterKey,
    found: Option<&MasterKey>,
    target: &Target,
) -> Result<(), RenewalFailure> {
    let file = || target.file.clone();
    match found {
        None => Ok(()),
        Some(found) if present.is_heir_of(found) => Err(RenewalFailure::HoldsFormerKey(file())),
        Some(_) => Err(RenewalFailure::HoldsUnknownKey(file())),
    }
}

/// Makes the new master key, and seals its inheritance.
async fn prepare(
    present: &MasterKey,
    store: &Arc<dyn Store>,
) -> Result<(MasterKey, MasterKeyChange), RenewalFailure> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    let sealer = Arc::new(HmacChainSealer::new(present));
    let trail = Trail::new(Arc::clone(store), sealer, Arc::clone(&entropy));
    trail.seal().await?;
    let audit_end = end_of_audit_log(&**store).await.map_err(StartError::from)?;
    let no_entropy = |error: NoEntropy| RenewalError::from(AdminError::from(error));
    let next = MasterKey::generate(&*entropy).map_err(no_entropy)?;
    let inheritance = present.bequeath(&next, audit_end, &*entropy);
    let inheritance = inheritance.map_err(no_entropy)?;
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

/// The file, and the transaction; answers how many sessions that has ended.
async fn hand_over(
    parts: &Parts,
    (next, order): (&MasterKey, &MasterKeyChange),
    target: &Target,
    store: &dyn Store,
) -> Result<u64, RenewalFailure> {
    let saved = next.save(&target.file, &SystemEntropy::default());
    saved.map_err(StartError::from)?;
    let keys = &parts.administration.keys;
    let renewed = keys.renew_master_key(order, &Origin::COMMAND_LINE);
    let renewed = renewed.await;
    let is_refused = matches!(
        renewed,
        Err(RenewalError::ServersAreThere | RenewalError::Overtaken)
    );
    // A key that lies about is the next to leak; but it may be the only copy of what the database belongs
    // to, so the database has the last word.
    if is_refused
        && matches!(store.master_key_fingerprint().await, Ok(Some(owner)) if owner != order.to)
    {
        let _gone = std::fs::remove_file(&target.file);
    }
    Ok(renewed?)
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
