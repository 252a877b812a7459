//! Logs: one JSON object a line on standard error (or readable text, for people at a terminal).
//!
//! Never logged: tokens, secrets, `Authorization` headers, request bodies, query strings.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The filter does not parse.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFilter(String);

/// Checks a filter such as `info` or `warn,tokensmith=debug`.
///
/// # Errors
/// When it does not parse.
pub fn parse_filter(text: &str) -> Result<EnvFilter, InvalidFilter> {
    // tracing-subscriber counts from behind the white space that a directive begins with: it takes
    // names one letter off, and a letter of several bytes is a panic (found by fuzzing).
    if !text.is_ascii() {
        return Err(InvalidFilter("not ASCII".to_owned()));
    }
    let directives: Vec<_> = text.split(',').map(str::trim).collect();
    EnvFilter::try_new(directives.join(",")).map_err(|error| InvalidFilter(error.to_string()))
}

/// Starts logging. Lines that are not urgent are written together every 50 ms, because a system
/// call for each would cost as much as the rest of a request; [`LogGuard`] waits for the last ones.
#[must_use]
pub fn start(filter: EnvFilter, format: LogFormat) -> LogGuard {
    let buffer = LineBuffer::default();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(buffer.clone());
    let started = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_target(false)
            .try_init(),
        LogFormat::Text => builder.with_target(false).compact().try_init(),
    };
    // A second start in one process (tests) keeps the first.
    let _kept = started;
    let writer = buffer.clone();
    std::thread::spawn(move || writer.write_forever());
    LogGuard(buffer)
}

const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
const FLUSH_BYTES: usize = 32 * 1024;
/// Lines beyond this are dropped while nobody reads standard error: a stuck log collector must not
/// stop the service.
const MOST_WAITING_BYTES: usize = 4 * 1024 * 1024;
/// How long the end of the process waits for the last lines.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// Waits for the last lines when it is dropped.
pub struct LogGuard(LineBuffer);

impl Drop for LogGuard {
    fn drop(&mut self) {
        let buffer = &self.0.0;
        let mut waiting = buffer
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.is_urgent = true;
        buffer.something_waits.notify_all();
        let still_waits = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        let _in_time = buffer
            .all_written
            .wait_timeout_while(waiting, LAST_FLUSH, still_waits);
    }
}

/// Lines on their way to standard error. Requests only append; one thread writes.
#[derive(Clone, Default)]
struct LineBuffer(Arc<Buffer>);

#[derive(Default)]
struct Buffer {
    waiting: Mutex<Waiting>,
    something_waits: Condvar,
    all_written: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    is_urgent: bool,
    is_writing: bool,
}

impl LineBuffer {
    fn append(&self, line: &[u8], is_urgent: bool) {
        let mut waiting = self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() + line.len() > MOST_WAITING_BYTES {
            waiting.dropped += 1;
            return;
        }
        waiting.lines.extend_from_slice(line);
        if is_urgent || waiting.lines.len() >= FLUSH_BYTES {
            waiting.is_urgent = true;
            self.0.something_waits.notify_one();
        }
    }

    fn write_forever(&self) {
        let mut lines = Vec::new();
        loop {
            let waiting = self
                .0
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let (mut waiting, _) = self
                .0
                .something_waits
                .wait_timeout_while(waiting, FLUSH_INTERVAL, |waiting| !waiting.is_urgent)
                .unwrap_or_else(PoisonError::into_inner);
            waiting.is_urgent = false;
            std::mem::swap(&mut lines, &mut waiting.lines);
            let dropped = std::mem::take(&mut waiting.dropped);
            waiting.is_writing = true;
            drop(waiting);
            if dropped > 0 {
                let note = format!(
                    "{{\"level\":\"WARN\",\"message\":\"log lines were dropped\",\"count\":{dropped}}}\n"
                );
                lines.extend_from_slice(note.as_bytes());
            }
            if !lines.is_empty() {
                // There is nowhere left to report that standard error is gone.
                let _lost = io::stderr().write_all(&lines);
                lines.clear();
            }
            self.0
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_writing = false;
            self.0.all_written.notify_all();
        }
    }
}

impl<'a> MakeWriter<'a> for LineBuffer {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter {
            buffer: self,
            is_urgent: false,
        }
    }

    fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> LineWriter<'a> {
        LineWriter {
            buffer: self,
            is_urgent: *metadata.level() <= tracing::Level::WARN,
        }
    }
}

struct LineWriter<'a> {
    buffer: &'a LineBuffer,
    is_urgent: bool,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.buffer.append(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_a_directive_of_a_filter_changes_nothing() {
        let spaced = parse_filter(" info , tokensmith=debug ").unwrap();
        let plain = parse_filter("info,tokensmith=debug").unwrap();
        assert_eq!(spaced.to_string(), plain.to_string());
    }

    #[test]
    fn a_filter_with_letters_of_several_bytes_is_refused_without_a_panic() {
        assert!(parse_filter(" \u{fffd}\u{fffd}=warn").is_err());
        assert!(parse_filter("tökensmith=debug").is_err());
    }

    #[test]
    fn lines_that_nobody_takes_are_dropped_and_counted() {
        let buffer = LineBuffer::default();
        let line = vec![b'x'; 1024];
        for _ in 0..2 * MOST_WAITING_BYTES / line.len() {
            buffer.append(&line, false);
        }
        let waiting = buffer.0.waiting.lock().unwrap();
        assert_eq!(waiting.lines.len(), MOST_WAITING_BYTES);
        assert_eq!(waiting.dropped, 4096);
    }
}
