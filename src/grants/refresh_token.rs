//! The refresh token grant (RFC 6749 §6, RFC 9700 §4.14). What a token leads to is decided by
//! [`rotation::decide`]; this file brings together what it needs and does what it says.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokensmith_verify::{Audience, ScopeSet};

use super::access_token::{AccessTokenGrant, Subject};
use super::id_token::IdTokenGrant;
use super::{GrantError, RequestContext, TokenResponse, TokenService};
use crate::domain::Timestamp;
use crate::domain::audit::{Actor, AuditKind, AuditRecord, Origin};
use crate::domain::client::{Client, GrantType};
use crate::domain::entitlement::{narrow_audience, narrow_scope};
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::ports::{Rotation, StoreError, StoredSession, UnverifiedRefreshToken};
use crate::domain::rotation::{self, Chain, Decision, Generation, Presented, Step};
use crate::domain::session::{EndReason, SessionEnd, SessionTerms};

/// How often a session is read again when others rotate it at the same time. Each time somebody
/// has made progress, and a second time the answer is [`Decision::Repeat`].
const TRIES: usize = 8;

/// The parameters of the grant (RFC 6749 §6, RFC 8707 §2.2). Without `Debug`: the token is a secret.
#[derive(Clone, Default)]
pub struct RefreshRequest<'a> {
    /// The refresh token.
    pub refresh_token: Option<&'a str>,
    /// The `Idempotency-Key` header: the same key lets the same request be repeated at any time.
    pub idempotency_key: Option<&'a [u8]>,
    /// A part of the granted scope, for this one access token.
    pub scope: Option<&'a str>,
    /// Some of the granted resources, for this one access token.
    pub resources: Vec<&'a str>,
}

/// How a refresh token was answered, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The session moved on.
    Rotated,
    /// The client keeps its token.
    Kept,
    /// An earlier answer was given again.
    Repeated,
    /// The database had lost its tail.
    CaughtUp,
}

/// Why a refresh token was not accepted, for the metrics; the client is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshRefusal {
    /// Two parties held the token; the session is ended.
    Reused,
    /// Anything else.
    Refused,
}

impl RefreshRefusal {
    /// The label of the metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reused => "reused",
            Self::Refused => "refused",
        }
    }
}

impl RefreshOutcome {
    /// The label of the metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Kept => "kept",
            Self::Repeated => "repeated",
            Self::CaughtUp => "caught_up",
        }
    }
}

impl TokenService {
    /// Answers a refresh token with an access token and, for most clients, the next refresh token.
    pub async fn refresh_token(
        &self,
        client: &Client,
        request: &RefreshRequest<'_>,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<(TokenResponse, RefreshOutcome), GrantError> {
        super::check_grant(client, GrantType::RefreshToken)?;
        let Some(text) = request.refresh_token else {
            return Err(OAuthError::invalid_request("refresh_token is missing").into());
        };
        let refresh = Refresh {
            service: self,
            client,
            request,
            context,
            now,
        };
        let Some(token) = self.accounts.tokens.read_refresh_token(text) else {
            return refresh.refuse("malformed", None).await;
        };
        if let Some(answer) = refresh.rotate_from_memory(&token).await? {
            return Ok(answer);
        }
        refresh.rotate_from_row(&token).await
    }
}

/// One request.
struct Refresh<'a> {
    service: &'a TokenService,
    client: &'a Client,
    request: &'a RefreshRequest<'a>,
    context: &'a RequestContext,
    now: Timestamp,
}

type Answer = (TokenResponse, RefreshOutcome);

impl Refresh<'_> {
    /// The ordinary case in one round trip: when this process remembers the terms of the session,
    /// it assumes that the row is live and at the generation that was presented. The guards of the
    /// one statement hold it to that; when the assumption was wrong, the row is read.
    async fn rotate_from_memory(
        &self,
        token: &UnverifiedRefreshToken,
    ) -> Result<Option<Answer>, GrantError> {
        let service = self.service;
        let Some(terms) = service.memory.recall(token.session) else {
            return Ok(None);
        };
        if !terms.is_of(self.client) || !self.mac_is_good(token, &terms) {
            return Ok(None);
        }
        let policy = service.session_policy.rotation(&self.client.metadata);
        let assumed = Chain {
            generation: token.generation,
            ..Chain::new(self.now, &policy)
        };
        let is_live = self.now < terms.expires_at;
        let presented = self.presented(token);
        match rotation::decide(&assumed, is_live, &presented, self.now, &policy) {
            Decision::Rotate(step) => {
                // A wish that cannot be granted is refused after the row was looked at: a stolen token
                // is noticed whatever it asks for.
                let Ok(grant) = self.narrow(&terms) else {
                    return Ok(None);
                };
                self.rotate(&terms, step, grant).await
            }
            Decision::Keep
            | Decision::Repeat
            | Decision::CatchUp(_)
            | Decision::Reuse
            | Decision::Dead => Ok(None),
        }
    }

    async fn rotate_from_row(&self, token: &UnverifiedRefreshToken) -> Result<Answer, GrantError> {
        let service = self.service;
        let store = &service.accounts.store;
        for _ in 0..TRIES {
            let Some(stored) = store.find_session(token.session).await? else {
                return self.refuse("unknown session", None).await;
            };
            let StoredSession {
                session,
                user_is_enabled,
            } = stored;
            let is_over = session.end.is_some() || self.now >= session.terms.expires_at;
            let terms = Arc::new(session.terms);
            if !self.mac_is_good(token, &terms) {
                return self.refuse("forged", Some(&terms)).await;
            }
            // Before the table of rotation is read: whoever may not refresh at all changes nothing.
            if !terms.is_of(self.client) {
                return self.refuse("issued to another client", Some(&terms)).await;
            }
            if !user_is_enabled {
                return self.refuse("the account is disabled", Some(&terms)).await;
            }
            let policy = service.session_policy.rotation(&self.client.metadata);
            let presented = self.presented(token);
            let chain = &session.chain;
            let decision = rotation::decide(chain, !is_over, &presented, self.now, &policy);
            match decision {
                Decision::Rotate(step) => {
                    let grant = self.narrow(&terms)?;
                    if let Some(answer) = self.rotate(&terms, step, grant).await? {
                        return Ok(answer);
                    }
                }
                Decision::CatchUp(step) => {
                    let grant = self.narrow(&terms)?;
                    if self.catch_up(&terms, step).await? {
                        return self.answer(&terms, step.to, grant, RefreshOutcome::CaughtUp);
                    }
                }
                Decision::Keep => {
                    let grant = self.narrow(&terms)?;
                    let idle_expires_at = self.now + policy.idle_lifetime;
                    service
                        .memory
                        .note_use(terms.id, self.now, Some(idle_expires_at));
                    return self.answer(&terms, chain.generation, grant, RefreshOutcome::Kept);
                }
                Decision::Repeat => {
                    let grant = self.narrow(&terms)?;
                    return self.answer(&terms, chain.generation, grant, RefreshOutcome::Repeated);
                }
                Decision::Reuse => return self.end_reused(&terms, chain, token).await,
                Decision::Dead => return self.refuse("the session is over", Some(&terms)).await,
            }
        }
        let contended = "the session was rotated again and again in between".to_owned();
        Err(StoreError::Unavailable(contended).into())
    }

    fn mac_is_good(&self, token: &UnverifiedRefreshToken, terms: &SessionTerms) -> bool {
        self.service
            .accounts
            .tokens
            .refresh_token_is_good(token, &terms.secret)
    }

    fn presented(&self, token: &UnverifiedRefreshToken) -> Presented {
        let tokens = &self.service.accounts.tokens;
        Presented {
            generation: token.generation,
            retry_key: self
                .request
                .idempotency_key
                .map(|key| tokens.retry_key(token.session, key)),
        }
    }

    /// `OpenID` Connect Core §12.2 leaves it open. Servers that keep the ID token want a fresh one;
    /// for phones, which do not, it would be a second signature each time.
    fn gets_id_token(&self, terms: &SessionTerms) -> bool {
        terms.scope.contains("openid") && !self.client.is_public()
    }

    /// Before anything is written: what cannot be granted does not cost the token.
    fn narrow(&self, terms: &SessionTerms) -> Result<(ScopeSet, Audience), GrantError> {
        self.service.check_signer(self.client, self.now)?;
        if self.gets_id_token(terms) {
            self.service.check_id_token_signer(&terms.scope, self.now)?;
        }
        let issuer = self.service.issuer_for_first_party(self.client);
        Ok((
            narrow_scope(self.request.scope, &terms.scope)?,
            narrow_audience(&self.request.resources, &terms.audience, issuer)?,
        ))
    }

    /// Moves the session on and answers, or nothing when it is not where the step begins.
    ///
    /// The signature does not wait for the disk: the answer is made while the write is under way, and is
    /// thrown away when the row has not moved.
    async fn rotate(
        &self,
        terms: &Arc<SessionTerms>,
        step: Step,
        grant: (ScopeSet, Audience),
    ) -> Result<Option<Answer>, GrantError> {
        let rotation = self.rotation(terms, step);
        let mut write = self.service.accounts.store.rotate_session(&rotation);
        // Begun first. A store that is overloaded says so at once, and then there is nothing to sign.
        let begun = match poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await {
            Poll::Ready(moved) => Some(moved?),
            Poll::Pending => None,
        };
        let answer = self.answer(terms, step.to, grant, RefreshOutcome::Rotated);
        let moved = match begun {
            Some(moved) => moved,
            None => write.await?,
        };
        if moved { answer.map(Some) } else { Ok(None) }
    }

    async fn catch_up(&self, terms: &SessionTerms, step: Step) -> Result<bool, GrantError> {
        let detail = format!("from generation {} to {}", step.from.0, step.to.0);
        let record = self
            .record(AuditKind::RefreshCaughtUp, Some(terms))?
            .with_detail(detail);
        let rotation = self.rotation(terms, step);
        let store = &self.service.accounts.store;
        let moved = store.catch_up_session(&rotation, &record).await?;
        if moved {
            tracing::warn!(
                session = %terms.id,
                known = step.from.0,
                moved_to = step.to.0,
                "a refresh token is ahead of the database, which must have been restored"
            );
        }
        Ok(moved)
    }

    fn rotation(&self, terms: &SessionTerms, step: Step) -> Rotation {
        Rotation {
            session: terms.id,
            step,
            address: self.context.address,
        }
    }

    fn answer(
        &self,
        terms: &Arc<SessionTerms>,
        generation: Generation,
        (scope, audience): (ScopeSet, Audience),
        outcome: RefreshOutcome,
    ) -> Result<Answer, GrantError> {
        let service = self.service;
        let grant = AccessTokenGrant {
            subject: Subject::Person(terms),
            audience,
            scope: scope.clone(),
        };
        let (access_token, expires_in) =
            service.issue_access_token(self.client, grant, self.now)?;
        let refresh_token =
            service
                .accounts
                .tokens
                .refresh_token(terms.id, generation, &terms.secret);
        service.memory.remember(Arc::clone(terms));
        let id_token = if self.gets_id_token(terms) {
            let grant = IdTokenGrant {
                session: terms,
                nonce: None,
                claims: None,
                access_token: &access_token,
            };
            Some(service.issue_id_token(self.client, grant, self.now)?)
        } else {
            None
        };
        let response = TokenResponse {
            access_token,
            expires_in,
            scope,
            refresh_token: Some(refresh_token),
            id_token,
        };
        Ok((response, outcome))
    }

    async fn end_reused(
        &self,
        terms: &SessionTerms,
        chain: &Chain,
        token: &UnverifiedRefreshToken,
    ) -> Result<Answer, GrantError> {
        let (presented, current) = (token.generation.0, chain.generation.0);
        let record = self
            .record(AuditKind::RefreshReused, Some(terms))?
            .with_detail(format!("generation {presented}, current is {current}"));
        let end = SessionEnd {
            at: self.now,
            reason: EndReason::RefreshReuse,
        };
        let accounts = &self.service.accounts;
        accounts.store.end_session(terms.id, end, &record).await?;
        tracing::warn!(
            session = %terms.id,
            client_id = %terms.client_id,
            presented,
            current,
            "a refresh token was used again; its session is ended"
        );
        Err(GrantError::Refresh(RefreshRefusal::Reused))
    }

    /// One answer for whatever is wrong; the reason is in the audit log.
    async fn refuse(
        &self,
        why: &'static str,
        terms: Option<&SessionTerms>,
    ) -> Result<Answer, GrantError> {
        let record = self
            .record(AuditKind::RefreshRefused, terms)?
            .with_detail(why);
        self.service.accounts.trail.refuse(record).await?;
        Err(GrantError::Refresh(RefreshRefusal::Refused))
    }

    fn record(
        &self,
        kind: AuditKind,
        terms: Option<&SessionTerms>,
    ) -> Result<AuditRecord, GrantError> {
        let origin = Origin {
            actor: Actor::Client(self.client.id.clone()),
            address: self.context.address,
        };
        let record = self
            .service
            .accounts
            .trail
            .record(kind, &origin, self.now)?
            .about_client(&self.client.id);
        Ok(match terms {
            Some(terms) => record.about_user(terms.user_id).about_session(terms.id),
            None => record,
        })
    }
}

/// The one error for a refresh token that is not accepted (RFC 6749 §5.2).
#[must_use]
pub fn invalid_refresh_token() -> OAuthError {
    let description = "the refresh token is unknown, expired, revoked, or not this client's";
    OAuthError::new(OAuthErrorCode::InvalidGrant, description)
}
