//! The authorization code grant, from the code on (RFC 6749 §4.1.3, RFC 7636 §4.5).

use std::sync::Arc;

use tokensmith_verify::{Audience, ScopeSet};

use super::access_token::{AccessTokenGrant, Subject};
use super::challenge::CODE_LIFETIME;
use super::id_token::IdTokenGrant;
use super::{GrantError, RequestContext, TokenResponse, TokenService, pkce};
use crate::domain::Timestamp;
use crate::domain::audit::{Actor, AuditKind, AuditRecord, Origin};
use crate::domain::client::{Client, GrantType};
use crate::domain::entitlement::{narrow_audience, narrow_scope};
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::id::SessionId;
use crate::domain::ports::{AuthorizationCode, CodeDigest, Redemption, StoredCode};
use crate::domain::rotation::{Chain, Generation};
use crate::domain::session::{EndReason, Session, SessionEnd, SessionTerms};
use crate::domain::user::User;

/// The parameters of the grant (RFC 6749 §4.1.3). Without `Debug`: the code is a secret.
#[derive(Clone, Default)]
pub struct AuthorizationCodeRequest<'a> {
    /// The code.
    pub code: Option<&'a str>,
    /// The PKCE verifier.
    pub code_verifier: Option<&'a str>,
    /// May be left out (OAuth 2.1); must match when it is sent.
    pub redirect_uri: Option<&'a str>,
    /// A part of the granted scope, for this one access token.
    pub scope: Option<&'a str>,
    /// Some of the granted resources, for this one access token.
    pub resources: Vec<&'a str>,
}

impl TokenService {
    /// Redeems a code: begins the session that it stands for.
    pub async fn authorization_code(
        &self,
        client: &Client,
        request: &AuthorizationCodeRequest<'_>,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<TokenResponse, GrantError> {
        super::check_grant(client, GrantType::AuthorizationCode)?;
        let Some(code) = request.code else {
            return Err(OAuthError::invalid_request("code is missing").into());
        };
        let refused = CodeRefusal {
            client,
            context,
            now,
        };
        let Some(digest) = self.accounts.tokens.read_code(code) else {
            return refused.because(self, "malformed", None).await;
        };
        let Some(stored) = self.accounts.store.find_code(digest).await? else {
            return refused.because(self, "unknown", None).await;
        };
        // In this order: whoever is not the code's client learns and changes nothing.
        let issued_at = stored.code.expires_at - CODE_LIFETIME;
        if stored.code.client_id != client.id || !client.was_there(issued_at) {
            return refused
                .because(self, "issued to another client", Some(&stored))
                .await;
        }
        let code = &stored.code;
        // Before the replay: without the verifier a leaked code does not end the owner's session.
        if let Err(why) = self.check_verifier(code, request.code_verifier)? {
            return refused.because(self, why, Some(&stored)).await;
        }
        if let Some(session) = stored.redeemed_for {
            return self.code_replayed(&stored, session, &refused).await;
        }
        if now >= code.expires_at {
            return refused.because(self, "expired", Some(&stored)).await;
        }
        if !matches_redirect_uri(request.redirect_uri, code) {
            return refused
                .because(self, "redirect_uri does not match", Some(&stored))
                .await;
        }
        // Before the code is used up: what cannot be granted does not cost it.
        self.check_signer(client, now)?;
        self.check_id_token_signer(&code.scope, now)?;
        let scope = narrow_scope(request.scope, &code.scope)?;
        let audience = narrow_audience(
            &request.resources,
            &code.audience,
            self.issuer_for_first_party(client),
        )?;
        let mut session = self.new_session(client, code, context, now).await?;
        if let Err(why) = self.bind_to_login(&mut session, now).await? {
            return refused.because(self, why, Some(&stored)).await;
        }
        let person = self.person_for_id_token(code).await?;
        let record = self.session_started(&session, context, now)?;
        match self
            .accounts
            .store
            .redeem_code(digest, &session, &record)
            .await?
        {
            Redemption::Started => {
                let begun = Begun {
                    code,
                    person,
                    scope,
                    audience,
                };
                self.begin(client, session, begun, now)
            }
            Redemption::UserDisabled => {
                refused
                    .because(self, "the account is disabled", Some(&stored))
                    .await
            }
            Redemption::AlreadyUsed => self.lost_race(digest, &refused).await,
        }
    }

    /// RFC 7636 §4.6. The inner error is what the log says; the client hears `invalid_grant`.
    fn check_verifier(
        &self,
        code: &AuthorizationCode,
        verifier: Option<&str>,
    ) -> Result<Result<(), &'static str>, GrantError> {
        match (&code.code_challenge, verifier) {
            (None, None) => Ok(Ok(())),
            // RFC 9700 §4.8.2: a verifier without a challenge is a downgrade attack.
            (None, Some(_)) => Ok(Err("code_verifier without code_challenge")),
            (Some(_), None) => Err(OAuthError::invalid_request("code_verifier is missing").into()),
            (Some(challenge), Some(verifier)) => {
                let is_right = pkce::is_verifier(verifier)
                    && self.accounts.tokens.pkce_matches(verifier, challenge);
                Ok(if is_right {
                    Ok(())
                } else {
                    Err("code_verifier does not match")
                })
            }
        }
    }

    async fn new_session(
        &self,
        client: &Client,
        code: &AuthorizationCode,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<Session, GrantError> {
        let policy = self.session_policy.rotation(&client.metadata);
        let mut chain = Chain::new(now, &policy);
        let mut expires_at = self.session_policy.expiry(&client.metadata, now);
        if !client.allows(GrantType::RefreshToken) {
            // Nothing prolongs it, so it lives as long as its one access token.
            expires_at = now
                + client
                    .metadata
                    .access_token_lifetime(self.access_token_lifetime);
            chain.idle_expires_at = expires_at;
        }
        Ok(Session {
            terms: SessionTerms {
                id: SessionId::new(now, &*self.entropy)?,
                user_id: code.user_id,
                client_id: client.id.clone(),
                login_id: code.login_id,
                secret: self.accounts.tokens.new_session_secret()?,
                status: self.indices.next(now).await?,
                scope: code.scope.clone(),
                audience: code.audience.clone(),
                claims: code.userinfo_claims.clone(),
                authentication: code.authentication.clone(),
                created_at: now,
                expires_at,
            },
            chain,
            last_seen_at: None,
            device: code.device.clone(),
            address: context.address.or(code.address),
            end: None,
        })
    }

    /// A session that does not outlive the browser's login ends with it. The inner error is what the
    /// log says.
    async fn bind_to_login(
        &self,
        session: &mut Session,
        now: Timestamp,
    ) -> Result<Result<(), &'static str>, GrantError> {
        let Some(id) = session
            .terms
            .login_id
            .filter(|_| !session.terms.outlives_login())
        else {
            return Ok(Ok(()));
        };
        let found = self.accounts.store.find_login(id).await?;
        let Some(login) = found.map(|it| it.login).filter(|login| login.is_live(now)) else {
            return Ok(Err("the browser was signed out"));
        };
        session.terms.expires_at = session.terms.expires_at.min(login.expires_at);
        Ok(Ok(()))
    }

    /// The person, where the ID token shall tell more than who it is. Read before the code is used
    /// up.
    async fn person_for_id_token(
        &self,
        code: &AuthorizationCode,
    ) -> Result<Option<User>, GrantError> {
        if code.id_token_claims.is_empty() {
            return Ok(None);
        }
        Ok(self.accounts.store.find_user(code.user_id).await?)
    }

    fn session_started(
        &self,
        session: &Session,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<AuditRecord, GrantError> {
        let terms = &session.terms;
        let origin = Origin {
            actor: Actor::Client(terms.client_id.clone()),
            address: context.address,
        };
        let record = self
            .accounts
            .trail
            .record(AuditKind::SessionStarted, &origin, now)?
            .about_user(terms.user_id)
            .about_client(&terms.client_id)
            .about_session(terms.id);
        Ok(record)
    }

    fn begin(
        &self,
        client: &Client,
        session: Session,
        begun: Begun<'_>,
        now: Timestamp,
    ) -> Result<TokenResponse, GrantError> {
        let terms = Arc::new(session.terms);
        let grant = AccessTokenGrant {
            subject: Subject::Person(&terms),
            audience: begun.audience,
            scope: begun.scope.clone(),
        };
        let (access_token, expires_in) = self.issue_access_token(client, grant, now)?;
        let refresh_token = client.allows(GrantType::RefreshToken).then(|| {
            self.accounts
                .tokens
                .refresh_token(terms.id, Generation::FIRST, &terms.secret)
        });
        let id_token = if terms.scope.contains("openid") {
            let asked = &begun.code.id_token_claims;
            let grant = IdTokenGrant {
                session: &terms,
                nonce: begun.code.nonce.as_deref(),
                claims: begun.person.map(|person| asked.values(&person)),
                access_token: &access_token,
            };
            Some(self.issue_id_token(client, grant, now)?)
        } else {
            None
        };
        self.memory.remember(Arc::clone(&terms));
        Ok(TokenResponse {
            access_token,
            expires_in,
            scope: begun.scope,
            refresh_token,
            id_token,
        })
    }

    /// Two requests redeemed the code at once and this one came second.
    async fn lost_race(
        &self,
        digest: CodeDigest,
        refused: &CodeRefusal<'_>,
    ) -> Result<TokenResponse, GrantError> {
        let stored = self.accounts.store.find_code(digest).await?;
        match stored.as_ref().and_then(|stored| stored.redeemed_for) {
            Some(session) => match &stored {
                Some(stored) => self.code_replayed(stored, session, refused).await,
                None => refused.because(self, "unknown", None).await,
            },
            // It expired, or the password was changed, in between.
            None => refused.because(self, "expired", stored.as_ref()).await,
        }
    }

    /// RFC 6749 §4.1.2: a code that is used again revokes what it gave.
    async fn code_replayed(
        &self,
        stored: &StoredCode,
        session: SessionId,
        refused: &CodeRefusal<'_>,
    ) -> Result<TokenResponse, GrantError> {
        let record = refused
            .record(self, AuditKind::CodeReplayed, Some(stored))?
            .about_session(session);
        let end = SessionEnd {
            at: refused.now,
            reason: EndReason::CodeReplay,
        };
        if !self
            .accounts
            .store
            .end_session(session, end, &record)
            .await?
        {
            self.accounts.trail.refuse(record).await?;
        }
        Err(invalid_code())
    }

    /// The issuer as a resource, for its own apps.
    pub(super) fn issuer_for_first_party(
        &self,
        client: &Client,
    ) -> Option<&crate::domain::issuer::Issuer> {
        client.metadata.first_party.then_some(&self.issuer)
    }
}

/// RFC 6749 §4.1.3: the redirect URI of the authorization request, if that had one. With PKCE, which
/// binds the code as well, it may be left out (`OAuth` 2.1 §10.2).
fn matches_redirect_uri(presented: Option<&str>, code: &AuthorizationCode) -> bool {
    match presented {
        Some(_) => presented == code.redirect_uri.as_deref(),
        None => code.code_challenge.is_some() || code.redirect_uri.is_none(),
    }
}

/// What a code has begun, apart from the session.
struct Begun<'a> {
    code: &'a AuthorizationCode,
    /// The person, where the ID token shall tell more than who it is.
    person: Option<User>,
    /// Of this one access token.
    scope: ScopeSet,
    audience: Audience,
}

/// A code that is refused: one answer, and the reason in the audit log.
struct CodeRefusal<'a> {
    client: &'a Client,
    context: &'a RequestContext,
    now: Timestamp,
}

impl CodeRefusal<'_> {
    async fn because(
        &self,
        service: &TokenService,
        why: &'static str,
        stored: Option<&StoredCode>,
    ) -> Result<TokenResponse, GrantError> {
        let record = self
            .record(service, AuditKind::CodeRefused, stored)?
            .with_detail(why);
        service.accounts.trail.refuse(record).await?;
        Err(invalid_code())
    }

    fn record(
        &self,
        service: &TokenService,
        kind: AuditKind,
        stored: Option<&StoredCode>,
    ) -> Result<AuditRecord, GrantError> {
        let origin = Origin {
            actor: Actor::Client(self.client.id.clone()),
            address: self.context.address,
        };
        let record = service
            .accounts
            .trail
            .record(kind, &origin, self.now)?
            .about_client(&self.client.id);
        Ok(match stored {
            Some(stored) => record.about_user(stored.code.user_id),
            None => record,
        })
    }
}

fn invalid_code() -> GrantError {
    let description = "the authorization code is unknown, expired, used, or not for this request";
    OAuthError::new(OAuthErrorCode::InvalidGrant, description).into()
}
