//! Clients: registered, listed, disabled, given new secrets, deleted.

use std::sync::Arc;

use chrono::TimeDelta;

use super::AdminError;
use super::keys::KeyAdministration;
use crate::domain::Timestamp;
use crate::domain::audit::{AuditKind, AuditRecord, Origin};
use crate::domain::client::{Client, ClientMetadata, ClientSecret};
use crate::domain::client_registration;
use crate::domain::id::ClientId;
use crate::domain::issuer::Issuer;
use crate::domain::ports::{
    ClientChange, Entropy, NewClient, NewSecret, SecretMint, SecretRotation, SecretRotationOrder,
    StatusIndices, Store,
};

/// How long the older secret goes on after a rotation, unless told otherwise: a day to roll the
/// new one out.
pub const DEFAULT_OVERLAP: TimeDelta = TimeDelta::days(1);

/// The longest that an older secret may go on.
pub const MOST_OVERLAP: TimeDelta = TimeDelta::days(365);

/// The use cases around clients.
#[derive(Clone)]
pub struct ClientAdministration {
    /// Where clients are kept.
    pub store: Arc<dyn Store>,
    /// Makes their secrets.
    pub mint: Arc<dyn SecretMint>,
    /// Gives their tokens a bit.
    pub indices: Arc<dyn StatusIndices>,
    /// For ids that the server chooses.
    pub entropy: Arc<dyn Entropy>,
    /// Sees to it that there is a key for the client's algorithm.
    pub keys: KeyAdministration,
    /// Counts in the size of tokens.
    pub issuer: Issuer,
}

/// A client with the secret that was made for it, which is shown this once. Without `Debug`.
pub struct ClientWithSecret {
    /// The client.
    pub client: Client,
    /// Its new secret; `None` for a public client, which has none.
    pub secret: Option<String>,
}

/// How to rotate a secret.
#[derive(Clone, Copy, Debug)]
pub struct RotationWish {
    /// How long the older secret goes on.
    pub overlap: TimeDelta,
    /// Rotate although two secrets are live; the older of them ends at once.
    pub force: bool,
}

impl ClientAdministration {
    /// Registers a client and makes its first secret, unless it is a public client.
    ///
    /// # Errors
    /// When the registration breaks a rule or the id is taken.
    pub async fn create(
        &self,
        id: Option<ClientId>,
        metadata: ClientMetadata,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<ClientWithSecret, AdminError> {
        let minted = if metadata.is_public() {
            None
        } else {
            Some(self.mint.mint_client_secret()?)
        };
        let (text, secret) = match minted {
            None => (None, None),
            Some((text, id, digest)) => {
                let status = self.indices.next(now).await?;
                (Some(text), Some(NewSecret { id, digest, status }))
            }
        };
        let id = match id {
            Some(id) => id,
            None => self.invent_id()?,
        };
        let new = NewClient {
            id,
            metadata,
            secret,
        };
        let client = self.register(new, origin, now).await?;
        let secret = text;
        Ok(ClientWithSecret { client, secret })
    }

    /// Registers a client whose secret, where it has one, is known already.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn register(
        &self,
        new: NewClient,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Client, AdminError> {
        client_registration::check(&new.id, &new.metadata, &self.issuer)?;
        self.keys
            .ensure_signer(new.metadata.access_token_alg)
            .await?;
        let record = self.record(AuditKind::ClientCreated, &new.id, origin, now)?;
        match self.store.create_client(&new, &record).await? {
            // Not read back: once it is committed, nothing may keep the secret from its owner.
            ClientChange::Changed => Ok(registered(new, now)),
            ClientChange::Unchanged | ClientChange::NoSuchClient => {
                Err(AdminError::ClientExists(new.id))
            }
        }
    }

    /// A page of clients in the order of their ids.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list(
        &self,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<Client>, AdminError> {
        Ok(self.store.list_clients(after, limit).await?)
    }

    /// One client.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn show(&self, id: &ClientId) -> Result<Client, AdminError> {
        self.store
            .find_client(id)
            .await?
            .ok_or_else(|| AdminError::NoSuchClient(id.clone()))
    }

    /// Enables or disables a client. Doing so twice is no error.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn set_enabled(
        &self,
        id: &ClientId,
        enabled: bool,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Client, AdminError> {
        let kind = if enabled {
            AuditKind::ClientEnabled
        } else {
            AuditKind::ClientDisabled
        };
        let record = self.record(kind, id, origin, now)?;
        let change = if enabled {
            let mut fresh = Vec::new();
            for _ in self.show(id).await?.secrets {
                fresh.push(self.indices.next(now).await?);
            }
            self.store.enable_client(id, &fresh, &record).await?
        } else {
            self.store.disable_client(id, &record).await?
        };
        match change {
            ClientChange::Changed | ClientChange::Unchanged => self.show(id).await,
            ClientChange::NoSuchClient => Err(AdminError::NoSuchClient(id.clone())),
        }
    }

    /// Gives a client a further secret and plans the end of the older one.
    ///
    /// # Errors
    /// When two secrets are live already and the wish is not to force it, or when the client is
    /// public.
    pub async fn rotate_secret(
        &self,
        id: &ClientId,
        wish: RotationWish,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<ClientWithSecret, AdminError> {
        // Nothing turns one kind of client into the other, so this holds until the client is
        // deleted; and a secret of a public client would open nothing.
        if self.show(id).await?.is_public() {
            return Err(AdminError::NoSecretToRotate(id.clone()));
        }
        let (secret, secret_id, digest) = self.mint.mint_client_secret()?;
        let order = SecretRotationOrder {
            secret: NewSecret {
                id: secret_id,
                digest,
                status: self.indices.next(now).await?,
            },
            others_end_at: now + wish.overlap,
            force: wish.force,
        };
        let record = self.record(AuditKind::ClientSecretRotated, id, origin, now)?;
        match self.store.rotate_client_secret(id, &order, &record).await? {
            SecretRotation::Rotated(client) => Ok(ClientWithSecret {
                client: *client,
                secret: Some(secret),
            }),
            SecretRotation::TwoAreLive => Err(AdminError::TwoSecretsAreLive(id.clone())),
            SecretRotation::NoSuchClient => Err(AdminError::NoSuchClient(id.clone())),
        }
    }

    /// Deletes a client and its secrets.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn delete(
        &self,
        id: &ClientId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), AdminError> {
        let record = self.record(AuditKind::ClientDeleted, id, origin, now)?;
        match self.store.delete_client(id, &record).await? {
            ClientChange::Changed => Ok(()),
            ClientChange::Unchanged | ClientChange::NoSuchClient => {
                Err(AdminError::NoSuchClient(id.clone()))
            }
        }
    }

    fn record(
        &self,
        kind: AuditKind,
        id: &ClientId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<AuditRecord, AdminError> {
        let record = AuditRecord::new(kind, origin, now, &*self.entropy)?;
        Ok(record.about_client(id))
    }

    /// `c-` and 16 hexadecimal digits: short, and no UUID.
    fn invent_id(&self) -> Result<ClientId, AdminError> {
        let mut random = [0; 8];
        self.entropy.fill(&mut random)?;
        let id = format!("c-{:016x}", u64::from_be_bytes(random));
        Ok(id.parse()?)
    }
}

/// A client as it is right after its registration.
fn registered(new: NewClient, now: Timestamp) -> Client {
    let secret = new.secret.map(|secret| ClientSecret {
        id: secret.id,
        digest: secret.digest,
        status: secret.status,
        created_at: now,
        expires_at: None,
        last_used_at: None,
    });
    Client {
        id: new.id,
        metadata: new.metadata,
        created_at: now,
        disabled_at: None,
        secrets: secret.into_iter().collect(),
    }
}
