//! Cursor pagination. A cursor names the last item of the page before; it is input like any other.

use actix_web::web;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::error::ApiError;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// The query of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Which page is wanted.
pub(super) struct PageRequest<Key> {
    pub(super) after: Option<Key>,
    pub(super) limit: u32,
}

impl<Key: std::str::FromStr> PageRequest<Key> {
    /// Reads `cursor` and `limit` (1 to 200, default 50).
    pub(super) fn parse(
        query: Result<web::Query<PageQuery>, actix_web::Error>,
    ) -> Result<Self, ApiError> {
        let malformed = |_| ApiError::Malformed("the query takes cursor and limit".into());
        let PageQuery { cursor, limit } = query.map_err(malformed)?.into_inner();
        Self::of(cursor, limit)
    }

    /// The same, when the query has other members, too.
    pub(super) fn of(cursor: Option<String>, limit: Option<u32>) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ApiError::Malformed("limit is 1 to 200".into()));
        }
        let after = cursor
            .map(|cursor| decode(&cursor).ok_or_else(unknown_cursor))
            .transpose()?;
        Ok(Self { after, limit })
    }
}

pub(super) fn unknown_cursor() -> ApiError {
    ApiError::Malformed("cursor is not one that this server gave out".into())
}

fn decode<Key: std::str::FromStr>(cursor: &str) -> Option<Key> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}

/// Cuts one item more than was wanted off, and answers the cursor of the next page if there was one.
pub(super) fn cut<T, Key: AsRef<[u8]>>(
    items: &mut Vec<T>,
    limit: u32,
    key: impl Fn(&T) -> Key,
) -> Option<String> {
    let limit = limit as usize;
    let has_more = items.len() > limit;
    items.truncate(limit);
    items
        .last()
        .filter(|_| has_more)
        .map(|last| URL_SAFE_NO_PAD.encode(key(last)))
}
