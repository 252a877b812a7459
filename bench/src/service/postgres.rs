//! A PostgreSQL server of our own, from the installed programs, in a directory that is removed at the
//! end. It is as durable as in production: with the settings that it comes with.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::installation::free_address;
use crate::failure::{Doing, Failure, Outcome};
use crate::people::Database;

const READY_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);
const SUPERUSER: &str = "tokensmith";
/// Two services with ten connections each, and this program.
const CONNECTIONS: &str = "max_connections=100";

/// The process of the server; it is stopped when this is dropped.
pub(crate) struct Postgres {
    process: Child,
    url: String,
    /// Removed after the server has stopped.
    _directory: TempDir,
}

impl Postgres {
    /// Starts a server and makes an empty database.
    pub(crate) async fn start() -> Outcome<Self> {
        let directory = tempfile::tempdir().doing("making a directory")?;
        let home = directory.path();
        let account = Account::for_postgres()?;
        account.give(home)?;
        let data = home.join("data");
        let output = account
            .command("initdb")
            .args(["--auth=trust", "--encoding=UTF8", "--no-sync"])
            .arg(format!("--username={SUPERUSER}"))
            .arg("-D")
            .arg(&data)
            .output()
            .doing("running initdb (is PostgreSQL installed?)")?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure::new(format!("running initdb: {reason}")));
        }
        let port = free_address()?.port();
        let process = account
            .command("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", CONNECTIONS])
            .args(["-p", &port.to_string(), "-k"])
            .arg(home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .doing("starting PostgreSQL")?;
        let server = format!("postgres://{SUPERUSER}@127.0.0.1:{port}");
        let this = Self {
            process,
            url: format!("{server}/bench"),
            _directory: directory,
        };
        make_database(&format!("{server}/postgres")).await?;
        Ok(this)
    }

    /// Of the empty database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = i32::try_from(self.process.id());
        if let Some(pid) = pid.ok().and_then(Pid::from_raw) {
            // Fast shutdown. It fails only when the server has ended already.
            let _ended = kill_process(pid, Signal::INT);
        }
        let _waited = self.process.wait();
    }
}

async fn make_database(maintenance_url: &str) -> Outcome<()> {
    let location = maintenance_url.parse().doing("reading the database URL")?;
    let start = Instant::now();
    loop {
        match Database::connect(&location).await {
            Ok(mut database) => return database.execute("CREATE DATABASE bench".to_owned()).await,
            Err(failure) if start.elapsed() > READY_WITHIN => return Err(failure),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Who runs the server: PostgreSQL refuses to run as root, so there it is the user of the package.
struct Account(Option<(u32, u32)>);

impl Account {
    fn for_postgres() -> Outcome<Self> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        let accounts = std::fs::read_to_string("/etc/passwd").doing("reading the accounts")?;
        let ids = parse_passwd(&accounts, "postgres");
        let none = || Failure::new("PostgreSQL does not run as root, and no user is postgres");
        ids.map(Some).map(Self).ok_or_else(none)
    }

    fn give(&self, directory: &Path) -> Outcome<()> {
        let Some((user, group)) = self.0 else {
            return Ok(());
        };
        chown(directory, Some(user), Some(group)).doing("giving a directory to PostgreSQL")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(postgres_program(program));
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group).current_dir("/");
        }
        command
    }
}

/// User and group of an account: `passwd(5)`.
fn parse_passwd(accounts: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = accounts
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next()? == name).then_some(fields))?;
    let (_password, user, group) = (fields.next()?, fields.next()?, fields.next()?);
    Some((user.parse().ok()?, group.parse().ok()?))
}

/// Where a program of PostgreSQL is.
pub(crate) fn postgres_program(name: &str) -> PathBuf {
    let path = newest_of_debian().map(|programs| programs.join(name));
    path.unwrap_or_else(|| name.into())
}

/// Debian keeps the programs of each version apart; elsewhere they are in the search path.
fn newest_of_debian() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let programs = versions.flatten().map(|version| version.path().join("bin"));
    programs
        .filter(|place| place.join("initdb").is_file())
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_name_alone() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:\n\
            postgres:x:104:106:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(parse_passwd(accounts, "postgres"), Some((104, 106)));
        assert_eq!(parse_passwd(accounts, "post"), None);
    }
}
