//! The client that `tokensmith dev` seeds, so that there is something to try.

use super::Parts;
use crate::admin::AdminError;
use crate::cli::dev::{DEMO_AUDIENCE, DEMO_CLIENT};
use crate::domain::client::{ClientMetadata, GrantType};
use crate::domain::id::{ClientId, SecretId};
use crate::domain::ports::{NewSecret, SecretMint};

/// Registers the client on a database without clients; answers its secret while it has that one.
pub(super) async fn seed(parts: &Parts) -> Result<Option<String>, AdminError> {
    let administration = &parts.administration;
    let now = administration.clock.now();
    let text = parts.demo_secret.clone();
    let id: ClientId = DEMO_CLIENT.parse()?;
    if administration.clients.list(None, 1).await?.is_empty() {
        let metadata = ClientMetadata {
            client_name: Some("Demo client of tokensmith dev".to_owned()),
            grant_types: [GrantType::ClientCredentials].into(),
            scope: "orders:read orders:write".parse().unwrap_or_default(),
            audiences: DEMO_AUDIENCE.parse().into_iter().collect(),
            ..ClientMetadata::default()
        };
        let mut secret_id = [0; 16];
        parts.entropy.fill(&mut secret_id)?;
        let secret = NewSecret {
            id: SecretId(secret_id),
            digest: parts.mint.digest(&text),
        };
        administration
            .clients
            .create_with_secret(Some(id), metadata, secret, now)
            .await?;
        return Ok(Some(text));
    }
    match administration.clients.show(&id).await {
        Ok(client) => {
            let mut live = client.live_secrets(now);
            let is_current = parts.mint.find_matching(&text, &mut live).is_some();
            Ok(is_current.then_some(text))
        }
        // Somebody has deleted it; it stays so.
        Err(AdminError::NoSuchClient(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
