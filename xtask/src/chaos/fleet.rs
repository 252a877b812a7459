//! The service that is tormented: replicas, their database, and the wires between them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokensmith_cluster::{
    Balancer, Cable, Postgres, Replica, ReplicaSettings, command_with_input, free_port,
};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::faults::{Fault, Fragile};
use super::history::{Event, Recorder};
use super::{ChaosError, Database};

/// What the service is run with. Keys are new within seconds, so that a rotation is over within a run; access
/// tokens live as long as they may, which the checker knows, so that those of sessions that have ended can be tried for long.
const SETTINGS: &[(&str, &str)] = &[
    ("TOKENSMITH_JWKS_MAX_AGE", "2s"),
    ("TOKENSMITH_KEYS_LEAD_TIME", "20s"),
    ("TOKENSMITH_TOKENS_ACCESS_TOKEN_TTL", "1h"),
    ("TOKENSMITH_LIMITS_ADDRESS_PER_SECOND", "0"),
];
/// A replica that is not ready after this time is started again, so many times.
const SLOW_START: Duration = Duration::from_secs(5);
const STARTS: usize = 6;
/// A crash must mean something, so PostgreSQL writes everything down before it says so.
const POSTGRES: &[&str] = &["max_connections=100", "fsync=on", "synchronous_commit=on"];

/// The replicas; everything ends when this is dropped.
pub(super) struct Fleet {
    replicas: Vec<Mutex<Replica>>,
    /// Between clients and each replica.
    pub(super) doors: Arc<Vec<Cable>>,
    /// Between each replica and the database server.
    wires: Vec<Cable>,
    postgres: Option<Mutex<Postgres>>,
    balancer: Balancer,
    /// The settings of commands, which reach the database past all cables.
    settings: ReplicaSettings,
    addresses: Vec<String>,
    _home: TempDir,
}

impl Fleet {
    pub(super) async fn start(
        database: Database,
        replicas: usize,
        binary: &Path,
    ) -> Result<Self, ChaosError> {
        let home = tempfile::Builder::new()
            .prefix("tokensmith-chaos")
            .tempdir();
        let home = home.map_err(|error| ChaosError::File(PathBuf::from("/tmp"), error))?;
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(Postgres::start(POSTGRES).await?),
        };
        let database_url = match &postgres {
            None => format!(
                "sqlite:{}",
                home.path().join("data/tokensmith.db").display()
            ),
            Some(postgres) => postgres.create_database("chaos").await?,
        };
        let mut ports = Vec::new();
        for _ in 0..replicas {
            ports.push(free_port()?);
        }
        let addresses = ports.iter().map(|port| ([127, 0, 0, 1], *port).into());
        let balancer = Balancer::listen(free_port()?, addresses.collect()).await?;
        let settings = ReplicaSettings {
            binary: binary.to_owned(),
            home: home.path().to_owned(),
            database_url,
            issuer: balancer.url(),
            environment: environment(),
        };
        let mut fleet = Self {
            replicas: Vec::new(),
            doors: Arc::default(),
            wires: Vec::new(),
            postgres: postgres.map(Mutex::new),
            balancer,
            addresses: ports
                .iter()
                .map(|port| format!("http://127.0.0.1:{port}"))
                .collect(),
            settings,
            _home: home,
        };
        fleet.lay_cables(&ports).await?;
        Ok(fleet)
    }

    async fn lay_cables(&mut self, ports: &[u16]) -> Result<(), ChaosError> {
        let server = match &self.postgres {
            None => None,
            Some(postgres) => Some(postgres.lock().await.port()),
        };
        let mut doors = Vec::new();
        for port in ports {
            doors.push(Cable::to(format!("127.0.0.1:{port}")).await?);
            let mut settings = self.settings.clone();
            if let Some(server) = server {
                let wire = Cable::to(format!("127.0.0.1:{server}")).await?;
                let (from, to) = (format!(":{server}/"), format!(":{}/", wire.port));
                settings.database_url = settings.database_url.replace(&from, &to);
                self.wires.push(wire);
            }
            let replica = Replica::start(settings, *port)?;
            replica.until_ready().await?;
            self.replicas.push(Mutex::new(replica));
        }
        self.doors = Arc::new(doors);
        Ok(())
    }

    /// The issuer, under which any replica answers.
    pub(super) fn issuer(&self) -> String {
        self.balancer.url()
    }

    /// The replicas themselves, past all cables.
    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// A file beside the database, if that is a file.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.settings.home.join(name)
    }

    /// What can break here.
    pub(super) fn fragile(&self) -> Fragile {
        Fragile {
            replicas: self.replicas.len(),
            has_database_server: self.postgres.is_some(),
        }
    }

    /// Runs a command of the program beside the replicas.
    pub(super) async fn command(
        &self,
        arguments: &[&str],
        input: &str,
    ) -> Result<String, ChaosError> {
        Ok(command_with_input(&self.settings, arguments, input).await?)
    }

    /// Starts everything again: a terminal tells all processes to end, not this one alone, and faults that
    /// were under way do not end by themselves any more.
    pub(super) async fn revive(&self, recorder: &Recorder) -> Result<(), ChaosError> {
        let began = recorder.now();
        if let Some(postgres) = &self.postgres {
            let mut postgres = postgres.lock().await;
            postgres.thaw();
            postgres.stop().await?;
            postgres.start_again()?;
            postgres.until_it_answers().await?;
        }
        for cable in self.doors.iter().chain(&self.wires) {
            cable.mend();
        }
        for replica in &self.replicas {
            start_again_after(&mut *replica.lock().await, Duration::ZERO).await?;
        }
        let fault = "everything started again".to_owned();
        recorder.record(began, "faults", Event::Fault { fault });
        Ok(())
    }

    /// Waits until all is well.
    pub(super) async fn until_ready(&self) -> Result<(), ChaosError> {
        for replica in &self.replicas {
            replica.lock().await.until_ready().await?;
        }
        Ok(())
    }

    /// What each replica has logged.
    pub(super) async fn logs(&self) -> Vec<String> {
        let mut logs = Vec::new();
        for replica in &self.replicas {
            logs.push(replica.lock().await.log());
        }
        logs
    }

    /// Lets something go wrong, and waits until it is right again.
    pub(super) async fn suffer(&self, fault: Fault, recorder: &Recorder) -> Result<(), ChaosError> {
        let began = recorder.now();
        match fault {
            Fault::Kill { replica, down } => {
                if let Some(replica) = self.replicas.get(replica) {
                    let mut replica = replica.lock().await;
                    replica.kill();
                    start_again_after(&mut replica, down).await?;
                }
            }
            Fault::Stop { replica, down } => {
                if let Some(replica) = self.replicas.get(replica) {
                    let mut replica = replica.lock().await;
                    replica.stop().await?;
                    start_again_after(&mut replica, down).await?;
                }
            }
            Fault::Freeze { replica, lasting } => {
                if let Some(replica) = self.replicas.get(replica) {
                    let replica = replica.lock().await;
                    send(&replica, Signal::STOP);
                    sleep(lasting).await;
                    send(&replica, Signal::CONT);
                    replica.until_ready().await?;
                }
            }
            Fault::BreakDoor { replica } => {
                self.doors
                    .get(replica)
                    .inspect(|door| door.break_connections());
            }
            Fault::SilenceDoor { replica, lasting } => {
                silence(self.doors.get(replica), lasting).await;
            }
            Fault::BreakWire { replica } => {
                self.wires
                    .get(replica)
                    .inspect(|wire| wire.break_connections());
            }
            Fault::SilenceWire { replica, lasting } => {
                silence(self.wires.get(replica), lasting).await;
            }
            Fault::SlowWire {
                replica,
                delay,
                lasting,
            } => {
                if let Some(wire) = self.wires.get(replica) {
                    wire.slow_down(delay);
                    sleep(lasting).await;
                    wire.mend();
                }
            }
            Fault::StopDatabase { .. }
            | Fault::CrashDatabase { .. }
            | Fault::FreezeDatabase { .. } => self.suffer_database(fault).await?,
        }
        let fault = fault.to_string();
        recorder.record(began, "faults", Event::Fault { fault });
        Ok(())
    }

    async fn suffer_database(&self, fault: Fault) -> Result<(), ChaosError> {
        let Some(postgres) = &self.postgres else {
            return Ok(());
        };
        let mut postgres = postgres.lock().await;
        let down = match fault {
            Fault::StopDatabase { down } => {
                postgres.stop().await?;
                down
            }
            Fault::CrashDatabase { down } => {
                postgres.crash().await?;
                down
            }
            Fault::FreezeDatabase { lasting } => {
                postgres.freeze();
                sleep(lasting).await;
                postgres.thaw();
                return Ok(postgres.until_it_answers().await?);
            }
            _ => return Ok(()),
        };
        sleep(down).await;
        postgres.start_again()?;
        Ok(postgres.until_it_answers().await?)
    }
}

/// Starts a replica again, as a supervisor does: one that finds no database ends.
async fn start_again_after(replica: &mut Replica, down: Duration) -> Result<(), ChaosError> {
    sleep(down).await;
    for _ in 0..STARTS {
        replica.start_again()?;
        if timeout(SLOW_START, replica.until_ready()).await.is_ok() {
            return Ok(());
        }
    }
    Ok(replica.until_ready().await?)
}

async fn silence(cable: Option<&Cable>, lasting: Duration) {
    if let Some(cable) = cable {
        cable.silence();
        sleep(lasting).await;
        cable.mend();
    }
}

fn send(replica: &Replica, signal: Signal) {
    let process = replica.process_id().and_then(|id| i32::try_from(id).ok());
    if let Some(process) = process.and_then(Pid::from_raw) {
        // It may have ended by itself; then it does not become ready.
        let _gone = kill_process(process, signal);
    }
}

fn environment() -> Vec<(String, String)> {
    let settings = SETTINGS.iter();
    settings
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}
