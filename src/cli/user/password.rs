//! Passwords come through standard input: arguments and variables can be seen by others on the
//! machine.

use std::io::Read;

use zeroize::Zeroizing;

use crate::cli::Failure;

/// More than any password has.
const MOST_BYTES: usize = 4096;

/// The password on standard input, without one line break at its end.
pub(super) fn from_stdin() -> Result<Zeroizing<String>, Failure> {
    read(std::io::stdin().lock())
}

fn read(from: impl Read) -> Result<Zeroizing<String>, Failure> {
    let failed = |text: &str| Failure::Message(format!("no password on standard input: {text}"));
    // Large enough from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * MOST_BYTES));
    from.take(MOST_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error.to_string()))?;
    if bytes.len() > MOST_BYTES {
        return Err(failed("it is too long"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| failed("it is not UTF-8 text"))?;
    let line = text.strip_suffix('\n');
    let line = line.map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err(failed("it is empty"));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_does_not_count() {
        for (given, password) in [
            ("correct horse", "correct horse"),
            ("correct horse\n", "correct horse"),
            ("correct horse\r\n", "correct horse"),
            ("correct horse\n\n", "correct horse\n"),
            (" correct\thorse ", " correct\thorse "),
            ("correct horse\r", "correct horse\r"),
        ] {
            assert_eq!(*read(given.as_bytes()).unwrap(), password, "{given:?}");
        }
    }

    #[test]
    fn nothing_is_no_password() {
        for nothing in [&b""[..], b"\n", b"\r\n", b"\xff\xfe"] {
            assert!(read(nothing).is_err(), "{nothing:?}");
        }
        assert!(read(std::io::repeat(b'a')).is_err(), "without an end");
    }
}
