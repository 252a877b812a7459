//! A PostgreSQL server of one test, which may be stopped, crashed and frozen.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use super::postgres::{programs, unprivileged_user};
use super::{Database, skip, wait};

/// How many connections the server takes.
pub(crate) const CONNECTIONS: usize = 50;

/// The server; it is gone when this is dropped.
pub(crate) struct OwnPostgres {
    home: TempDir,
    port: u16,
    /// The shell around the running server. It ends the server when its standard input ends, also when
    /// the tests are killed.
    shell: Option<Child>,
}

impl OwnPostgres {
    /// Starts a server; `None` where PostgreSQL is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            skip(
                "a PostgreSQL server of its own",
                "install PostgreSQL (Debian: apt-get install postgresql)",
            );
            return None;
        };
        let home = tempfile::Builder::new()
            .prefix("tokensmith-postgres")
            .tempdir()
            .unwrap();
        let initdb = unprivileged_user(home.path())(&programs.join("initdb"))
            .args(["--auth=trust", "--username=tokensmith", "--encoding=UTF8"])
            .args(["--no-sync", "-D"])
            .arg(home.path().join("data"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&initdb.stderr);
        assert!(initdb.status.success(), "initdb: {said}");
        let mut server = Self {
            home,
            port: super::app::free_port(),
            shell: None,
        };
        server.start_again();
        server.wait_until_it_answers().await;
        Some(server)
    }

    /// An empty database on it. Its URL has the password that is given here; the server asks for none.
    pub(crate) async fn database(&self, password: &str) -> Database {
        let mut connection = self.wait_until_it_answers().await;
        connection.execute("CREATE DATABASE own").await.unwrap();
        Database::at(format!(
            "postgres://tokensmith:{password}@127.0.0.1:{}/own",
            self.port
        ))
    }

    /// Starts the server where it is stopped, on the same port and data; does not wait for it.
    pub(crate) fn start_again(&mut self) {
        let home = self.home.path();
        let script = format!(
            "'{}' -D '{home}/data' -p {} -k '{home}' -c listen_addresses=127.0.0.1 -c fsync=off \
             -c max_connections={CONNECTIONS} >>'{home}/log' 2>&1 & \
             cat >/dev/null; kill -QUIT $! && kill -CONT $!; wait",
            programs().unwrap().join("postgres").display(),
            self.port,
            home = home.display(),
        );
        let mut shell = unprivileged_user(home)(Path::new("sh"));
        shell.args(["-c", &script]).stdin(Stdio::piped());
        shell.stdout(Stdio::null()).stderr(Stdio::null());
        self.shell = Some(shell.spawn().unwrap());
    }

    /// Shuts the server down: it ends its connections and writes everything down.
    pub(crate) async fn stop(&mut self) {
        self.end("INT").await;
    }

    /// Ends the server at once, in the middle of whatever it does. It recovers when it starts again.
    pub(crate) async fn crash(&mut self) {
        self.end("QUIT").await;
    }

    async fn end(&mut self, signal: &str) {
        send(signal, &self.processes()[..1]);
        wait::until("the server has ended", || async {
            self.processes().is_empty().then_some(())
        })
        .await;
        self.reap();
    }

    /// Stops all processes of the server where they are. Connections stay open, further ones are taken by
    /// the kernel, and nobody answers.
    pub(crate) fn freeze(&self) {
        // The first makes no others from then on.
        send("STOP", &self.processes()[..1]);
        send("STOP", &self.processes());
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) {
        send("CONT", &self.processes());
    }

    /// Waits until it takes connections, and answers one.
    pub(crate) async fn wait_until_it_answers(&self) -> PgConnection {
        let url = format!("postgres://tokensmith@127.0.0.1:{}/postgres", self.port);
        wait::until("PostgreSQL answers", || async {
            PgConnection::connect(&url).await.ok()
        })
        .await
    }

    /// The processes of the server, the first that has made all others first.
    fn processes(&self) -> Vec<u32> {
        let file = self.home.path().join("data/postmaster.pid");
        let first = std::fs::read_to_string(file).unwrap_or_default();
        let Some(first) = first.lines().next().and_then(|line| line.parse().ok()) else {
            return Vec::new();
        };
        let others = std::fs::read_dir("/proc").unwrap().flatten();
        let others = others.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let others = others.filter(|process| parent(*process) == Some(first));
        std::iter::once(first).chain(others).collect()
    }

    fn reap(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            let _ended = shell.wait();
        }
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        let processes = self.processes();
        if !processes.is_empty() {
            send("QUIT", &processes[..1]);
            send("CONT", &processes);
        }
        self.reap();
    }
}

fn send(signal: &str, processes: &[u32]) {
    let processes = processes.iter().map(u32::to_string);
    // One of them may have ended by itself.
    let _status = Command::new("kill")
        .args(["-s", signal])
        .args(processes)
        .stderr(Stdio::null())
        .status();
}

/// `proc_pid_stat(5)`: the fourth field; the second, in parentheses, may contain anything.
fn parent(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
