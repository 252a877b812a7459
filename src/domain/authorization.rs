//! An authorization request (RFC 6749 §4.1.1, `OpenID` Connect Core §3.1.2.1) and the rule that says
//! what the person has to do before it is granted.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use tokensmith_verify::{Audience, ScopeSet};

use super::Timestamp;
use super::browser_login::BrowserLogin;
use super::claims::RequestedClaims;
use super::client::Client;
use super::consent::Consent;
use super::error::{OAuthError, OAuthErrorCode};
use super::id::{ClientId, UserId};
use super::ports::PushedName;
use super::session::goes_on_while_away;

/// A request whose client and redirect URI are registered and whose parameters are in order.
///
/// This is also the form in which it travels, sealed, through the person's browser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client_id: ClientId,
    /// Where the answer goes: as presented, which is not always as registered
    /// ([`super::redirect_uri::RedirectUri::matches`]).
    pub redirect_uri: String,
    /// How it travels there.
    pub response_mode: ResponseMode,
    /// What would be granted: what was asked for, as far as it is registered.
    pub scope: ScopeSet,
    /// For which APIs.
    pub audience: Audience,
    /// Repeated in the answer.
    pub state: Option<String>,
    /// Repeated in the ID token.
    pub nonce: Option<String>,
    /// `S256` (RFC 7636 §4.2).
    pub code_challenge: Option<String>,
    /// What the person should see.
    pub prompt: Prompt,
    /// How long ago the person may have signed in, in seconds.
    pub max_age: Option<u32>,
    /// Under which name the person will sign in, probably.
    pub login_hint: Option<String>,
    /// The one person that the answer may be about.
    pub subject: Option<UserId>,
    /// The `acr` values one of which has to be reached.
    pub essential_acr: Option<Vec<String>>,
    /// What userinfo shall tell beyond the scope.
    pub userinfo_claims: RequestedClaims,
    /// What the ID token shall tell.
    pub id_token_claims: RequestedClaims,
    /// Languages for the pages, best first.
    pub ui_locales: Vec<String>,
    /// How it was named where it was pushed (RFC 9126); the name is good for one answer.
    pub pushed_as: Option<PushedName>,
    /// When it came.
    pub started_at: Timestamp,
}

impl AuthorizationRequest {
    /// What the person is asked to agree to: the scope, and the scopes of single claims.
    #[must_use]
    pub fn asks_for(&self) -> ScopeSet {
        let claims = self.userinfo_claims.and(&self.id_token_claims);
        let mut names: Vec<&str> = self.scope.iter().collect();
        for scope in claims.scopes() {
            names.push(scope);
        }
        names
            .join(" ")
            .parse()
            .unwrap_or_else(|_| self.scope.clone())
    }

    /// Whether the client may not show the person anything (`OpenID` Connect Core §3.1.2.1).
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.prompt.none
    }
}

/// How an answer travels to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of the redirect URI (RFC 6749 §4.1.2).
    #[default]
    Query,
    /// In a form that the browser posts (`OAuth` 2.0 Form Post Response Mode).
    FormPost,
}

impl ResponseMode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Query, Self::FormPost];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
        }
    }
}

/// The values of `prompt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the parameter is a set of these very names"
)]
pub struct Prompt {
    /// Show nothing.
    pub none: bool,
    /// Ask for the password again.
    pub login: bool,
    /// Ask for agreement again.
    pub consent: bool,
    /// Let the person choose the account.
    pub select_account: bool,
    /// Let the person make an account (Initiating User Registration via `OpenID` Connect 1.0).
    pub create: bool,
}

/// The parameter is not a list of the known values, or combines `none` with another.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("prompt is none alone, or any of login, consent, select_account and create")]
pub struct InvalidPrompt;

impl Prompt {
    /// The values, for metadata.
    pub const VALUES: [&'static str; 5] = ["none", "login", "consent", "select_account", "create"];
}

impl std::str::FromStr for Prompt {
    type Err = InvalidPrompt;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut prompt = Self::default();
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            let wanted = match name {
                "none" => &mut prompt.none,
                "login" => &mut prompt.login,
                "consent" => &mut prompt.consent,
                "select_account" => &mut prompt.select_account,
                "create" => &mut prompt.create,
                _ => return Err(InvalidPrompt),
            };
            *wanted = true;
        }
        let others = prompt.login || prompt.consent || prompt.select_account || prompt.create;
        if prompt.none && others {
            return Err(InvalidPrompt);
        }
        Ok(prompt)
    }
}

/// What a request meets.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// Who is signed in, live.
    pub login: Option<&'a BrowserLogin>,
    /// What that person has agreed to before with this client.
    pub consent: Option<&'a Consent>,
    /// Whether the person has chosen the account since the request came.
    pub account_chosen: bool,
    /// The instant.
    pub now: Timestamp,
}

/// What comes next for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// The person has to sign in.
    LogIn(LoginReason),
    /// The person, who is signed in, has to say so, or to sign in as somebody else.
    ChooseAccount,
    /// The person has to agree.
    Consent,
    /// Nothing; there is a code.
    Grant,
    /// There is no way.
    Refuse(Refusal),
}

/// Why a request that is in order is refused without asking the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody has to sign in, and nothing may be shown.
    LoginRequired,
    /// Somebody has to agree, and nothing may be shown.
    ConsentRequired,
    /// Nobody can sign in here as the request insists on.
    UnmetAcr,
}

impl Refusal {
    /// The code for the client.
    #[must_use]
    pub const fn code(self) -> OAuthErrorCode {
        match self {
            Self::LoginRequired => OAuthErrorCode::LoginRequired,
            Self::ConsentRequired => OAuthErrorCode::ConsentRequired,
            Self::UnmetAcr => OAuthErrorCode::UnmetAuthenticationRequirements,
        }
    }

    /// The words for whoever writes the client.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::LoginRequired => "nobody is signed in as this request needs it",
            Self::ConsentRequired => "the person has to agree first",
            Self::UnmetAcr => "nobody can sign in here in a way that the essential acr asks for",
        }
    }
}

impl From<Refusal> for OAuthError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.description())
    }
}

/// Why somebody has to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginReason {
    /// Nobody is signed in.
    NobodyIs,
    /// Nobody is signed in, and the client would like an account to be made.
    MakeAccount,
    /// The last time was too long ago for this request (RFC 9470).
    TooLongAgo,
    /// Somebody else is signed in.
    SomebodyElseIs,
}

/// The `acr` values that a password reaches.
pub const ACR_VALUES: [&str; 1] = ["1"];

/// What comes next for a request: the one rule behind the authorization endpoint.
#[must_use]
pub fn next_step(request: &AuthorizationRequest, situation: &Situation<'_>) -> NextStep {
    let silently = |step, refusal| {
        if request.is_silent() {
            NextStep::Refuse(refusal)
        } else {
            step
        }
    };
    // Nobody can reach it, so nobody is asked to try (Unmet Authentication Requirements §2).
    if let Some(values) = &request.essential_acr
        && !values.iter().any(|value| ACR_VALUES.contains(&&**value))
    {
        return NextStep::Refuse(Refusal::UnmetAcr);
    }
    let login = match check_login(request, situation) {
        Ok(login) => login,
        Err(reason) => {
            return silently(NextStep::LogIn(reason), Refusal::LoginRequired);
        }
    };
    if request.prompt.select_account
        && !situation.account_chosen
        && !is_since_request(request, login)
    {
        return NextStep::ChooseAccount;
    }
    if needs_consent(request, situation) {
        return silently(NextStep::Consent, Refusal::ConsentRequired);
    }
    NextStep::Grant
}

/// The login that the request may be answered with.
fn check_login<'a>(
    request: &AuthorizationRequest,
    situation: &Situation<'a>,
) -> Result<&'a BrowserLogin, LoginReason> {
    let Some(login) = situation.login else {
        return Err(if request.prompt.create {
            LoginReason::MakeAccount
        } else {
            LoginReason::NobodyIs
        });
    };
    if request
        .subject
        .is_some_and(|subject| subject != login.user_id)
    {
        return Err(LoginReason::SomebodyElseIs);
    }
    let is_since = is_since_request(request, login);
    // Whoever has signed in since the request came has done what it asks for, however long the rest
    // of the way takes.
    if request.prompt.create && !is_since {
        return Err(LoginReason::MakeAccount);
    }
    let age = situation.now - login.authentication.at;
    let is_too_long_ago = request
        .max_age
        .is_some_and(|most| age > TimeDelta::seconds(most.into()));
    if (request.prompt.login || is_too_long_ago) && !is_since {
        return Err(LoginReason::TooLongAgo);
    }
    Ok(login)
}

fn is_since_request(request: &AuthorizationRequest, login: &BrowserLogin) -> bool {
    login.authentication.at >= request.started_at
}

fn needs_consent(request: &AuthorizationRequest, situation: &Situation<'_>) -> bool {
    let Situation { client, .. } = situation;
    if client.metadata.first_party {
        return false;
    }
    // OpenID Connect Core §11; and nobody knows whose app a native redirect opens (RFC 8252 §8.6).
    let has_to_be_shown = request.prompt.consent
        || goes_on_while_away(&request.scope)
        || (client.is_public() && !request.redirect_uri.starts_with("https://"));
    let is_known = || {
        situation.consent.is_some_and(|consent| {
            consent.covers(
                client,
                &request.asks_for(),
                &request.audience,
                situation.now,
            )
        })
    };
    has_to_be_shown || !is_known()
}

#[cfg(test)]
mod tests;
