//! Writing results.

use std::io::{self, Write};

use serde::Serialize;

/// A result as one JSON object.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}

/// A line of a result.
pub(super) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// A line for the person at the terminal. When standard error is gone, nobody is left to tell.
pub(super) fn error_line(text: &str) {
    let _gone = writeln!(io::stderr().lock(), "{text}");
}

/// Rows under headings, in columns.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let mut widths = headings.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    row(widths, headings)?;
    rows.iter()
        .try_for_each(|cells| row(widths, cells.each_ref().map(String::as_str)))
}

/// One row, in columns that are at least so wide.
pub(super) fn row<const N: usize>(widths: [usize; N], cells: [&str; N]) -> io::Result<()> {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:width$}"))
        .collect();
    line(padded.join("  ").trim_end())
}

/// A JSON array that is written as its elements come, one a line.
#[derive(Default)]
pub(super) struct JsonArray {
    has_begun: bool,
}

impl JsonArray {
    /// The next element.
    pub(super) fn push(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(if self.has_begun { b",\n" } else { b"[\n" })?;
        self.has_begun = true;
        Ok(serde_json::to_writer(&mut out, value)?)
    }

    /// Nothing comes any more.
    pub(super) fn end(self) -> io::Result<()> {
        line(if self.has_begun { "\n]" } else { "[]" })
    }
}
