//! The HTTP server around the endpoints.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_server::ServerBuilder;
use actix_web::dev::Server;
use actix_web::web;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::renewal::until_renewed;
use super::stop::{StopSignal, run_until_stopped};
use super::{Installation, Parts, StartError, demo, tls, transport};
use crate::admin::AdminError;
use crate::cli::dev::DemoCredentials;
use crate::config::{ConfigError, Settings};
use crate::domain::fleet::RunningReplica;
use crate::domain::id::ReplicaId;
use crate::domain::issuer::Issuer;
use crate::domain::revocation::LogTerms;
use crate::grants::{self, LogoutDeliveries, TokenService};
use crate::http::{self, Endpoints, StreamLimits, Surroundings};
use crate::outbound::{HttpLogoutReceivers, Reach};
use crate::replica::{KeyRing, Replica, RevocationLog};
use crate::revocation::{Feed, RevocationState};

/// How long the database may take when the process stops.
const TIDY_UP: Duration = Duration::from_secs(2);

/// A service that listens and is ready to run.
pub struct Application {
    server: Server,
    replica: Replica,
    deliveries: LogoutDeliveries,
    who: RunningReplica,
    parts: Parts,
    url: String,
    stop: StopSignal,
}

/// What a service is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `tokensmith dev`
    Development,
    /// `tokensmith serve`
    Production,
}

impl Application {
    /// Binds the address, opens the database, makes the first key where there is none, and loads
    /// everything into memory.
    ///
    /// # Errors
    /// One line that names what is wrong and what would help.
    pub async fn build(settings: &Settings, purpose: Purpose) -> Result<Self, StartError> {
        let address = settings.listen;
        if purpose == Purpose::Development && !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        let listener = bind(address)?;
        let address = listener.local_addr().unwrap_or(address);
        let issuer = match (&settings.issuer, purpose) {
            (Some(issuer), _) => issuer.clone(),
            (None, Purpose::Development) => super::issuer_or_local(settings, address)?,
            (None, Purpose::Production) => return Err(MISSING_ISSUER.into()),
        };
        let parts = Parts::open(settings, issuer.clone(), Installation::MayBeMade).await?;
        let replica = start_replica(&parts).await?;
        parts.refuse_renewed_master_key().await?;
        let endpoints = web::Data::new(endpoints(settings, &parts, &replica));
        let scheme = if settings.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let url = format!("{scheme}://{address}{}", issuer.path());
        // Before anybody can find the service ready, and stop it.
        let stop = StopSignal::register();
        let server = serve(settings, listener, move |config| {
            http::mount(config, &endpoints);
        })?;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            issuer = %issuer,
            address = %address,
            database = %settings.database,
            "listening"
        );
        Ok(Self {
            server,
            deliveries: deliveries(settings, purpose, &parts, &replica)?,
            who: this_replica(&parts)?,
            replica,
            parts,
            url,
            stop,
        })
    }

    /// Where the endpoints of the issuer are reached on this machine.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Seeds an empty database with something to try; answers what can be tried.
    ///
    /// # Errors
    /// When the database does not do it.
    pub async fn seed_demo(&self) -> Result<DemoCredentials, StartError> {
        let demo = demo::seed(&self.parts).await?;
        self.replica.refresh().await?;
        Ok(demo)
    }

    /// The issuer of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.parts.issuer
    }

    /// Serves until SIGTERM or SIGINT; then stops accepting, lets running requests finish, and
    /// closes the database.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run_until_stopped(self) -> std::io::Result<()> {
        let id = self.who.id;
        let upkeep = self.replica.clone().keep_up(self.deliveries, self.who);
        let upkeep = tokio::spawn(upkeep);
        let feed = self.replica.revocations.feed.clone();
        let store = &self.parts.administration.store;
        let outcome = tokio::select! {
            outcome = run_until_stopped(self.server, self.stop, feed) => outcome,
            () = until_renewed(&**store, self.parts.master_key) => {
                // Nothing is tidied up: it would be written with a key that is not to be used any more.
                upkeep.abort();
                return Err(std::io::Error::other(RENEWED));
            }
        };
        upkeep.abort();
        let tidy_up = async {
            // Connections that requests have made went with their threads. Whoever meets one of them fails,
            // and from then on they are tested.
            let _met = store.master_key_fingerprint().await;
            self.replica.write_secret_uses().await;
            if let Err(error) = self.replica.write_session_uses().await {
                tracing::warn!(%error, "when sessions were last used is not written down");
            }
            if let Err(error) = self.replica.finish_audit_log().await {
                tracing::warn!(%error, "the audit log is sealed at the next start");
            }
            if let Err(error) = store.forget_replica(id).await {
                tracing::warn!(%error, "`doctor` counts this replica for some seconds more");
            }
            store.close().await;
        };
        if timeout(TIDY_UP, tidy_up).await.is_err() {
            tracing::warn!("the database did not answer; stopping without it");
        }
        tracing::info!("stopped");
        outcome
    }
}

const MISSING_ISSUER: ConfigError = ConfigError::Missing {
    name: "issuer",
    expected: "the https URL under which clients reach this server, such as https://login.example.com",
    variable: "TOKENSMITH_ISSUER",
    flag: "--issuer",
};

const RENEWED: &str =
    "the master key of this database was renewed, and this server has the one from before";

async fn start_replica(parts: &Parts) -> Result<Replica, StartError> {
    let metrics = parts.metrics.clone();
    let ring = KeyRing::new(
        Arc::clone(&parts.administration.keys.vault),
        parts.issuer.clone(),
        metrics.signing.clone(),
    );
    let ring = Arc::new(ring);
    let log = RevocationLog::new(
        Arc::new(RevocationState::new(LogTerms::of(&parts.issuer))),
        Feed::new(metrics.feed.clone()),
        Arc::clone(&ring) as _,
        Arc::clone(&parts.administration.store),
        Arc::clone(&parts.administration.clock),
    );
    let replica = Replica::start(
        (ring, Arc::new(log)),
        parts.administration.keys.clone(),
        parts.administration.accounts.trail.clone(),
        Arc::clone(&parts.administration.clock),
        metrics,
    );
    Ok(replica.await?)
}

fn this_replica(parts: &Parts) -> Result<RunningReplica, StartError> {
    let now = parts.administration.clock.now();
    Ok(RunningReplica {
        id: ReplicaId::new(now, &*parts.entropy).map_err(AdminError::from)?,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        host: host_name(),
        started_at: now,
        seen_at: now,
    })
}

#[cfg(unix)]
fn host_name() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    "unknown".to_owned()
}

fn deliveries(
    settings: &Settings,
    purpose: Purpose,
    parts: &Parts,
    replica: &Replica,
) -> Result<LogoutDeliveries, StartError> {
    let reach = Reach {
        private: settings.private_receivers.clone(),
        loopback: purpose == Purpose::Development,
    };
    Ok(LogoutDeliveries {
        issuer: parts.issuer.clone(),
        clients: Arc::clone(&replica.clients) as _,
        keys: Arc::clone(&replica.keys) as _,
        store: Arc::clone(&parts.administration.store),
        entropy: Arc::clone(&parts.entropy),
        trail: parts.administration.accounts.trail.clone(),
        receivers: Arc::new(HttpLogoutReceivers::new(reach)?),
        metrics: parts.metrics.deliveries.clone(),
        under_way: Arc::new(Semaphore::new(grants::AT_ONCE)),
    })
}

fn endpoints(settings: &Settings, parts: &Parts, replica: &Replica) -> Endpoints {
    let service = TokenService {
        issuer: parts.issuer.clone(),
        access_token_lifetime: settings.access_token_ttl,
        session_policy: settings.people.sessions,
        signup: settings.people.signup,
        clients: Arc::clone(&replica.clients) as _,
        secrets: Arc::clone(&parts.mint) as _,
        keys: Arc::clone(&replica.keys) as _,
        reader: Arc::clone(&replica.keys) as _,
        hints: Arc::clone(&replica.keys) as _,
        entropy: Arc::clone(&parts.entropy),
        accounts: parts.administration.accounts.clone(),
        memory: Arc::clone(&replica.sessions) as _,
        indices: Arc::clone(&parts.indices),
        revocations: Arc::clone(&replica.revocations.state) as _,
    };
    Endpoints::new(
        service,
        parts.administration.clone(),
        replica.clone(),
        parts.metrics.clone(),
        Surroundings {
            jwks_max_age: settings.jwks_max_age,
            trusted_proxies: settings.trusted_proxies.clone(),
            streams: streams(settings),
            rates: settings.limits.rates,
            brand: settings.browser.brand.clone(),
        },
    )
}

pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|source| StartError::Listen { address, source })
}

pub(super) fn serve(
    settings: &Settings,
    listener: TcpListener,
    mount: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> Result<Server, StartError> {
    let address = settings.listen;
    close_unread(&listener, settings.limits.unread_timeout)
        .map_err(|source| StartError::Listen { address, source })?;
    let builder = ServerBuilder::default()
        .workers(settings.workers)
        .max_concurrent_connections(connections_per_worker(settings))
        .shutdown_timeout(settings.shutdown_timeout.as_secs())
        .disable_signals();
    let tls = settings.tls.as_ref().map(tls::server_config).transpose()?;
    transport::listen(
        builder,
        listener,
        (tls, settings.limits.idle_timeout),
        mount,
    )
    .map_err(|source| StartError::Listen { address, source })
}

/// As many streams as are allowed, and never more than three quarters of the connections: tokens must not wait
/// for readers to leave.
pub(super) fn streams(settings: &Settings) -> StreamLimits {
    let connections = connections_per_worker(settings) * settings.workers;
    let most = u32::try_from(connections / 4 * 3).unwrap_or(u32::MAX);
    if most < settings.streams.total {
        tracing::warn!(
            wanted = settings.streams.total,
            allowed = most,
            "fewer revocation streams than revocation.max_streams: the limit of open files is too low"
        );
    }
    StreamLimits {
        total: settings.streams.total.min(most),
        ..settings.streams
    }
}

/// As many connections as are wanted, or as there are file descriptors for, with some to spare for
/// the database; at the limit the kernel keeps further ones waiting, instead of the service failing to
/// accept.
fn connections_per_worker(settings: &Settings) -> usize {
    const SPARE: u64 = 128;
    const MOST: u64 = 25_000;
    let workers = settings.workers.max(1);
    let per_worker = file_descriptors().saturating_sub(SPARE) / (workers as u64);
    let possible = usize::try_from(per_worker.clamp(16, MOST)).unwrap_or(16);
    match settings.limits.connections {
        Some(wanted) => possible.min(wanted.get().div_ceil(workers)),
        None => possible,
    }
}

/// Ends connections whose peer lets what it was sent lie unread: the sockets that come from a listener
/// inherit this (tcp(7), `TCP_USER_TIMEOUT`). Without it, who asks and never reads keeps a connection
/// for ever.
#[cfg(target_os = "linux")]
fn close_unread(listener: &TcpListener, after: Duration) -> std::io::Result<()> {
    let millis = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
    Ok(rustix::net::sockopt::set_tcp_user_timeout(
        listener, millis,
    )?)
}

#[cfg(not(target_os = "linux"))]
fn close_unread(_: &TcpListener, _: Duration) -> std::io::Result<()> {
    Ok(())
}

/// The limit of this process, raised as far as the system allows.
#[cfg(unix)]
fn file_descriptors() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

#[cfg(not(unix))]
fn file_descriptors() -> u64 {
    8_192
}
