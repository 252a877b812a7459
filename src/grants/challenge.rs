//! Login without a browser for the issuer's own apps: the authorization challenge endpoint of
//! draft-ietf-oauth-first-party-apps. A name and a password become an authorization code, which is
//! then redeemed like any other; so PKCE, resources and everything after it are the same.
//!
//! Only clients marked first-party may use it: to hand a password to somebody else's app is what
//! OAuth exists to prevent (RFC 9700 §2.4 forbids the password grant for the same reason).

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use tokensmith_verify::{Audience, ScopeSet};
use zeroize::Zeroizing;

use super::pkce::check_challenge;
use super::{GrantError, RequestContext, TokenService};
use crate::accounts::AccountError;
use crate::accounts::login::{Challenge, Credentials, Login, LoginStep};
use crate::accounts::registration::Registration;
use crate::domain::Timestamp;
use crate::domain::audit::{Actor, AuditKind, Origin};
use crate::domain::claims::RequestedClaims;
use crate::domain::client::{Client, GrantType};
use crate::domain::entitlement::{grant_audience, grant_scope};
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::ports::{AuthorizationCode, LoginSuccess};
use crate::domain::user::Profile;

/// How long a code may wait to be redeemed (RFC 6749 §4.1.2 recommends at most ten minutes).
pub(super) const CODE_LIFETIME: TimeDelta = TimeDelta::seconds(60);
/// How long a login may take from its first request to its last.
const LOGIN_LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// What an `auth_session` is sealed for.
const PURPOSE: &str = "auth_session";

/// The parameters of a challenge request (draft-ietf-oauth-first-party-apps §5.1, RFC 7636 §4.3).
/// Without `Debug`: some are secrets.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct ChallengeRequest {
    /// Only `code`.
    pub response_type: Option<String>,
    /// Everything registered when absent.
    pub scope: Option<String>,
    /// The client's default audience when empty.
    pub resources: Vec<String>,
    /// PKCE challenge.
    pub code_challenge: Option<String>,
    /// Only `S256`.
    pub code_challenge_method: Option<String>,
    /// `create` makes an account (`OpenID` Connect Prompt Create 1.0); whatever needs a page leads
    /// to the web.
    pub prompt: Option<String>,
    /// Username or e-mail address.
    pub username: Option<String>,
    /// E-mail address of a new account.
    pub email: Option<String>,
    /// The password. Never kept between requests.
    #[serde(skip)]
    pub password: Option<Zeroizing<String>>,
    /// What an earlier answer gave, to go on from there.
    #[serde(skip)]
    pub auth_session: Option<String>,
    /// A refresh token of a session of the same person on this device.
    #[serde(skip)]
    pub refresh_token: Option<Zeroizing<String>>,
}

/// A code (§5.2.1 of the draft). Without `Debug`: it is a secret.
pub struct ChallengeResponse {
    /// To be redeemed at the token endpoint within a minute.
    pub authorization_code: Zeroizing<String>,
}

/// A challenge that has not led to a code.
#[derive(Debug)]
pub struct ChallengeRefusal {
    /// Why.
    pub error: GrantError,
    /// With what to go on, where there is a way on.
    pub auth_session: Option<String>,
    /// Whether name or password was wrong, and not only missing; for the metrics.
    pub is_wrong_password: bool,
}

impl<E: Into<GrantError>> From<E> for ChallengeRefusal {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            auth_session: None,
            is_wrong_password: false,
        }
    }
}

/// What is known of a login between two requests; it travels sealed through the client.
#[derive(Serialize, Deserialize)]
struct AuthSession {
    client_id: String,
    expires_at: Timestamp,
    request: ChallengeRequest,
}

/// What the code will stand for.
struct Wish {
    scope: ScopeSet,
    audience: Audience,
    code_challenge: Option<String>,
}

impl TokenService {
    /// Answers a challenge request: a code, or what is still missing.
    ///
    /// # Errors
    /// The codes of RFC 6749 §4.1.2.1 and of §5.2.2 of the draft.
    pub async fn challenge(
        &self,
        client: &Client,
        request: ChallengeRequest,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<ChallengeResponse, ChallengeRefusal> {
        check_client(client)?;
        let (request, expires_at) = self.resume(client, request, now)?;
        let go_on = |request, challenge| self.go_on(client, request, challenge, expires_at);
        check_response_type(&request)?;
        let creates = check_prompt(&request)?;
        let wish = self.wish(client, &request)?;
        let attempt = Attempt {
            service: self,
            client,
            context,
            now,
        };
        let step = if creates {
            attempt.sign_up(&request).await?
        } else {
            attempt.log_in(&request).await?
        };
        let login = match step {
            LoginStep::Done(login) => login,
            LoginStep::Next(challenge) => return Err(go_on(&request, challenge)),
        };
        let answer = attempt.issue_code(&login, wish).await?;
        self.accounts.upgrade_hash(&login, &request.password).await;
        // The account was disabled, or its password changed, in between.
        answer.ok_or_else(|| go_on(&request, Challenge::RightPassword))
    }

    /// Takes up what an earlier request of the same login has said; answers when the login is over.
    fn resume(
        &self,
        client: &Client,
        request: ChallengeRequest,
        now: Timestamp,
    ) -> Result<(ChallengeRequest, Timestamp), OAuthError> {
        let Some(sealed) = &request.auth_session else {
            return Ok((request, now + LOGIN_LIFETIME));
        };
        let invalid = || {
            let description = "the auth_session is unknown or over; start again without it";
            OAuthError::new(OAuthErrorCode::InvalidSession, description)
        };
        let opened = self.accounts.tokens.open(PURPOSE, sealed);
        let known: AuthSession = opened
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(invalid)?;
        if known.client_id != client.id.as_str() || now >= known.expires_at {
            return Err(invalid());
        }
        let first = known.request;
        // What was asked for at the start stands; a request that asks for something else now is
        // another login.
        let keeps = |now: &Option<String>, then: &Option<String>| now.is_none() || now == then;
        let same = keeps(&request.scope, &first.scope)
            && keeps(&request.code_challenge, &first.code_challenge)
            && keeps(&request.code_challenge_method, &first.code_challenge_method)
            && keeps(&request.response_type, &first.response_type)
            && keeps(&request.prompt, &first.prompt)
            && (request.resources.is_empty() || request.resources == first.resources);
        if !same {
            return Err(invalid());
        }
        let request = ChallengeRequest {
            username: request.username.or(first.username),
            email: request.email.or(first.email),
            password: request.password,
            refresh_token: request.refresh_token,
            auth_session: None,
            ..first
        };
        Ok((request, known.expires_at))
    }

    /// A refusal with which the client can go on.
    fn go_on(
        &self,
        client: &Client,
        request: &ChallengeRequest,
        challenge: Challenge,
        expires_at: Timestamp,
    ) -> ChallengeRefusal {
        let known = AuthSession {
            client_id: client.id.to_string(),
            expires_at,
            request: request.clone(),
        };
        let sealed = serde_json::to_vec(&known)
            .ok()
            .and_then(|bytes| self.accounts.tokens.seal(PURPOSE, &bytes).ok());
        let description = match challenge {
            Challenge::Password => "username and password are needed",
            Challenge::RightPassword => "username or password is wrong",
        };
        let code = OAuthErrorCode::InsufficientAuthorization;
        ChallengeRefusal {
            error: OAuthError::new(code, description).into(),
            auth_session: sealed,
            is_wrong_password: challenge == Challenge::RightPassword,
        }
    }

    fn wish(&self, client: &Client, request: &ChallengeRequest) -> Result<Wish, OAuthError> {
        let scope = grant_scope(request.scope.as_deref(), &client.metadata.scope)?;
        let resources: Vec<&str> = request.resources.iter().map(String::as_str).collect();
        let audience = grant_audience(&resources, &client.metadata, &self.issuer)?;
        Ok(Wish {
            scope,
            audience,
            code_challenge: check_challenge(
                client,
                request.code_challenge.as_deref(),
                request.code_challenge_method.as_deref(),
            )?,
        })
    }
}

/// One request with a name and a password.
struct Attempt<'a> {
    service: &'a TokenService,
    client: &'a Client,
    context: &'a RequestContext,
    now: Timestamp,
}

impl Attempt<'_> {
    async fn log_in(&self, request: &ChallengeRequest) -> Result<LoginStep, AccountError> {
        let credentials = Credentials {
            identifier: request.username.as_deref(),
            password: request.password.as_ref().map(|password| password.as_str()),
            client: Some(self.client),
            address: self.context.address,
            counts_address: self.counts_address(),
            device_token: request.refresh_token.as_ref().map(|token| token.as_str()),
            browser: None,
        };
        self.service.accounts.log_in(&credentials, self.now).await
    }

    async fn sign_up(&self, request: &ChallengeRequest) -> Result<LoginStep, GrantError> {
        let (Some(username), Some(password)) = (&request.username, &request.password) else {
            return Ok(LoginStep::Next(Challenge::Password));
        };
        if !self.service.signup {
            let description = "people cannot sign up here";
            return Err(OAuthError::invalid_request(description).into());
        }
        let malformed = |error: &dyn std::fmt::Display| {
            GrantError::from(OAuthError::invalid_request(error.to_string()))
        };
        let registration = Registration {
            username: username.parse().map_err(|error| malformed(&error))?,
            email: match &request.email {
                None => None,
                Some(email) => Some(email.parse().map_err(|error| malformed(&error))?),
            },
            profile: Profile::default(),
        };
        let accounts = &self.service.accounts;
        if let Some(address) = self.context.address.filter(|_| self.counts_address()) {
            accounts.charge_sign_up(address, self.now).await?;
        }
        let origin = self.origin(Actor::Client(self.client.id.clone()));
        let user = accounts
            .sign_up(registration, password, &origin, self.now)
            .await?;
        let login = Login::after_sign_up(user, self.now);
        Ok(LoginStep::Done(Box::new(login)))
    }

    /// A server that logs many people in is one address for all of them.
    fn counts_address(&self) -> bool {
        self.client.is_public() && self.context.address_counts
    }

    async fn issue_code(
        &self,
        login: &Login,
        wish: Wish,
    ) -> Result<Option<ChallengeResponse>, GrantError> {
        let Self { client, now, .. } = *self;
        let accounts = &self.service.accounts;
        let (text, digest) = accounts.tokens.new_code()?;
        let code = AuthorizationCode {
            digest,
            client_id: client.id.clone(),
            user_id: login.user.id,
            scope: wish.scope,
            audience: wish.audience,
            code_challenge: wish.code_challenge,
            // It is not sent by redirect, so a redirect URI at the token endpoint is a mistake.
            redirect_uri: None,
            login_id: None,
            nonce: None,
            userinfo_claims: RequestedClaims::default(),
            id_token_claims: RequestedClaims::default(),
            authentication: login.authentication.clone(),
            device: self.context.device.clone(),
            address: self.context.address,
            expires_at: now + CODE_LIFETIME,
        };
        // Whoever has shown a password has one, and it has a date.
        let Some(password_changed_at) = login.user.password_changed_at else {
            return Ok(None);
        };
        let success = LoginSuccess {
            code,
            password_changed_at,
            forget: login.forget.clone(),
            refund: login.refund.clone(),
        };
        let origin = self.origin(Actor::User(login.user.id));
        let record = accounts
            .trail
            .record(AuditKind::LoginSucceeded, &origin, now)?
            .about_user(login.user.id)
            .about_client(&client.id);
        if accounts.store.issue_code(&success, now, &record).await? {
            return Ok(Some(ChallengeResponse {
                authorization_code: text,
            }));
        }
        let mut refused = accounts
            .trail
            .record(AuditKind::LoginFailed, &origin, now)?
            .about_client(&client.id)
            .with_detail("the account changed in between");
        refused.user = record.user;
        accounts.trail.write(&refused).await?;
        Ok(None)
    }

    fn origin(&self, actor: Actor) -> Origin {
        Origin {
            actor,
            address: self.context.address,
        }
    }
}

fn check_client(client: &Client) -> Result<(), OAuthError> {
    super::check_grant(client, GrantType::AuthorizationCode)?;
    if client.metadata.first_party {
        return Ok(());
    }
    let description = "only first-party clients may ask for a password; send the person to a \
                       browser";
    Err(OAuthError::new(
        OAuthErrorCode::UnauthorizedClient,
        description,
    ))
}

fn check_response_type(request: &ChallengeRequest) -> Result<(), OAuthError> {
    match request.response_type.as_deref() {
        Some("code") => Ok(()),
        None => Err(OAuthError::invalid_request("response_type is missing")),
        Some(_) => {
            let description = "the response type is code";
            let code = OAuthErrorCode::UnsupportedResponseType;
            Err(OAuthError::new(code, description))
        }
    }
}

/// Whether an account is to be made first.
fn check_prompt(request: &ChallengeRequest) -> Result<bool, OAuthError> {
    match request.prompt.as_deref() {
        None | Some("login") => Ok(false),
        Some("create") => Ok(true),
        Some(_) => {
            let description = "this prompt needs a page in a browser";
            Err(OAuthError::new(OAuthErrorCode::RedirectToWeb, description))
        }
    }
}
