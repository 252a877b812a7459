//! `cargo xtask upgrade`: a rolling upgrade from an older build to this one and back, under load. Nobody may
//! notice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use tokensmith_cluster::load::{Clients, Counts, Load};
use tokensmith_cluster::{
    Balancer, Failure, Postgres, Replica, ReplicaSettings, command, free_port,
};

/// How many people use the service.
const PEOPLE: usize = 4;
/// How often everything is done between two steps of the upgrade.
const TIMES: u64 = 30;

/// Replaces replicas of an older build by this one, one after the other and under load, and back again.
#[derive(Args)]
pub(crate) struct UpgradeArguments {
    /// The commit or tag of the older build; by default the one in `xtask/previous-release`
    #[arg(long, value_name = "REV")]
    from: Option<String>,
    /// The older program; by default it is built
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    old_binary: Option<PathBuf>,
    /// The newer program; by default it is built
    #[arg(long, value_name = "FILE")]
    new_binary: Option<PathBuf>,
    /// How many replicas there are
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=20))]
    replicas: u8,
}

/// Why the upgrade is not proved to be harmless.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    #[error("{0}: {1}")]
    File(PathBuf, #[source] io::Error),
    #[error("running {0}: {1}")]
    Run(&'static str, #[source] io::Error),
    #[error("there is no commit {0:?} here, or no history: run git fetch --unshallow")]
    NoSuchRevision(String),
    #[error("{0} does not build")]
    Build(PathBuf),
    #[error("starting the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("{step}: {failure}")]
    Step {
        step: String,
        #[source]
        failure: Failure,
    },
    #[error("{0}")]
    Noticed(String),
}

pub(crate) fn run(arguments: &UpgradeArguments, root: &Path) -> Result<(), UpgradeError> {
    let old = match &arguments.old_binary {
        Some(binary) => absolute(binary)?,
        None => build_old(&revision(arguments, root)?, root)?,
    };
    let new = match &arguments.new_binary {
        Some(binary) => absolute(binary)?,
        None => build(root, &root.join("target"))?,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(UpgradeError::Runtime)?;
    let counts = runtime.block_on(Upgrade::rehearse(&old, &new, arguments.replicas))?;
    println!("\n{counts}");
    match counts.objection() {
        None => Ok(()),
        Some(objection) => Err(UpgradeError::Noticed(objection)),
    }
}

/// A fleet on its way to another build.
struct Upgrade {
    settings: ReplicaSettings,
    replicas: Vec<Replica>,
    clients: Clients,
    load: Load,
    begun: Instant,
    balancer: Balancer,
    _postgres: Postgres,
    _home: tempfile::TempDir,
}

impl Upgrade {
    async fn rehearse(old: &Path, new: &Path, replicas: u8) -> Result<Counts, UpgradeError> {
        let at = |step: &'static str| {
            move |failure| UpgradeError::Step {
                step: step.to_owned(),
                failure,
            }
        };
        let mut upgrade = Self::begin(old, replicas).await.map_err(at("the start"))?;
        upgrade.replace("upgrade", new).await?;
        let settings = upgrade.settings.clone();
        // The command line of the older build meets the newer database, and the other way round.
        for binary in [old, new] {
            let mut beside = settings.clone();
            binary.clone_into(&mut beside.binary);
            command(&beside, &["audit", "verify"])
                .await
                .map_err(at("verifying the audit log"))?;
        }
        upgrade.replace("rollback", old).await?;
        command(&settings, &["audit", "verify"])
            .await
            .map_err(at("verifying the audit log"))?;
        Ok(upgrade.load.end().await)
    }

    /// Everything is of the older build, and in use.
    async fn begin(old: &Path, count: u8) -> Result<Self, Failure> {
        // As durable as in production: that is when migrations and restarts take their time.
        let postgres = Postgres::start(&[]).await?;
        let home = tempfile::tempdir();
        let home = home.map_err(|error| Failure::System("making a directory".into(), error))?;
        let port = free_port()?;
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let settings = ReplicaSettings {
            binary: old.to_owned(),
            home: home.path().to_owned(),
            database_url: postgres.create_database("upgrade").await?,
            issuer: format!("http://127.0.0.1:{port}"),
            environment: vec![
                // What is tried here is not how slowly passwords are checked.
                setting("TOKENSMITH_PASSWORDS_MEMORY_KIB", "8192"),
                setting("TOKENSMITH_PASSWORDS_ITERATIONS", "1"),
            ],
        };
        let mut replicas = Vec::new();
        for _ in 0..count {
            replicas.push(Replica::start(settings.clone(), free_port()?)?);
        }
        for replica in &replicas {
            replica.until_ready().await?;
        }
        let addresses = replicas.iter().map(Replica::address).collect();
        let balancer = Balancer::listen(port, addresses).await?;
        let clients = Clients::register(&settings, PEOPLE).await?;
        clients.until_known_to(&replicas).await?;
        let load = Load::begin(&balancer.url(), &clients).await?;
        load.until_done_again(TIMES).await?;
        Ok(Self {
            settings,
            replicas,
            clients,
            load,
            begun: Instant::now(),
            balancer,
            _postgres: postgres,
            _home: home,
        })
    }

    /// Replaces all replicas, one after the other.
    async fn replace(&mut self, what: &str, binary: &Path) -> Result<(), UpgradeError> {
        for number in 0..self.replicas.len() {
            let outcome = self.replace_one(number, binary).await;
            outcome.map_err(|failure| UpgradeError::Step {
                step: format!("{what}, replica {number}"),
                failure,
            })?;
            let so_far = self.load.so_far();
            println!(
                "{:>4} s  {what}: replica {} of {}; {} tokens verified, {} failures",
                self.begun.elapsed().as_secs(),
                number + 1,
                self.replicas.len(),
                so_far.of("tokens verified"),
                so_far.failures,
            );
        }
        Ok(())
    }

    async fn replace_one(&mut self, number: usize, binary: &Path) -> Result<(), Failure> {
        if let Some(replica) = self.replicas.get_mut(number) {
            let address = replica.address();
            self.balancer.take_out(address).await?;
            replica.stop().await?;
            replica.start_again_with(binary)?;
            replica.until_ready().await?;
            self.balancer.put_back(address);
        }
        // Old and new together: sessions go to and fro between them, and everybody else goes on.
        let next = self.replicas.iter().cycle().skip(1);
        for (one, other) in self.replicas.iter().zip(next) {
            let (one, other) = (one.address(), other.address());
            self.clients.session_across(one, other).await?;
            self.clients.session_across(other, one).await?;
        }
        self.load.until_done_again(TIMES).await
    }
}

/// What is upgraded from.
fn revision(arguments: &UpgradeArguments, root: &Path) -> Result<String, UpgradeError> {
    if let Some(revision) = &arguments.from {
        return Ok(revision.clone());
    }
    let file = root.join("xtask/previous-release");
    let revision = fs::read_to_string(&file).map_err(|error| UpgradeError::File(file, error))?;
    Ok(revision.trim().to_owned())
}

/// Builds an older commit, beside this one.
fn build_old(revision: &str, root: &Path) -> Result<PathBuf, UpgradeError> {
    let unknown = || UpgradeError::NoSuchRevision(revision.to_owned());
    let asked = Command::new("git")
        .args(["rev-parse", "--verify", "--quiet", "--short"])
        .arg(format!("{revision}^{{commit}}"))
        .current_dir(root)
        .output()
        .map_err(|error| UpgradeError::Run("git", error))?;
    let commit = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    if !asked.status.success() || commit.is_empty() {
        return Err(unknown());
    }
    let home = root.join("target/upgrade").join(&commit);
    let source = home.join("source");
    if !source.is_dir() {
        unpack(&commit, root, &home)?;
    }
    println!("building {commit} in {} …", home.display());
    build(&source, &home.join("target"))
}

/// Puts the files of a commit into `source` in this directory: all of them or, when that fails or is
/// interrupted, none.
fn unpack(commit: &str, root: &Path, home: &Path) -> Result<(), UpgradeError> {
    let failed = |error| UpgradeError::File(home.to_owned(), error);
    fs::create_dir_all(home).map_err(failed)?;
    let beside = tempfile::tempdir_in(home).map_err(failed)?;
    let unpacked = beside.path().join("source");
    fs::create_dir(&unpacked).map_err(failed)?;
    let mut archive = Command::new("git")
        .args(["archive", "--format=tar", commit])
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| UpgradeError::Run("git", error))?;
    let input = archive.stdout.take().map_or(Stdio::null(), Stdio::from);
    let read = Command::new("tar")
        .args(["-x", "-C"])
        .arg(&unpacked)
        .stdin(input)
        .status();
    let archived = archive.wait();
    let read = read.map_err(|error| UpgradeError::Run("tar", error))?;
    let archived = archived.map_err(|error| UpgradeError::Run("git", error))?;
    if !read.success() || !archived.success() {
        return Err(UpgradeError::NoSuchRevision(commit.to_owned()));
    }
    fs::rename(&unpacked, home.join("source")).map_err(failed)
}

/// Builds the program and answers where it is.
fn build(source: &Path, target: &Path) -> Result<PathBuf, UpgradeError> {
    let built = Command::new("cargo")
        .args(["build", "--locked", "--bin", "tokensmith"])
        .current_dir(source)
        .env("CARGO_TARGET_DIR", target)
        .status()
        .map_err(|error| UpgradeError::Run("cargo", error))?;
    if built.success() {
        Ok(target.join("debug/tokensmith"))
    } else {
        Err(UpgradeError::Build(source.to_owned()))
    }
}

fn absolute(binary: &Path) -> Result<PathBuf, UpgradeError> {
    fs::canonicalize(binary).map_err(|error| UpgradeError::File(binary.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_unpacked_to_its_end_is_not_taken_for_the_source() {
        let (nothing, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // So nothing comes out of git.
        unpack("no-such-commit", nothing.path(), home.path()).unwrap_err();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
