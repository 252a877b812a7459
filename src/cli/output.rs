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
    let print = |cells: [&str; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        line(padded.join("  ").trim_end())
    };
    print(headings)?;
    rows.iter()
        .try_for_each(|row| print(row.each_ref().map(String::as_str)))
}
