//! A PostgreSQL server of our own, which may be stopped, crashed and frozen.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::waiting;
use crate::{Failure, free_port};

/// How long a server may take to start, to recover, or to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// What its shell is told when the data is needed again.
const KEEP: &[u8] = b"keep\n";

/// The server; it and its data are gone when this is dropped, and when this process ends in whatever way.
pub struct Postgres {
    home: TempDir,
    programs: PathBuf,
    settings: Vec<String>,
    port: u16,
    /// The shell around the running server. When its standard input ends, it ends the server.
    shell: Option<Child>,
}

impl Postgres {
    /// Whether a server can be started here.
    #[must_use]
    pub fn is_installed() -> bool {
        programs().is_some()
    }

    /// Starts a server with further settings, such as `max_connections=50`, and waits until it answers.
    pub async fn start(settings: &[&str]) -> Result<Self, Failure> {
        let programs = programs().ok_or(Failure::NoPostgres)?;
        let home = tempfile::Builder::new()
            .prefix("tokensmith-postgres")
            .tempdir()
            .map_err(Failure::doing("making a directory for PostgreSQL"))?;
        let mut initdb = as_unprivileged_user(&programs.join("initdb"), home.path());
        initdb
            .args(["--auth=trust", "--username=tokensmith", "--encoding=UTF8"])
            .args(["--no-sync", "-D"])
            .arg(home.path().join("data"));
        let output = initdb.output().map_err(Failure::doing("running initdb"))?;
        if !output.status.success() {
            return Err(Failure::Program {
                program: "initdb".to_owned(),
                said: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        let mut server = Self {
            home,
            programs,
            settings: settings.iter().map(|&it| it.to_owned()).collect(),
            port: free_port()?,
            shell: None,
        };
        server.start_again()?;
        server.until_it_answers().await?;
        Ok(server)
    }

    /// Makes an empty database and answers its URL. The server asks for no password.
    pub async fn create_database(&self, name: &str) -> Result<String, Failure> {
        let failed = |error| Failure::Database(format!("making the database {name}"), error);
        let mut connection = self.connect().await?;
        let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE \"{name}\""));
        connection
            .execute(sqlx::query(statement))
            .await
            .map_err(failed)?;
        Ok(self.url(name))
    }

    /// Where it listens, on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server where it is stopped, on the same port and data; does not wait for it.
    pub fn start_again(&mut self) -> Result<(), Failure> {
        let home = self.home.path();
        let mut settings = String::new();
        for setting in &self.settings {
            let _infallible = write!(settings, " -c '{setting}'");
        }
        // The shell outlives this process by a moment, and cleans up behind it.
        let script = format!(
            "cd '{home}'; '{postgres}' -D '{home}/data' -p {port} -k '{home}' \
             -c listen_addresses=127.0.0.1{settings} >>'{home}/log' 2>&1 & \
             read -r word; [ \"$word\" = keep ] && wait && exit; \
             kill -QUIT $! && kill -CONT $!; wait; cd /; rm -rf '{home}'",
            home = home.display(),
            postgres = self.programs.join("postgres").display(),
            port = self.port,
        );
        let mut shell = as_unprivileged_user(Path::new("sh"), home);
        shell.args(["-c", &script]).stdin(Stdio::piped());
        shell.stdout(Stdio::null()).stderr(Stdio::null());
        let shell = shell.spawn().map_err(Failure::doing("starting a shell"))?;
        self.shell = Some(shell);
        Ok(())
    }

    /// Shuts the server down: it ends its connections and writes everything down.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        self.end(Signal::INT).await
    }

    /// Ends the server at once, in the middle of whatever it does. It recovers when it starts again.
    pub async fn crash(&mut self) -> Result<(), Failure> {
        self.end(Signal::QUIT).await
    }

    async fn end(&mut self, signal: Signal) -> Result<(), Failure> {
        send(signal, self.processes().into_iter().take(1));
        waiting::until("PostgreSQL has ended", PATIENCE, || async {
            self.processes().is_empty().then_some(())
        })
        .await?;
        self.reap(KEEP);
        Ok(())
    }

    /// Stops all processes of the server where they are. Connections stay open, further ones are taken by
    /// the kernel, and nobody answers.
    pub fn freeze(&self) {
        // The first makes no others from then on.
        send(Signal::STOP, self.processes().into_iter().take(1));
        send(Signal::STOP, self.processes());
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        send(Signal::CONT, self.processes());
    }

    /// Waits until it takes connections, and answers one.
    pub async fn until_it_answers(&self) -> Result<(), Failure> {
        self.connect().await.map(drop)
    }

    async fn connect(&self) -> Result<PgConnection, Failure> {
        let url = self.url("postgres");
        waiting::until("PostgreSQL answers", PATIENCE, || async {
            PgConnection::connect(&url).await.ok()
        })
        .await
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://tokensmith@127.0.0.1:{}/{database}", self.port)
    }

    /// The processes of the server, the first that has made all others first.
    fn processes(&self) -> Vec<i32> {
        let file = self.home.path().join("data/postmaster.pid");
        let first = std::fs::read_to_string(file).unwrap_or_default();
        let Some(first) = first.lines().next().and_then(|line| line.parse().ok()) else {
            return Vec::new();
        };
        let others = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let others = others.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let others = others.filter(|process| parent(*process) == Some(first));
        std::iter::once(first).chain(others).collect()
    }

    fn reap(&mut self, word: &[u8]) {
        if let Some(mut shell) = self.shell.take() {
            if let Some(mut input) = shell.stdin.take() {
                let _gone = input.write_all(word);
            }
            let _ended = shell.wait();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let processes = self.processes();
        send(Signal::QUIT, processes.iter().copied().take(1));
        send(Signal::CONT, processes);
        self.reap(b"");
    }
}

fn send(signal: Signal, processes: impl IntoIterator<Item = i32>) {
    for process in processes.into_iter().filter_map(Pid::from_raw) {
        // It may have ended by itself.
        let _gone = kill_process(process, signal);
    }
}

/// `proc_pid_stat(5)`: the fourth field; the second, in parentheses, may contain anything.
fn parent(process: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Where `initdb` and `postgres` are: the newest of Debian's directories, or the search path.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut places: Vec<PathBuf> = debian
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    places.sort();
    places.reverse();
    #[expect(clippy::disallowed_methods, reason = "where programs are installed")]
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&search_path));
    places
        .into_iter()
        .find(|place| place.join("initdb").is_file() && place.join("postgres").is_file())
}

/// PostgreSQL refuses to run as root; there, the user `postgres` of the package runs it, at home.
fn as_unprivileged_user(program: &Path, home: &Path) -> Command {
    if geteuid().is_root() {
        let _owner = Command::new("chown").arg("postgres").arg(home).status();
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}
