//! What the rules need from the outside world. Adapters implement these traits; nothing here knows
//! how.

mod audit;
mod browser;
mod fleet;
mod master_key;
mod outbound;
mod people;
mod revocation;
mod sessions_in_memory;
mod tokens;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokensmith_verify::revocation::{HEARTBEAT_TYP, LIST_TYP, SNAPSHOT_TYP};

use super::Timestamp;
use super::algorithm::Algorithm;
use super::audit::AuditRecord;
use super::client::{Client, ClientMetadata, ClientSecret, SecretDigest};
use super::id::{ClientId, Kid, SecretId};
use super::key::{KeySchedule, PublicJwk, SealedPrivateKey, SigningKey};
use super::password::{Password, PasswordHash};
use super::revocation::StatusIndex;

pub use audit::{AuditFilter, AuditStore, ChainSealer};
pub use browser::{
    BrowserStore, CodeGrant, CodeGranting, GrantBasis, LoginEnd, LogoutDelivery, PushedName,
    PushedRequest, RequestDigest, SignIn, SignInOutcome, StoredLogin,
};
pub use fleet::FleetStore;
pub use master_key::{
    MasterKeyRenewal, MasterKeyStore, RenewalOutcome, RenewalRecords, SealedInheritance,
};
pub use outbound::{DeliveryFailure, LogoutReceivers};
pub use people::{
    Account, AuthorizationCode, Charge, CodeDigest, LoginSuccess, NewUser, PasswordOrder,
    PeopleStore, Redemption, Rotation, SessionUse, StoredCode, StoredSession, UserChange,
    UserCreation,
};
pub use revocation::{LogState, RevocationStore, RevocationView, StatusIndices, StatusPermutation};
pub use sessions_in_memory::SessionMemory;
pub use tokens::{
    AccessTokenReader, IdTokenHint, IdTokenReader, ReferenceToken, SessionTokens,
    UnverifiedLoginCookie, UnverifiedReferenceToken, UnverifiedRefreshToken,
};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// Gives random bytes fit for secrets.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The operating system gave no random bytes; nothing secret can be made.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoEntropy;

/// A parsed signing key that stays in memory.
pub trait TokenSigner: Send + Sync {
    /// Whose signature it is.
    fn kid(&self) -> &Kid;
    /// Makes a JWS in compact form with `typ` `at+jwt` (RFC 9068 §2.1) around the payload.
    fn sign_access_token(&self, payload: &[u8]) -> Result<String, SigningFailed>;
    /// Makes a JWS in compact form of another kind around the payload.
    fn sign(&self, kind: TokenKind, payload: &[u8]) -> Result<String, SigningFailed>;
}

/// What a signed token is, other than an access token. The `typ` header says it, so that none can
/// pass for another (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An ID token (`OpenID` Connect Core §2).
    IdToken,
    /// A logout token (`OpenID` Connect Back-Channel Logout 1.0 §2.4).
    LogoutToken,
    /// A status list (draft-ietf-oauth-status-list §5.1).
    StatusList,
    /// The state of all revocations but for the lists themselves.
    RevocationSnapshot,
    /// Word that the log of revocations ends here.
    RevocationHeartbeat,
}

impl TokenKind {
    /// The `typ` header.
    #[must_use]
    pub const fn typ(self) -> &'static str {
        match self {
            Self::IdToken => "JWT",
            Self::LogoutToken => "logout+jwt",
            Self::StatusList => LIST_TYP,
            Self::RevocationSnapshot => SNAPSHOT_TYP,
            Self::RevocationHeartbeat => HEARTBEAT_TYP,
        }
    }
}

/// The signature could not be made. There is no unsigned fallback.
#[derive(Debug, thiserror::Error)]
#[error("the signing key {kid} failed to sign")]
pub struct SigningFailed {
    /// Which key.
    pub kid: Kid,
}

/// Answers which key signs.
pub trait SigningKeys: Send + Sync {
    /// The signer of an algorithm at an instant; `None` when no such key exists yet.
    fn signer(&self, algorithm: Algorithm, now: Timestamp) -> Option<Arc<dyn TokenSigner>>;
}

/// Answers who a client is, without a database operation.
pub trait ClientDirectory: Send + Sync {
    /// The client, enabled or not.
    fn find_client(&self, id: &ClientId) -> Option<Arc<Client>>;
    /// Takes note that a secret has authenticated its client.
    fn note_secret_use(&self, secret: SecretId, now: Timestamp);
}

/// Makes, recognises and compares the secrets that the server hands out.
pub trait SecretMint: Send + Sync {
    /// A new client secret: its text, shown once, and its digest, stored.
    fn mint_client_secret(&self) -> Result<(String, SecretId, SecretDigest), NoEntropy>;
    /// Whether `presented` is the secret behind one of the digests; the time taken depends on
    /// neither.
    fn find_matching<'a>(
        &self,
        presented: &str,
        candidates: &mut dyn Iterator<Item = &'a ClientSecret>,
    ) -> Option<&'a ClientSecret>;
}

/// Makes, opens and destroys key pairs.
pub trait KeyVault: Send + Sync {
    /// A new key pair.
    fn generate(&self, algorithm: Algorithm) -> Result<KeyMaterial, KeyVaultError>;
    /// A key pair that an operator brings as PEM (PKCS#8, or PKCS#1 for RSA).
    fn import(&self, pem: &str, algorithm: Algorithm) -> Result<KeyMaterial, KeyVaultError>;
    /// The signer of a stored key.
    fn open(&self, key: &SigningKey) -> Result<Arc<dyn TokenSigner>, KeyVaultError>;
}

/// A key pair ready to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyMaterial {
    /// RFC 7638 thumbprint.
    pub kid: Kid,
    /// Public half.
    pub public_jwk: PublicJwk,
    /// Private half, sealed to this `kid`.
    pub sealed_private: SealedPrivateKey,
}

/// Why a key cannot be made, imported or opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyVaultError {
    /// The PEM holds no private key of a kind that is accepted.
    #[error(
        "the file holds no private key in PEM: expected one block `PRIVATE KEY` (PKCS#8) or \
         `RSA PRIVATE KEY` (PKCS#1)"
    )]
    NotAPrivateKey,
    /// Encrypted PEM.
    #[error(
        "the private key is encrypted; decrypt it first, for example with \
         `openssl pkcs8 -in key.pem -out plain.pem`"
    )]
    Encrypted,
    /// The key is not of the kind that the algorithm needs, or is damaged.
    #[error("the key is damaged, or is not a key for {0}")]
    WrongKind(Algorithm),
    /// RSA outside 2,048 to 4,096 bits.
    #[error("an RSA key must have 2048 to 4096 bits")]
    RsaSize,
    /// An even or small public exponent.
    #[error("the RSA public exponent must be odd and at least 65537")]
    RsaExponent,
    /// The verifier library would not accept the key, for example because its modulus is weak.
    #[error("verifiers refuse this key: {0}")]
    RefusedByVerifiers(String),
    /// The sealed private key does not open: another master key, or a changed row.
    #[error("the private key {0} does not open with this master key")]
    Sealed(Kid),
    /// The private half is gone.
    #[error("the private key {0} has been destroyed")]
    Destroyed(Kid),
    /// The operation failed inside the cryptographic library.
    #[error("the cryptographic library failed to make a key")]
    Failed,
}

/// Checks and makes password hashes, on threads of its own, so that a flood of logins cannot delay
/// anything else.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// A new hash with the parameters of today.
    async fn hash(&self, password: Password) -> Result<PasswordHash, PasswordError>;
    /// Whether `password` is the one behind `stored`. With `None` (nobody has that name) the work
    /// of a hash of today is done for nothing, so that the time tells nothing.
    async fn verify(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<PasswordVerdict, PasswordError>;
    /// How many passwords wait until a thread takes them up.
    fn waiting(&self) -> usize;
    /// Whether a further one would be turned away just now.
    fn is_busy(&self) -> bool;
}

/// What became of a password that somebody presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordVerdict {
    /// It is not the one, or nobody has that name.
    Wrong,
    /// It is the one.
    Right {
        /// The stored hash is of an older kind or of other parameters; a new one should take its
        /// place now that the password is at hand.
        needs_upgrade: bool,
    },
}

/// Why a password was neither hashed nor checked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PasswordError {
    /// So many are waiting already that one more would wait too long.
    #[error("too many passwords are waiting to be checked")]
    Busy,
    /// A defect, or the machine has no memory or randomness left.
    #[error("the password could not be hashed: {0}")]
    Failed(&'static str),
}

/// A client to store for the first time.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Its id.
    pub id: ClientId,
    /// What was registered.
    pub metadata: ClientMetadata,
    /// Its first secret; none for a public client.
    pub secret: Option<NewSecret>,
}

/// A secret to store.
#[derive(Clone, Debug)]
pub struct NewSecret {
    /// Its name.
    pub id: SecretId,
    /// Its digest.
    pub digest: SecretDigest,
    /// The bit of its tokens.
    pub status: StatusIndex,
}

/// What became of a request to change a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientChange {
    /// Done.
    Changed,
    /// It was so already.
    Unchanged,
    /// There is no such client.
    NoSuchClient,
}

/// What became of a request to rotate a secret.
#[derive(Clone, Debug, PartialEq)]
pub enum SecretRotation {
    /// The new secret is live and the others end as ordered; the client as it is now.
    Rotated(Box<Client>),
    /// Two secrets are live already; ending one early would be an outage for whoever uses it.
    TwoAreLive,
    /// There is no such client.
    NoSuchClient,
}

/// A change of the key table, applied whole or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyTransition {
    /// A key to add.
    pub insert: Option<SigningKey>,
    /// Keys whose instants move.
    pub reschedule: Vec<(Kid, KeySchedule)>,
    /// Keys to withdraw.
    pub revoke: Vec<Kid>,
    /// Keys whose private half is destroyed.
    pub destroy_private: Vec<Kid>,
}

/// A version of a table that replicas watch: it grows with every change, in commit order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i64);

/// The versions of all watched tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// Clients and their secrets.
    pub clients: Version,
    /// Signing keys.
    pub keys: Version,
}

/// A client as it is now, or word that it is gone.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientState {
    /// The client as it is.
    Present(Box<Client>),
    /// The client was deleted, or its row cannot be read: then nobody may act in its name.
    Gone(ClientId),
}

/// Tells master keys apart without telling anything about them: derived one-way from the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterKeyFingerprint(pub [u8; 16]);

impl fmt::Display for MasterKeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(4)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How busy the connections to the database are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections that are open.
    pub open: u32,
    /// Connections that wait for work.
    pub idle: u32,
    /// The most there may be.
    pub most: u32,
}

/// The database. Each method is one whole transition, committed when it returns. A transition that
/// takes a record writes it when, and only when, it changes something; it happens at the instant of
/// the record.
#[async_trait]
pub trait Store:
    PeopleStore + BrowserStore + AuditStore + RevocationStore + MasterKeyStore + FleetStore
{
    /// Registers a client. [`ClientChange::Unchanged`] when the id is taken.
    async fn create_client(
        &self,
        new: &NewClient,
        record: &AuditRecord,
    ) -> Result<ClientChange, StoreError>;
    /// One client.
    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError>;
    /// A page of clients in the order of their ids.
    async fn list_clients(
        &self,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<Client>, StoreError>;
    /// The clients that changed after `seen`, at most `limit`, oldest change first, with the
    /// version up to which the answer is complete.
    async fn clients_changed_since(
        &self,
        seen: Version,
        limit: u32,
    ) -> Result<(Vec<ClientState>, Version), StoreError>;
    /// Disables a client, and takes its tokens back.
    async fn disable_client(
        &self,
        id: &ClientId,
        record: &AuditRecord,
    ) -> Result<ClientChange, StoreError>;
    /// Enables a client; its secrets get these bits, oldest first.
    async fn enable_client(
        &self,
        id: &ClientId,
        fresh: &[StatusIndex],
        record: &AuditRecord,
    ) -> Result<ClientChange, StoreError>;
    /// Adds a secret and ends the others at `others_end_at`. With `force`, also when two are live.
    async fn rotate_client_secret(
        &self,
        id: &ClientId,
        rotation: &SecretRotationOrder,
        record: &AuditRecord,
    ) -> Result<SecretRotation, StoreError>;
    /// Deletes a client and its secrets.
    async fn delete_client(
        &self,
        id: &ClientId,
        record: &AuditRecord,
    ) -> Result<ClientChange, StoreError>;
    /// Stamps secrets with when they were last used.
    async fn record_secret_use(&self, uses: &[(SecretId, Timestamp)]) -> Result<(), StoreError>;
    /// All signing keys, and the version at which they were read.
    async fn signing_keys(&self) -> Result<(Vec<SigningKey>, Version), StoreError>;
    /// Changes signing keys if they are still at `seen`. `false` when another replica was first.
    async fn change_signing_keys(
        &self,
        transition: &KeyTransition,
        seen: Version,
        record: &AuditRecord,
    ) -> Result<bool, StoreError>;
    /// The versions of the watched tables.
    async fn versions(&self) -> Result<Versions, StoreError>;
    /// The fingerprint of the master key that the database belongs to, once it has been claimed.
    async fn master_key_fingerprint(&self) -> Result<Option<MasterKeyFingerprint>, StoreError>;
    /// Claims the database for a master key unless it is claimed; answers whose it is now.
    async fn claim_for_master_key(
        &self,
        fingerprint: MasterKeyFingerprint,
    ) -> Result<MasterKeyFingerprint, StoreError>;
    /// The clock of the database, where it has one of its own.
    async fn database_time(&self) -> Result<Option<Timestamp>, StoreError>;
    /// How busy the connections are.
    fn pool_use(&self) -> PoolUse;
    /// Finishes what is under way and closes the connections.
    async fn close(&self);
}

/// A new secret and what becomes of the older ones.
#[derive(Clone, Debug)]
pub struct SecretRotationOrder {
    /// The new secret.
    pub secret: NewSecret,
    /// When the older secrets end.
    pub others_end_at: Timestamp,
    /// Rotate although two secrets are live.
    pub force: bool,
}

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is too busy, or has no room. Trying again may help. Nothing was changed, as far
    /// as is known: when the answer was lost on the way, it may have been.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A row does not hold what this program writes. Nothing was changed.
    #[error("the database holds a row that cannot be read: {0}")]
    Corrupt(String),
    /// Anything else; a defect. Nothing was changed.
    #[error("the database refused a statement: {0}")]
    Failed(String),
}
