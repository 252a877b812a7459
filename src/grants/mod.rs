//! The grants of the token endpoint, one file each, after a client has proved who it is.
//!
//! Each reads like its section of the RFC: checks in order, then the one thing that it issues.

mod access_token;
mod client_authentication;
mod client_credentials;

use std::sync::Arc;
use std::time::Duration;

use tokensmith_verify::ScopeSet;

use crate::domain::algorithm::Algorithm;
use crate::domain::error::OAuthError;
use crate::domain::issuer::Issuer;
use crate::domain::ports::{
    ClientDirectory, Entropy, NoEntropy, SecretMint, SigningFailed, SigningKeys,
};

pub use client_authentication::ClientCredential;
pub use client_credentials::ClientCredentialsRequest;

/// What the grants work with.
pub struct TokenService {
    /// `iss` of every token.
    pub issuer: Issuer,
    /// The lifetime of access tokens, unless the client has its own.
    pub access_token_lifetime: Duration,
    /// Who the clients are.
    pub clients: Arc<dyn ClientDirectory>,
    /// Compares their secrets.
    pub secrets: Arc<dyn SecretMint>,
    /// Which keys sign.
    pub keys: Arc<dyn SigningKeys>,
    /// For `jti`.
    pub entropy: Arc<dyn Entropy>,
}

/// A successful answer of the token endpoint (RFC 6749 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenResponse {
    /// The signed token.
    pub access_token: String,
    /// Its lifetime.
    pub expires_in: Duration,
    /// The granted scope.
    pub scope: ScopeSet,
}

/// Why a grant gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The client's mistake; it is told which.
    #[error(transparent)]
    Refused(#[from] OAuthError),
    /// No key signs with the client's algorithm yet.
    #[error("no {0} key signs yet")]
    NoSigningKey(Algorithm),
    /// The signature could not be made.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
    /// The claims could not be written as JSON; a defect, since registration checks them.
    #[error("the claims cannot be written as JSON: {0}")]
    Claims(serde_json::Error),
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}
