//! A token of any kind that this server has given out, found good or not. What introspection,
//! revocation and the server's own API know of a token comes from here: one truth for all.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokensmith_verify::{Audience, Claims, ScopeSet};

use super::TokenService;
use crate::domain::Timestamp;
use crate::domain::client::Client;
use crate::domain::id::ClientId;
use crate::domain::ports::{StoreError, UnverifiedReferenceToken, UnverifiedRefreshToken};
use crate::domain::rotation::Generation;
use crate::domain::session::Session;

/// A token whose signature or MAC is good and that has not expired, with what it stands for.
pub enum PresentedToken {
    /// An access token of a service.
    Service {
        /// What it says.
        claims: Box<Claims<Map<String, Value>>>,
        /// The client as it is now.
        client: Arc<Client>,
    },
    /// An access token of a person, as JWT.
    Person {
        /// What it says.
        claims: Box<Claims<Map<String, Value>>>,
        /// Its session as it is now, live.
        session: Box<Session>,
    },
    /// An access token of a person, as a reference.
    Reference {
        /// When it was made.
        issued_at: Timestamp,
        /// When it ends.
        expires_at: Timestamp,
        /// What it grants.
        scope: ScopeSet,
        /// What it is for.
        audience: Audience,
        /// Its session as it is now, live.
        session: Box<Session>,
    },
    /// A refresh token of a live session, of the current generation (or of one that a restored
    /// database does not know yet).
    Refresh {
        /// Its session as it is now, live.
        session: Box<Session>,
    },
}

/// A token that is good now, or why it is not: for logs and metrics, never for the sender.
pub type Judged = Result<PresentedToken, &'static str>;

impl PresentedToken {
    /// The session that the token belongs to.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        match self {
            Self::Service { .. } => None,
            Self::Person { session, .. }
            | Self::Reference { session, .. }
            | Self::Refresh { session } => Some(session),
        }
    }

    /// The client that the token was issued to.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        match self {
            Self::Service { client, .. } => &client.id,
            Self::Person { session, .. }
            | Self::Reference { session, .. }
            | Self::Refresh { session } => &session.terms.client_id,
        }
    }

    /// What the token is for; `None` for a refresh token.
    #[must_use]
    pub fn audience(&self) -> Option<&Audience> {
        match self {
            Self::Service { claims, .. } | Self::Person { claims, .. } => Some(&claims.aud),
            Self::Reference { audience, .. } => Some(audience),
            Self::Refresh { .. } => None,
        }
    }
}

impl TokenService {
    /// What a token stands for; `None` for whatever is not good now: malformed, forged, foreign,
    /// expired, or of a session, person or client that is no more.
    pub async fn find_token(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Result<Option<PresentedToken>, StoreError> {
        Ok(self.judge_token(text, now).await?.ok())
    }

    /// The same, with the reason where there is nothing to find.
    pub async fn judge_token(&self, text: &str, now: Timestamp) -> Result<Judged, StoreError> {
        // The kind is in the prefix, so a hint (RFC 7009 §2.1, RFC 7662 §2.1) has nothing to add.
        let tokens = &self.accounts.tokens;
        if let Some(token) = tokens.read_refresh_token(text) {
            let found = self.find_refresh_token(&token, now).await?;
            return Ok(found.ok_or("refresh_token_not_live"));
        }
        if let Some(token) = tokens.read_reference_token(text) {
            let found = self.find_reference_token(token, now).await?;
            return Ok(found.ok_or("reference_not_live"));
        }
        match self.reader.read_access_token(text, now) {
            Ok(claims) if self.is_taken_back(&claims) => Ok(Err("revoked")),
            Ok(claims) => self.judge_jwt(claims, now).await,
            Err(reject) => Ok(Err(reject.reason())),
        }
    }

    async fn judge_jwt(
        &self,
        claims: Claims<Map<String, Value>>,
        now: Timestamp,
    ) -> Result<Judged, StoreError> {
        let claims = Box::new(claims);
        let Some(client) = self.enabled_client(&claims.client_id) else {
            return Ok(Err("client_disabled"));
        };
        let Some(sid) = &claims.sid else {
            // An id may be registered again after its client was deleted.
            let is_of_this_client = claims.iat >= client.created_at.timestamp();
            let found = PresentedToken::Service { claims, client };
            return Ok(is_of_this_client
                .then_some(found)
                .ok_or("client_registered_anew"));
        };
        let Ok(id) = sid.parse() else {
            return Ok(Err("invalid_claim"));
        };
        let found = self.accounts.store.find_session(id).await?;
        Ok(found
            .filter(|stored| stored.user_is_enabled)
            .map(|stored| stored.session)
            .filter(|session| {
                session.is_live(now)
                    && session.terms.is_of(&client)
                    && session.terms.user_id.to_string() == claims.sub
            })
            .map(|session| PresentedToken::Person {
                claims,
                session: Box::new(session),
            })
            .ok_or("session_not_live"))
    }

    async fn find_refresh_token(
        &self,
        token: &UnverifiedRefreshToken,
        now: Timestamp,
    ) -> Result<Option<PresentedToken>, StoreError> {
        let Some(session) = self.live_session(token.session, now).await? else {
            return Ok(None);
        };
        let current = session.chain.generation;
        // The one before may still be repeated, but that is nobody's business but its client's.
        let is_usable = token.generation >= current;
        let is_good = self
            .accounts
            .tokens
            .refresh_token_is_good(token, &session.terms.secret);
        Ok((is_usable && is_good).then_some(PresentedToken::Refresh { session }))
    }

    async fn find_reference_token(
        &self,
        unverified: UnverifiedReferenceToken,
        now: Timestamp,
    ) -> Result<Option<PresentedToken>, StoreError> {
        let id = unverified.token.session;
        let Some(session) = self.live_session(id, now).await? else {
            return Ok(None);
        };
        let is_good = self
            .accounts
            .tokens
            .reference_token_is_good(&unverified, &session.terms.secret);
        let token = unverified.token;
        let client = session.terms.client_id.as_str();
        let is_cut_off = self
            .revocations
            .is_cut_off(client, token.issued_at.timestamp());
        if !is_good || is_cut_off || now >= token.expires_at {
            return Ok(None);
        }
        let terms = &session.terms;
        let scope = match token.scope.as_deref() {
            None => Ok(terms.scope.clone()),
            Some("") => Ok(ScopeSet::default()),
            Some(text) => text.parse(),
        };
        let audience = token.audience.map_or_else(
            || Ok(terms.audience.clone()),
            |text| Audience::try_from(text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>()),
        );
        let (Ok(scope), Ok(audience)) = (scope, audience) else {
            return Ok(None);
        };
        Ok(Some(PresentedToken::Reference {
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            scope,
            audience,
            session,
        }))
    }

    /// A session that is live, of a person and a client that are enabled.
    async fn live_session(
        &self,
        id: crate::domain::id::SessionId,
        now: Timestamp,
    ) -> Result<Option<Box<Session>>, StoreError> {
        let found = self.accounts.store.find_session(id).await?;
        Ok(found
            .filter(|stored| stored.user_is_enabled && stored.session.is_live(now))
            .map(|stored| Box::new(stored.session))
            .filter(|session| {
                self.enabled_client(session.terms.client_id.as_str())
                    .is_some_and(|client| session.terms.is_of(&client))
            }))
    }

    fn enabled_client(&self, id: &str) -> Option<Arc<Client>> {
        let id: ClientId = id.parse().ok()?;
        self.clients
            .find_client(&id)
            .filter(|client| client.disabled_at.is_none())
    }

    /// The live session behind an access token that a cut-off has made useless, to be revoked: when a client
    /// was disabled and is enabled again, its tokens from before are dead and its sessions go on.
    pub(super) async fn session_of_cut_off_token(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Result<Option<Box<Session>>, StoreError> {
        if let Some(unverified) = self.accounts.tokens.read_reference_token(text) {
            let session = self.live_session(unverified.token.session, now).await?;
            let is_good = |session: &Session| {
                let secret = &session.terms.secret;
                let tokens = &self.accounts.tokens;
                tokens.reference_token_is_good(&unverified, secret)
                    && now < unverified.token.expires_at
            };
            return Ok(session.filter(|session| is_good(session)));
        }
        let claims = self.reader.read_access_token(text, now).ok();
        let claims = claims.filter(|claims| self.is_taken_back(claims));
        let Some(id) = claims
            .as_ref()
            .and_then(|claims| claims.sid.as_ref()?.parse().ok())
        else {
            return Ok(None);
        };
        let session = self.live_session(id, now).await?;
        let is_its_own = |session: &Session, claims: &Claims<_>| {
            session.terms.client_id.as_str() == claims.client_id
                && session.terms.user_id.to_string() == claims.sub
        };
        Ok(session.filter(|session| claims.is_some_and(|claims| is_its_own(session, &claims))))
    }

    /// The session behind a refresh token with a good MAC, live or not, of whatever generation: to
    /// be revoked, a token need not be the current one.
    pub(super) async fn session_of_refresh_token(
        &self,
        text: &str,
    ) -> Result<Option<(Session, Generation)>, StoreError> {
        let tokens = &self.accounts.tokens;
        let Some(token) = tokens.read_refresh_token(text) else {
            return Ok(None);
        };
        let found = self.accounts.store.find_session(token.session).await?;
        Ok(found
            .map(|stored| stored.session)
            .filter(|session| tokens.refresh_token_is_good(&token, &session.terms.secret))
            .map(|session| (session, token.generation)))
    }
}
