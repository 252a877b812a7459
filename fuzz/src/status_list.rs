//! Status lists: their bits, their packed form, and their URIs.
//!
//! The first byte says what the others are: `z` the `lst` of a claim, `c` a zlib stream, `b` places
//! of bits to set and to clear, `u` the URI of a list.

use std::collections::BTreeSet;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::read::ZlibDecoder;
use tokensmith_verify::revocation::{BitList, LIST_BYTES, LIST_SIZE, ListUris, deflate, inflate};

use crate::choices::Choices;

/// Holds every property of status lists.
pub fn check(data: &[u8]) {
    match data.split_first() {
        Some((b'z', lst)) => check_packed(&String::from_utf8_lossy(lst)),
        Some((b'c', zlib)) => check_packed(&URL_SAFE_NO_PAD.encode(zlib)),
        Some((b'b', places)) => check_bits(&mut Choices::new(places)),
        Some((b'u', uri)) => check_uri(&String::from_utf8_lossy(uri)),
        _ => {}
    }
}

fn check_packed(lst: &str) {
    for bits in [0, 2, 4, 8, 255] {
        assert!(
            inflate(bits, lst).is_err(),
            "a list has one bit for each token"
        );
    }
    let unpacked = inflate(1, lst);
    let naive = naively_inflated(lst);
    assert_eq!(
        unpacked.as_ref().ok(),
        naive.as_ref(),
        "two ways to unpack agree"
    );
    let Ok(bytes) = unpacked else {
        return;
    };
    let list = BitList::from_bytes(&bytes).expect("what was unpacked has the size of a list");
    assert_eq!(list.to_bytes(), bytes, "a list keeps its bytes");
    let naive_bit = |idx: u32| bytes[idx as usize / 8] >> (idx % 8) & 1 == 1;
    for idx in places_of(&bytes) {
        assert_eq!(
            list.is_set(idx),
            Some(naive_bit(idx)),
            "bit {idx} is read where it is"
        );
    }
    let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
    assert_eq!(list.count(), u64::from(ones), "all bits are counted");
    let again = deflate(&bytes).expect("there is memory");
    assert_eq!(
        inflate(1, &again),
        Ok(bytes),
        "pack then unpack is the identity"
    );
}

/// No more than a list and one byte are asked for, however much there is.
fn naively_inflated(lst: &str) -> Option<Vec<u8>> {
    let packed = URL_SAFE_NO_PAD.decode(lst).ok()?;
    let mut unpacked = vec![0; LIST_BYTES + 1];
    let (mut decoder, mut filled) = (ZlibDecoder::new(packed.as_slice()), 0);
    while filled < unpacked.len() {
        match decoder.read(&mut unpacked[filled..]).ok()? {
            0 => break,
            read => filled += read,
        }
    }
    unpacked.truncate(filled);
    Some(unpacked).filter(|bytes| bytes.len() == LIST_BYTES)
}

/// Some places, among them those around bytes that are not zero.
fn places_of(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let places = (0..LIST_SIZE).step_by(8).zip(bytes);
    let set = places.filter(|(_, byte)| **byte != 0).take(64);
    set.flat_map(|(first, _)| first..first + 8)
        .chain([0, 7, 8, LIST_SIZE - 1])
}

fn check_bits(choices: &mut Choices<'_>) {
    let list = BitList::default();
    let mut naive = BTreeSet::new();
    while !choices.is_over() {
        let is_set = choices.byte().is_multiple_of(2);
        // A little beyond the end, too.
        let idx = choices.number() % (LIST_SIZE + 16);
        let exists = idx < LIST_SIZE;
        if is_set {
            assert_eq!(list.set(idx), exists, "a bit beyond the end cannot be set");
            naive.extend(Some(idx).filter(|_| exists));
        } else {
            list.clear(idx);
            naive.remove(&idx);
        }
        let expected = exists.then(|| naive.contains(&idx));
        assert_eq!(
            list.is_set(idx),
            expected,
            "a bit is what was made of it last"
        );
    }
    assert_eq!(list.count(), naive.len() as u64, "no other bit was touched");
    assert!(
        naive.iter().all(|idx| list.is_set(*idx) == Some(true)),
        "every bit is set"
    );
    assert_eq!(
        list.is_set(u32::MAX),
        None,
        "there is nothing beyond the end"
    );
    let packed = deflate(&list.to_bytes()).expect("there is memory");
    let unpacked = inflate(1, &packed).expect("a list that we packed is one");
    assert_eq!(
        unpacked,
        list.to_bytes(),
        "pack then unpack is the identity"
    );
    let union = BitList::default();
    union.union(&list);
    union.union(&list);
    assert_eq!(
        union.to_bytes(),
        list.to_bytes(),
        "a list united with itself is itself"
    );
}

fn check_uri(uri: &str) {
    let uris = ListUris::new("https://auth.example.com/status-lists");
    if let Some(number) = uris.number(uri) {
        assert_eq!(uris.uri(number), uri, "a list has one URI");
    }
    let number = Choices::new(uri.as_bytes()).number();
    assert_eq!(
        uris.number(&uris.uri(number)),
        Some(number),
        "print then parse is the identity"
    );
}
