//! What becomes of the tokens of a session that was ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::checker::WATCH;
use super::history::Role;
use super::random::Random;
use super::site::{Access, Site};
use super::town::Town;
use super::wallet::{Presenting, Wallet};

/// For how long verifiers are looked at; they refuse earlier, or break a rule.
const LONGEST: Duration = Duration::from_secs(4);
/// How often they are looked at.
const INTERVAL: Duration = Duration::from_millis(4);

/// The end of a session was acknowledged just now: looks at all verifiers until they refuse its access tokens,
/// and tries what is left of it.
pub(super) fn over(town: &Arc<Town>, wallet: Wallet, others: Vec<Access>) {
    let grave = town.bury(wallet, others);
    let town_of_task = Arc::clone(town);
    town.spawn(async move {
        let town = town_of_task;
        for access in grave.access_tokens() {
            verifiers(&town.site, access).await;
        }
        let name = format!("{WATCH}{}", grave.wallet.session);
        let mut random = Random::new(town.seed, &name);
        let wallet = &grave.wallet;
        for refresh in std::iter::once(&wallet.refresh).chain(wallet.past.first()) {
            let presenting = Presenting {
                who: &name,
                role: Role::Ghost,
                key: &random.name(),
                replica: random.below(town.site.replicas()),
                sabotaged: false,
                resource: None,
            };
            town.site.present((wallet, refresh), presenting).await;
        }
        let api = (&town.api, random.below(town.site.replicas()));
        town.site.introspect(&name, api, &wallet.access).await;
    });
}

/// Of each verifier the first and the last time that it accepts the token are recorded, and the first that it
/// does not.
pub(super) async fn verifiers(site: &Site, access: &Access) {
    let name = format!("{WATCH}{}", access.session.as_deref().unwrap_or_default());
    let mut waiting: Vec<(usize, Option<(u64, u64)>)> = Vec::new();
    for number in 0..site.verifiers.len() {
        if look(site, (number, access), &name, &mut None, true) {
            waiting.push((number, None));
        }
    }
    let until = Instant::now() + LONGEST;
    while !waiting.is_empty() && Instant::now() < until {
        sleep(INTERVAL).await;
        waiting.retain_mut(|(number, last)| look(site, (*number, access), &name, last, false));
    }
    for (number, last) in waiting {
        if let Some(when) = last {
            let accepted = access.verified(number, None);
            site.recorder.record_ended(when, &name, accepted);
        }
    }
}

/// Whether the verifier accepts the token.
fn look(
    site: &Site,
    (number, access): (usize, &Access),
    name: &str,
    last: &mut Option<(u64, u64)>,
    is_first: bool,
) -> bool {
    let Some(verifier) = site.verifiers.get(number) else {
        return false;
    };
    let began = site.recorder.now();
    let reject = verifier.verify(&access.token).err();
    let when = (began, site.recorder.now());
    let Some(reject) = reject else {
        if is_first {
            let accepted = access.verified(number, None);
            site.recorder.record_ended(when, name, accepted);
        }
        *last = Some(when);
        return true;
    };
    if let Some(last) = *last {
        let accepted = access.verified(number, None);
        site.recorder.record_ended(last, name, accepted);
    }
    let reason = Some(reject.reason().to_owned());
    let rejected = access.verified(number, reason);
    site.recorder.record_ended(when, name, rejected);
    false
}
