//! How far an import has come, on standard error.

use std::io::{self, IsTerminal, Write};

use crate::cli::output;
use crate::domain::Timestamp;

/// Where nobody watches, a line says so after so many.
const LINES_A_REPORT: u64 = 10_000;

/// Reports on an import.
pub(super) struct Progress {
    began: Timestamp,
    is_watched: bool,
    /// Lines at the last report.
    reported: u64,
}

impl Progress {
    pub(super) fn begin(now: Timestamp) -> Self {
        Self {
            began: now,
            is_watched: io::stderr().is_terminal(),
            reported: 0,
        }
    }

    /// Says how many lines are done: on a terminal always in the same place, elsewhere from time
    /// to time.
    pub(super) fn show(&mut self, lines: u64, now: Timestamp) {
        let milliseconds = u64::try_from((now - self.began).num_milliseconds()).unwrap_or(0);
        let rate = lines.saturating_mul(1000) / milliseconds.max(1);
        let text = format!("{lines} lines, {rate} a second");
        if self.is_watched {
            write(&format!("\r{text}\x1b[K"));
        } else if lines / LINES_A_REPORT > self.reported / LINES_A_REPORT {
            self.reported = lines;
            output::error_line(&text);
        }
    }

    /// Makes room for another line on the terminal.
    pub(super) fn clear(&self) {
        if self.is_watched {
            write("\r\x1b[K");
        }
    }
}

/// When standard error is gone, nobody is left to tell.
fn write(text: &str) {
    let mut terminal = io::stderr().lock();
    let _gone = terminal.write_all(text.as_bytes());
    let _gone = terminal.flush();
}
