//! Every file of the corpus, replayed with stable Rust: what a fuzz run has found once is a test
//! from then on.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in the functions that tests share"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tokensmith_fuzz::{TARGETS, Target};

#[test]
fn every_property_holds_for_every_file_of_the_corpus() {
    for target in TARGETS {
        for file in files(target) {
            let data = fs::read(&file).unwrap();
            let outcome = std::panic::catch_unwind(|| (target.check)(&data));
            assert!(
                outcome.is_ok(),
                "{} fails with {}",
                target.name,
                file.display()
            );
        }
    }
}

#[test]
fn every_property_holds_for_the_beginning_of_every_file() {
    // What is cut off on the way is the most common fault of all.
    for target in TARGETS {
        for file in files(target) {
            let data = fs::read(&file).unwrap();
            for length in [data.len() / 2, data.len().saturating_sub(1)] {
                (target.check)(&data[..length]);
            }
        }
    }
}

#[test]
fn every_target_has_a_corpus_a_program_and_an_entry() {
    let targets: BTreeSet<_> = TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect();
    assert_eq!(targets.len(), TARGETS.len(), "names are unique");
    assert_eq!(names_in("corpus", ""), targets);
    assert_eq!(names_in("targets/fuzz_targets", ".rs"), targets);
    for target in TARGETS {
        let program = home().join(format!("targets/fuzz_targets/{}.rs", target.name));
        let call = format!("tokensmith_fuzz::{}::check(data)", target.name);
        assert!(fs::read_to_string(program).unwrap().contains(&call));
    }
    let manifest = fs::read_to_string(home().join("targets/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap().iter();
    let programs: BTreeSet<_> = programs
        .map(|program| program["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(programs, targets);
}

#[test]
fn every_corpus_is_small_enough_to_be_read() {
    for target in TARGETS {
        let files = files(target);
        let bytes: u64 = files
            .iter()
            .map(|file| fs::metadata(file).unwrap().len())
            .sum();
        assert!(
            (5..=200).contains(&files.len()),
            "{} has {} files",
            target.name,
            files.len()
        );
        assert!(bytes <= 300 * 1024, "{} has {bytes} bytes", target.name);
    }
}

fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(target: &Target) -> Vec<PathBuf> {
    let mut files = entries(&home().join("corpus").join(target.name));
    files.sort_unstable();
    files
}

fn names_in(folder: &str, ending: &str) -> BTreeSet<String> {
    let names = entries(&home().join(folder)).into_iter();
    names
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .map(|name| name.strip_suffix(ending).unwrap().to_owned())
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}
