//! Cut-offs: every token of a client, a key or the whole issuer that was issued before an instant
//! is dead.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A cut-off. On the wire `{"client":"…","not_before":1763800001}`, or with `kid` or `issuer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Whose tokens.
    #[serde(flatten)]
    pub scope: Scope,
    /// A token with `iat` below this instant, in Unix seconds, is dead.
    pub not_before: i64,
}

/// Whose tokens a cut-off is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Those of a client, by `client_id`.
    Client(String),
    /// Those that a key has signed, by `kid`.
    Kid(String),
    /// All of an issuer, by `iss`.
    Issuer(String),
}

/// All cut-offs that may still matter. Where several apply to a token, the latest counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watermarks {
    not_before: HashMap<Scope, i64>,
    /// Above every one of them: a token at or after it needs no look at the map.
    latest: i64,
}

impl Watermarks {
    /// Takes a cut-off in. One that is already later stays: a cut-off never moves back.
    pub fn raise(&mut self, watermark: Watermark) {
        let at = watermark.not_before;
        let known = self.not_before.entry(watermark.scope).or_insert(at);
        *known = at.max(*known);
        self.latest = self.latest.max(at);
    }

    /// Whether a token is dead by any of them.
    #[must_use]
    pub fn cut_off(&self, issuer: &str, client_id: &str, kid: &str, iat: i64) -> bool {
        iat < self.latest && iat < self.not_before(issuer, client_id, kid)
    }

    /// The latest cut-off that applies; `i64::MIN` where none does.
    #[must_use]
    pub fn not_before(&self, issuer: &str, client_id: &str, kid: &str) -> i64 {
        let of = |scope: Scope| self.not_before.get(&scope).copied().unwrap_or(i64::MIN);
        // The maximum: a later cut-off of the one must never be hidden by an earlier of the other.
        of(Scope::Issuer(issuer.to_owned()))
            .max(of(Scope::Client(client_id.to_owned())))
            .max(of(Scope::Kid(kid.to_owned())))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.not_before.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.not_before.is_empty()
    }

    /// Each of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Watermark> {
        self.not_before.iter().map(|(scope, at)| Watermark {
            scope: scope.clone(),
            not_before: *at,
        })
    }
}

impl FromIterator<Watermark> for Watermarks {
    fn from_iter<I: IntoIterator<Item = Watermark>>(watermarks: I) -> Self {
        let mut all = Self::default();
        watermarks.into_iter().for_each(|one| all.raise(one));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(scope: Scope, not_before: i64) -> Watermark {
        Watermark { scope, not_before }
    }

    #[test]
    fn of_several_cut_offs_the_latest_counts_in_whatever_order_they_come() {
        let client = || Scope::Client("phone".to_owned());
        let issuer = || Scope::Issuer("https://i".to_owned());
        let marks = [mark(client(), 30), mark(issuer(), 20), mark(client(), 10)];
        let all: Watermarks = marks.into_iter().collect();
        assert!(all.cut_off("https://i", "phone", "k", 29));
        assert!(!all.cut_off("https://i", "phone", "k", 30));
        assert!(all.cut_off("https://i", "other", "k", 19));
        assert!(!all.cut_off("https://i", "other", "k", 20));
        assert!(!all.cut_off("https://j", "other", "k", 0));
    }

    #[test]
    fn the_three_scopes_have_their_names_on_the_wire() {
        for (scope, json) in [
            (
                Scope::Client("a".into()),
                r#"{"client":"a","not_before":1}"#,
            ),
            (Scope::Kid("b".into()), r#"{"kid":"b","not_before":1}"#),
            (
                Scope::Issuer("c".into()),
                r#"{"issuer":"c","not_before":1}"#,
            ),
        ] {
            let watermark = mark(scope, 1);
            assert_eq!(serde_json::to_string(&watermark).unwrap(), json);
            let back: Watermark = serde_json::from_str(json).unwrap();
            assert_eq!(back, watermark);
        }
        assert!(serde_json::from_str::<Watermark>(r#"{"user":"a","not_before":1}"#).is_err());
    }
}
