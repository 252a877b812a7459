//! `cargo xtask sbom`: what the program is made of, as a `CycloneDX` document.
//!
//! cargo-cyclonedx knows versions, licences and digests. It takes the features of the whole workspace
//! together, though, and so lists crates that only a test or the bench brings along, among them drivers of
//! databases that the program cannot speak to. `cargo tree` knows what the one program is built of, for one
//! platform; nothing else stays.

mod trim;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use serde_json::Value;

/// The release of cargo-cyclonedx that this was tried with.
const CYCLONEDX_VERSION: &str = "0.5.9";
/// What it calls the document of our program, and how the names of all others end.
const DOCUMENT: &str = "tokensmith_bin.cdx.json";
const DOCUMENTS: &str = "_bin.cdx.json";
/// Packages with programs, beside whose manifests it writes.
const PACKAGES: &[&str] = &["", "bench", "fuzz", "verifier", "xtask"];

/// Writes the bill of materials of the release build: `target/sbom/tokensmith.cdx.json`.
#[derive(Args)]
pub(crate) struct SbomArguments {
    /// The platform that the program is built for, as compilers spell it; by default this one
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Why there is no bill.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SbomError {
    #[error(
        "cargo-cyclonedx is missing; run: cargo install cargo-cyclonedx --locked --version {CYCLONEDX_VERSION}"
    )]
    Missing,
    #[error("{0} failed")]
    Failed(&'static str),
    #[error("{0}: {1}")]
    File(PathBuf, #[source] io::Error),
    #[error("cargo-cyclonedx has written something else than JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("the bill is not complete: {}", .0.join("; "))]
    Incomplete(Vec<String>),
}

/// Writes it.
pub(crate) fn run(arguments: &SbomArguments, root: &Path) -> Result<(), SbomError> {
    let target = match &arguments.target {
        Some(target) => target.clone(),
        None => host()?,
    };
    let bill = trim::trim(&everything(&target, root)?, &built(&target, root)?)?;
    let output = arguments.output.clone();
    let output = output.unwrap_or_else(|| root.join("target/sbom/tokensmith.cdx.json"));
    let failed = |error| SbomError::File(output.clone(), error);
    if let Some(directory) = output.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    fs::write(&output, serde_json::to_vec_pretty(&bill)?).map_err(failed)?;
    println!("{}", output.display());
    Ok(())
}

/// What cargo-cyclonedx says of the program.
fn everything(target: &str, root: &Path) -> Result<Value, SbomError> {
    let version = output(root, "cargo", &["cyclonedx", "--version"]);
    version.map_err(|_| SbomError::Missing)?;
    let arguments = [
        "cyclonedx",
        "--quiet",
        "--format",
        "json",
        "--describe",
        "binaries",
    ];
    let further = ["--spec-version", "1.5", "--target", target];
    let written = output(root, "cargo", &[&arguments[..], &further].concat());
    let file = root.join(DOCUMENT);
    let bill = fs::read(&file).map_err(|error| SbomError::File(file, error));
    remove_documents(root)?;
    written?;
    Ok(serde_json::from_slice(&bill?)?)
}

/// It writes one beside each manifest, and takes no other place.
fn remove_documents(root: &Path) -> Result<(), SbomError> {
    for package in PACKAGES {
        let directory = root.join(package);
        let failed = |error| SbomError::File(directory.clone(), error);
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_string_lossy().ends_with(DOCUMENTS) {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Names and versions of the crates that the program is built of, by `Cargo.lock`.
fn built(target: &str, root: &Path) -> Result<BTreeSet<trim::Crate>, SbomError> {
    let arguments = [
        "tree",
        "--locked",
        "--package",
        "tokensmith",
        "--edges",
        "normal,build",
    ];
    let further = [
        "--target",
        target,
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p}",
    ];
    let tree = output(root, "cargo", &[&arguments[..], &further].concat())?;
    let lines = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next()?, words.next()?);
        Some((name.to_owned(), version.trim_start_matches('v').to_owned()))
    });
    Ok(lines.collect())
}

/// The platform of this machine.
fn host() -> Result<String, SbomError> {
    let version = output(Path::new("."), "rustc", &["--version", "--verbose"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or(SbomError::Failed("rustc"))
}

fn output(root: &Path, program: &'static str, arguments: &[&str]) -> Result<String, SbomError> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(root)
        .stderr(Stdio::inherit());
    let output = command.output().map_err(|_| SbomError::Failed(program))?;
    if !output.status.success() {
        return Err(SbomError::Failed(program));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
