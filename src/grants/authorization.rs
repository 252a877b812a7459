//! The authorization endpoint (RFC 6749 §3.1 and §4.1.1, `OpenID` Connect Core §3.1.2): from a request
//! to a code, by way of whatever the person still has to do.
//!
//! Between two pages a request travels sealed through the browser ([`Errand`]), so that whoever asks without being signed in costs no row. What comes next is decided by one pure function,
//! [`next_step`], each time anew from what is true then.

mod parameters;
mod pending;
mod response;

use std::sync::Arc;

use super::challenge::CODE_LIFETIME;
use super::{GrantError, RequestContext, TokenService};
use crate::accounts::browser::SignedIn;
use crate::domain::Timestamp;
use crate::domain::audit::{Actor, AuditKind, Origin};
use crate::domain::authorization::{
    AuthorizationRequest, LoginReason, NextStep, Refusal, Situation, next_step,
};
use crate::domain::client::Client;
use crate::domain::consent::Consent;
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::id::ClientId;
use crate::domain::ports::{
    AuthorizationCode, CodeGrant, CodeGranting, GrantBasis, PushedName, StoreError,
};

pub use parameters::AuthorizationParameters;
pub use pending::{AccountPlace, Errand, PendingRequest, StaleErrand};
pub(super) use response::query_separator;
pub use response::{AuthorizationResponse, ReturnAddress};

/// Why an authorization request has not led to a code.
#[derive(Debug)]
pub enum AuthorizationError {
    /// Nobody knows whom to tell but the person in front of the screen (RFC 6749 §4.1.2.1).
    Shown(OAuthError),
    /// The client is told.
    Redirected(Box<ReturnAddress>, OAuthError),
    /// It failed inside.
    Failed(GrantError),
}

impl<E: Into<GrantError>> From<E> for AuthorizationError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Who comes with a request, and from where.
#[derive(Clone, Copy)]
pub struct Visit<'a> {
    /// Who is signed in in the browser.
    pub signed_in: Option<&'a SignedIn>,
    /// Where it is.
    pub context: &'a RequestContext,
    /// The instant.
    pub now: Timestamp,
}

/// How far a request has come.
#[derive(Debug)]
pub enum Progress {
    /// The person has to sign in.
    LogIn(LoginReason),
    /// The person has to say with which account to go on.
    ChooseAccount,
    /// The person has to agree.
    Consent,
    /// It is answered.
    Respond(AuthorizationResponse),
}

/// What a person says on the page that asks for agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No.
    Deny,
}

impl TokenService {
    /// Reads an authorization request: by its parameters, or by the name under which they were
    /// pushed.
    ///
    /// # Errors
    /// With the code of RFC 6749 §4.1.2.1 or `OpenID` Connect Core §3.1.2.6, and who is to be told.
    pub async fn authorization_request(
        &self,
        parameters: &AuthorizationParameters,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<AuthorizationRequest, AuthorizationError> {
        let client = self.asking_client(parameters)?;
        let read = match parameters.first("request_uri") {
            Some(_) if parameters.is_repeated("request_uri") => {
                let description = "request_uri is repeated";
                let error = OAuthError::invalid_request(description);
                Err(AuthorizationError::Shown(error))
            }
            Some(name) if name.starts_with("urn:") && parameters.is_too_long() => {
                Err(AuthorizationError::Shown(parameters::too_long()))
            }
            Some(name) if name.starts_with("urn:") => self.pushed_request(&client, name, now).await,
            _ if client.metadata.require_pushed_authorization_requests => {
                // RFC 9126 §6. The rest is read to learn whom to tell.
                let read = self.read_request(&client, parameters, now);
                Err(read.map_or_else(|error| error, |request| must_be_pushed(&request)))
            }
            _ => self.read_request(&client, parameters, now),
        };
        if let Err(AuthorizationError::Shown(error) | AuthorizationError::Redirected(_, error)) =
            &read
        {
            self.note_refusal(&client.id, error.code, context, now)
                .await?;
        }
        read
    }

    fn asking_client(
        &self,
        parameters: &AuthorizationParameters,
    ) -> Result<Arc<Client>, AuthorizationError> {
        let id = parameters.client_id().ok_or_else(|| {
            let description = "client_id is missing or repeated";
            AuthorizationError::Shown(OAuthError::invalid_request(description))
        })?;
        let known = id.parse().ok().and_then(|id| self.live_client(&id));
        known.ok_or_else(unknown_client)
    }

    /// The client of a request that is on its way, as it is now.
    ///
    /// # Errors
    /// When it is no longer there, or the redirect URI no longer registered.
    pub fn client_of(
        &self,
        request: &AuthorizationRequest,
    ) -> Result<Arc<Client>, AuthorizationError> {
        let client = self
            .live_client(&request.client_id)
            .filter(|client| client.was_there(request.started_at))
            .ok_or_else(unknown_client)?;
        let mut registered = client.metadata.redirect_uris.iter();
        if registered.any(|uri| uri.matches(&request.redirect_uri)) {
            return Ok(client);
        }
        let description = "redirect_uri is not registered for this client";
        Err(AuthorizationError::Shown(OAuthError::invalid_request(
            description,
        )))
    }

    pub(super) fn live_client(&self, id: &ClientId) -> Option<Arc<Client>> {
        let client = self.clients.find_client(id)?;
        client.disabled_at.is_none().then_some(client)
    }

    /// Goes on with a request as far as it goes without the person.
    ///
    /// # Errors
    /// When the client is gone, or something fails inside.
    pub async fn proceed(
        &self,
        pending: &PendingRequest,
        visit: Visit<'_>,
    ) -> Result<Progress, AuthorizationError> {
        let client = self.client_of(&pending.request)?;
        let (step, consent) = self.step(pending, &client, visit).await?;
        match (step, visit.signed_in) {
            (NextStep::LogIn(reason), _) => Ok(Progress::LogIn(reason)),
            (NextStep::ChooseAccount, _) => Ok(Progress::ChooseAccount),
            (NextStep::Consent, _) => Ok(Progress::Consent),
            (NextStep::Refuse(refusal), _) => {
                let error = refusal.into();
                let refused = self.refuse(&pending.request, error, visit.context, visit.now);
                Ok(Progress::Respond(refused.await?))
            }
            (NextStep::Grant, Some(signed_in)) => {
                let granting = Granting {
                    service: self,
                    client: &client,
                    request: &pending.request,
                    signed_in,
                    basis: consent.map_or(GrantBasis::FirstParty, |consent| {
                        GrantBasis::Remembered(consent.granted_at)
                    }),
                };
                granting.grant(visit.context, visit.now).await
            }
            // The rule grants to nobody but a person.
            (NextStep::Grant, None) => Ok(Progress::LogIn(LoginReason::NobodyIs)),
        }
    }

    /// Goes on with what the person has said to a request for agreement. Whoever was not asked, because
    /// somebody else has signed in since, is asked now.
    ///
    /// # Errors
    /// As [`Self::proceed`].
    pub async fn decide(
        &self,
        pending: &PendingRequest,
        decision: Decision,
        visit: Visit<'_>,
    ) -> Result<Progress, AuthorizationError> {
        let request = &pending.request;
        let Visit { context, now, .. } = visit;
        let is_asked = |person: &&SignedIn| pending.asked == Some(person.login.id);
        let was_asked = visit.signed_in.filter(is_asked);
        let (Decision::Allow, Some(signed_in)) = (decision, was_asked) else {
            if decision == Decision::Deny {
                return Ok(Progress::Respond(self.deny(request, context, now).await?));
            }
            return self.proceed(pending, visit).await;
        };
        let client = self.client_of(request)?;
        let (step, _) = self.step(pending, &client, visit).await?;
        if !matches!(step, NextStep::Consent | NextStep::Grant) {
            return self.proceed(pending, visit).await;
        }
        let agreed = Consent {
            user_id: signed_in.user.id,
            client_id: client.id.clone(),
            scope: request.asks_for(),
            audience: request.audience.clone(),
            granted_at: now,
        };
        let granting = Granting {
            service: self,
            client: &client,
            request,
            signed_in,
            basis: GrantBasis::Agreed {
                consent: agreed,
                client_since: client.created_at,
            },
        };
        granting.grant(visit.context, visit.now).await
    }

    /// Answers a request with `access_denied`: the person would not.
    ///
    /// # Errors
    /// When the client is gone, or something fails inside.
    pub async fn deny(
        &self,
        request: &AuthorizationRequest,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<AuthorizationResponse, AuthorizationError> {
        self.client_of(request)?;
        let description = "the person refused";
        let error = OAuthError::new(OAuthErrorCode::AccessDenied, description);
        self.refuse(request, error, context, now).await
    }

    async fn step(
        &self,
        pending: &PendingRequest,
        client: &Client,
        Visit { signed_in, now, .. }: Visit<'_>,
    ) -> Result<(NextStep, Option<Consent>), StoreError> {
        let asks = signed_in.filter(|_| !client.metadata.first_party);
        let consent = match asks {
            Some(person) => {
                let store = &self.accounts.store;
                store.find_consent(person.user.id, &client.id).await?
            }
            None => None,
        };
        let situation = Situation {
            client,
            login: signed_in.map(|person| &person.login),
            consent: consent.as_ref(),
            account_chosen: pending.account_chosen,
            now,
        };
        Ok((next_step(&pending.request, &situation), consent))
    }

    /// Tells the client no. A pushed request is used up by that as well.
    async fn refuse(
        &self,
        request: &AuthorizationRequest,
        error: OAuthError,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<AuthorizationResponse, AuthorizationError> {
        // A request that is sealed in its name costs nothing to refuse again.
        if let Some(PushedName::Stored(digest)) = request.pushed_as
            && !self.accounts.store.discard_pushed_request(digest).await?
        {
            return Err(AuthorizationError::Shown(used_request_uri()));
        }
        self.note_refusal(&request.client_id, error.code, context, now)
            .await?;
        Ok(ReturnAddress::of(request).error(&error, &self.issuer))
    }

    /// Tells the client what was wrong with its request.
    #[must_use]
    pub fn error_response(
        &self,
        back: &ReturnAddress,
        error: &OAuthError,
    ) -> AuthorizationResponse {
        back.error(error, &self.issuer)
    }

    pub(super) async fn note_refusal(
        &self,
        client: &ClientId,
        code: OAuthErrorCode,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<(), GrantError> {
        let origin = Origin {
            actor: Actor::Client(client.clone()),
            address: context.address,
        };
        let record = self
            .accounts
            .trail
            .record(AuditKind::AuthorizationRefused, &origin, now)?
            .about_client(client)
            .with_detail(code.as_str());
        Ok(self.accounts.trail.refuse(record).await?)
    }
}

/// A code that is about to be given out.
struct Granting<'a> {
    service: &'a TokenService,
    client: &'a Client,
    request: &'a AuthorizationRequest,
    signed_in: &'a SignedIn,
    /// What allows it.
    basis: GrantBasis,
}

impl Granting<'_> {
    async fn grant(
        self,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<Progress, AuthorizationError> {
        let Self {
            service, request, ..
        } = self;
        let accounts = &service.accounts;
        let (text, digest) = accounts.tokens.new_code()?;
        let SignedIn { login, user } = self.signed_in;
        let grant = CodeGrant {
            code: AuthorizationCode {
                digest,
                client_id: self.client.id.clone(),
                user_id: user.id,
                scope: request.scope.clone(),
                audience: request.audience.clone(),
                code_challenge: request.code_challenge.clone(),
                redirect_uri: Some(request.redirect_uri.clone()),
                login_id: Some(login.id),
                nonce: request.nonce.clone(),
                userinfo_claims: request.userinfo_claims.clone(),
                id_token_claims: request.id_token_claims.clone(),
                authentication: login.authentication.clone(),
                device: login.device.clone().or_else(|| context.device.clone()),
                address: context.address,
                expires_at: now + CODE_LIFETIME,
            },
            login: login.id,
            idle_expires_at: accounts.login_policy.idle_expiry(now),
            basis: self.basis,
            pushed: request.pushed_as,
        };
        let origin = Origin {
            actor: Actor::User(user.id),
            address: context.address,
        };
        let record = accounts
            .trail
            .record(AuditKind::AuthorizationGranted, &origin, now)?
            .about_user(user.id)
            .about_client(&self.client.id);
        match accounts.store.grant_code(&grant, now, &record).await? {
            CodeGranting::Granted => Ok(Progress::Respond(
                ReturnAddress::of(request).code(&text, &service.issuer),
            )),
            CodeGranting::LoginOver => Ok(Progress::LogIn(LoginReason::NobodyIs)),
            CodeGranting::RequestUsed => Err(AuthorizationError::Shown(used_request_uri())),
            CodeGranting::ConsentChanged if request.is_silent() => {
                let error = Refusal::ConsentRequired.into();
                let refused = service.refuse(request, error, context, now);
                Ok(Progress::Respond(refused.await?))
            }
            CodeGranting::ConsentChanged => Ok(Progress::Consent),
        }
    }
}

fn unknown_client() -> AuthorizationError {
    let description = "there is no such client";
    AuthorizationError::Shown(OAuthError::new(OAuthErrorCode::InvalidClient, description))
}

fn must_be_pushed(request: &AuthorizationRequest) -> AuthorizationError {
    let description = "this client has to push its requests (RFC 9126)";
    AuthorizationError::Redirected(
        Box::new(ReturnAddress::of(request)),
        OAuthError::invalid_request(description),
    )
}

/// RFC 9126 §4: a name is good for one answer.
fn used_request_uri() -> OAuthError {
    let description = "the request_uri was answered before; push the request again";
    OAuthError::new(OAuthErrorCode::InvalidRequestUri, description)
}
