//! What runs now and about how long it will take, on standard error.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::ProgressBar;

use super::steps::Step;
use crate::progress;

/// How often the bar is drawn while a step runs.
const TICK: Duration = Duration::from_millis(200);

pub(super) struct Progress {
    bar: ProgressBar,
    duration: Duration,
    /// As it is expected.
    left: Cell<Duration>,
    is_terminal: bool,
}

impl Progress {
    /// Over these steps, when a measurement takes `duration`.
    pub(super) fn over(steps: &[&Step], duration: Duration) -> Self {
        let left: Duration = steps.iter().map(|step| step.expected(duration)).sum();
        let bar = progress::line(left.as_secs(), "{elapsed_precise} [{bar:30}] {msg}");
        bar.enable_steady_tick(TICK);
        Self {
            bar,
            duration,
            left: Cell::new(left),
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    pub(super) fn begin(&self, step: &Step) {
        let minutes = self.left.get().as_secs().div_ceil(60);
        let message = format!("{}, about {minutes} min left", step.name());
        if !self.is_terminal {
            // Whoever reads a file has no bar. There is nowhere to report that nobody reads.
            let _lost = writeln!(std::io::stderr(), "{message}");
        }
        self.bar.set_message(message);
    }

    pub(super) fn end(&self, step: &Step) {
        let took = step.expected(self.duration);
        self.left.set(self.left.get().saturating_sub(took));
        self.bar.inc(took.as_secs());
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
