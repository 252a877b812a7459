//! Where a reader stands in the log of revocations.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place in the log: after the event `seq` of an epoch. Written `epoch.seq`.
///
/// Events of an epoch are numbered from 1 without gaps. A new epoch begins when the server cannot
/// know whether its database has lost events (a cold start, a restored backup); then numbers begin
/// again and every reader takes a new snapshot. An epoch is an instant in milliseconds and never
/// comes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The epoch.
    pub epoch: u64,
    /// The number of the last event seen; 0 before the first.
    pub seq: u64,
}

/// The text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position is two decimal numbers with a dot between them, such as 1763800000000.17")]
pub struct InvalidPosition;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    /// Reads exactly what `Display` writes: digits only, no leading zeros.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, seq) = text.split_once('.').ok_or(InvalidPosition)?;
        Ok(Self {
            epoch: number(epoch)?,
            seq: number(seq)?,
        })
    }
}

/// As its text.
impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn number(text: &str) -> Result<u64, InvalidPosition> {
    let is_canonical = text == "0" || !text.starts_with('0');
    if is_canonical && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| InvalidPosition)
    } else {
        Err(InvalidPosition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_and_nothing_else_reads() {
        let position = Position {
            epoch: 1_763_800_000_000,
            seq: 17,
        };
        assert_eq!(position.to_string().parse(), Ok(position));
        for text in [
            "",
            ".",
            "1",
            "1.",
            ".1",
            "01.1",
            "1.01",
            "+1.1",
            "1.-1",
            "1.1.1",
            "1 .1",
            "1.1\n",
            "1.18446744073709551616",
        ] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text}");
        }
    }

    #[test]
    fn a_later_epoch_is_later_whatever_the_number() {
        let earlier = Position { epoch: 1, seq: 9 };
        assert!(earlier < Position { epoch: 2, seq: 0 });
    }
}
