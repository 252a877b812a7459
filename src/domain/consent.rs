//! What a person has agreed that a client may do.

use chrono::TimeDelta;
use tokensmith_verify::{Audience, ScopeSet};

use super::Timestamp;
use super::client::Client;
use super::id::{ClientId, UserId};

/// How long an agreement is remembered.
pub const REMEMBERED_FOR: TimeDelta = TimeDelta::days(365);

/// An agreement as it is stored: one per person and client.
#[derive(Clone, Debug, PartialEq)]
pub struct Consent {
    /// Who agreed.
    pub user_id: UserId,
    /// Who may.
    pub client_id: ClientId,
    /// To what.
    pub scope: ScopeSet,
    /// For which APIs.
    pub audience: Audience,
    /// When.
    pub granted_at: Timestamp,
}

impl Consent {
    /// Until when nobody is asked again.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.granted_at + REMEMBERED_FOR
    }

    /// Whether the agreement is with this very client, still remembered, and about no less.
    #[must_use]
    pub fn covers(
        &self,
        client: &Client,
        scope: &ScopeSet,
        audience: &Audience,
        now: Timestamp,
    ) -> bool {
        self.client_id == client.id
            && client.was_there(self.granted_at)
            && now < self.expires_at()
            && self.scope.contains_all(scope)
            && audience.iter().all(|member| self.audience.contains(member))
    }

    /// The agreement together with an earlier one, where there is one with the same client, which was
    /// registered at `client_since`.
    #[must_use]
    pub fn joined_with(self, earlier: Option<&Self>, client_since: Timestamp) -> Self {
        let Some(earlier) = earlier.filter(|earlier| {
            client_since <= earlier.granted_at && self.granted_at < earlier.expires_at()
        }) else {
            return self;
        };
        let scopes: Vec<&str> = self.scope.iter().chain(earlier.scope.iter()).collect();
        let further = earlier.audience.iter();
        let further = further.filter(|member| !self.audience.contains(member));
        let members = self.audience.iter().chain(further);
        Self {
            // Both are well-formed, so their union is.
            scope: scopes.join(" ").parse().unwrap_or(self.scope.clone()),
            audience: Audience::from_recipients(members.map(ToOwned::to_owned))
                .unwrap_or_else(|_| self.audience.clone()),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::ClientMetadata;

    fn client(created_at: Timestamp) -> Client {
        Client {
            id: "shop".parse().unwrap(),
            metadata: ClientMetadata::default(),
            created_at,
            disabled_at: None,
            secrets: Vec::new(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    fn consent(scope: &str, audience: &[&str]) -> Consent {
        Consent {
            user_id: UserId([1; 16]),
            client_id: "shop".parse().unwrap(),
            scope: scope.parse().unwrap(),
            audience: Audience::from_recipients(audience.iter().copied()).unwrap(),
            granted_at: at(1_000),
        }
    }

    #[test]
    fn an_agreement_covers_what_was_agreed_to_and_no_more() {
        let given = consent("openid email", &["https://a.example"]);
        let covers = |scope: &str, audience: &str, now| {
            given.covers(
                &client(at(0)),
                &scope.parse().unwrap(),
                &Audience::one(audience),
                at(now),
            )
        };
        assert!(covers("openid", "https://a.example", 1_001));
        assert!(!covers("openid profile", "https://a.example", 1_001));
        assert!(!covers("openid", "https://b.example", 1_001));
        let year = REMEMBERED_FOR.num_seconds();
        assert!(covers("openid", "https://a.example", 999 + year));
        assert!(!covers("openid", "https://a.example", 1_000 + year));
    }

    #[test]
    fn a_client_registered_anew_under_the_same_id_has_to_ask_again() {
        let given = consent("openid", &["https://a.example"]);
        let (scope, audience) = (given.scope.clone(), given.audience.clone());
        assert!(!given.covers(&client(at(1_001)), &scope, &audience, at(1_002)));
        let joined = consent("email", &["https://a.example"]).joined_with(
            Some(&Consent {
                granted_at: at(900),
                ..given
            }),
            at(950),
        );
        assert_eq!(joined.scope.as_str(), "email");
    }

    #[test]
    fn a_further_agreement_adds_to_the_one_before() {
        let before = consent("openid email", &["https://a.example"]);
        let joined =
            consent("openid profile", &["https://b.example"]).joined_with(Some(&before), at(0));
        for scope in ["openid", "email", "profile"] {
            assert!(joined.scope.contains(scope), "{scope}");
        }
        assert!(joined.audience.contains("https://a.example"));
        assert!(joined.audience.contains("https://b.example"));
    }
}
