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
    // One map a scope, so that a token is looked up by the names that it has, without a copy.
    clients: HashMap<String, i64>,
    kids: HashMap<String, i64>,
    issuers: HashMap<String, i64>,
    /// The latest of them: a token at or after it needs no look at the maps.
    latest: i64,
}

impl Watermarks {
    /// Takes a cut-off in. One that is already later stays: a cut-off never moves back.
    pub fn raise(&mut self, watermark: Watermark) {
        let at = watermark.not_before;
        let (marks, name) = match watermark.scope {
            Scope::Client(client_id) => (&mut self.clients, client_id),
            Scope::Kid(kid) => (&mut self.kids, kid),
            Scope::Issuer(issuer) => (&mut self.issuers, issuer),
        };
        let known = marks.entry(name).or_insert(at);
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
        // The maximum: a later cut-off of the one must never be hidden by an earlier of the other.
        of(&self.issuers, issuer)
            .max(of(&self.clients, client_id))
            .max(self.not_before_of_key(kid))
    }

    /// The cut-off of what a key has signed; `i64::MIN` where there is none.
    #[must_use]
    pub fn not_before_of_key(&self, kid: &str) -> i64 {
        of(&self.kids, kid)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len() + self.kids.len() + self.issuers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Watermark> {
        let clients = each(&self.clients, Scope::Client);
        let kids = each(&self.kids, Scope::Kid);
        clients
            .chain(kids)
            .chain(each(&self.issuers, Scope::Issuer))
    }
}

fn of(marks: &HashMap<String, i64>, name: &str) -> i64 {
    marks.get(name).copied().unwrap_or(i64::MIN)
}

fn each(
    marks: &HashMap<String, i64>,
    scope: fn(String) -> Scope,
) -> impl Iterator<Item = Watermark> {
    marks.iter().map(move |(name, at)| Watermark {
        scope: scope(name.clone()),
        not_before: *at,
    })
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
        assert_eq!((all.len(), all.iter().count()), (2, 2));
    }

    #[test]
    fn a_client_and_a_key_of_one_name_are_two() {
        let marks = [mark(Scope::Kid("a".to_owned()), 30)];
        let all: Watermarks = marks.into_iter().collect();
        assert!(all.cut_off("i", "b", "a", 29));
        assert!(!all.cut_off("i", "a", "b", 29));
        assert!(!all.cut_off("a", "b", "b", 29));
        assert_eq!(all.iter().collect::<Watermarks>(), all);
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
