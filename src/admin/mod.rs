//! What administrators do, for the command line and for `/api/admin` alike.

pub mod clients;
pub mod cut_offs;
pub mod keys;
pub mod master_key;
pub mod view;

use std::sync::Arc;

use crate::accounts::Accounts;
use crate::domain::client_registration::InvalidRegistration;
use crate::domain::id::{ClientId, InvalidClientId, Kid};
use crate::domain::ports::{Clock, KeyVaultError, NoEntropy, Store, StoreError};

use clients::ClientAdministration;
use cut_offs::CutOffs;
use keys::KeyAdministration;

/// All use cases of administrators.
#[derive(Clone)]
pub struct Administration {
    /// People, their sessions and the audit log.
    pub accounts: Accounts,
    /// Clients.
    pub clients: ClientAdministration,
    /// Signing keys.
    pub keys: KeyAdministration,
    /// Cutting tokens off.
    pub cut_offs: CutOffs,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The database.
    pub store: Arc<dyn Store>,
}

/// Why an administrative act was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The registration breaks a rule.
    #[error(transparent)]
    InvalidRegistration(#[from] InvalidRegistration),
    /// The id is taken.
    #[error("there is a client {0} already")]
    ClientExists(ClientId),
    /// There is no such client.
    #[error("there is no client {0}")]
    NoSuchClient(ClientId),
    /// Rotating would end a secret that may be in use.
    #[error(
        "client {0} has two live secrets already; wait until the older one has ended, or force \
         the rotation, which ends the older one at once"
    )]
    TwoSecretsAreLive(ClientId),
    /// A public client has nothing to rotate.
    #[error("client {0} is public: it has no secret to rotate")]
    NoSecretToRotate(ClientId),
    /// There is no such key, or it is revoked already.
    #[error("there is no live key {0}")]
    NoSuchKey(Kid),
    /// Verifiers take so many keys and no more.
    #[error(
        "{0} keys of this algorithm are published already; wait until the older ones have left the \
         JWKS"
    )]
    TooManyKeys(usize),
    /// The key is in the table already.
    #[error("key {0} has been imported already")]
    KeyExists(Kid),
    /// The key could not be made, read or opened.
    #[error(transparent)]
    Key(#[from] KeyVaultError),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// A cut-off ahead of now would keep everybody waiting.
    #[error("the instant of a cut-off must not lie in the future")]
    CutOffAhead,
    /// Other replicas changed the keys again and again in between.
    #[error("the keys changed while this was under way; try again")]
    Contended,
    /// An id of the server's own making broke the rule for ids; a defect.
    #[error(transparent)]
    InvalidClientId(#[from] InvalidClientId),
    /// Work on another thread ended early.
    #[error("the work was cancelled")]
    Cancelled,
}
