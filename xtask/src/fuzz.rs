//! `cargo xtask fuzz`: builds the fuzz targets and runs them for a while.

mod report;
mod tools;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use clap::Args;

use report::Outcome;
use tools::Toolchain;

/// Runs the fuzz targets, each for a while, and says what they found.
#[derive(Args)]
pub(crate) struct FuzzArguments {
    /// Only these targets; all of them by default
    targets: Vec<String>,
    /// One minute for each target
    #[arg(long, conflicts_with = "minutes", required_unless_present = "minutes")]
    quick: bool,
    /// So many minutes for each target
    #[arg(long, value_name = "N")]
    minutes: Option<u32>,
    /// How many targets run at the same time; by default one on each core
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

/// Why there is no clean bill.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FuzzError {
    /// Something that has to be installed first.
    #[error("{what} is missing; run: {command}")]
    Missing { what: &'static str, command: String },
    #[error("there is no fuzz target {0:?}; there are: {1}")]
    UnknownTarget(String, String),
    #[error("the fuzz targets do not build")]
    Build,
    #[error("{0}: {1}")]
    File(PathBuf, #[source] io::Error),
    #[error("{}", .0.join("\n"))]
    Found(Vec<String>),
}

/// Where everything is.
struct Places {
    root: PathBuf,
    /// The packages that cargo-fuzz builds.
    programs: PathBuf,
    /// What cargo-fuzz builds into.
    build: PathBuf,
    /// Inputs that were found: apart from the corpus in the repository, so that a run floods nothing.
    found: PathBuf,
    /// Inputs that broke a property, and what was said.
    artifacts: PathBuf,
}

impl Places {
    fn new(root: &Path) -> Self {
        let target = root.join("target");
        Self {
            root: root.to_owned(),
            programs: root.join("fuzz/targets"),
            build: target.join("fuzz"),
            found: target.join("fuzz-corpus"),
            artifacts: target.join("fuzz-artifacts"),
        }
    }
}

pub(crate) fn run(arguments: &FuzzArguments, root: &Path) -> Result<(), FuzzError> {
    let places = Places::new(root);
    let targets = chosen(&arguments.targets, &places)?;
    let toolchain = Toolchain::find()?;
    toolchain.build(&places)?;
    let seconds = arguments.minutes.unwrap_or(1).saturating_mul(60);
    let jobs = arguments
        .jobs
        .or_else(|| thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get);
    let outcomes = run_all(targets, jobs, |target| {
        println!("{target}: {seconds} s …");
        fuzz(target, seconds, &toolchain, &places)
    })?;
    println!("\n{}", report::table(&outcomes));
    let found: Vec<_> = outcomes.iter().filter_map(Outcome::failure).collect();
    if found.is_empty() {
        Ok(())
    } else {
        Err(FuzzError::Found(found))
    }
}

/// The targets by name, in the order of the alphabet.
fn chosen(wanted: &[String], places: &Places) -> Result<Vec<String>, FuzzError> {
    let folder = places.programs.join("fuzz_targets");
    let failed = |error| FuzzError::File(folder.clone(), error);
    let mut known = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        known.extend(
            path.file_stem()
                .map(|name| name.to_string_lossy().into_owned()),
        );
    }
    known.sort_unstable();
    match wanted.iter().find(|name| !known.contains(name)) {
        Some(unknown) => Err(FuzzError::UnknownTarget(unknown.clone(), known.join(", "))),
        None if wanted.is_empty() => Ok(known),
        None => Ok(wanted.to_vec()),
    }
}

/// Runs all targets, so many at the same time.
fn run_all(
    targets: Vec<String>,
    jobs: usize,
    run: impl Fn(&str) -> Result<Outcome, FuzzError> + Sync,
) -> Result<Vec<Outcome>, FuzzError> {
    let waiting = Mutex::new(VecDeque::from(targets));
    let next = || {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front()
    };
    let work = || -> Result<Vec<Outcome>, FuzzError> {
        std::iter::from_fn(next)
            .map(|target| run(&target))
            .collect()
    };
    let mut outcomes = thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect::<Result<Vec<_>, _>>()
    })?
    .concat();
    outcomes.sort_unstable_by(|one, other| one.target.cmp(&other.target));
    Ok(outcomes)
}

fn fuzz(
    target: &str,
    seconds: u32,
    toolchain: &Toolchain,
    places: &Places,
) -> Result<Outcome, FuzzError> {
    let found = places.found.join(target);
    let artifacts = places.artifacts.join(target);
    for folder in [&found, &artifacts] {
        fs::create_dir_all(folder).map_err(|error| FuzzError::File(folder.clone(), error))?;
    }
    let log = artifacts.with_extension("log");
    let failed = |error| FuzzError::File(log.clone(), error);
    let program = toolchain.program(target, places);
    let status = Command::new(&program)
        .args([&found, &places.root.join("fuzz/corpus").join(target)])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-max_total_time={seconds}"))
        // The largest body that the server takes, so that every limit is within reach.
        .args(["-max_len=16384", "-timeout=10", "-rss_limit_mb=2048"])
        .args(["-use_value_profile=1", "-print_final_stats=1"])
        .stderr(File::create(&log).map_err(failed)?)
        .status()
        .map_err(|error| FuzzError::File(program.clone(), error))?;
    let said = fs::read(&log).map_err(failed)?;
    Ok(Outcome::read(
        target,
        &String::from_utf8_lossy(&said),
        status.success(),
    ))
}
