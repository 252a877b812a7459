//! The audience of a token (RFC 7519 §4.1.3): never empty, by construction.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One or more recipients, each compared exactly.
///
/// Serialised as a string when there is one and as an array when there are several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    first: String,
    rest: Vec<String>,
}

/// An audience without any recipient, or with an empty name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an audience names at least one recipient, and no name is empty")]
pub struct EmptyAudience;

impl Audience {
    /// The audience of one recipient.
    ///
    /// ```
    /// # use tokensmith_verify::Audience;
    /// let audience = Audience::one("https://api.example.com");
    /// assert!(audience.contains("https://api.example.com"));
    /// assert!(!audience.contains("https://api.example.com/"));
    /// ```
    #[must_use]
    pub fn one(recipient: impl Into<String>) -> Self {
        Self {
            first: recipient.into(),
            rest: Vec::new(),
        }
    }

    /// The audience of all `recipients`, in their order.
    ///
    /// # Errors
    ///
    /// [`EmptyAudience`] when there is none, or one of them is the empty string.
    pub fn from_recipients<I>(recipients: I) -> Result<Self, EmptyAudience>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut recipients = recipients.into_iter().map(Into::into);
        let first = recipients.next().ok_or(EmptyAudience)?;
        let audience = Self {
            first,
            rest: recipients.collect(),
        };
        if audience.iter().any(str::is_empty) {
            Err(EmptyAudience)
        } else {
            Ok(audience)
        }
    }

    /// Whether `recipient` is addressed.
    #[must_use]
    pub fn contains(&self, recipient: &str) -> bool {
        self.iter().any(|name| name == recipient)
    }

    /// The recipients in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.first.as_str()).chain(self.rest.iter().map(String::as_str))
    }
}

impl TryFrom<Vec<String>> for Audience {
    type Error = EmptyAudience;

    fn try_from(recipients: Vec<String>) -> Result<Self, EmptyAudience> {
        Self::from_recipients(recipients)
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.rest.is_empty() {
            serializer.serialize_str(&self.first)
        } else {
            serializer.collect_seq(self.iter())
        }
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Audience;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a non-empty string or a non-empty array of them")
            }

            fn visit_str<E: Error>(self, recipient: &str) -> Result<Audience, E> {
                Audience::from_recipients([recipient]).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Audience, A::Error> {
                let mut recipients = Vec::<String>::new();
                while let Some(recipient) = seq.next_element()? {
                    recipients.push(recipient);
                }
                Audience::from_recipients(recipients).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_a_string_and_several_are_an_array() {
        let one = Audience::one("a");
        let two = Audience::from_recipients(["a", "b"]).unwrap();
        assert_eq!(serde_json::to_string(&one).unwrap(), r#""a""#);
        assert_eq!(serde_json::to_string(&two).unwrap(), r#"["a","b"]"#);
    }

    #[test]
    fn an_array_of_one_is_read() {
        assert_eq!(
            serde_json::from_str::<Audience>(r#"["a"]"#).unwrap(),
            Audience::one("a")
        );
    }

    #[test]
    fn nothing_else_is_an_audience() {
        for text in [
            "[]",
            "\"\"",
            "[\"\"]",
            "1",
            "null",
            "[1]",
            "[[\"a\"]]",
            "{\"a\":1}",
        ] {
            assert!(serde_json::from_str::<Audience>(text).is_err(), "{text}");
        }
    }
}
