//! Logs: one JSON object a line on standard error (or readable text, for people at a terminal).
//!
//! Never logged: tokens, secrets, `Authorization` headers, request bodies, query strings.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
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
    EnvFilter::try_new(text).map_err(|error| InvalidFilter(error.to_string()))
}

/// Starts logging. Lines that are not urgent are written together every 50 ms, because a system
/// call for each would cost as much as the rest of a request; [`LogGuard`] writes the last ones.
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
    let flusher = buffer.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(FLUSH_INTERVAL);
            flusher.flush_now();
        }
    });
    LogGuard(buffer)
}

const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
const FLUSH_BYTES: usize = 32 * 1024;

/// Writes the remaining lines when it is dropped.
pub struct LogGuard(LineBuffer);

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.flush_now();
    }
}

#[derive(Clone, Default)]
struct LineBuffer(Arc<Mutex<Vec<u8>>>);

impl LineBuffer {
    fn flush_now(&self) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !lines.is_empty() {
            // There is nowhere left to report that standard error is gone.
            let _lost = io::stderr().write_all(&lines);
            lines.clear();
        }
    }
}

impl<'a> MakeWriter<'a> for LineBuffer {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter {
            buffer: self,
            urgent: false,
        }
    }

    fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> LineWriter<'a> {
        LineWriter {
            buffer: self,
            urgent: *metadata.level() <= tracing::Level::WARN,
        }
    }
}

struct LineWriter<'a> {
    buffer: &'a LineBuffer,
    urgent: bool,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let full = {
            let mut lines = self.buffer.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend_from_slice(line);
            lines.len() >= FLUSH_BYTES
        };
        if self.urgent || full {
            self.buffer.flush_now();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer.flush_now();
        Ok(())
    }
}
