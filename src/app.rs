//! Builds the service from its parts; the only place that knows every layer.

mod commands;
mod demo;
mod master_key;
mod relay;
mod renewal;
mod server;
mod stop;
mod tls;
mod transport;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::accounts::trail::Trail;
use crate::accounts::{AccountError, Accounts};
use crate::admin::clients::ClientAdministration;
use crate::admin::cut_offs::CutOffs;
use crate::admin::keys::KeyAdministration;
use crate::admin::{AdminError, Administration};
use crate::clock::SystemClock;
use crate::config::{ConfigError, Settings};
use crate::crypto::{
    FeistelPermutation, HmacChainSealer, HmacSecretMint, KeyRefused, MasterKey, MasterKeyError,
    MasterKeyedTokens, PasswordPool, PasswordPoolError, SealedKeyVault, SystemEntropy,
    demo_client_secret, demo_password,
};
use crate::domain::issuer::Issuer;
use crate::domain::ports::{
    Clock, Entropy, KeyVaultError, MasterKeyFingerprint, SecretMint, StatusIndices, Store,
    StoreError,
};
use crate::outbound::NoHttpClient;
use crate::relay::InvalidUpstream;
use crate::revocation::LeasedIndices;
use crate::store::{self, DatabaseLocation, OpenError};
use crate::telemetry::metrics::Metrics;

pub use commands::main;
pub use server::{Application, Purpose};

/// Why the program did not start: one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong or missing.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The master key cannot be used.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// There is nothing to look at.
    #[error(
        "there is no installation at {0}: is this the right directory, and are the settings those of \
         the server? (`tokensmith dev`, `serve`, `client create` and `user create` make one)"
    )]
    NoInstallation(String),
    /// The database belongs to another master key.
    #[error(
        "wrong master key: this database was set up with the master key {expected}…, but {place} \
         holds {given}…; put back the master key that belongs to the database, or use another \
         database"
    )]
    WrongMasterKey {
        /// The fingerprint of the key that the database belongs to.
        expected: MasterKeyFingerprint,
        /// The fingerprint of the key that was found.
        given: MasterKeyFingerprint,
        /// Where it was found.
        place: String,
    },
    /// A renewal of the master key was interrupted.
    #[error(
        "the master key is being renewed: the database belongs to the new one already, which waits in \
         {}; stop all servers and run `tokensmith keys renew-master --yes`, which finishes it",
        .0.display()
    )]
    UnfinishedRenewal(PathBuf),
    /// The database belongs to a master key, and there is none.
    #[error(
        "the master key is missing: this database was set up with the master key {expected}…; put \
         the file back as {place}"
    )]
    MissingMasterKey {
        /// The fingerprint of the key that the database belongs to.
        expected: MasterKeyFingerprint,
        /// Where it should be.
        place: String,
    },
    /// The database failed at the start.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys could not be prepared.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A key could not be prepared.
    #[error(transparent)]
    Key(#[from] KeyVaultError),
    /// The keys of tokens could not be derived.
    #[error(transparent)]
    Tokens(#[from] KeyRefused),
    /// The threads that hash passwords could not be started.
    #[error(transparent)]
    Passwords(#[from] PasswordPoolError),
    /// The HTTP client that tells others that sessions are over could not be set up.
    #[error(transparent)]
    Outbound(#[from] NoHttpClient),
    /// The demo user could not be made.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The server failed.
    #[error("the server failed: {0}")]
    Server(#[source] std::io::Error),
    /// The server to relay cannot be used.
    #[error(transparent)]
    Upstream(#[from] InvalidUpstream),
    /// TLS files that cannot be used.
    #[error("{0}")]
    Tls(String),
    /// `dev` outside the loopback interface.
    #[error(
        "dev serves on loopback addresses only, not on {0}: it seeds a demo client and takes plain \
         http; for anything else run `tokensmith serve`"
    )]
    NotLoopback(SocketAddr),
    /// No issuer can be made of the address.
    #[error("{0}")]
    Issuer(String),
}

/// Whether a command may be the first one of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installation {
    /// It makes the database and the master key where there are none.
    MayBeMade,
    /// It looks at what is there; nothing there is most likely the wrong place.
    MustExist,
}

/// The parts that work on the database, for the command line and the server alike.
pub struct Parts {
    /// The use cases of administrators.
    pub administration: Administration,
    issuer: Issuer,
    entropy: Arc<dyn Entropy>,
    mint: Arc<HmacSecretMint>,
    indices: Arc<dyn StatusIndices>,
    metrics: Metrics,
    demo: DemoSecrets,
    master_key: MasterKeyFingerprint,
}

/// What `tokensmith dev` seeds; derived from the master key, so that it can be printed at every
/// start and is stored nowhere.
struct DemoSecrets {
    client_secret: String,
    password: String,
}

impl DemoSecrets {
    fn of(master: &MasterKey) -> Self {
        Self {
            client_secret: demo_client_secret(master),
            password: demo_password(master),
        }
    }
}

impl Parts {
    /// Opens the database, finds the master key that belongs to it, and makes both on the first
    /// start.
    ///
    /// # Errors
    /// One line that names what is wrong and what would help.
    pub async fn open(
        settings: &Settings,
        issuer: Issuer,
        installation: Installation,
    ) -> Result<Self, StartError> {
        match installation {
            Installation::MayBeMade => prepare_data_dir(settings)?,
            Installation::MustExist => refuse_missing_database(settings)?,
        }
        let metrics = Metrics::default();
        let store = store::open(
            &settings.database,
            settings.database_limits,
            metrics.store.clone(),
        )
        .await?;
        let master = master_key::of_installation(settings, installation, &*store).await?;
        Self::assemble(settings, issuer, (store, metrics), &master)
    }

    /// Once a server has joined the log of revocations, no renewal of the master key begins while it is
    /// there; until then, one may have come in between.
    async fn refuse_renewed_master_key(&self) -> Result<(), StartError> {
        let owner = self.administration.store.master_key_fingerprint().await?;
        match owner.filter(|owner| *owner != self.master_key) {
            Some(expected) => Err(StartError::WrongMasterKey {
                expected,
                given: self.master_key,
                place: "this server".to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Puts the parts together around a database and the master key that it belongs to.
    fn assemble(
        settings: &Settings,
        issuer: Issuer,
        (store, metrics): (Arc<dyn Store>, Metrics),
        master: &MasterKey,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
        let mint = Arc::new(HmacSecretMint::new(master, Arc::clone(&entropy)));
        let keys = KeyAdministration {
            store: Arc::clone(&store),
            vault: Arc::new(SealedKeyVault::new(master, Arc::clone(&entropy))?),
            policy: settings.rotation,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
        };
        let passwords = Arc::new(PasswordPool::start(
            settings.people.argon2,
            settings.people.hash_threads,
            settings.people.hash_queue,
            &entropy,
        )?);
        let sealer = Arc::new(HmacChainSealer::new(master));
        store.prove_records_with(Arc::clone(&sealer) as _);
        let trail = Trail::new(Arc::clone(&store), sealer, Arc::clone(&entropy));
        let accounts = Accounts {
            store: Arc::clone(&store),
            hasher: passwords,
            tokens: Arc::new(MasterKeyedTokens::new(master, Arc::clone(&entropy))?),
            entropy: Arc::clone(&entropy),
            trail,
            service_name: issuer.host().to_owned(),
            login_policy: settings.browser.logins,
        };
        let permutation = Arc::new(FeistelPermutation::new(master));
        let indices: Arc<dyn StatusIndices> =
            Arc::new(LeasedIndices::new(Arc::clone(&store), permutation));
        let clients = ClientAdministration {
            store: Arc::clone(&store),
            indices: Arc::clone(&indices),
            mint: Arc::clone(&mint) as Arc<dyn SecretMint>,
            entropy: Arc::clone(&entropy),
            keys: keys.clone(),
            issuer: issuer.clone(),
        };
        Ok(Self {
            administration: Administration {
                accounts,
                clients,
                keys,
                cut_offs: CutOffs {
                    store: Arc::clone(&store),
                    entropy: Arc::clone(&entropy),
                },
                clock,
                store,
            },
            issuer,
            entropy,
            mint,
            indices,
            metrics,
            demo: DemoSecrets::of(master),
            master_key: master.fingerprint(),
        })
    }
}

/// The issuer, or one made of the address to listen on, for commands that can do without.
fn issuer_or_local(settings: &Settings, address: SocketAddr) -> Result<Issuer, StartError> {
    match &settings.issuer {
        Some(issuer) => Ok(issuer.clone()),
        None => Issuer::parse(&format!("http://{address}"))
            .or_else(|_| Issuer::parse("http://localhost"))
            .map_err(|error| StartError::Issuer(error.to_string())),
    }
}

/// The default home of the embedded database is made on demand; a place that somebody named is
/// not, because it is likely mistyped.
fn prepare_data_dir(settings: &Settings) -> Result<(), OpenError> {
    let DatabaseLocation::Sqlite(path) = &settings.database else {
        return Ok(());
    };
    let data_dir = &settings.data_dir;
    if path.parent() != Some(data_dir) {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(data_dir).map_err(|error| {
        OpenError(format!(
            "cannot make the data directory {}: {error}",
            data_dir.display()
        ))
    })
}

fn refuse_missing_database(settings: &Settings) -> Result<(), StartError> {
    match &settings.database {
        DatabaseLocation::Sqlite(path) if !path.exists() => {
            // A directory that is missing, too, is named by the store.
            let directory = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            if directory.is_none_or(std::path::Path::is_dir)
                || directory == Some(&*settings.data_dir)
            {
                return Err(StartError::NoInstallation(settings.database.to_string()));
            }
            Ok(())
        }
        DatabaseLocation::Sqlite(_) | DatabaseLocation::Postgres(_) => Ok(()),
    }
}
