//! `docs/conformance.md` and these tests say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module of the suite with the tests that stand for it.
struct Row {
    module: String,
    tests: Vec<String>,
    note: String,
}

/// The rows of the tables: module, demand, tests, note.
fn rows() -> Vec<Row> {
    let page = include_str!("../../../../docs/conformance.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [module, _, tests, note] = cells[..] else {
            panic!("a row has four cells: {line}")
        };
        Row {
            module: module.trim_matches('`').to_owned(),
            tests: tests
                .split('`')
                .filter(|part| part.contains("::"))
                .map(str::to_owned)
                .collect(),
            note: note.to_owned(),
        }
    })
    .collect()
}

/// The tests here, as `file::name`.
fn tests() -> BTreeSet<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/service/conformance");
    let mut names = BTreeSet::new();
    for file in fs::read_dir(here).unwrap() {
        let path = file.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let mut before = "";
        for line in text.lines().map(str::trim) {
            let marked = ["#[tokio::test]", "on_every_database! {"].contains(&before);
            if let Some(rest) = line.strip_prefix("async fn ").filter(|_| marked) {
                let name = rest.split('(').next().unwrap();
                names.insert(format!("{module}::{name}"));
            }
            before = line;
        }
    }
    names
}

#[test]
fn every_module_has_a_test_or_a_reason() {
    let rows = rows();
    assert!(rows.len() >= 50, "the tables are not read: {}", rows.len());
    let mut seen = BTreeMap::new();
    for row in &rows {
        assert!(
            !row.tests.is_empty() || row.note.starts_with("n/a: "),
            "{} has neither a test nor a reason",
            row.module
        );
        *seen.entry(&row.module).or_insert(0) += 1;
    }
    seen.retain(|_, count| *count > 1);
    assert!(seen.is_empty(), "named twice: {seen:?}");
}

#[test]
fn the_page_and_the_tests_name_each_other() {
    let named: BTreeSet<String> = rows().into_iter().flat_map(|row| row.tests).collect();
    let there = tests();
    let missing: Vec<_> = named.difference(&there).collect();
    assert!(missing.is_empty(), "no such test: {missing:#?}");
    let unnamed: Vec<_> = there.difference(&named).collect();
    assert!(unnamed.is_empty(), "not on the page: {unnamed:#?}");
}
