//! Client authentication (RFC 6749 §2.3), and identification of public clients (§3.2.1).

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::TokenService;
use crate::domain::Timestamp;
use crate::domain::audit::{Actor, AuditKind, Origin};
use crate::domain::client::{Client, ClientAuthMethod};
use crate::domain::error::OAuthError;
use crate::domain::id::ClientId;
use crate::domain::revocation::StatusIndex;

/// How a request says which client it is from.
pub struct ClientCredential {
    /// Who the client says it is.
    pub client_id: String,
    /// How it proves that.
    pub presentation: Presentation,
}

/// The proof that came with a client id.
pub enum Presentation {
    /// None: a public client has nothing to prove itself with.
    Nothing,
    /// A secret, and where it was found.
    Secret(Zeroizing<String>, ClientAuthMethod),
}

/// A client that has proved who it is, as far as its kind can.
pub struct AuthenticatedClient {
    client: Arc<Client>,
    /// The bit of the tokens of the secret that it showed; a public client has none.
    pub(super) status: Option<StatusIndex>,
}

impl AuthenticatedClient {
    /// A client that has shown the secret with this bit.
    #[must_use]
    pub fn by_secret(client: Arc<Client>, status: StatusIndex) -> Self {
        Self {
            client,
            status: Some(status),
        }
    }
}

impl Deref for AuthenticatedClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl TokenService {
    /// Writes down that a request has not proved which client it is from; `claimed` is what it says.
    /// The answer does not depend on it, so a database that is away changes nothing for the caller.
    pub async fn note_refused_client(
        &self,
        claimed: Option<&ClientId>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) {
        let origin = Origin {
            actor: Actor::Stranger,
            address,
        };
        let known = claimed.and_then(|id| self.clients.find_client(id));
        let trail = &self.accounts.trail;
        let Ok(record) = trail.record(AuditKind::ClientRefused, &origin, now) else {
            return;
        };
        let record = match known {
            Some(client) => record.about_client(&client.id),
            // A name that a stranger made up does not get into the log.
            None => record.with_detail("unknown client"),
        };
        if let Err(error) = trail.refuse(record).await {
            tracing::warn!(%error, "a failed client authentication is not in the audit log");
        }
    }

    /// The client that the credential proves. Every failure is the same error after the same
    /// work: which part was wrong is nobody's business.
    pub fn authenticate_client(
        &self,
        credential: &ClientCredential,
        now: Timestamp,
    ) -> Result<AuthenticatedClient, OAuthError> {
        let client = credential
            .client_id
            .parse::<ClientId>()
            .ok()
            .and_then(|id| self.clients.find_client(&id))
            .filter(|client| client.disabled_at.is_none());
        match &credential.presentation {
            // A confidential client must not pass for a public one by leaving its secret out.
            Presentation::Nothing => client
                .filter(|client| client.is_public())
                .map(|client| AuthenticatedClient {
                    client,
                    status: None,
                })
                .ok_or_else(OAuthError::invalid_client),
            Presentation::Secret(secret, method) => {
                let client = client.filter(|client| client.accepts(*method));
                let secret = {
                    let mut live = client.iter().flat_map(|client| client.live_secrets(now));
                    self.secrets
                        .find_matching(secret, &mut live)
                        .map(|secret| (secret.id, secret.status))
                };
                let (Some(client), Some((secret, status))) = (client, secret) else {
                    return Err(OAuthError::invalid_client());
                };
                self.clients.note_secret_use(secret, now);
                Ok(AuthenticatedClient::by_secret(client, status))
            }
        }
    }
}
