//! What makes a document about revocations one of the issuer's, and what all of them together say.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::de::DeserializeOwned;
use tokio::task::{JoinError, JoinSet};

use crate::clock::unix_now;
use crate::jws::{Compact, DEFAULT_MAX_TOKEN_BYTES, verify_within};
use crate::revocation::follower::Anchor;
use crate::revocation::state::{MAX_LISTS, State};
use crate::revocation::{
    BitList, HEARTBEAT_TYP, Heartbeat, InvalidStatusList, LIST_TYP, ListToken, ListUris,
    SNAPSHOT_TYP, Snapshot, Watermark, Watermarks, inflate,
};
use crate::{KeySet, Reject};

use super::FetchError;
use super::feed::{Feed, MAX_LIST_BYTES, MAX_SNAPSHOT_BYTES};
use super::refresher::KeyRequests;

/// Lists that are fetched at the same time.
const CONCURRENT_FETCHES: usize = 4;

/// Why nothing could be learned of revocations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// A document could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A document's signature is not good, or it is of another type.
    #[error("a document is not signed by the issuer")]
    Signature(#[source] Reject),
    /// The key that signed it is cut off by a watermark.
    #[error("a document is signed by a key that was revoked")]
    RevokedKey,
    /// It does not have the form of its type.
    #[error("a document is malformed")]
    Malformed,
    /// `iss` is another.
    #[error("a document is of another issuer")]
    WrongIssuer,
    /// `exp` has passed, or `iat` lies in the future.
    #[error("a document is not of this time")]
    WrongTime,
    /// A list that is not the one asked for, or a snapshot that names one that is not the issuer's.
    #[error("a status list is not the one that was asked for")]
    WrongList,
    /// The bits are not those of a list.
    #[error(transparent)]
    List(#[from] InvalidStatusList),
    /// More lists have a bit set than this library keeps.
    #[error("more than {MAX_LISTS} lists have a bit set")]
    TooManyLists,
    /// The documents are of several epochs: a new one begins at this very moment.
    #[error("the documents are of several epochs")]
    EpochsDiffer,
    /// The documents are of an epoch before the one already known: they are old, or replayed.
    #[error("the documents are of an earlier epoch")]
    EarlierEpoch,
    /// A task was stopped, because the runtime shuts down.
    #[error("the runtime shuts down")]
    Stopped(#[source] JoinError),
}

/// Whom to believe.
#[derive(Clone)]
pub(super) struct Trust {
    pub(super) issuer: Arc<str>,
    pub(super) keys: Arc<ArcSwap<KeySet>>,
    pub(super) requests: KeyRequests,
    pub(super) leeway: Duration,
}

/// A document, and the key that signed it.
pub(super) struct Signed<D> {
    pub(super) kid: String,
    pub(super) document: D,
}

/// All that a snapshot says, with the lists that it names.
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) anchor: Anchor,
    pub(super) announced: u32,
    pub(super) watermarks: Vec<Watermark>,
}

/// One list, checked and unpacked.
struct LoadedList {
    number: u32,
    bits: BitList,
    anchor: Anchor,
    kid: String,
    iat: i64,
}

impl Trust {
    pub(super) fn heartbeat(&self, jws: &str) -> Result<Signed<Heartbeat>, RevocationError> {
        let signed: Signed<Heartbeat> = self.open(jws, HEARTBEAT_TYP, DEFAULT_MAX_TOKEN_BYTES)?;
        self.require_issuer(&signed.document.iss)?;
        Ok(signed)
    }

    fn snapshot(&self, jws: &str) -> Result<Signed<Snapshot>, RevocationError> {
        let signed: Signed<Snapshot> = self.open(jws, SNAPSHOT_TYP, MAX_SNAPSHOT_BYTES)?;
        let snapshot = &signed.document;
        self.require_issuer(&snapshot.iss)?;
        self.require_now_within(snapshot.iat, snapshot.exp)?;
        Ok(signed)
    }

    fn list(&self, jws: &str, uri: &str) -> Result<Signed<ListToken>, RevocationError> {
        let signed: Signed<ListToken> = self.open(jws, LIST_TYP, MAX_LIST_BYTES)?;
        let list = &signed.document;
        self.require_issuer(&list.iss)?;
        // draft-ietf-oauth-status-list §8.3: else one list could be passed off as another.
        if list.sub != uri {
            return Err(RevocationError::WrongList);
        }
        self.require_now_within(list.iat, list.exp)?;
        Ok(signed)
    }

    fn open<D: DeserializeOwned>(
        &self,
        jws: &str,
        typ: &str,
        limit: usize,
    ) -> Result<Signed<D>, RevocationError> {
        let payload = verify_within(jws, &self.keys.load(), limit).map_err(|reject| {
            if reject == Reject::UnknownKid {
                self.ask_for_key_of(jws, limit);
            }
            RevocationError::Signature(reject)
        })?;
        // RFC 8725 §3.11: the issuer's key signs tokens of other kinds, too.
        if payload.typ.as_deref() != Some(typ) {
            return Err(RevocationError::Signature(Reject::WrongType));
        }
        let document =
            serde_json::from_slice(&payload.bytes).map_err(|_| RevocationError::Malformed)?;
        Ok(Signed {
            kid: payload.kid,
            document,
        })
    }

    fn ask_for_key_of(&self, jws: &str, limit: usize) {
        let compact = Compact::split(jws, limit).ok();
        if let Some(kid) = compact.and_then(|compact| compact.unverified_kid()) {
            // The answer comes too late for this document; there will be others.
            let _ = self.requests.ask_for(&kid);
        }
    }

    fn require_issuer(&self, issuer: &str) -> Result<(), RevocationError> {
        if issuer == &*self.issuer {
            Ok(())
        } else {
            Err(RevocationError::WrongIssuer)
        }
    }

    fn require_now_within(&self, iat: i64, exp: i64) -> Result<(), RevocationError> {
        let leeway = i64::try_from(self.leeway.as_secs()).unwrap_or(i64::MAX);
        let now = unix_now();
        if now < exp.saturating_add(leeway) && iat <= now.saturating_add(leeway) {
            Ok(())
        } else {
            Err(RevocationError::WrongTime)
        }
    }
}

/// Fetches the snapshot and the lists that it names.
///
/// `distrusts` says, by `kid` and instant of signing, whose signature is no longer believed.
pub(super) async fn load(
    feed: &Arc<Feed>,
    trust: &Trust,
    revalidate: bool,
    distrusts: impl Fn(&str, i64) -> bool,
) -> Result<Loaded, RevocationError> {
    let jws = feed
        .document("/revocation/snapshot", MAX_SNAPSHOT_BYTES, revalidate)
        .await?;
    let Signed { kid, document } = trust.snapshot(&jws)?;
    let known: Watermarks = document.watermarks.iter().cloned().collect();
    let require_trusted = |kid: &str, iat: i64| {
        if distrusts(kid, iat) || iat < known.not_before_of_key(kid) {
            Err(RevocationError::RevokedKey)
        } else {
            Ok(())
        }
    };
    require_trusted(&kid, document.iat)?;
    let numbers = numbers(&document, &crate::revocation::list_uris(&trust.issuer))?;
    let mut earliest = Anchor {
        position: document.position(),
        chain: document.chain,
    };
    let mut state = State::new(document.announced, document.watermarks.iter().cloned());
    let mut waiting = numbers.into_iter();
    let mut fetches = JoinSet::new();
    loop {
        while fetches.len() < CONCURRENT_FETCHES
            && let Some(number) = waiting.next()
        {
            fetches.spawn(load_list(
                Arc::clone(feed),
                trust.clone(),
                number,
                revalidate,
            ));
        }
        let Some(list) = fetches.join_next().await else {
            break;
        };
        let list = list.map_err(RevocationError::Stopped)??;
        require_trusted(&list.kid, list.iat)?;
        if list.anchor.position.epoch != earliest.position.epoch {
            return Err(RevocationError::EpochsDiffer);
        }
        // What happened after the earliest is in some of the documents and not in others; setting
        // a bit twice does no harm.
        if list.anchor.position < earliest.position {
            earliest = list.anchor;
        }
        state.fill(list.number, list.bits);
    }
    Ok(Loaded {
        state,
        anchor: earliest,
        announced: document.announced,
        watermarks: document.watermarks,
    })
}

fn numbers(snapshot: &Snapshot, uris: &ListUris) -> Result<Vec<u32>, RevocationError> {
    if snapshot.lists.len() > MAX_LISTS {
        return Err(RevocationError::TooManyLists);
    }
    let number = |uri: &String| {
        uris.number(uri)
            .filter(|number| *number < snapshot.announced)
            .ok_or(RevocationError::WrongList)
    };
    let numbers: Result<Vec<u32>, _> = snapshot.lists.iter().map(number).collect();
    let mut numbers = numbers?;
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

async fn load_list(
    feed: Arc<Feed>,
    trust: Trust,
    number: u32,
    revalidate: bool,
) -> Result<LoadedList, RevocationError> {
    let uri = crate::revocation::list_uris(&trust.issuer).uri(number);
    let path = format!("/status-lists/{number}");
    let jws = feed.document(&path, MAX_LIST_BYTES, revalidate).await?;
    let Signed { kid, document } = trust.list(&jws, &uri)?;
    let bytes = inflate(document.status_list.bits, &document.status_list.lst)?;
    Ok(LoadedList {
        number,
        bits: BitList::from_bytes(&bytes)?,
        anchor: Anchor {
            position: document.position(),
            chain: document.chain,
        },
        kid,
        iat: document.iat,
    })
}
