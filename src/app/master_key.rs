//! Finds the master key that belongs to the database.

use super::{Installation, StartError};
use crate::config::Settings;
use crate::crypto::{MasterKey, MasterKeyError, MasterKeySource, SystemEntropy};
use crate::domain::ports::{MasterKeyFingerprint, Store};

/// The master key that the database belongs to; made on the first start.
pub(super) async fn of_installation(
    settings: &Settings,
    installation: Installation,
    store: &dyn Store,
) -> Result<MasterKey, StartError> {
    let source = &settings.master_key;
    let place = place_of(source);
    // In this order: a key is made before the database is claimed for it, so whoever sees the
    // claim of another replica that starts at the same time finds its key, too.
    let claimed_by = store.master_key_fingerprint().await?;
    let master = match (MasterKey::load(source)?, claimed_by) {
        (Some(key), _) => key,
        (None, Some(expected)) if is_next(expected, source)? => {
            return Err(unfinished_renewal(settings));
        }
        // A new key beside an old database would only hide that the old key is gone.
        (None, Some(expected)) => return Err(StartError::MissingMasterKey { expected, place }),
        (None, None) if installation == Installation::MustExist => {
            return Err(StartError::NoInstallation(settings.database.to_string()));
        }
        (None, None) => MasterKey::create(&settings.keys_dir, &SystemEntropy::default())?,
    };
    let given = master.fingerprint();
    let expected = store.claim_for_master_key(given).await?;
    if expected == given {
        with_inheritance(master, store).await
    } else if is_next(expected, source)? {
        Err(unfinished_renewal(settings))
    } else {
        Err(StartError::WrongMasterKey {
            expected,
            given,
            place,
        })
    }
}

/// Where the master key comes from, for people.
pub(super) fn place_of(source: &MasterKeySource) -> String {
    match source {
        MasterKeySource::Value(_) => "variable TOKENSMITH_MASTER_KEY".to_owned(),
        MasterKeySource::File(path) => path.display().to_string(),
        MasterKeySource::KeysDirectory(path) => path.join("master.key").display().to_string(),
    }
}

/// The master key with what the database keeps for it.
pub(super) async fn with_inheritance(
    master: MasterKey,
    store: &dyn Store,
) -> Result<MasterKey, StartError> {
    Ok(match store.inheritance().await? {
        Some(sealed) => master.inherit(&sealed)?,
        None => master,
    })
}

/// Whether a master key waits in the keys directory to take the place of the present one.
fn is_next(
    fingerprint: MasterKeyFingerprint,
    source: &MasterKeySource,
) -> Result<bool, MasterKeyError> {
    let MasterKeySource::KeysDirectory(directory) = source else {
        return Ok(false);
    };
    let next = MasterKey::read_file(&MasterKey::next_in(directory))?;
    Ok(next.is_some_and(|next| next.fingerprint() == fingerprint))
}

fn unfinished_renewal(settings: &Settings) -> StartError {
    StartError::UnfinishedRenewal(MasterKey::next_in(&settings.keys_dir))
}
