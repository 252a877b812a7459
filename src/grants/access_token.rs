//! Access tokens after RFC 9068 §2.2. The claims are defined once, in the verifier.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DurationRound, TimeDelta};
use serde_json::{Map, Value};
use tokensmith_verify::{Audience, Claims, ScopeSet, Status, StatusListEntry};

use super::{GrantError, TokenService};
use crate::domain::Timestamp;
use crate::domain::client::{AccessTokenFormat, Client};
use crate::domain::ports::ReferenceToken;
use crate::domain::revocation::{StatusIndex, list_uris};
use crate::domain::session::SessionTerms;

/// A cut-off lies two seconds ahead at most; more is a clock that was set.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// What one access token says, apart from what every token of the client says.
pub(super) struct AccessTokenGrant<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) audience: Audience,
    pub(super) scope: ScopeSet,
}

/// Whom an access token speaks of.
pub(super) enum Subject<'a> {
    /// RFC 9068 §2.2: without a resource owner, `sub` is the client. With the bit of the secret that
    /// it showed.
    Client(StatusIndex),
    /// A person, in a session.
    Person(&'a SessionTerms),
}

impl TokenService {
    /// Whether an access token for the client can be signed now; asked before something is used up
    /// for it.
    pub(super) fn check_signer(&self, client: &Client, now: Timestamp) -> Result<(), GrantError> {
        let algorithm = client.metadata.access_token_alg;
        match self.keys.signer(algorithm, now) {
            Some(_) => Ok(()),
            None => Err(GrantError::NoSigningKey(algorithm)),
        }
    }

    /// Waits until a token for the client would not be dead at once: after a cut-off that is until its
    /// second has begun. Answers the instant at which to go on.
    pub async fn wait_out_cut_off(&self, client: &Client, now: Timestamp) -> Timestamp {
        let Some(until) = self.revocations.held_back_until(client, now) else {
            return now;
        };
        let wait = (until - now).to_std().unwrap_or_default().min(LONGEST_WAIT);
        tokio::time::sleep(wait).await;
        now + wait
    }

    /// Whether an access token was taken back since it was signed, by its bit or by a cut-off: what
    /// verifiers see, the server sees, too.
    pub fn is_taken_back<X>(&self, claims: &Claims<X>) -> bool {
        let index = claims.status.as_ref().and_then(|status| {
            let entry = &status.status_list;
            let list = list_uris(&self.issuer).number(&entry.uri)?;
            Some(StatusIndex::new(list, entry.idx))
        });
        index.is_some_and(|index| self.revocations.is_revoked(index))
            || self.revocations.is_cut_off(&claims.client_id, claims.iat)
    }

    /// Makes an access token for a client; answers it with its lifetime.
    pub(super) fn issue_access_token(
        &self,
        client: &Client,
        grant: AccessTokenGrant<'_>,
        now: Timestamp,
    ) -> Result<(String, Duration), GrantError> {
        let lifetime = client
            .metadata
            .access_token_lifetime(self.access_token_lifetime);
        match (client.metadata.access_token_format, &grant.subject) {
            // A reference token stands for a session; a client has none.
            (AccessTokenFormat::Jwt, _) | (AccessTokenFormat::Reference, Subject::Client(_)) => {
                Ok((self.sign(client, grant, lifetime, now)?, lifetime))
            }
            (AccessTokenFormat::Reference, Subject::Person(session)) => {
                Ok((self.refer(session, &grant, lifetime, now), lifetime))
            }
        }
    }

    fn sign(
        &self,
        client: &Client,
        grant: AccessTokenGrant<'_>,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<String, GrantError> {
        let algorithm = client.metadata.access_token_alg;
        let signer = self
            .keys
            .signer(algorithm, now)
            .ok_or(GrantError::NoSigningKey(algorithm))?;
        let issued_at = now.timestamp();
        let mut claims: Claims<&Map<String, Value>> = Claims {
            iss: self.issuer.as_str().to_owned(),
            sub: String::new(),
            aud: grant.audience,
            client_id: client.id.as_str().to_owned(),
            exp: issued_at.saturating_add_unsigned(lifetime.as_secs()),
            iat: issued_at,
            jti: self.token_id()?,
            scope: grant.scope,
            sid: None,
            auth_time: None,
            amr: Vec::new(),
            acr: None,
            status: None,
            cnf: None,
            act: None,
            custom: &client.metadata.access_token_claims,
        };
        let status = match grant.subject {
            Subject::Client(status) => {
                client.id.as_str().clone_into(&mut claims.sub);
                status
            }
            Subject::Person(session) => {
                let authentication = &session.authentication;
                let methods = authentication.methods.iter();
                claims.sub = session.user_id.to_string();
                claims.sid = Some(session.id.to_string());
                claims.auth_time = Some(authentication.at.timestamp());
                claims.amr = methods.map(|method| method.as_str().to_owned()).collect();
                claims.acr = Some(authentication.context_class().to_owned());
                session.status
            }
        };
        claims.status = Some(Status {
            status_list: StatusListEntry {
                idx: status.idx(),
                uri: list_uris(&self.issuer).uri(status.list()),
            },
        });
        let payload = serde_json::to_vec(&claims).map_err(GrantError::Claims)?;
        Ok(signer.sign_access_token(&payload)?)
    }

    fn refer(
        &self,
        session: &SessionTerms,
        grant: &AccessTokenGrant<'_>,
        lifetime: Duration,
        now: Timestamp,
    ) -> String {
        let issued_at = now.duration_trunc(TimeDelta::seconds(1)).unwrap_or(now);
        let is_narrower = grant.scope != session.scope;
        let is_elsewhere = grant.audience != session.audience;
        let audience = || grant.audience.iter().collect::<Vec<_>>().join(" ");
        let token = ReferenceToken {
            session: session.id,
            issued_at,
            expires_at: issued_at + lifetime,
            scope: is_narrower.then(|| grant.scope.to_string()),
            audience: is_elsewhere.then(audience),
        };
        self.accounts
            .tokens
            .reference_token(&token, &session.secret)
    }

    /// 128 random bits: RFC 7519 §4.1.7 asks for a negligible probability of collision.
    fn token_id(&self) -> Result<String, GrantError> {
        let mut random = [0; 16];
        self.entropy.fill(&mut random)?;
        Ok(URL_SAFE_NO_PAD.encode(random))
    }
}
