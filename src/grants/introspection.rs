//! Token introspection (RFC 7662).

use serde::Serialize;
use serde_json::{Map, Value};
use tokensmith_verify::{Audience, ScopeSet};

use super::{PresentedToken, TokenService};
use crate::domain::Timestamp;
use crate::domain::client::Client;
use crate::domain::error::OAuthError;
use crate::domain::session::Session;

/// The answer (RFC 7662 §2.2). A token that is not good, and one that is none of the caller's
/// business, are the same `{"active":false}`.
#[derive(Debug, Default, Serialize)]
pub struct Introspection {
    /// Whether the token is good now.
    pub active: bool,
    /// Everything else, for a token that is.
    #[serde(flatten)]
    pub claims: Map<String, Value>,
}

impl TokenService {
    /// Answers a client about a token that was issued to it, or, for an API, about one that is for
    /// it.
    ///
    /// # Errors
    /// A public client proves nothing, so it is told nothing (RFC 7662 §2.1).
    pub async fn introspect(
        &self,
        client: &Client,
        token: &str,
        now: Timestamp,
    ) -> Result<Introspection, super::GrantError> {
        if client.is_public() {
            return Err(OAuthError::invalid_client().into());
        }
        let found = self.find_token(token, now).await?;
        let found = found.filter(|token| may_know(client, token));
        if let Some(token) = &found {
            self.note_introspection(token, now);
        }
        Ok(found.map_or_else(Introspection::default, |token| self.describe(&token)))
    }

    fn note_introspection(&self, token: &PresentedToken, now: Timestamp) {
        if let Some(session) = token.session() {
            self.memory.note_use(session.terms.id, now, None);
        }
    }

    fn describe(&self, token: &PresentedToken) -> Introspection {
        let mut claims = Map::new();
        match token {
            PresentedToken::Service { claims: said, .. }
            | PresentedToken::Person { claims: said, .. } => {
                if let Ok(Value::Object(all)) = serde_json::to_value(said) {
                    claims = all;
                }
                claims.insert("token_type".into(), "Bearer".into());
            }
            PresentedToken::Reference {
                issued_at,
                expires_at,
                scope,
                audience,
                session,
            } => {
                self.describe_session(session, &mut claims);
                claims.insert("iat".into(), issued_at.timestamp().into());
                claims.insert("exp".into(), expires_at.timestamp().into());
                insert_scope(scope, &mut claims);
                insert_audience(audience, &mut claims);
                claims.insert("token_type".into(), "Bearer".into());
            }
            PresentedToken::Refresh { session } => {
                self.describe_session(session, &mut claims);
                let end = session.chain.idle_expires_at.min(session.terms.expires_at);
                claims.insert("exp".into(), end.timestamp().into());
                insert_scope(&session.terms.scope, &mut claims);
            }
        }
        Introspection {
            active: true,
            claims,
        }
    }

    fn describe_session(&self, session: &Session, claims: &mut Map<String, Value>) {
        let terms = &session.terms;
        let methods = terms.authentication.methods.iter();
        let methods: Vec<&str> = methods.map(|method| method.as_str()).collect();
        claims.insert("iss".into(), self.issuer.as_str().into());
        claims.insert("sub".into(), terms.user_id.to_string().into());
        claims.insert("client_id".into(), terms.client_id.as_str().into());
        claims.insert("sid".into(), terms.id.to_string().into());
        let auth_time = terms.authentication.at.timestamp();
        claims.insert("auth_time".into(), auth_time.into());
        claims.insert("amr".into(), methods.into());
        let class = terms.authentication.context_class();
        claims.insert("acr".into(), class.into());
        // What the client's mapping adds to a signed token, a reference has, too.
        if let Some(client) = self.clients.find_client(&terms.client_id) {
            claims.extend(client.metadata.access_token_claims.clone());
        }
    }
}

/// RFC 7662 §4: only for the client that got the token, and for an API that it is meant for.
fn may_know(client: &Client, token: &PresentedToken) -> bool {
    let is_for = |audience: &Audience| {
        let served = &client.metadata.resource_servers;
        audience
            .iter()
            .any(|member| served.iter().any(|resource| resource.as_str() == member))
    };
    *token.client_id() == client.id || token.audience().is_some_and(is_for)
}

fn insert_scope(scope: &ScopeSet, claims: &mut Map<String, Value>) {
    if !scope.is_empty() {
        claims.insert("scope".into(), scope.as_str().into());
    }
}

fn insert_audience(audience: &Audience, claims: &mut Map<String, Value>) {
    if let Ok(value) = serde_json::to_value(audience) {
        claims.insert("aud".into(), value);
    }
}
