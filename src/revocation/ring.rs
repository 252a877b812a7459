//! The latest events of the log as text, shared by all readers.

use std::collections::VecDeque;

use bytes::Bytes;
use tokensmith_verify::revocation::{Frame, sse};

/// How far back the ring reaches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Most events.
    pub(super) frames: usize,
    /// Most bytes of text.
    pub(super) bytes: usize,
}

impl Limits {
    /// A reader that resumes stands where the oldest document said that it fetched: seconds ago, minutes
    /// at the worst. 16,667 revocations a second for 330 s are 5.5 million, and each costs about four
    /// bytes, because one event names up to a thousand: 22 MB in 5,500 to 33,000 events.
    pub(super) const ORDINARY: Self = Self {
        frames: 65_536,
        bytes: 32 * 1024 * 1024,
    };
}

/// As much text as is handed out at once. A connection copies it, so this is also what a slow reader
/// costs.
const SEGMENT_BYTES: usize = 16 * 1024;

/// The events after one place up to another, the latter always the newest.
pub(super) struct Ring {
    limits: Limits,
    segments: VecDeque<Segment>,
    /// What has been added since the last seal.
    open: Text,
    /// The number before the oldest event.
    start: u64,
    frames: usize,
    bytes: usize,
}

/// Events that are handed out together.
struct Segment {
    bytes: Bytes,
    /// The number before its first event.
    after: u64,
    /// Where the text of each event ends.
    ends: Box<[u32]>,
}

/// Text that still grows.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Ring {
    /// An empty one, for what comes after the number `start`.
    pub(super) fn new(start: u64, limits: Limits) -> Self {
        Self {
            limits,
            segments: VecDeque::new(),
            open: Text::default(),
            start,
            frames: 0,
            bytes: 0,
        }
    }

    /// The number after which every event is still here.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The number of the newest event.
    pub(super) fn end(&self) -> u64 {
        self.start + self.frames as u64
    }

    /// Adds the event that comes next. It is handed out once it is sealed.
    pub(super) fn push(&mut self, frame: &Frame) {
        let text = sse::frame(frame);
        if self.open.bytes.len() + text.len() > SEGMENT_BYTES {
            self.seal();
        }
        self.bytes += text.len();
        self.frames += 1;
        self.open.bytes.extend_from_slice(text.as_bytes());
        // Far below 4 GiB: the text of one event has some kilobytes.
        let end = u32::try_from(self.open.bytes.len()).unwrap_or(u32::MAX);
        self.open.ends.push(end);
    }

    /// Closes the segment that is being filled, so that readers get it.
    pub(super) fn seal(&mut self) {
        let Text { bytes, ends } = std::mem::take(&mut self.open);
        if ends.is_empty() {
            return;
        }
        let segment = Segment {
            bytes: bytes.into(),
            after: self.end() - ends.len() as u64,
            ends: ends.into(),
        };
        self.segments.push_back(segment);
        self.forget();
    }

    /// The text of sealed events after a number, and the number of the last of them. `None` when there
    /// is none, or when the ring does not reach back so far.
    pub(super) fn after(&self, number: u64) -> Option<(Bytes, u64)> {
        let later = self
            .segments
            .partition_point(|segment| segment.after <= number);
        self.segments.get(later.checked_sub(1)?)?.rest(number)
    }

    /// Drops the oldest events that are too many. The newest segment always stays.
    fn forget(&mut self) {
        while self.segments.len() > 1
            && (self.frames > self.limits.frames || self.bytes > self.limits.bytes)
        {
            let Some(oldest) = self.segments.pop_front() else {
                return;
            };
            self.frames -= oldest.ends.len();
            self.bytes -= oldest.bytes.len();
            self.start = oldest.end();
        }
    }
}

impl Segment {
    /// The number of its last event.
    fn end(&self) -> u64 {
        self.after + self.ends.len() as u64
    }

    /// What comes after a number that is not below its beginning.
    fn rest(&self, number: u64) -> Option<(Bytes, u64)> {
        if number >= self.end() {
            return None;
        }
        let read = usize::try_from(number.checked_sub(self.after)?).ok()?;
        let from = match read.checked_sub(1) {
            None => 0,
            Some(last) => *self.ends.get(last)? as usize,
        };
        Some((self.bytes.slice(from..), self.end()))
    }
}

#[cfg(test)]
mod tests {
    use tokensmith_verify::revocation::Position;

    use super::*;

    fn frame(seq: u64) -> Frame {
        Frame {
            position: Position { epoch: 1, seq },
            event: "delta".to_owned(),
            data: format!("{{\"idx\":[{seq}]}}"),
        }
    }

    fn texts(numbers: impl IntoIterator<Item = u64>) -> String {
        numbers
            .into_iter()
            .map(|seq| sse::frame(&frame(seq)))
            .collect()
    }

    /// Everything after a number, however it is cut into segments.
    fn read(ring: &Ring, mut number: u64) -> String {
        let mut text = String::new();
        while let Some((bytes, end)) = ring.after(number) {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
            number = end;
        }
        text
    }

    #[test]
    fn every_place_is_one_to_go_on_from() {
        let mut ring = Ring::new(10, Limits::ORDINARY);
        for seq in 11..=2_000 {
            ring.push(&frame(seq));
            if seq % 7 == 0 || seq == 2_000 {
                ring.seal();
            }
        }
        assert_eq!((ring.start(), ring.end()), (10, 2_000));
        for number in [10, 11, 13, 14, 15, 999, 1_999] {
            assert_eq!(read(&ring, number), texts(number + 1..=2_000), "{number}");
        }
        assert_eq!(read(&ring, 2_000), "");
        assert_eq!(read(&ring, 2_001), "");
        assert!(ring.after(9).is_none());
    }

    #[test]
    fn what_is_not_sealed_is_not_handed_out() {
        let mut ring = Ring::new(0, Limits::ORDINARY);
        ring.push(&frame(1));
        assert_eq!((ring.end(), read(&ring, 0).as_str()), (1, ""));
        ring.seal();
        ring.seal();
        assert_eq!(read(&ring, 0), texts([1]));
    }

    #[test]
    fn a_segment_is_no_larger_than_what_is_handed_out_at_once() {
        let mut ring = Ring::new(0, Limits::ORDINARY);
        (1..=5_000).for_each(|seq| ring.push(&frame(seq)));
        ring.seal();
        assert!(ring.segments.len() > 5);
        assert!(
            ring.segments
                .iter()
                .all(|one| one.bytes.len() <= SEGMENT_BYTES)
        );
        assert_eq!(read(&ring, 0), texts(1..=5_000));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_too_large_ones() {
        let size = sse::frame(&frame(1)).len();
        let few = Limits {
            frames: 4,
            ..Limits::ORDINARY
        };
        let small = Limits {
            bytes: 4 * size,
            ..Limits::ORDINARY
        };
        for limits in [few, small] {
            let mut ring = Ring::new(0, limits);
            for seq in 1..=9 {
                ring.push(&frame(seq));
                ring.seal();
            }
            assert_eq!((ring.start(), ring.end()), (5, 9), "{limits:?}");
            assert!(ring.after(4).is_none());
            assert_eq!(read(&ring, 5), texts(6..=9));
        }
    }
}
