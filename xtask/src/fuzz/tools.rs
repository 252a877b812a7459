//! What has to be installed, and how the targets are built with it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{FuzzError, Places};

/// libFuzzer needs flags that only nightly Rust takes. Nothing else here is built with it.
const NIGHTLY: &str = "+nightly";
/// The release of cargo-fuzz that these commands were tried with.
const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// Nightly Rust with cargo-fuzz.
pub(super) struct Toolchain {
    /// The platform, as compilers spell it.
    host: String,
}

impl Toolchain {
    pub(super) fn find() -> Result<Self, FuzzError> {
        let host = host().ok_or_else(|| FuzzError::Missing {
            what: "nightly Rust",
            command: "rustup toolchain install nightly --profile minimal".to_owned(),
        })?;
        output("cargo", &["fuzz", "--version"]).ok_or_else(|| FuzzError::Missing {
            what: "cargo-fuzz",
            command: format!("cargo install cargo-fuzz --locked --version {CARGO_FUZZ_VERSION}"),
        })?;
        Ok(Self { host })
    }

    /// Builds every target.
    ///
    /// Without a sanitizer: our crates forbid unsafe code, and what is C below them is not
    /// instrumented by Rust's, so that it would cost half of the speed and see little. Debug
    /// assertions and checks of overflow are on.
    pub(super) fn build(&self, places: &Places) -> Result<(), FuzzError> {
        // The targets are a workspace of their own, with the versions of this one.
        let lock = places.programs.join("Cargo.lock");
        fs::copy(places.root.join("Cargo.lock"), &lock)
            .map_err(|error| FuzzError::File(lock.clone(), error))?;
        let mut command = Command::new("cargo");
        // Set for this program. Build scripts look at them, and would compile everything again
        // after each time that cargo-fuzz was called by hand.
        for variable in ["MANIFEST_DIR", "MANIFEST_PATH", "PKG_NAME", "PKG_VERSION"] {
            command.env_remove(format!("CARGO_{variable}"));
        }
        for part in ["MAJOR", "MINOR", "PATCH", "PRE"] {
            command.env_remove(format!("CARGO_PKG_VERSION_{part}"));
        }
        let status = command
            .args([NIGHTLY, "fuzz", "build", "--sanitizer", "none"])
            .args(["--target", &self.host])
            .arg("--fuzz-dir")
            .arg(&places.programs)
            .arg("--target-dir")
            .arg(&places.build)
            .current_dir(&places.root)
            .status();
        if status.is_ok_and(|status| status.success()) {
            Ok(())
        } else {
            Err(FuzzError::Build)
        }
    }

    /// The program of a target.
    pub(super) fn program(&self, target: &str, places: &Places) -> PathBuf {
        places.build.join(&self.host).join("release").join(target)
    }
}

fn host() -> Option<String> {
    let version = output("rustc", &["-vV"])?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))?;
    Some(host.to_owned())
}

/// What a program of nightly Rust says, if it can do that.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .arg(NIGHTLY)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).ok())?
}
