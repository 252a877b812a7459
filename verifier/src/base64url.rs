//! Canonical base64url without padding (RFC 7515 §2).
//!
//! Canonical means that a text has one spelling: no padding, no white space, no trailing bits. A
//! decoder that is lenient here makes tokens malleable.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotCanonical;

pub(crate) fn decode(text: &str) -> Result<Vec<u8>, NotCanonical> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| NotCanonical)
}

/// Decodes into the front of `buffer`; a text that does not fit is not what was expected either.
pub(crate) fn decode_into<'b>(text: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], NotCanonical> {
    let length = URL_SAFE_NO_PAD
        .decode_slice(text, buffer)
        .map_err(|_| NotCanonical)?;
    buffer.get(..length).ok_or(NotCanonical)
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_per_value() {
        assert_eq!(decode("-_8").unwrap(), [0xfb, 0xff]);
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
        for text in [
            "-_8=", "+/8", "-_9", "-_8 ", "-_8\n", "-\n_8", "A", "-_8\0", "ä",
        ] {
            assert_eq!(decode(text), Err(NotCanonical), "{text:?}");
        }
    }
}
