//! Telling clients that a session is over (`OpenID` Connect Back-Channel Logout 1.0).
//!
//! A delivery is a row that is written in the transaction that ends the session, so none is lost; a
//! replica takes it for as long as a try lasts, so two seldom send the same one, and a client that
//! gets it twice can tell by the `sid`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::GrantError;
use crate::accounts::trail::Trail;
use crate::domain::Timestamp;
use crate::domain::algorithm::Algorithm;
use crate::domain::audit::{AuditKind, Origin};
use crate::domain::issuer::Issuer;
use crate::domain::ports::{
    ClientDirectory, DeliveryFailure, Entropy, LogoutDelivery, LogoutReceivers, SigningKeys, Store,
    StoreError, TokenKind,
};
use crate::domain::web_url::WebUrl;
use crate::telemetry::metrics::DeliveryMetrics;

/// How many deliveries are under way at once.
pub const AT_ONCE: usize = 512;
/// How long nobody else takes a delivery: longer than a try lasts.
const LEASE: Duration = Duration::from_secs(15);
/// How long after each try the next one comes; five tries over ten minutes.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(10),
    Duration::from_secs(50),
    Duration::from_mins(3),
    Duration::from_mins(6),
];
/// How long a logout token is good (§2.4 recommends two minutes).
const LIFETIME: Duration = Duration::from_mins(2);
const ALGORITHM: Algorithm = Algorithm::RS256;
/// The one event of a logout token (§2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What delivers.
#[derive(Clone)]
pub struct LogoutDeliveries {
    /// `iss` of the tokens.
    pub issuer: Issuer,
    /// Who the clients are.
    pub clients: Arc<dyn ClientDirectory>,
    /// Which keys sign.
    pub keys: Arc<dyn SigningKeys>,
    /// Where deliveries wait.
    pub store: Arc<dyn Store>,
    /// For `jti`.
    pub entropy: Arc<dyn Entropy>,
    /// The audit log.
    pub trail: Trail,
    /// The way to the clients.
    pub receivers: Arc<dyn LogoutReceivers>,
    /// Counts the tries.
    pub metrics: DeliveryMetrics,
    /// Room for [`AT_ONCE`] tries.
    pub under_way: Arc<Semaphore>,
}

/// A logout token (§2.4). Without `nonce`, which would make it an ID token.
#[derive(Serialize)]
struct LogoutClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    sub: String,
    sid: String,
    events: Map<String, Value>,
}

impl LogoutDeliveries {
    /// Takes up what is due. Each try goes its own way, so that a client that does not answer keeps
    /// nobody else waiting.
    ///
    /// # Errors
    /// When the database does not answer. What a client does is no error.
    pub async fn take_up_due(&self, now: Timestamp) -> Result<(), StoreError> {
        let room = self.under_way.available_permits();
        let limit = u32::try_from(room).unwrap_or(u32::MAX);
        if limit == 0 {
            return Ok(());
        }
        let due = self.store.claim_deliveries(now, now + LEASE, limit).await?;
        for delivery in due {
            let deliveries = self.clone();
            tokio::spawn(async move {
                let _room = deliveries.under_way.acquire().await;
                if let Err(error) = deliveries.deliver(&delivery, now).await {
                    // It is due again when the lease is over.
                    tracing::warn!(%error, "how a delivery ended is not written down");
                }
            });
        }
        Ok(())
    }

    async fn deliver(&self, delivery: &LogoutDelivery, now: Timestamp) -> Result<(), StoreError> {
        let Some(to) = self.receiver(delivery) else {
            return self.finish(delivery, "the client is gone", now).await;
        };
        let outcome = match self.logout_token(delivery, now) {
            Ok(token) => self.receivers.deliver(&to, &token).await,
            Err(error) => Err(DeliveryFailure::Failed(error.to_string())),
        };
        self.metrics.tried(match &outcome {
            Ok(()) => "delivered",
            Err(DeliveryFailure::Failed(_)) => "failed",
            Err(DeliveryFailure::Refused(_)) => "refused",
            Err(DeliveryFailure::Forbidden) => "forbidden",
        });
        let failure = match outcome {
            Ok(()) => return self.finish(delivery, "delivered", now).await,
            Err(failure) => failure,
        };
        tracing::warn!(
            client_id = %delivery.client_id,
            session = %delivery.session,
            tries = delivery.tries,
            error = %failure,
            "a client was not told that a session is over"
        );
        let pause = usize::try_from(delivery.tries.saturating_sub(1))
            .ok()
            .and_then(|tried| PAUSES.get(tried));
        match (failure, pause) {
            (DeliveryFailure::Failed(_), Some(pause)) => {
                self.store
                    .postpone_delivery(delivery.session, now + *pause)
                    .await
            }
            (DeliveryFailure::Failed(_), None) => {
                self.finish(delivery, "given up after five tries", now)
                    .await
            }
            (DeliveryFailure::Refused(_), _) => {
                self.finish(delivery, "refused by the client", now).await
            }
            (DeliveryFailure::Forbidden, _) => {
                let why = "the address of the client must not be called";
                self.finish(delivery, why, now).await
            }
        }
    }

    fn receiver(&self, delivery: &LogoutDelivery) -> Option<WebUrl> {
        let client = self.clients.find_client(&delivery.client_id)?;
        client.metadata.backchannel_logout_uri.clone()
    }

    fn logout_token(
        &self,
        delivery: &LogoutDelivery,
        now: Timestamp,
    ) -> Result<String, GrantError> {
        let signer = self
            .keys
            .signer(ALGORITHM, now)
            .ok_or(GrantError::NoSigningKey(ALGORITHM))?;
        let mut random = [0; 16];
        self.entropy.fill(&mut random)?;
        let issued_at = now.timestamp();
        let claims = LogoutClaims {
            iss: self.issuer.as_str(),
            aud: delivery.client_id.as_str(),
            iat: issued_at,
            exp: issued_at.saturating_add_unsigned(LIFETIME.as_secs()),
            jti: URL_SAFE_NO_PAD.encode(random),
            sub: delivery.user_id.to_string(),
            sid: delivery.session.to_string(),
            events: Map::from_iter([(EVENT.to_owned(), json!({}))]),
        };
        let payload = serde_json::to_vec(&claims).map_err(GrantError::Claims)?;
        Ok(signer.sign(TokenKind::LogoutToken, &payload)?)
    }

    async fn finish(
        &self,
        delivery: &LogoutDelivery,
        how: &'static str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let record = self
            .trail
            .record(AuditKind::LogoutDelivered, &Origin::SYSTEM, now)
            .map_err(|error| StoreError::Failed(error.to_string()))?
            .about_user(delivery.user_id)
            .about_client(&delivery.client_id)
            .about_session(delivery.session)
            .with_detail(how);
        self.store.finish_delivery(delivery.session, &record).await
    }
}
