//! Scopes (RFC 6749 §3.3).

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of scopes: order of first mention, no duplicates.
///
/// ```
/// # use tokensmith_verify::ScopeSet;
/// let scope: ScopeSet = "orders:read orders:write orders:read".parse()?;
/// assert!(scope.contains("orders:read"));
/// assert_eq!(scope.to_string(), "orders:read orders:write");
/// # Ok::<(), tokensmith_verify::InvalidScope>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet {
    // One string, as on the wire: a token has few scopes, so a search beats a table.
    space_delimited: String,
}

/// A text that is not a scope by the grammar of RFC 6749 §3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scopes are visible ASCII without quote and backslash, separated by single spaces")]
pub struct InvalidScope;

impl ScopeSet {
    /// Reads a space-delimited list. The empty set has no wire form: it is [`ScopeSet::default`].
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] when the text is empty, has a character that RFC 6749 §3.3 does not allow,
    /// or spaces other than single ones between scopes.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if !is_scope_list(text) {
            return Err(InvalidScope);
        }
        Ok(Self {
            space_delimited: without_duplicates(text),
        })
    }

    /// Whether `scope` is in the set.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|member| member == scope)
    }

    /// Whether every scope of `other` is in the set.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.contains(scope))
    }

    /// The scopes in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.space_delimited
            .split(' ')
            .filter(|scope| !scope.is_empty())
    }

    /// Whether the set has no scope.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.space_delimited.is_empty()
    }

    /// The number of scopes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The wire form; empty for the empty set.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.space_delimited
    }
}

/// `scope = scope-token *( SP scope-token )`
fn is_scope_list(text: &str) -> bool {
    let mut is_after_token = false;
    for byte in text.bytes() {
        match byte {
            b' ' if is_after_token => is_after_token = false,
            _ if is_nqchar(byte) => is_after_token = true,
            _ => return false,
        }
    }
    is_after_token
}

/// `NQCHAR` of RFC 6749 appendix A, without the space that separates.
fn is_nqchar(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

fn without_duplicates(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::with_capacity(8);
    let mut has_duplicates = false;
    for token in text.split(' ') {
        if kept.contains(&token) {
            has_duplicates = true;
        } else {
            kept.push(token);
        }
    }
    if has_duplicates {
        kept.join(" ")
    } else {
        text.to_owned()
    }
}

impl FromStr for ScopeSet {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::parse(text)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.space_delimited)
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.space_delimited)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScopeList;

        impl Visitor<'_> for ScopeList {
            type Value = ScopeSet;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a space-delimited list of scopes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ScopeSet, E> {
                ScopeSet::parse(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(ScopeList)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_duplicates_are_dropped() {
        let scope = ScopeSet::parse("b a b c a").unwrap();
        assert_eq!(scope.iter().collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(scope.len(), 3);
    }

    #[test]
    fn a_scope_is_found_whole_and_never_by_a_part() {
        let scope = ScopeSet::parse("orders:read admin").unwrap();
        assert!(scope.contains("admin"));
        for other in [
            "orders",
            "orders:rea",
            "read",
            "ADMIN",
            "",
            " ",
            "orders:read admin",
        ] {
            assert!(!scope.contains(other), "{other:?}");
        }
    }

    #[test]
    fn text_outside_the_grammar_is_refused() {
        for text in [
            "", " ", "a ", " a", "a  b", "a\tb", "a\"b", "a\\b", "ä", "a\u{0}", "a\n",
        ] {
            assert_eq!(ScopeSet::parse(text), Err(InvalidScope), "{text:?}");
        }
    }

    #[test]
    fn the_empty_set_contains_nothing() {
        let empty = ScopeSet::default();
        assert!(empty.is_empty());
        assert!(!empty.contains(""));
        assert!(ScopeSet::parse("a").unwrap().contains_all(&empty));
    }
}
