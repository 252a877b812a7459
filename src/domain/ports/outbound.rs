//! Calls to others at URLs that clients registered.

use async_trait::async_trait;

use crate::domain::web_url::WebUrl;

/// Brings logout tokens to the clients that asked for them (`OpenID` Connect Back-Channel Logout 1.0
/// §2.5).
#[async_trait]
pub trait LogoutReceivers: Send + Sync {
    /// Delivers one token, in seconds at most. It may arrive although the answer is a failure.
    async fn deliver(&self, to: &WebUrl, logout_token: &str) -> Result<(), DeliveryFailure>;
}

/// Why a token was not delivered, as far as is known.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeliveryFailure {
    /// The receiver does not want it: 400 or 410. The same token will not be wanted
    /// later either.
    #[error("the receiver refused it with status {0}")]
    Refused(u16),
    /// Another status, no answer in time, or no connection. Trying again may help. The text is for
    /// operators, has at most 200 characters and nothing secret.
    #[error("{0}")]
    Failed(String),
    /// The host is, or resolves to, nothing but addresses that must not be called.
    #[error("the receiver has no address that may be called; see the setting private_receivers")]
    Forbidden,
}
