//! Status lists and the snapshot, fetched from the upstream when somebody asks: once, however many
//! ask at the same time, and again when what was fetched has become old.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use reqwest::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::time::Instant;

use super::{Upstream, UpstreamFailed};

/// How long the upstream may take for a document.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// However long others may keep a document, a relay keeps it no longer than this: a reader goes on
/// from where the document was made, and that has to be within what the feed still holds, minutes.
const OLDEST: Duration = Duration::from_secs(10);
/// However short: so that a crowd of readers is one request a second.
const YOUNGEST: Duration = Duration::from_secs(1);
/// The most documents that are kept; of lists that are half full some 60 MB.
const MOST_DOCUMENTS: usize = 256;
/// The largest that is taken. A list has at most 240 KB, a snapshot some 60 bytes for each list.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// The most that are fetched at once.
const AT_ONCE: usize = 16;

/// A document of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// The snapshot.
    Snapshot,
    /// The list of lists.
    Lists,
    /// A status list.
    List(u32),
}

/// As the upstream has answered.
#[derive(Debug)]
pub struct RelayedDocument {
    /// 200, or 404 where there is none.
    pub status: u16,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// `ETag`
    pub etag: Option<String>,
    /// `Cache-Control`
    pub cache_control: Option<String>,
    /// The body.
    pub body: Bytes,
    /// `Age` as it came.
    age: Duration,
    fetched_at: Instant,
    claims: Claims,
}

/// What a signed document says of itself. Not verified, because a relay has no use for the truth:
/// it decides only how long a document is kept, and which lists are asked for. Who could give a
/// wrong one, the upstream, could as well give no document at all.
#[derive(Debug, Default, Deserialize)]
struct Claims {
    epoch: Option<u64>,
    /// In a snapshot: how many lists there are.
    announced: Option<u32>,
}

/// The documents that have been fetched.
pub struct RelayedDocuments {
    upstream: Arc<Upstream>,
    kept: Mutex<Kept>,
    /// For status lists. The others are one of a kind, and are not to wait for lists.
    fetching: Semaphore,
}

struct Kept {
    slots: HashMap<Wanted, Arc<Slot>>,
    /// Documents of epochs before this one are not kept.
    least_epoch: u64,
    /// How many lists there are at least, as snapshots have said: numbers only ever grow.
    announced: u32,
}

/// Held while it is being filled, so that whoever wants the same waits for that.
type Slot = AsyncMutex<Option<Filling>>;

struct Filling {
    outcome: Result<Arc<RelayedDocument>, UpstreamFailed>,
    until: Instant,
}

impl RelayedDocument {
    /// How old it is: what `Age` says (RFC 9111 §5.1).
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age + self.fetched_at.elapsed()
    }

    /// How long it is kept from now on.
    fn keep_for(&self) -> Duration {
        let directives = self.cache_control.as_deref().unwrap_or_default().split(',');
        let max_age = directives
            .filter_map(|directive| directive.trim().strip_prefix("max-age="))
            .find_map(|seconds| seconds.parse().ok())
            .map_or(Duration::ZERO, Duration::from_secs);
        max_age.saturating_sub(self.age).clamp(YOUNGEST, OLDEST)
    }

    /// There is no such document.
    fn missing() -> Self {
        Self {
            status: StatusCode::NOT_FOUND.as_u16(),
            content_type: None,
            etag: None,
            cache_control: None,
            body: Bytes::new(),
            age: Duration::ZERO,
            fetched_at: Instant::now(),
            claims: Claims::default(),
        }
    }
}

impl Claims {
    /// Those of a JWS; none of anything else.
    fn of(body: &[u8]) -> Self {
        let jws = std::str::from_utf8(body).ok();
        let claims = jws.and_then(|jws| URL_SAFE_NO_PAD.decode(jws.split('.').nth(1)?).ok());
        let claims = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
        claims.unwrap_or_default()
    }
}

impl RelayedDocuments {
    pub(super) fn new(upstream: Arc<Upstream>) -> Self {
        Self {
            upstream,
            kept: Mutex::new(Kept {
                slots: HashMap::new(),
                least_epoch: 0,
                announced: 0,
            }),
            fetching: Semaphore::new(AT_ONCE),
        }
    }

    /// A document.
    ///
    /// # Errors
    /// When the upstream does not give it. It is not asked again for a second.
    pub async fn get(&self, wanted: Wanted) -> Result<Arc<RelayedDocument>, UpstreamFailed> {
        if let Wanted::List(number) = wanted
            && !self.exists(number).await?
        {
            return Ok(Arc::new(RelayedDocument::missing()));
        }
        self.find_or_fetch(wanted).await
    }

    /// Whether there is a list of this number. Numbers without a list are without end, and nothing is
    /// kept of them: asked for, each would be a request to the upstream. So the snapshot says which
    /// there are, and that is one request a second at the most.
    async fn exists(&self, number: u32) -> Result<bool, UpstreamFailed> {
        if number < self.kept().announced {
            return Ok(true);
        }
        let snapshot = self.find_or_fetch(Wanted::Snapshot).await?;
        Ok(number < snapshot.claims.announced.unwrap_or_default())
    }

    async fn find_or_fetch(&self, wanted: Wanted) -> Result<Arc<RelayedDocument>, UpstreamFailed> {
        let slot = self.slot(wanted);
        let mut filling = slot.lock().await;
        if let Some(filling) = &*filling
            && filling.until > Instant::now()
        {
            return filling.outcome.clone();
        }
        let outcome = self.fetch(wanted).await.map(Arc::new);
        let keep_for = match &outcome {
            Ok(document) => self.keep_for(wanted, document),
            Err(_) => YOUNGEST,
        };
        *filling = Some(Filling {
            outcome: outcome.clone(),
            until: Instant::now() + keep_for,
        });
        outcome
    }

    /// Drops everything, because an epoch has begun, and keeps nothing of epochs before it.
    pub(super) fn forget_before(&self, epoch: u64) {
        let mut kept = self.kept();
        kept.least_epoch = epoch;
        // Of a backup that was restored there may be fewer.
        kept.announced = 0;
        // A fetch that is under way fills a slot that nobody finds any more.
        kept.slots.clear();
    }

    fn slot(&self, wanted: Wanted) -> Arc<Slot> {
        let mut kept = self.kept();
        if let Some(slot) = kept.slots.get(&wanted) {
            return Arc::clone(slot);
        }
        if kept.slots.len() >= MOST_DOCUMENTS {
            let now = Instant::now();
            let is_in_use = |slot: &Arc<Slot>| {
                // One that is locked is being filled.
                slot.try_lock()
                    .map_or(true, |slot| slot.as_ref().is_some_and(|it| it.until > now))
            };
            kept.slots.retain(|_, slot| is_in_use(slot));
        }
        let slot = Arc::new(Slot::default());
        if kept.slots.len() < MOST_DOCUMENTS {
            kept.slots.insert(wanted, Arc::clone(&slot));
        }
        slot
    }

    fn keep_for(&self, wanted: Wanted, document: &RelayedDocument) -> Duration {
        let mut kept = self.kept();
        if document.status != StatusCode::OK.as_u16() {
            // Numbers that there are no lists of are without end, and would take the places of those
            // that there are.
            kept.slots.remove(&wanted);
            return Duration::ZERO;
        }
        // From a replica of the upstream that has not heard of the new epoch yet. Kept, it would send
        // every reader in circles as long as it lasts.
        if document
            .claims
            .epoch
            .is_some_and(|epoch| epoch < kept.least_epoch)
        {
            return Duration::ZERO;
        }
        let announced = document.claims.announced.unwrap_or_default();
        kept.announced = kept.announced.max(announced);
        document.keep_for()
    }

    async fn fetch(&self, wanted: Wanted) -> Result<RelayedDocument, UpstreamFailed> {
        let _one_of_few = match wanted {
            Wanted::List(_) => Some(self.fetching.acquire().await),
            Wanted::Snapshot | Wanted::Lists => None,
        };
        // Not compressed: the readers are near, and what is signed is compressed already.
        let response = self
            .upstream
            .get(&wanted.endpoint())
            .timeout(FETCH_TIMEOUT)
            .send()
            .await?;
        let status = response.status();
        if ![StatusCode::OK, StatusCode::NOT_FOUND].contains(&status) {
            return Err(UpstreamFailed::Status(status.as_u16()));
        }
        let headers = response.headers().clone();
        let age = text(&headers, AGE).and_then(|age| age.parse().ok());
        let body = read(response).await?;
        Ok(RelayedDocument {
            status: status.as_u16(),
            content_type: text(&headers, CONTENT_TYPE),
            etag: text(&headers, ETAG),
            cache_control: text(&headers, CACHE_CONTROL),
            claims: Claims::of(&body),
            body,
            age: age.map_or(Duration::ZERO, Duration::from_secs),
            fetched_at: Instant::now(),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanted {
    fn endpoint(self) -> String {
        match self {
            Self::Snapshot => "/revocation/snapshot".to_owned(),
            Self::Lists => "/status-lists".to_owned(),
            Self::List(number) => format!("/status-lists/{number}"),
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

async fn read(mut response: Response) -> Result<Bytes, UpstreamFailed> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(UpstreamFailed::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
