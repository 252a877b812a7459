//! Delivery of logout tokens (`OpenID` Connect Back-Channel Logout 1.0 §2.5).

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, redirect, retry};
use url::form_urlencoded;

use super::reach::{FilteringResolver, Forbidden, Reach};
use crate::domain::ports::{DeliveryFailure, LogoutReceivers};
use crate::domain::web_url::WebUrl;

const USER_AGENT: &str = concat!("tokensmith/", env!("CARGO_PKG_VERSION"));

/// The most characters of an error that are kept: certificates of others end up in it.
const MOST_REASON_CHARS: usize = 150;

/// How long a receiver may take.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// From the lookup of the name to the end of the answer's head.
    whole: Duration,
    /// From the lookup of the name to the end of the TLS handshake.
    connecting: Duration,
}

impl Patience {
    const ORDINARY: Self = Self {
        whole: Duration::from_secs(5),
        connecting: Duration::from_secs(2),
    };
}

/// Posts logout tokens over HTTP to addresses within reach.
pub struct HttpLogoutReceivers {
    client: Client,
    reach: Arc<Reach>,
}

/// The HTTP client cannot be made: the system has no root certificates, or they cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare calls to clients: {0}")]
pub struct NoHttpClient(String);

impl HttpLogoutReceivers {
    /// Receivers within reach, with 5 seconds for a delivery.
    ///
    /// # Errors
    /// When the root certificates of the system cannot be used.
    pub fn new(reach: Reach) -> Result<Self, NoHttpClient> {
        Self::with_patience(reach, Patience::ORDINARY)
    }

    fn with_patience(reach: Reach, patience: Patience) -> Result<Self, NoHttpClient> {
        let reach = Arc::new(reach);
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .timeout(patience.whole)
            .connect_timeout(patience.connecting)
            // What answers a redirect would be chosen by the receiver, not by the registration.
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name itself, and see other addresses than we allow.
            .no_proxy()
            .dns_resolver(FilteringResolver(Arc::clone(&reach)))
            // Each delivery resolves, checks and connects by itself; they are few.
            .pool_max_idle_per_host(0)
            .http1_only()
            // Whoever keeps the queue of deliveries counts the tries.
            .retry(retry::never())
            .build()
            .map_err(|error| NoHttpClient(reason(&error)))?;
        Ok(Self { client, reach })
    }
}

#[async_trait]
impl LogoutReceivers for HttpLogoutReceivers {
    async fn deliver(&self, to: &WebUrl, logout_token: &str) -> Result<(), DeliveryFailure> {
        if !self.reach.allows_literal(to.url()) {
            return Err(DeliveryFailure::Forbidden);
        }
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("logout_token", logout_token)
            .finish();
        let response = self
            .client
            .post(to.url().clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .map_err(|error| failure(&error.without_url()))?;
        // The body is not read: nothing in it would change what we do (§2.8).
        outcome(response.status())
    }
}

/// §2.8: 200, or for the sake of frameworks 204, is success, and 400 a token that was not accepted.
fn outcome(status: StatusCode) -> Result<(), DeliveryFailure> {
    let number = status.as_u16();
    if status.is_success() {
        Ok(())
    } else if [StatusCode::BAD_REQUEST, StatusCode::GONE].contains(&status) {
        Err(DeliveryFailure::Refused(number))
    } else if status.is_redirection() {
        // Often a page for the time of maintenance, as 404 and 403 may be during a deployment. A logout that is lost costs more than a few
        // more requests, so it is tried again.
        let text = format!("the receiver redirects ({number}), which is not followed");
        Err(DeliveryFailure::Failed(text))
    } else {
        let text = format!("the receiver answered with status {number}");
        Err(DeliveryFailure::Failed(text))
    }
}

fn failure(error: &reqwest::Error) -> DeliveryFailure {
    if causes(error).any(<dyn Error>::is::<Forbidden>) {
        return DeliveryFailure::Forbidden;
    }
    DeliveryFailure::Failed(if error.is_timeout() {
        "the receiver did not answer in time".to_owned()
    } else if error.is_connect() {
        format!("cannot connect to the receiver: {}", reason(error))
    } else {
        format!("the receiver gave no answer: {}", reason(error))
    })
}

/// The innermost cause; those around it only say that something failed.
fn reason(error: &reqwest::Error) -> String {
    let cause = causes(error).last().map(ToString::to_string);
    let cause = cause.unwrap_or_default();
    cause.chars().take(MOST_REASON_CHARS).collect()
}

/// The error and what is behind it.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let outermost: &(dyn Error + 'static) = error;
    std::iter::successors(Some(outermost), |&cause| cause.source())
}

#[cfg(test)]
mod tests;
