//! Client authentication (RFC 6749 §2.3), and identification of public clients (§3.2.1).

use std::sync::Arc;

use zeroize::Zeroizing;

use super::TokenService;
use crate::domain::Timestamp;
use crate::domain::client::{Client, ClientAuthMethod};
use crate::domain::error::OAuthError;
use crate::domain::id::ClientId;

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

impl TokenService {
    /// The client that the credential proves. Every failure is the same error after the same
    /// work: which part was wrong is nobody's business.
    pub fn authenticate_client(
        &self,
        credential: &ClientCredential,
        now: Timestamp,
    ) -> Result<Arc<Client>, OAuthError> {
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
                .ok_or_else(OAuthError::invalid_client),
            Presentation::Secret(secret, method) => {
                let client = client.filter(|client| client.accepts(*method));
                let secret = {
                    let mut live = client.iter().flat_map(|client| client.live_secrets(now));
                    self.secrets
                        .find_matching(secret, &mut live)
                        .map(|secret| secret.id)
                };
                let (Some(client), Some(secret)) = (client, secret) else {
                    return Err(OAuthError::invalid_client());
                };
                self.clients.note_secret_use(secret, now);
                Ok(client)
            }
        }
    }
}
