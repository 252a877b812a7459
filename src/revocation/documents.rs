//! The signed documents: status lists and the snapshot, made when somebody asks and something has
//! changed, and served from memory otherwise.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use tokensmith_verify::revocation::{ListToken, Position, Snapshot, StatusListClaim, deflate};

use super::state::RevocationState;
use crate::domain::Timestamp;
use crate::domain::algorithm::Algorithm;
use crate::domain::ports::{SigningFailed, SigningKeys, TokenKind};
use crate::domain::revocation::LogEnd;

/// How long others may use a list before they fetch it again: `ttl`, and `max-age`.
pub const LIST_TTL: Duration = Duration::from_secs(10);
/// How long a document may be used at all, should this server be away.
const LIFETIME: TimeDelta = TimeDelta::minutes(5);
/// A document is made again no sooner than this, however fast things change.
const YOUNGEST: TimeDelta = TimeDelta::seconds(1);
/// A document that nothing has changed is signed again after this, well before it expires.
const OLDEST: TimeDelta = TimeDelta::minutes(1);

/// A document stands no further behind the log than this: readers go on from where it stands, and every
/// replica has at least so many events for them.
const MOST_BEHIND: u64 = 500;

/// A signed document as it is served.
#[derive(Debug)]
pub struct Document {
    /// The compact JWS.
    pub body: Bytes,
    /// The same, compressed by gzip.
    pub gzip: Bytes,
    /// Names this document: where in the log it stands, and when it was made.
    pub tag: String,
    made_at: Timestamp,
    position: Position,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// No key signs yet.
    #[error("no key signs yet")]
    NoSigningKey,
    /// The signature could not be made.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
    /// It could not be written; a defect.
    #[error("the document could not be written: {0}")]
    Unwritable(String),
}

/// Makes the documents and keeps them.
pub struct Documents {
    keys: Arc<dyn SigningKeys>,
    state: Arc<RevocationState>,
    lists: Mutex<HashMap<u32, Kept>>,
    snapshot: Mutex<Option<Arc<Document>>>,
    /// One at a time: of many who ask at once one makes it, and the others find it.
    making: tokio::sync::Mutex<()>,
}

/// A list that was made, with the part of it that is costly.
#[derive(Clone)]
struct Kept {
    document: Arc<Document>,
    version: u64,
    lst: Arc<str>,
}

impl Documents {
    /// Has made none yet.
    #[must_use]
    pub fn new(keys: Arc<dyn SigningKeys>, state: Arc<RevocationState>) -> Self {
        Self {
            keys,
            state,
            lists: Mutex::default(),
            snapshot: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        }
    }

    /// A status list (draft-ietf-oauth-status-list §5.1); `None` for one that was never announced.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub async fn list(
        self: &Arc<Self>,
        number: u32,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, DocumentError> {
        let Some((end, version)) = self.state.version(number) else {
            return Ok(None);
        };
        let is_good = |kept: &Kept| {
            let is_same = kept.version == version;
            kept.document.may_serve(end.position, is_same, now)
        };
        if let Some(kept) = self.kept(number).filter(is_good) {
            return Ok(Some(kept.document));
        }
        let _alone = self.making.lock().await;
        let kept = self.kept(number);
        if let Some(kept) = kept.clone().filter(is_good) {
            return Ok(Some(kept.document));
        }
        let this = Arc::clone(self);
        // Compressing takes milliseconds, and these threads have others to serve.
        let made = tokio::task::spawn_blocking(move || this.make_list(number, kept, now)).await;
        let made = made.map_err(|error| DocumentError::Unwritable(error.to_string()))??;
        let document = Arc::clone(&made.document);
        lock(&self.lists).insert(number, made);
        Ok(Some(document))
    }

    /// The snapshot.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn snapshot(&self, now: Timestamp) -> Result<Arc<Document>, DocumentError> {
        let (end, announced, lists, watermarks) = self.state.overview();
        let mut kept = lock(&self.snapshot);
        if let Some(document) = kept.as_ref() {
            let is_same = document.position == end.position;
            if document.may_serve(end.position, is_same, now) {
                return Ok(Arc::clone(document));
            }
        }
        let uris = self.state.uris();
        let claims = Snapshot {
            iss: self.state.terms().issuer.as_str().to_owned(),
            iat: now.timestamp(),
            exp: (now + LIFETIME).timestamp(),
            epoch: end.position.epoch,
            seq: end.position.seq,
            chain: end.chain,
            announced,
            lists: lists.into_iter().map(|number| uris.uri(number)).collect(),
            watermarks,
        };
        let document = Arc::new(self.sign(TokenKind::RevocationSnapshot, &claims, &end, now)?);
        *kept = Some(Arc::clone(&document));
        Ok(document)
    }

    fn make_list(
        &self,
        number: u32,
        before: Option<Kept>,
        now: Timestamp,
    ) -> Result<Kept, DocumentError> {
        let (end, bits) = self.state.bits(number);
        let lst: Arc<str> = match before.filter(|kept| kept.version == bits.version) {
            Some(kept) => kept.lst,
            None => deflate(&bits.bytes).map_err(unwritable)?.into(),
        };
        let claims = ListToken {
            iss: self.state.terms().issuer.as_str().to_owned(),
            sub: self.state.uris().uri(number),
            iat: now.timestamp(),
            exp: (now + LIFETIME).timestamp(),
            ttl: LIST_TTL.as_secs(),
            status_list: StatusListClaim {
                bits: 1,
                lst: lst.as_ref().to_owned(),
            },
            epoch: end.position.epoch,
            seq: end.position.seq,
            chain: end.chain,
        };
        let document = Arc::new(self.sign(TokenKind::StatusList, &claims, &end, now)?);
        Ok(Kept {
            document,
            version: bits.version,
            lst,
        })
    }

    fn sign(
        &self,
        kind: TokenKind,
        claims: &impl Serialize,
        end: &LogEnd,
        now: Timestamp,
    ) -> Result<Document, DocumentError> {
        let signer = self
            .keys
            .signer(Algorithm::default(), now)
            .ok_or(DocumentError::NoSigningKey)?;
        let payload = serde_json::to_vec(claims).map_err(unwritable)?;
        let body = signer.sign(kind, &payload)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(body.as_bytes()).map_err(unwritable)?;
        Ok(Document {
            gzip: gzip.finish().map_err(unwritable)?.into(),
            body: body.into(),
            tag: format!("{}.{}", end.position, now.timestamp_millis()),
            made_at: now,
            position: end.position,
        })
    }

    fn kept(&self, number: u32) -> Option<Kept> {
        lock(&self.lists).get(&number).cloned()
    }
}

impl Document {
    /// A document of this epoch that nothing has changed since, or that is a moment old only.
    fn may_serve(&self, end: Position, is_same: bool, now: Timestamp) -> bool {
        let age = now - self.made_at;
        let oldest = if is_same { OLDEST } else { YOUNGEST };
        let is_within_reach = end.seq.saturating_sub(self.position.seq) <= MOST_BEHIND;
        let is_of_age = age >= TimeDelta::zero() && age < oldest;
        self.position.epoch == end.epoch && is_within_reach && is_of_age
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unwritable(error: impl std::fmt::Display) -> DocumentError {
    DocumentError::Unwritable(error.to_string())
}
