//! `NumericDate` (RFC 7519 §2): seconds since 1970, whole or fractional.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

/// 2^53: above it a JSON number no longer names one integer (RFC 8259 §6).
const MAX_EXACT: u64 = 1 << 53;
/// The same bound for fractional dates.
const MAX_EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

/// A JSON number that may or may not be a date. Range is checked apart from type, so that a wrong
/// claim can be named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum NumericDate {
    Whole(u64),
    Fractional(f64),
    Negative,
}

impl NumericDate {
    /// The date in whole Unix seconds, rounded down; `None` when it is negative, not finite, or so
    /// large that arithmetic on it would be a guess.
    pub(crate) fn unix_seconds(self) -> Option<i64> {
        match self {
            Self::Whole(seconds) if seconds <= MAX_EXACT => i64::try_from(seconds).ok(),
            Self::Fractional(seconds) if (0.0..=MAX_EXACT_FLOAT).contains(&seconds) =>
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the range was checked, and dropping the fraction is the intent"
                )]
                Some(seconds as i64)
            }
            Self::Whole(_) | Self::Fractional(_) | Self::Negative => None,
        }
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = NumericDate;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a NumericDate")
            }

            fn visit_u64<E>(self, value: u64) -> Result<NumericDate, E> {
                Ok(NumericDate::Whole(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<NumericDate, E> {
                Ok(u64::try_from(value).map_or(NumericDate::Negative, NumericDate::Whole))
            }

            fn visit_f64<E>(self, value: f64) -> Result<NumericDate, E> {
                Ok(NumericDate::Fractional(value))
            }
        }

        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<i64> {
        serde_json::from_str::<NumericDate>(text)
            .ok()
            .and_then(NumericDate::unix_seconds)
    }

    #[test]
    fn whole_and_fractional_dates_are_accepted() {
        assert_eq!(parse("1700000000"), Some(1_700_000_000));
        assert_eq!(parse("1700000000.9"), Some(1_700_000_000));
        assert_eq!(parse("1.7e9"), Some(1_700_000_000));
        assert_eq!(parse("0"), Some(0));
        assert_eq!(parse("9007199254740992"), Some(1 << 53));
    }

    #[test]
    fn anything_that_is_not_a_date_is_refused() {
        for text in [
            "-1",
            "-0.5",
            "1e400",
            "9007199254740993",
            "9223372036854775808",
            "1e300",
            "\"1\"",
            "null",
            "true",
            "[]",
            "{}",
            "18446744073709551616",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
