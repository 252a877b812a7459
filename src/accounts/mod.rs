//! What people do with their accounts: sign up, sign in, change the password, look after their
//! devices; and what is written down about it.

pub mod browser;
pub mod devices;
pub mod login;
pub mod password;
pub mod registration;
pub mod sessions;
pub mod trail;
pub mod view;

use std::sync::Arc;

use chrono::TimeDelta;

use crate::domain::browser_login::LoginPolicy;
use crate::domain::id::{SessionId, UserId};
use crate::domain::password::UnacceptablePassword;
use crate::domain::ports::{
    Entropy, NoEntropy, PasswordError, PasswordHasher, SessionTokens, Store, StoreError,
};
use crate::domain::user::InvalidProfile;

use trail::{SealError, Trail};

/// The use cases around accounts.
#[derive(Clone)]
pub struct Accounts {
    /// Where accounts and sessions are kept.
    pub store: Arc<dyn Store>,
    /// Makes and checks password hashes.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Reads the tokens that tell a known device.
    pub tokens: Arc<dyn SessionTokens>,
    /// For new ids.
    pub entropy: Arc<dyn Entropy>,
    /// The audit log.
    pub trail: Trail,
    /// A password must not be made of this: the host of the issuer.
    pub service_name: String,
    /// How long people stay signed in in a browser.
    pub login_policy: LoginPolicy,
}

/// Why something about an account was not done.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such account.
    #[error("there is no user {0}")]
    NoSuchUser(UserId),
    /// The person has no such live session.
    #[error("there is no live session {0}")]
    NoSuchSession(SessionId),
    /// Another account has the username or the e-mail address.
    #[error("another account has that username or e-mail address")]
    NameTaken,
    /// The new password breaks a rule.
    #[error(transparent)]
    UnacceptablePassword(#[from] UnacceptablePassword),
    /// The old password is wrong.
    #[error("the current password is wrong")]
    WrongPassword,
    /// Too many failures before; so long to wait.
    #[error("too many failed attempts; wait {} seconds", .0.num_seconds() + 1)]
    TooManyAttempts(TimeDelta),
    /// A text of the profile cannot be stored.
    #[error(transparent)]
    InvalidProfile(#[from] InvalidProfile),
    /// There is no e-mail address that could be verified.
    #[error("email_verified needs an e-mail address")]
    VerifiedNothing,
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The audit log cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}
