//! The issuer without HTTP: the real grant and the real keys over small ports. There is a database,
//! which tokens for services never touch.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tempfile::TempDir;
use tokensmith::accounts::Accounts;
use tokensmith::accounts::trail::Trail;
use tokensmith::clock::SystemClock;
use tokensmith::crypto::{
    HmacChainSealer, HmacSecretMint, MasterKey, MasterKeySource, MasterKeyedTokens, PasswordPool,
    SealedKeyVault, SystemEntropy,
};
use tokensmith::domain::Timestamp;
use tokensmith::domain::algorithm::Algorithm;
use tokensmith::domain::browser_login::LoginPolicy;
use tokensmith::domain::client::{Client, ClientMetadata, GrantType};
use tokensmith::domain::id::{ClientId, SecretId};
use tokensmith::domain::issuer::Issuer;
use tokensmith::domain::key::{KeySchedule, PublicJwk, SigningKey};
use tokensmith::domain::password::Argon2Parameters;
use tokensmith::domain::ports::{
    AccessTokenReader, ClientDirectory, Clock, Entropy, IdTokenHint, IdTokenReader, KeyVault,
    SigningKeys, StatusIndices, StoreError, TokenSigner,
};
use tokensmith::domain::revocation::{LogTerms, StatusIndex};
use tokensmith::domain::session_policy::SessionPolicy;
use tokensmith::grants::{AuthenticatedClient, ClientCredentialsRequest, TokenService};
use tokensmith::replica::SessionCache;
use tokensmith::revocation::RevocationState;
use tokensmith::store::{self, DatabaseLocation, StoreLimits};
use tokensmith::telemetry::metrics::StoreMetrics;
use tokensmith_verify::{Claims, Reject};
use zeroize::Zeroizing;

use crate::failure::{Doing, Failure, Outcome};
use crate::service::{AUDIENCE, SCOPE};

pub(super) const ISSUER: &str = "https://auth.example.com";

/// Issues tokens to one client in this process.
pub(super) struct InProcessIssuer {
    service: TokenService,
    client: AuthenticatedClient,
    jwk: PublicJwk,
    /// Of the database.
    _directory: TempDir,
}

impl InProcessIssuer {
    /// An issuer with a new RSA-2048 key.
    pub(super) async fn new() -> Outcome<Self> {
        let now = SystemClock.now();
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
        let master = master_key()?;
        let vault = SealedKeyVault::new(&master, Arc::clone(&entropy)).doing("making a vault")?;
        let key = signing_key(&vault, now)?;
        let signer = vault.open(&key).doing("opening the signing key")?;
        let directory = tempfile::tempdir().doing("making a directory")?;
        let issuer = Issuer::parse(ISSUER).doing("parsing the issuer")?;
        let service = TokenService {
            access_token_lifetime: Duration::from_mins(5),
            session_policy: SessionPolicy::default(),
            signup: false,
            clients: Arc::new(NoClients),
            secrets: Arc::new(HmacSecretMint::new(&master, Arc::clone(&entropy))),
            keys: Arc::new(OneKey(signer)),
            reader: Arc::new(NoTokens),
            hints: Arc::new(NoTokens),
            accounts: accounts(&master, &entropy, &directory).await?,
            memory: Arc::new(SessionCache::default()),
            indices: Arc::new(OneIndex),
            revocations: Arc::new(RevocationState::new(LogTerms::of(&issuer))),
            issuer,
            entropy,
        };
        Ok(Self {
            service,
            client: AuthenticatedClient::by_secret(Arc::new(client(now)?), INDEX),
            jwk: key.public_jwk,
            _directory: directory,
        })
    }

    /// A complete token: claims, JSON, base64url, signature.
    pub(super) fn token(&self) -> Outcome<String> {
        let request = ClientCredentialsRequest::default();
        let response = self
            .service
            .client_credentials(&self.client, &request, SystemClock.now())
            .doing("issuing a token")?;
        Ok(response.access_token)
    }

    /// The keys that it signs with.
    pub(super) fn keys(&self) -> Arc<dyn SigningKeys> {
        Arc::clone(&self.service.keys)
    }

    /// The public key as it would be published.
    pub(super) fn jwk(&self) -> &PublicJwk {
        &self.jwk
    }

    /// The key set as it would be served.
    pub(super) fn jwks(&self) -> String {
        serde_json::json!({ "keys": [self.jwk] }).to_string()
    }
}

/// The only one there is.
const INDEX: StatusIndex = StatusIndex::FIRST;

struct OneIndex;

#[async_trait::async_trait]
impl StatusIndices for OneIndex {
    async fn next(&self, _now: Timestamp) -> Result<StatusIndex, StoreError> {
        Ok(INDEX)
    }
}

/// What a signature covers: header and payload with the dot between them.
pub(super) fn signing_input(token: &str) -> Outcome<&str> {
    let parts = token.rsplit_once('.');
    let (input, _signature) = parts.ok_or_else(|| Failure::new("a token is no JWS"))?;
    Ok(input)
}

/// Accounts without anybody.
async fn accounts(
    master: &MasterKey,
    entropy: &Arc<dyn Entropy>,
    directory: &TempDir,
) -> Outcome<Accounts> {
    let location = DatabaseLocation::Sqlite(directory.path().join("tokensmith.db"));
    let limits = StoreLimits {
        connections: 1,
        timeout: Duration::from_secs(5),
    };
    let store = store::open(&location, limits, StoreMetrics::default());
    let store = store.await.doing("opening a database")?;
    let cheap = Argon2Parameters::new(8, 1, 1).doing("choosing a hash")?;
    let one = std::num::NonZeroUsize::MIN;
    let hasher = PasswordPool::start(cheap, one, one, entropy).doing("starting to hash")?;
    let tokens = MasterKeyedTokens::new(master, Arc::clone(entropy));
    let sealer = Arc::new(HmacChainSealer::new(master));
    Ok(Accounts {
        trail: Trail::new(Arc::clone(&store), sealer, Arc::clone(entropy)),
        store,
        hasher: Arc::new(hasher),
        tokens: Arc::new(tokens.doing("deriving the keys of tokens")?),
        entropy: Arc::clone(entropy),
        service_name: "auth.example.com".to_owned(),
        login_policy: LoginPolicy::default(),
    })
}

/// A master key that everybody knows: nothing here outlives the process.
fn master_key() -> Outcome<MasterKey> {
    let text = Zeroizing::new("A".repeat(43) + "=");
    MasterKey::load(&MasterKeySource::Value(text))
        .doing("reading the master key")?
        .ok_or_else(|| Failure::new("there is no master key"))
}

fn signing_key(vault: &SealedKeyVault, now: Timestamp) -> Outcome<SigningKey> {
    let algorithm = Algorithm::RS256;
    let material = vault.generate(algorithm).doing("making a signing key")?;
    Ok(SigningKey {
        kid: material.kid,
        algorithm,
        slot: 1,
        public_jwk: material.public_jwk,
        sealed_private: Some(material.sealed_private),
        created_at: now,
        schedule: KeySchedule {
            active_from: now,
            retires_at: Timestamp::MAX_UTC,
            removed_at: Timestamp::MAX_UTC,
        },
        revoked_at: None,
    })
}

/// The same client as the one of the service under load.
fn client(now: Timestamp) -> Outcome<Client> {
    let metadata = ClientMetadata {
        grant_types: [GrantType::ClientCredentials].into(),
        scope: SCOPE.parse().doing("parsing the scope")?,
        audiences: vec![AUDIENCE.parse().doing("parsing the audience")?],
        ..ClientMetadata::default()
    };
    Ok(Client {
        id: "bench".parse::<ClientId>().doing("parsing the client id")?,
        metadata,
        created_at: now,
        disabled_at: None,
        secrets: Vec::new(),
    })
}

struct OneKey(Arc<dyn TokenSigner>);

impl SigningKeys for OneKey {
    fn signer(&self, _: Algorithm, _: Timestamp) -> Option<Arc<dyn TokenSigner>> {
        Some(Arc::clone(&self.0))
    }
}

/// Nobody shows a token here.
struct NoTokens;

impl IdTokenReader for NoTokens {
    fn read_id_token_hint(&self, _: &str) -> Option<IdTokenHint> {
        None
    }
}

impl AccessTokenReader for NoTokens {
    fn read_access_token(
        &self,
        _: &str,
        _: Timestamp,
    ) -> Result<Claims<Map<String, Value>>, Reject> {
        Err(Reject::KeysUnavailable)
    }
}

/// Nobody authenticates here.
struct NoClients;

impl ClientDirectory for NoClients {
    fn find_client(&self, _: &ClientId) -> Option<Arc<Client>> {
        None
    }

    fn note_secret_use(&self, _: SecretId, _: Timestamp) {}
}

#[cfg(test)]
mod tests {
    use tokensmith_verify::{KeySet, Verifier};

    use super::*;

    #[tokio::test]
    async fn the_tokens_are_good() {
        let issuer = InProcessIssuer::new().await.unwrap();
        let keys = KeySet::from_json(&issuer.jwks()).unwrap();
        let verifier = Verifier::with_keys(ISSUER, keys).audience(AUDIENCE).build();
        let token = issuer.token().unwrap();
        assert_eq!(verifier.unwrap().verify(&token).unwrap().client_id, "bench");
        assert!(token.starts_with(signing_input(&token).unwrap()));
    }
}
