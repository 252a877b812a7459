//! The grants of the token endpoint, one file each, and what belongs to them: how a browser or a
//! first-party app gets a code, how tokens are introspected and revoked, and how people sign out.
//!
//! Each reads like its section of the RFC: checks in order, then the one thing that it issues.

mod access_token;
mod authorization;
mod authorization_code;
mod challenge;
mod client_authentication;
mod client_credentials;
mod end_session;
mod id_token;
mod introspection;
mod logout_delivery;
mod pkce;
mod presented_token;
mod pushed_request;
mod refresh_token;
mod revocation;
mod userinfo;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokensmith_verify::ScopeSet;
use zeroize::Zeroizing;

use crate::accounts::{AccountError, Accounts};
use crate::domain::algorithm::Algorithm;
use crate::domain::client::{Client, GrantType};
use crate::domain::device::DeviceLabel;
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::issuer::Issuer;
use crate::domain::ports::{
    AccessTokenReader, ClientDirectory, Entropy, IdTokenReader, NoEntropy, PasswordError,
    RevocationView, SecretMint, SessionMemory, SigningFailed, SigningKeys, StatusIndices,
    StoreError,
};
use crate::domain::session_policy::SessionPolicy;

pub use authorization::{
    AccountPlace, AuthorizationError, AuthorizationParameters, AuthorizationResponse, Decision,
    Errand, PendingRequest, Progress, ReturnAddress, StaleErrand, Visit,
};
pub use authorization_code::AuthorizationCodeRequest;
pub use challenge::{ChallengeRefusal, ChallengeRequest, ChallengeResponse};
pub use client_authentication::{AuthenticatedClient, ClientCredential, Presentation};
pub use client_credentials::ClientCredentialsRequest;
pub use end_session::{EndSession, EndSessionRequest};
pub use introspection::Introspection;
pub use logout_delivery::{AT_ONCE, LogoutDeliveries};
pub use presented_token::{Judged, PresentedToken};
pub use pushed_request::PushedResponse;
pub use refresh_token::{RefreshOutcome, RefreshRefusal, RefreshRequest, invalid_refresh_token};
pub use userinfo::UserinfoRefusal;

/// What the grants work with.
pub struct TokenService {
    /// `iss` of every token.
    pub issuer: Issuer,
    /// The lifetime of access tokens, unless the client has its own.
    pub access_token_lifetime: Duration,
    /// How long sessions live, unless the client has its own rule.
    pub session_policy: SessionPolicy,
    /// Whether people may make accounts for themselves.
    pub signup: bool,
    /// Who the clients are.
    pub clients: Arc<dyn ClientDirectory>,
    /// Compares their secrets.
    pub secrets: Arc<dyn SecretMint>,
    /// Which keys sign.
    pub keys: Arc<dyn SigningKeys>,
    /// Verifies what those keys have signed.
    pub reader: Arc<dyn AccessTokenReader>,
    /// Reads ID tokens that come back as hints.
    pub hints: Arc<dyn IdTokenReader>,
    /// For `jti` and session ids.
    pub entropy: Arc<dyn Entropy>,
    /// People and their sessions.
    pub accounts: Accounts,
    /// What this process remembers of sessions.
    pub memory: Arc<dyn SessionMemory>,
    /// Gives each session a bit for its tokens.
    pub indices: Arc<dyn StatusIndices>,
    /// What this process knows of revocations.
    pub revocations: Arc<dyn RevocationView>,
}

/// Where a request comes from.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// The address of the device, as far as trusted proxies tell.
    pub address: Option<IpAddr>,
    /// Whether failures count against that address. Behind a proxy that is not configured
    /// everybody has its private address, which does not count.
    pub address_counts: bool,
    /// What the device calls itself.
    pub device: Option<DeviceLabel>,
}

/// A successful answer of the token endpoint (RFC 6749 §5.1). Without `Debug`: both tokens are
/// secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenResponse {
    /// The signed token, or a reference.
    pub access_token: String,
    /// Its lifetime.
    pub expires_in: Duration,
    /// The granted scope.
    pub scope: ScopeSet,
    /// The refresh token to use next.
    pub refresh_token: Option<Zeroizing<String>>,
    /// Who has signed in, for the client itself; with scope `openid` and a code only.
    pub id_token: Option<String>,
}

/// Why a grant gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The client's mistake; it is told which.
    #[error(transparent)]
    Refused(#[from] OAuthError),
    /// A refresh token that is not accepted; the client is not told why.
    #[error("refresh {}", .0.as_str())]
    Refresh(RefreshRefusal),
    /// Too many failures before; so long to wait.
    #[error("too many failed attempts")]
    TooManyAttempts(TimeDelta),
    /// No key signs with the client's algorithm yet.
    #[error("no {0} key signs yet")]
    NoSigningKey(Algorithm),
    /// The signature could not be made.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
    /// The claims could not be written as JSON; a defect, since registration checks them.
    #[error("the claims cannot be written as JSON: {0}")]
    Claims(serde_json::Error),
    /// The password could not be checked.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl GrantError {
    /// Whether this is, or may be, the answer to a token or code that was used again, which ends its
    /// session.
    #[must_use]
    pub fn may_have_revoked(&self) -> bool {
        let is_harmless = matches!(self, Self::Refresh(RefreshRefusal::Refused));
        self.is_invalid_grant() && !is_harmless
    }

    /// Whether the client is told `invalid_grant`, and no more than that.
    #[must_use]
    pub fn is_invalid_grant(&self) -> bool {
        match self {
            Self::Refresh(_) => true,
            Self::Refused(error) => error.code == OAuthErrorCode::InvalidGrant,
            Self::TooManyAttempts(_)
            | Self::NoSigningKey(_)
            | Self::Signing(_)
            | Self::Claims(_)
            | Self::Password(_)
            | Self::Store(_)
            | Self::NoEntropy(_) => false,
        }
    }
}

/// RFC 6749 §5.2: the client must be registered for the grant.
fn check_grant(client: &Client, grant: GrantType) -> Result<(), OAuthError> {
    if client.allows(grant) {
        return Ok(());
    }
    let description = format!("this client is not registered for {grant}");
    Err(OAuthError::new(
        OAuthErrorCode::UnauthorizedClient,
        description,
    ))
}

impl From<AccountError> for GrantError {
    /// For acts that name no account and set no password; what cannot happen there is a defect
    /// of the caller and told as a refusal.
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Store(error) => Self::Store(error),
            AccountError::NoEntropy(error) => Self::NoEntropy(error),
            AccountError::Password(error) => Self::Password(error),
            AccountError::TooManyAttempts(wait) => Self::TooManyAttempts(wait),
            AccountError::NoSuchUser(_)
            | AccountError::NoSuchSession(_)
            | AccountError::NameTaken
            | AccountError::UnacceptablePassword(_)
            | AccountError::WrongPassword
            | AccountError::InvalidProfile(_)
            | AccountError::VerifiedNothing
            | AccountError::Seal(_) => {
                // RFC 6749 §5.2 allows no double quotes; advice about passwords has some.
                let description = error.to_string().replace('"', "'");
                Self::Refused(OAuthError::invalid_request(description))
            }
        }
    }
}
