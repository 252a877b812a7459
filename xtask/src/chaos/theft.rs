//! A thief copies a refresh token. Who of the two presents it when is different each time; in the end one
//! of them has presented a token that was superseded, and both are out.

use std::time::Duration;

use tokio::time::sleep;

use super::device::{Device, Insisting};
use super::history::Role;
use super::site::Access;
use super::wallet::{Outcome, Refresh, Wallet};
use super::watch;

/// Longer than the retry window of the app with a short one.
const MORE_THAN_A_SHORT_WINDOW: Duration = Duration::from_millis(1_400);

/// What the thief has.
struct Loot {
    refresh: Refresh,
    access: Vec<Access>,
}

/// The session is over afterwards, whatever happens.
pub(super) async fn befall(device: &mut Device, mut wallet: Wallet) {
    let mut loot = Loot {
        refresh: wallet.refresh.clone(),
        access: Vec::new(),
    };
    let is_watched = match device.random.below(4) {
        0 if device.app.retry_window_ms <= 1_000 => {
            after_the_window(device, &mut wallet, &mut loot).await
        }
        0 | 1 => too_late(device, &mut wallet, &mut loot).await,
        2 => first(device, &mut wallet, &mut loot).await,
        _ => at_once(device, &mut wallet, &mut loot).await,
    };
    if is_watched == Some(true) {
        watch::over(&device.town, wallet, loot.access);
    } else {
        // Somebody else has ended the session in the meantime.
        device.town.bury(wallet, loot.access);
    }
}

/// The owner moves on by two; then the thief comes.
async fn too_late(device: &mut Device, wallet: &mut Wallet, loot: &mut Loot) -> Option<bool> {
    let goes_on = device.rotate(wallet, None).await? && device.rotate(wallet, None).await?;
    Some(goes_on && is_refused(device, wallet, loot).await?)
}

/// The owner moves on by one; the thief comes when the retry window is over.
async fn after_the_window(
    device: &mut Device,
    wallet: &mut Wallet,
    loot: &mut Loot,
) -> Option<bool> {
    let goes_on = device.rotate(wallet, None).await?;
    sleep(MORE_THAN_A_SHORT_WINDOW).await;
    Some(goes_on && is_refused(device, wallet, loot).await?)
}

/// The thief moves on by two; then the owner comes, and then the thief again.
async fn first(device: &mut Device, wallet: &mut Wallet, loot: &mut Loot) -> Option<bool> {
    let goes_on = steal(device, wallet, loot).await? && steal(device, wallet, loot).await?;
    let owner = present(device, wallet, &wallet.refresh.clone()).await?;
    let is_over = matches!(owner, Outcome::Over);
    let _refused = is_refused(device, wallet, loot).await?;
    Some(goes_on && is_over)
}

/// Both come at the same time, to different replicas and with different keys, and get the same. The owner goes
/// on; then the thief comes.
async fn at_once(device: &mut Device, wallet: &mut Wallet, loot: &mut Loot) -> Option<bool> {
    let key = device.random.name();
    let stolen = wallet.refresh.clone();
    let replica = device.some_replica();
    let presenting = super::wallet::Presenting {
        who: "thief",
        role: Role::Thief,
        key: &key,
        replica,
        sabotaged: false,
        resource: None,
    };
    let (town, robbed) = (std::sync::Arc::clone(&device.town), wallet.clone());
    let (thief, owner) = tokio::join!(
        town.site.present((&robbed, &stolen), presenting),
        device.rotate(wallet, None)
    );
    if let Outcome::Issued(refresh, access) = thief {
        loot.refresh = refresh;
        loot.access.push(access);
    }
    let goes_on =
        owner? && device.rotate(wallet, None).await? && device.rotate(wallet, None).await?;
    Some(goes_on && is_refused(device, wallet, loot).await?)
}

/// The thief presents what was stolen, and gets the next; whether that works.
async fn steal(device: &mut Device, wallet: &Wallet, loot: &mut Loot) -> Option<bool> {
    let Outcome::Issued(refresh, access) = present(device, wallet, &loot.refresh).await? else {
        return Some(false);
    };
    loot.refresh = refresh;
    loot.access.push(access);
    Some(true)
}

async fn is_refused(device: &mut Device, wallet: &Wallet, loot: &Loot) -> Option<bool> {
    let outcome = present(device, wallet, &loot.refresh).await?;
    Some(matches!(outcome, Outcome::Over))
}

/// From here on somebody else than the owner has a token of this session.
async fn present(device: &mut Device, wallet: &Wallet, refresh: &Refresh) -> Option<Outcome> {
    let how = Insisting {
        role: Role::Thief,
        key: &device.random.name(),
        loses_answer: false,
        resource: None,
    };
    device.insist(wallet, refresh, how).await
}
