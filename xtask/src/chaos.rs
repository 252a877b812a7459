//! `cargo xtask chaos`: honest clients, thieves and administrators use a fleet that is killed, cut and crashed
//! all the time. Everything is recorded, and a checker holds the history against the rules afterwards, as
//! databases are tested. `docs/chaos.md` says which rules.

mod actors;
mod checker;
mod device;
mod faults;
mod finale;
mod fleet;
mod history;
mod life;
mod machine;
mod random;
mod report;
mod site;
mod theft;
mod town;
mod wallet;
mod watch;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::task::JoinSet;

use history::{Entry, Recorder};

/// Torments a fleet for a while, and checks what its clients have seen.
#[derive(Args)]
pub(crate) struct ChaosArguments {
    /// For so many minutes in all
    #[arg(long, value_name = "N", required_unless_present = "check")]
    minutes: Option<f64>,
    /// Over which database; both share the time
    #[arg(long, value_enum, default_value_t = Databases::Both)]
    database: Databases,
    /// Both databases at the same time, each for all of the time
    #[arg(long)]
    side_by_side: bool,
    /// Says which faults come when, and what the clients do; by default another one each time
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many replicas there are over PostgreSQL; over SQLite it is one
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    replicas: u8,
    /// How many apps there are
    #[arg(long, value_name = "N", default_value_t = 40)]
    clients: usize,
    /// The program; by default it is built
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where to keep the history, whatever it shows; with both databases each adds its name
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Only check this history again
    #[arg(long, value_name = "FILE", conflicts_with = "minutes")]
    check: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Databases {
    Sqlite,
    Postgres,
    Both,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Database {
    Sqlite,
    Postgres,
}

/// Why there is no clean bill.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChaosError {
    #[error(transparent)]
    Cluster(#[from] tokensmith_cluster::Failure),
    #[error("{0}: {1}")]
    File(PathBuf, #[source] io::Error),
    #[error("the program does not build")]
    Build,
    #[error("{0}")]
    Http(String),
    #[error("a command has said something else than JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    #[error("no runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("{0}")]
    Found(String),
}

/// One run.
struct Plan {
    database: Database,
    seed: u64,
    lasting: Duration,
    replicas: usize,
    clients: usize,
    binary: PathBuf,
    history: PathBuf,
    /// The history is wanted whatever it shows.
    is_kept: bool,
}

pub(crate) fn run(arguments: &ChaosArguments, root: &Path) -> Result<(), ChaosError> {
    if let Some(file) = &arguments.check {
        return check_again(file);
    }
    let binary = match &arguments.binary {
        Some(binary) => {
            std::path::absolute(binary).map_err(|error| ChaosError::File(binary.clone(), error))?
        }
        None => build(root)?,
    };
    let plans = arguments.plans(&binary, root)?;
    let runtime = tokio::runtime::Runtime::new().map_err(ChaosError::Runtime)?;
    let outcomes = runtime.block_on(async {
        if arguments.side_by_side {
            let runs: JoinSet<_> = plans.into_iter().map(torment).collect();
            runs.join_all().await
        } else {
            let mut outcomes = Vec::new();
            for plan in plans {
                outcomes.push(torment(plan).await);
            }
            outcomes
        }
    });
    let mut found = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(()) => {}
            Err(ChaosError::Found(what)) => found.push(what),
            Err(error) => return Err(error),
        }
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(ChaosError::Found(found.join("\n")))
    }
}

impl Plan {
    /// Where the log of a replica is kept.
    fn log(&self, replica: usize) -> PathBuf {
        self.history
            .with_added_extension(format!("replica-{replica}.log"))
    }

    /// Removes what nobody has asked for.
    fn forget(&self) -> Result<(), ChaosError> {
        let logs = (0..self.replicas).map(|replica| self.log(replica));
        for file in logs.chain([self.history.clone()]) {
            fs::remove_file(&file).map_err(|error| ChaosError::File(file, error))?;
        }
        Ok(())
    }
}

impl ChaosArguments {
    fn plans(&self, binary: &Path, root: &Path) -> Result<Vec<Plan>, ChaosError> {
        let databases = match self.database {
            Databases::Sqlite => vec![Database::Sqlite],
            Databases::Postgres => vec![Database::Postgres],
            Databases::Both => vec![Database::Sqlite, Database::Postgres],
        };
        let all = Duration::try_from_secs_f64(self.minutes.unwrap_or_default() * 60.0)
            .unwrap_or_default();
        let shared_by = if self.side_by_side {
            1
        } else {
            databases.len()
        };
        let lasting = all / u32::try_from(shared_by).unwrap_or(1);
        let seed = self.seed.unwrap_or_else(any_seed);
        let folder = root.join("target/chaos");
        fs::create_dir_all(&folder).map_err(|error| ChaosError::File(folder.clone(), error))?;
        let is_alone = databases.len() == 1;
        let history = |database: Database| match &self.history {
            Some(file) if is_alone => file.clone(),
            Some(file) => file.with_added_extension(database.to_string()),
            None => folder.join(format!("{database}-{seed}.jsonl")),
        };
        let plan = |database| Plan {
            database,
            seed,
            lasting,
            replicas: match database {
                Database::Sqlite => 1,
                Database::Postgres => usize::from(self.replicas),
            },
            clients: self.clients,
            binary: binary.to_owned(),
            history: history(database),
            is_kept: self.history.is_some(),
        };
        Ok(databases.into_iter().map(plan).collect())
    }
}

/// Runs one of them and tells what came out.
async fn torment(plan: Plan) -> Result<(), ChaosError> {
    println!("{plan}");
    let failed = |error| ChaosError::File(plan.history.clone(), error);
    let recorder = Arc::new(Recorder::to(&plan.history).map_err(failed)?);
    let run = life::live_through(&plan, Arc::clone(&recorder)).await;
    let entries = recorder.finish().map_err(failed)?;
    let verdict = tell(
        &format!("{}: {} seconds", plan.database, plan.lasting.as_secs()),
        &entries,
    );
    let kept = format!(
        "history, with the logs of the replicas beside it: {}\n\
         check it again: cargo xtask chaos --check {}\nrun the seed again: {plan}",
        plan.history.display(),
        plan.history.display()
    );
    match (run, verdict) {
        (Ok(()), Ok(())) if plan.is_kept => Ok(()),
        (Ok(()), Ok(())) => plan.forget(),
        (Ok(()), Err(violations)) => Err(ChaosError::Found(format!("{violations}\n{kept}"))),
        (Err(error), _) => Err(ChaosError::Found(format!(
            "{}: {error}\n{kept}",
            plan.database
        ))),
    }
}

fn check_again(file: &Path) -> Result<(), ChaosError> {
    let entries = history::read(file).map_err(|error| ChaosError::File(file.to_owned(), error))?;
    tell(&file.display().to_string(), &entries).map_err(ChaosError::Found)
}

/// Prints what a history comes to; an error where it breaks a rule, or cannot show that it keeps them.
fn tell(title: &str, entries: &[Entry]) -> Result<(), String> {
    let verdict = checker::check(entries);
    println!("{}", report::text(title, entries, &verdict));
    match (verdict.violations.len(), verdict.unchecked.is_empty()) {
        (0, true) => Ok(()),
        (0, false) => Err(format!("{title}: not a whole history")),
        (violations, _) => Err(format!("{title}: {violations} violations")),
    }
}

fn build(root: &Path) -> Result<PathBuf, ChaosError> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--locked", "--bin", "tokensmith"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(root)
        .stderr(std::process::Stdio::inherit());
    let output = cargo.output().map_err(|_| ChaosError::Build)?;
    // Where it is depends on how cargo is set up, so cargo is asked.
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let executable = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        site::text(&message, "executable").map(PathBuf::from)
    });
    let executable = executable.filter(|_| output.status.success());
    executable.ok_or(ChaosError::Build)
}

/// One that was probably never used before.
fn any_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) >> 32
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

/// The command that does the same.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cargo xtask chaos --database {} --minutes {} --seed {} --replicas {} --clients {}",
            self.database,
            self.lasting.as_secs_f64() / 60.0,
            self.seed,
            self.replicas,
            self.clients
        )
    }
}
