//! What a reader can say about itself.

use std::fmt::Write as _;
use std::time::Duration;

use super::Position;

/// The state of a [`RevocationReader`](super::RevocationReader) at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationStats {
    /// Where the reader stands: every event up to there is applied.
    pub position: Position,
    /// How far signed documents vouch for that. Half a second behind at most, while all is well.
    pub confirmed: Position,
    /// How old the last good heartbeat is; `None` before the first.
    pub staleness: Option<Duration>,
    /// Whether a snapshot was read.
    pub is_ready: bool,
    /// How many lists are announced.
    pub lists: usize,
    /// How many bits are set. Those of expired tokens are among them, and so it grows until the next
    /// resync, whose snapshot is without them.
    pub revoked: u64,
    /// How many bytes the bits take: 128 KiB for each list that has one set.
    pub bytes: usize,
    /// How many cut-offs are in force.
    pub watermarks: usize,
    /// How often a new snapshot was needed after the first.
    pub resyncs: u64,
    /// How often the stream broke off or could not be opened.
    pub reconnects: u64,
    /// How events arrive.
    pub transport: Transport,
}

/// How events arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// By server-sent events.
    #[default]
    Stream,
    /// By asking once a second, because something on the way holds back what is streamed.
    LongPoll,
}

impl RevocationStats {
    /// The same as text for an `OpenMetrics` scraper, without the closing `# EOF`, so that it can be
    /// put among your own metrics.
    ///
    /// | metric | type | |
    /// |---|---|---|
    /// | `tokensmith_verify_revocation_ready` | gauge | 1 once a snapshot was read |
    /// | `tokensmith_verify_revocation_staleness_seconds` | gauge | age of the last good heartbeat; absent before the first |
    /// | `tokensmith_verify_revocation_epoch` | gauge | epoch of the log |
    /// | `tokensmith_verify_revocation_seq` | gauge | number of the last event applied |
    /// | `tokensmith_verify_revocation_confirmed_epoch` | gauge | epoch that signed documents vouch for |
    /// | `tokensmith_verify_revocation_confirmed_seq` | gauge | event up to which they do: unlike `seq`, nobody on the way can forge it |
    /// | `tokensmith_verify_revocation_lists` | gauge | lists announced |
    /// | `tokensmith_verify_revocation_revoked` | gauge | bits set, those of expired tokens too: it grows until a resync |
    /// | `tokensmith_verify_revocation_bytes` | gauge | memory of the bits |
    /// | `tokensmith_verify_revocation_watermarks` | gauge | cut-offs in force |
    /// | `tokensmith_verify_revocation_long_poll` | gauge | 1 while a proxy holds back the stream |
    /// | `tokensmith_verify_revocation_resyncs_total` | counter | snapshots after the first |
    /// | `tokensmith_verify_revocation_reconnects_total` | counter | streams that broke off |
    #[must_use]
    pub fn to_openmetrics(&self) -> String {
        let mut text = String::new();
        let mut metric = |kind: &str, name: &str, value: &dyn std::fmt::Display| {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let name = format!("tokensmith_verify_revocation_{name}");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# TYPE {name} {kind}\n{name}{suffix} {value}");
        };
        metric("gauge", "ready", &u8::from(self.is_ready));
        if let Some(staleness) = self.staleness {
            metric("gauge", "staleness_seconds", &staleness.as_secs_f64());
        }
        metric("gauge", "epoch", &self.position.epoch);
        metric("gauge", "seq", &self.position.seq);
        metric("gauge", "confirmed_epoch", &self.confirmed.epoch);
        metric("gauge", "confirmed_seq", &self.confirmed.seq);
        metric("gauge", "lists", &self.lists);
        metric("gauge", "revoked", &self.revoked);
        metric("gauge", "bytes", &self.bytes);
        metric("gauge", "watermarks", &self.watermarks);
        let is_long_poll = u8::from(self.transport == Transport::LongPoll);
        metric("gauge", "long_poll", &is_long_poll);
        metric("counter", "resyncs", &self.resyncs);
        metric("counter", "reconnects", &self.reconnects);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_have_their_names() {
        let stats = RevocationStats {
            position: Position { epoch: 7, seq: 8 },
            confirmed: Position { epoch: 7, seq: 6 },
            staleness: Some(Duration::from_millis(250)),
            is_ready: true,
            lists: 2,
            revoked: 3,
            bytes: 131_072,
            watermarks: 1,
            resyncs: 4,
            reconnects: 5,
            transport: Transport::Stream,
        };
        let text = stats.to_openmetrics();
        for line in [
            "# TYPE tokensmith_verify_revocation_ready gauge",
            "tokensmith_verify_revocation_ready 1",
            "tokensmith_verify_revocation_staleness_seconds 0.25",
            "tokensmith_verify_revocation_seq 8",
            "tokensmith_verify_revocation_confirmed_epoch 7",
            "tokensmith_verify_revocation_confirmed_seq 6",
            "# TYPE tokensmith_verify_revocation_resyncs counter",
            "tokensmith_verify_revocation_resyncs_total 4",
            "tokensmith_verify_revocation_long_poll 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
