//! The last questions, when all faults are over: who is still signed in, who is not, and what is recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::Value;
use tokensmith_verify::revocation::{BitList, ListToken, inflate};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ChaosError;
use super::fleet::Fleet;
use super::history::{Event, Role};
use super::random::Random;
use super::site::{Access, Request, text};
use super::town::Town;
use super::wallet::{Outcome, Presenting, Refresh, Wallet};
use super::watch;

const NAME: &str = "finale";
/// How many questions are asked at the same time.
const AT_ONCE: usize = 16;
/// Status lists may come out of a cache that is so old.
const LISTS_ARE_NEW: Duration = Duration::from_secs(11);

/// Asks everything that the checker wants to know.
pub(super) async fn ask(
    town: &Arc<Town>,
    fleet: &Fleet,
    wallets: Vec<Wallet>,
) -> Result<(), ChaosError> {
    let recorder = &town.site.recorder;
    recorder.record(recorder.now(), NAME, Event::Calm);
    let use_up = |wallet| use_up(Arc::clone(town), wallet);
    all_of(wallets.into_iter().map(use_up)).await;
    let question = |grave: Arc<super::town::Grave>| {
        let town = Arc::clone(town);
        async move { question(&town, &grave.wallet).await }
    };
    all_of(town.graves().into_iter().map(question)).await;
    sleep(LISTS_ARE_NEW).await;
    for replica in 0..town.site.replicas() {
        look_at_bits(town, replica).await;
    }
    read_audit_log(town, fleet).await?;
    for (replica, log) in fleet.logs().await.iter().enumerate() {
        for line in log.lines().filter(|line| line.contains("panicked")) {
            let line = line.to_owned();
            recorder.record(recorder.now(), NAME, Event::Logged { replica, line });
        }
    }
    Ok(())
}

/// Runs all of them, some at the same time.
async fn all_of(tasks: impl Iterator<Item = impl Future<Output = ()> + Send + 'static>) {
    let mut running = JoinSet::new();
    for task in tasks {
        if running.len() >= AT_ONCE {
            running.join_next().await;
        }
        running.spawn(task);
    }
    running.join_all().await;
}

/// The newest refresh token of a session that nobody has ended is good. Then somebody presents one from
/// long before, and none is good any more.
async fn use_up(town: Arc<Town>, mut wallet: Wallet) {
    let old = wallet.past.first().unwrap_or(&wallet.refresh).clone();
    for _ in 0..2 {
        let outcome = present(&town, Role::Honest, &wallet, &wallet.refresh).await;
        let Some(Outcome::Issued(refresh, access)) = outcome else {
            town.bury(wallet, Vec::new());
            return;
        };
        wallet.take(refresh, access);
    }
    let _refused = present(&town, Role::Ghost, &wallet, &old).await;
    watch::verifiers(&town.site, &wallet.access).await;
    for refresh in wallet.past.iter().rev() {
        present(&town, Role::Ghost, &wallet, refresh).await;
    }
    town.bury(wallet, Vec::new());
}

/// Asks about a session that is over.
async fn question(town: &Town, wallet: &Wallet) {
    let _refused = present(town, Role::Ghost, wallet, &wallet.refresh).await;
    let mut random = Random::new(town.seed, &wallet.session);
    let api = (&town.api, random.below(town.site.replicas()));
    town.site.introspect(NAME, api, &wallet.access).await;
}

async fn present(town: &Town, role: Role, wallet: &Wallet, refresh: &Refresh) -> Option<Outcome> {
    let part = format!("{}{:?}{}", wallet.session, role, refresh.generation);
    let mut random = Random::new(town.seed, &part);
    let presenting = Presenting {
        who: NAME,
        role,
        key: &random.name(),
        replica: random.below(town.site.replicas()),
        sabotaged: false,
        resource: None,
    };
    let outcome = town.site.present((wallet, refresh), presenting).await;
    (!matches!(outcome, Outcome::Again)).then_some(outcome)
}

/// Whether the status lists of a replica have the bits of the sessions that are over.
async fn look_at_bits(town: &Town, replica: usize) {
    let recorder = &town.site.recorder;
    let mut lists: BTreeMap<String, Option<BitList>> = BTreeMap::new();
    for grave in town.graves() {
        let access = &grave.wallet.access;
        let (Some(session), Some((uri, index))) = (access.session.clone(), bit_of(access)) else {
            continue;
        };
        let began = recorder.now();
        if !lists.contains_key(&uri) {
            let list = list(town, replica, &uri).await;
            lists.insert(uri.clone(), list);
        }
        let list = lists.get(&uri).and_then(Option::as_ref);
        let is_set = list.and_then(|list| list.is_set(index));
        let event = Event::Bit {
            session,
            replica,
            is_set,
        };
        recorder.record(began, NAME, event);
    }
}

/// The position that the claim `status` of an access token names.
fn bit_of(access: &Access) -> Option<(String, u32)> {
    let claims = access.claims()?;
    let status = claims.get("status")?.get("status_list")?;
    let index = status.get("idx")?.as_u64()?;
    Some((text(status, "uri")?.to_owned(), u32::try_from(index).ok()?))
}

async fn list(town: &Town, replica: usize, uri: &str) -> Option<BitList> {
    let path = uri.strip_prefix(&town.site.issuer)?;
    let reply = town
        .site
        .send(replica, Request::new(Method::GET, path))
        .await;
    let payload = reply.body.as_str()?.split('.').nth(1)?;
    let list: ListToken = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let bytes = inflate(list.status_list.bits, &list.status_list.lst).ok()?;
    BitList::from_bytes(&bytes).ok()
}

async fn read_audit_log(town: &Town, fleet: &Fleet) -> Result<(), ChaosError> {
    let recorder = &town.site.recorder;
    let verified = fleet.command(&["audit", "verify"], "").await;
    let event = Event::AuditVerified {
        is_whole: verified.is_ok(),
        said: verified.unwrap_or_else(|error| error.to_string()),
    };
    recorder.record(recorder.now(), NAME, event);
    let list = ["audit", "list", "--json", "--limit", "100000000"];
    let records = fleet.command(&list, "").await?;
    let records: Vec<Value> = serde_json::from_str(&records).map_err(ChaosError::NotJson)?;
    for record in records.iter().rev() {
        let member = |name: &str| text(record, name).map(ToOwned::to_owned);
        let event = Event::Audit {
            kind: member("event").unwrap_or_default(),
            session: member("sid"),
            person: member("user_id"),
            client: member("client_id"),
            detail: member("detail"),
        };
        recorder.record(recorder.now(), NAME, event);
    }
    Ok(())
}
