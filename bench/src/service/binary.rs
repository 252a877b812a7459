//! Which executable is measured.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{SHA256, digest};

use crate::failure::{Doing, Failure, Outcome};

/// The executable of the service.
pub(crate) struct Binary(PathBuf);

impl Binary {
    /// The given executable, or the one beside this program. In a target directory of cargo that
    /// one is built first, so that it is never older than the source.
    pub(crate) fn find(given: Option<&Path>) -> Outcome<Self> {
        if let Some(path) = given {
            return Ok(Self(path.to_owned()));
        }
        let this = std::env::current_exe().doing("finding this program")?;
        let beside = this
            .parent()
            .ok_or_else(|| Failure::new("this program is in no directory"))?;
        if let Some(target) = cargo_target_directory(beside) {
            build(target, beside.ends_with("release"))?;
        }
        let path = beside.join(format!("tokensmith{}", std::env::consts::EXE_SUFFIX));
        if !path.is_file() {
            let path = path.display();
            return Err(Failure::new(format!(
                "there is no {path}; name the executable with --binary"
            )));
        }
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A copy in a directory. Whatever is built meanwhile, the copy stays what it is.
    pub(crate) fn copy_into(&self, directory: &Path) -> Outcome<Self> {
        let doing = "copying the executable";
        let name = self
            .0
            .file_name()
            .ok_or_else(|| Failure::new("the executable has no name"))?;
        let copy = directory.canonicalize().doing(doing)?.join(name);
        // The name is moved, because an executable that runs cannot be written to.
        let file = tempfile::NamedTempFile::new_in(directory).doing(doing)?;
        std::fs::copy(&self.0, file.path()).doing(doing)?;
        file.persist(&copy).doing(doing)?;
        Ok(Self(copy))
    }

    /// SHA-256 of the file, in hexadecimal.
    pub(crate) fn sha256(&self) -> Outcome<String> {
        let bytes = std::fs::read(&self.0).doing("reading the executable")?;
        let mut text = String::new();
        for byte in digest(&SHA256, &bytes).as_ref() {
            // Writing to memory cannot fail.
            let _ok = write!(text, "{byte:02x}");
        }
        Ok(text)
    }

    /// Size of the file in MiB.
    pub(crate) fn mib(&self) -> Outcome<f64> {
        let length = self
            .0
            .metadata()
            .doing("reading the size of the executable")?;
        Ok(crate::measure::real(length.len()) / (1_024.0 * 1_024.0))
    }
}

/// `beside` is `TARGET/release` or `TARGET/debug`; cargo marks its target directories.
pub(crate) fn cargo_target_directory(beside: &Path) -> Option<&Path> {
    let profile = beside.file_name()?;
    let target = beside.parent()?;
    let is_profile = profile == "release" || profile == "debug";
    let has_source = Path::new(env!("CARGO_MANIFEST_DIR")).is_dir();
    (is_profile && has_source && target.join("CACHEDIR.TAG").is_file()).then_some(target)
}

/// What `cargo run` tells this program about itself. Build scripts that watch these variables
/// would run again, for nothing, if the inner cargo inherited them.
const OF_THIS_PACKAGE: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

fn build(target: &Path, release: bool) -> Outcome<()> {
    let mut cargo = Command::new(env!("CARGO"));
    for variable in OF_THIS_PACKAGE {
        cargo.env_remove(variable);
    }
    let status = cargo
        .args(["build", "--package", "tokensmith"])
        .args(release.then_some("--release"))
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::null())
        .status()
        .doing("running cargo")?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new("the service does not build"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_what_it_is_when_another_program_is_built() {
        let (built, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = built.path().join("tokensmith");
        std::fs::write(&path, "abc").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
        let binary = Binary::find(Some(&path)).unwrap();
        let copy = binary.copy_into(kept.path()).unwrap();
        std::fs::write(&path, "another").unwrap();
        // The example of FIPS 180-2.
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(copy.sha256().unwrap(), of_abc);
        assert_ne!(binary.sha256().unwrap(), of_abc);
        let permissions = copy.path().metadata().unwrap().permissions();
        assert!(std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o100 != 0);
        // Also over an older copy.
        let copy = binary.copy_into(kept.path()).unwrap();
        assert_eq!(copy.sha256().unwrap(), binary.sha256().unwrap());
    }

    #[test]
    fn only_a_target_directory_of_cargo_is_built_into() {
        let directory = tempfile::tempdir().unwrap();
        let release = directory.path().join("release");
        assert_eq!(cargo_target_directory(&release), None);
        std::fs::write(directory.path().join("CACHEDIR.TAG"), "").unwrap();
        assert_eq!(cargo_target_directory(&release), Some(directory.path()));
        assert_eq!(cargo_target_directory(Path::new("/usr/bin")), None);
    }
}
