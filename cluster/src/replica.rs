//! One process of the service, and commands beside it.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;

use crate::{Failure, waiting};

/// How long a replica may take to start, or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a replica starts with. Those of one fleet share the home and the issuer.
#[derive(Clone, Debug)]
pub struct ReplicaSettings {
    /// The program.
    pub binary: PathBuf,
    /// Where keys, data and logs are.
    pub home: PathBuf,
    /// The database, perhaps behind a cable.
    pub database_url: String,
    /// The issuer of its tokens.
    pub issuer: String,
    /// Further settings, as variables. Nothing else is inherited.
    pub environment: Vec<(String, String)>,
}

/// One `tokensmith serve`, killed when this is dropped.
pub struct Replica {
    settings: ReplicaSettings,
    port: u16,
    process: Option<Child>,
    http: reqwest::Client,
}

impl Replica {
    /// Starts the process on a port of the loopback address; does not wait for it.
    pub fn start(settings: ReplicaSettings, port: u16) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| Failure::Service(error.to_string()))?;
        let mut replica = Self {
            settings,
            port,
            process: None,
            http,
        };
        replica.start_again()?;
        Ok(replica)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// What it starts with.
    #[must_use]
    pub fn settings(&self) -> &ReplicaSettings {
        &self.settings
    }

    /// The id of the process, while there is one.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Waits until `/readyz` says so.
    pub async fn until_ready(&self) -> Result<(), Failure> {
        let url = format!("http://{}/readyz", self.address());
        let ready = waiting::until("the service is ready", PATIENCE, || async {
            let reply = self.http.get(&url).send().await.ok()?;
            reply.status().is_success().then_some(())
        });
        ready.await.map_err(|_late| Failure::Late {
            what: format!("the service is ready; its log:\n{}", self.log()),
            limit: PATIENCE,
        })
    }

    /// Ends the process at once, in the middle of whatever it does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ended = process.kill();
            let _reaped = process.wait();
        }
    }

    /// Tells the process to stop, and waits until it has.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        if let Some(id) = i32::try_from(process.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _gone = kill_process(id, Signal::TERM);
        }
        let mut ended = None;
        waiting::until("the service has stopped", PATIENCE, || {
            ended = process.try_wait().ok().flatten();
            std::future::ready(ended)
        })
        .await?;
        self.process = None;
        match ended {
            Some(status) if !status.success() => Err(Failure::Program {
                program: format!("tokensmith serve ({status})"),
                said: self.log(),
            }),
            _ => Ok(()),
        }
    }

    /// Starts the process where it has ended, on the same port; does not wait for it.
    pub fn start_again(&mut self) -> Result<(), Failure> {
        self.kill();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .map_err(Failure::doing("opening the log of a replica"))?;
        let mut command = program(&self.settings, &["serve"]);
        let process = command
            .env("TOKENSMITH_LISTEN", self.address().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(Failure::doing("starting a replica"))?;
        self.process = Some(process);
        Ok(())
    }

    /// As [`Self::start_again`], with another build of the program: an upgrade, or the way back.
    pub fn start_again_with(&mut self, binary: &Path) -> Result<(), Failure> {
        binary.clone_into(&mut self.settings.binary);
        self.start_again()
    }

    /// What it has logged so far, in all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.settings.home.join(format!("log-{}", self.port))
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `tokensmith COMMAND…` beside the replicas, with the same settings, and answers what it prints.
pub async fn command(settings: &ReplicaSettings, arguments: &[&str]) -> Result<String, Failure> {
    command_with_input(settings, arguments, "").await
}

/// As [`command`], with something on standard input.
pub async fn command_with_input(
    settings: &ReplicaSettings,
    arguments: &[&str],
    input: &str,
) -> Result<String, Failure> {
    let name = || format!("tokensmith {}", arguments.join(" "));
    let mut command = tokio::process::Command::from(program(settings, arguments));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().map_err(Failure::doing(name()))?;
    if let Some(mut pipe) = process.stdin.take() {
        // A command that fails early does not read it.
        let _unread = pipe.write_all(input.as_bytes()).await;
    }
    let output = process.wait_with_output().await;
    let output = output.map_err(Failure::doing(name()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Failure::Program {
            program: name(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// The program with nothing but these settings.
fn program(settings: &ReplicaSettings, arguments: &[&str]) -> Command {
    let mut command = Command::new(&settings.binary);
    command
        .args(arguments)
        .env_clear()
        .current_dir(&settings.home)
        .env("TOKENSMITH_DATABASE_URL", &settings.database_url)
        .env("TOKENSMITH_ISSUER", &settings.issuer)
        .env("TOKENSMITH_KEYS_DIR", settings.home.join("keys"))
        .env("TOKENSMITH_DATA_DIR", settings.home.join("data"))
        .envs(
            settings
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        );
    command
}
