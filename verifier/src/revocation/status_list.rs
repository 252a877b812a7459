//! The bits of a Token Status List.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU8, Ordering};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::base64url;

/// How many positions a list has: 2^20.
pub const LIST_SIZE: u32 = 1 << 20;
/// How many bytes its bits take: 128 KiB.
pub const LIST_BYTES: usize = LIST_SIZE as usize / 8;

/// A list in memory. A reader sees a bit with one load while another thread sets it.
pub struct BitList {
    bytes: Box<[AtomicU8]>,
}

/// A claim `status_list` that is not a list of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidStatusList {
    /// Not one bit per token.
    #[error("the list does not have one bit per token")]
    Bits,
    /// Not base64url of a zlib stream.
    #[error("the list is not base64url of a zlib stream")]
    Encoding,
    /// Not exactly [`LIST_BYTES`] when unpacked. It is never unpacked further than that.
    #[error("the list does not have {LIST_SIZE} positions")]
    Size,
}

impl Default for BitList {
    fn default() -> Self {
        Self {
            bytes: (0..LIST_BYTES).map(|_| AtomicU8::new(0)).collect(),
        }
    }
}

impl BitList {
    /// A list with these bits; the lowest bit of a byte comes first
    /// (draft-ietf-oauth-status-list §4.1).
    ///
    /// # Errors
    ///
    /// [`InvalidStatusList::Size`] unless there are exactly [`LIST_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidStatusList> {
        if bytes.len() != LIST_BYTES {
            return Err(InvalidStatusList::Size);
        }
        Ok(Self {
            bytes: bytes.iter().copied().map(AtomicU8::new).collect(),
        })
    }

    /// Whether a bit is set; `None` beyond the end.
    #[must_use]
    pub fn is_set(&self, idx: u32) -> Option<bool> {
        let byte = self.bytes.get(idx as usize / 8)?;
        Some(byte.load(Ordering::Acquire) & mask(idx) != 0)
    }

    /// Sets a bit. `false` beyond the end.
    #[expect(
        clippy::must_use_candidate,
        reason = "most callers know that the position exists"
    )]
    pub fn set(&self, idx: u32) -> bool {
        let byte = self.bytes.get(idx as usize / 8);
        byte.is_some_and(|byte| {
            byte.fetch_or(mask(idx), Ordering::AcqRel);
            true
        })
    }

    /// Clears a bit.
    pub fn clear(&self, idx: u32) {
        if let Some(byte) = self.bytes.get(idx as usize / 8) {
            byte.fetch_and(!mask(idx), Ordering::AcqRel);
        }
    }

    /// Sets every bit that is set in the other.
    pub fn union(&self, other: &Self) {
        for (to, from) in self.bytes.iter().zip(&other.bytes) {
            let bits = from.load(Ordering::Acquire);
            if bits != 0 {
                to.fetch_or(bits, Ordering::AcqRel);
            }
        }
    }

    /// How many bits are set.
    #[must_use]
    pub fn count(&self) -> u64 {
        let ones = |byte: &AtomicU8| u64::from(byte.load(Ordering::Relaxed).count_ones());
        self.bytes.iter().map(ones).sum()
    }

    /// The bytes as they are now.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.bytes.iter();
        bytes.map(|byte| byte.load(Ordering::Acquire)).collect()
    }
}

impl std::fmt::Debug for BitList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BitList({} set)", self.count())
    }
}

const fn mask(idx: u32) -> u8 {
    1 << (idx % 8)
}

/// The URIs of an issuer's lists: the address under which they are listed, a slash, and the number
/// of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListUris {
    prefix: String,
}

impl ListUris {
    /// Those of an issuer whose lists are listed at `aggregation`, such as
    /// `https://auth.example.com/status-lists`.
    #[must_use]
    pub fn new(aggregation: &str) -> Self {
        Self {
            prefix: format!("{aggregation}/"),
        }
    }

    /// The URI of a list.
    #[must_use]
    pub fn uri(&self, number: u32) -> String {
        format!("{}{number}", self.prefix)
    }

    /// The number of a list; `None` for the URI of somebody else, and for one that is spelled
    /// otherwise than [`uri`](Self::uri) does.
    #[must_use]
    pub fn number(&self, uri: &str) -> Option<u32> {
        let number = uri.strip_prefix(&self.prefix)?;
        let is_canonical = number == "0" || !number.starts_with('0');
        let is_digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        (is_canonical && is_digits).then(|| number.parse().ok())?
    }
}

/// Packs bits into `lst`: zlib, then base64url (draft-ietf-oauth-status-list §4.1).
///
/// # Errors
///
/// When there is no memory for it.
pub fn deflate(bytes: &[u8]) -> std::io::Result<String> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(base64url::encode(&encoder.finish()?))
}

/// Unpacks `lst`. However little it takes on the wire, no more than [`LIST_BYTES`] and one byte are
/// ever unpacked.
///
/// # Errors
///
/// [`InvalidStatusList`].
pub fn inflate(bits: u8, lst: &str) -> Result<Vec<u8>, InvalidStatusList> {
    if bits != 1 {
        return Err(InvalidStatusList::Bits);
    }
    let packed = base64url::decode(lst).map_err(|_| InvalidStatusList::Encoding)?;
    let mut bytes = Vec::with_capacity(LIST_BYTES + 1);
    let decoder = ZlibDecoder::new(packed.as_slice());
    decoder
        .take(LIST_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| InvalidStatusList::Encoding)?;
    if bytes.len() == LIST_BYTES {
        Ok(bytes)
    } else {
        Err(InvalidStatusList::Size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_the_drafts_example_are_where_the_draft_says() {
        // draft-ietf-oauth-status-list §4.1: 0xB9 0xA3 for the statuses 1001 1101 1100 0101.
        let mut bytes = vec![0; LIST_BYTES];
        bytes[..2].copy_from_slice(&[0xB9, 0xA3]);
        let list = BitList::from_bytes(&bytes).unwrap();
        let statuses = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1];
        for (idx, status) in (0..).zip(statuses) {
            assert_eq!(list.is_set(idx), Some(status == 1), "{idx}");
        }
        assert_eq!(list.count(), 9);
    }

    #[test]
    fn a_list_reads_back_and_nothing_lies_beyond_its_end() {
        let list = BitList::default();
        for idx in [0, 1, 7, 8, 4_095, LIST_SIZE - 1] {
            assert!(list.set(idx));
        }
        let packed = deflate(&list.to_bytes()).unwrap();
        let back = BitList::from_bytes(&inflate(1, &packed).unwrap()).unwrap();
        assert_eq!(back.to_bytes(), list.to_bytes());
        assert!(!list.set(LIST_SIZE));
        assert_eq!(list.is_set(LIST_SIZE), None);
        assert_eq!(list.is_set(u32::MAX), None);
        list.clear(7);
        assert_eq!((list.is_set(7), list.is_set(8)), (Some(false), Some(true)));
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let packed = deflate(&vec![0; 64 << 20]).unwrap();
        assert!(packed.len() < 100_000, "a small thing that would be big");
        assert_eq!(inflate(1, &packed), Err(InvalidStatusList::Size));
    }

    #[test]
    fn another_size_another_width_and_rubbish_are_no_list() {
        let good = deflate(&vec![0; LIST_BYTES]).unwrap();
        for bits in [0, 2, 4, 8] {
            assert_eq!(inflate(bits, &good), Err(InvalidStatusList::Bits));
        }
        for size in [0, 1, LIST_BYTES - 1, LIST_BYTES + 1, 2 * LIST_BYTES] {
            let packed = deflate(&vec![0; size]).unwrap();
            assert_eq!(inflate(1, &packed), Err(InvalidStatusList::Size), "{size}");
        }
        for rubbish in ["", "AAAA", "=", "eJw", &good[..good.len() - 8]] {
            assert!(inflate(1, rubbish).is_err(), "{rubbish}");
        }
    }

    #[test]
    fn a_uri_is_ours_in_one_spelling_only() {
        let uris = ListUris::new("https://i.example/status-lists");
        assert_eq!(uris.number(&uris.uri(17)), Some(17));
        for uri in [
            "https://i.example/status-lists",
            "https://i.example/status-lists/",
            "https://i.example/status-lists/017",
            "https://i.example/status-lists/+1",
            "https://i.example/status-lists/-1",
            "https://i.example/status-lists/1.0",
            "https://i.example/status-lists/1/",
            "https://i.example/status-lists/1?x",
            "https://i.example/status-lists/4294967296",
            "http://i.example/status-lists/1",
            "https://i.example.evil/status-lists/1",
            "",
        ] {
            assert_eq!(uris.number(uri), None, "{uri}");
        }
    }
}
