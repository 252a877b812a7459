//! Reading a file line by line, however long it and its lines are.

use std::io::{self, BufRead, Read};

/// The most bytes of a line.
const MOST_BYTES: usize = 64 * 1024;

/// The lines of a file, without those that are blank.
pub(super) struct Lines<R> {
    from: R,
    /// How many have been read.
    number: u64,
}

/// A line and its place.
pub(super) struct NumberedLine {
    /// Counts from 1, blank lines as well.
    pub(super) number: u64,
    /// What it says, or why it was not read.
    pub(super) text: Result<Vec<u8>, String>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, number: 0 }
    }

    /// The next lines, at most so many; none at the end.
    pub(super) fn next_lines(&mut self, most: usize) -> io::Result<Vec<NumberedLine>> {
        let mut lines = Vec::with_capacity(most);
        while lines.len() < most {
            let Some(text) = self.next_text()? else { break };
            let is_blank = text.as_ref().is_ok_and(|text| text.trim_ascii().is_empty());
            if !is_blank {
                let number = self.number;
                lines.push(NumberedLine { number, text });
            }
        }
        Ok(lines)
    }

    fn next_text(&mut self) -> io::Result<Option<Result<Vec<u8>, String>>> {
        let mut text = Vec::new();
        let limit = MOST_BYTES as u64 + 1;
        if (&mut self.from).take(limit).read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if text.last() == Some(&b'\n') {
            text.pop();
        } else if text.len() > MOST_BYTES {
            self.from.skip_until(b'\n')?;
            let reason = format!("the line is longer than {} KiB", MOST_BYTES / 1024);
            return Ok(Some(Err(reason)));
        }
        Ok(Some(Ok(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number and length of each line, `None` where it is too long.
    fn read(text: &[u8]) -> Vec<(u64, Option<usize>)> {
        let mut lines = Lines::new(text);
        let mut all = Vec::new();
        loop {
            let some = lines.next_lines(2).unwrap();
            if some.is_empty() {
                return all;
            }
            all.extend(
                some.into_iter()
                    .map(|line| (line.number, line.text.ok().map(|text| text.len()))),
            );
        }
    }

    #[test]
    fn blank_lines_are_counted_and_passed_over() {
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n\r\n \n"), []);
        assert_eq!(
            read(b"a\n\nbc\r\n\t\nd"),
            [(1, Some(1)), (3, Some(3)), (5, Some(1))]
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end() {
        let longest = "x".repeat(MOST_BYTES);
        let text = format!("{longest}\n{longest}y\n{longest}{longest}{longest}\nz\n{longest}y");
        assert_eq!(
            read(text.as_bytes()),
            [
                (1, Some(MOST_BYTES)),
                (2, None),
                (3, None),
                (4, Some(1)),
                (5, None)
            ]
        );
    }
}
