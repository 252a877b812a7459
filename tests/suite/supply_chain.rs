//! What the project is made of, and what its own crates promise.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use toml::{Table, Value};

#[test]
fn the_page_of_dependencies_names_every_direct_one_and_no_other() {
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let names = first.flat_map(|cell| cell.split(',').map(str::trim));
    let on_page: BTreeSet<String> = names
        .filter(|name| *name != "crate")
        .map(str::to_owned)
        .collect();
    let manifests: Vec<Table> = manifests().map(|(_, manifest)| manifest).collect();
    let own: BTreeSet<&str> = manifests.iter().map(package).collect();
    let in_manifests = manifests.iter().flat_map(dependencies);
    let in_manifests: BTreeSet<String> = in_manifests
        .filter(|name| !own.contains(name.as_str()))
        .collect();
    let missing: Vec<_> = in_manifests.difference(&on_page).collect();
    let superfluous: Vec<_> = on_page.difference(&in_manifests).collect();
    assert!(
        missing.is_empty() && superfluous.is_empty(),
        "docs/dependencies.md lacks {missing:?}, and nothing needs {superfluous:?}"
    );
    assert!(in_manifests.len() > 50, "{in_manifests:?}");
}

#[test]
fn every_crate_of_ours_forbids_unsafe_code() {
    let workspace = read("");
    let forbids = |lints: Option<&Value>| {
        let level = lints.and_then(|lints| lints.get("rust")?.get("unsafe_code"));
        level.and_then(Value::as_str) == Some("forbid")
    };
    assert!(forbids(workspace["workspace"].get("lints")));
    for (directory, manifest) in manifests() {
        let lints = manifest.get("lints");
        let inherits = lints.and_then(|lints| lints.get("workspace")?.as_bool()) == Some(true);
        // What is outside of the workspace has to say it itself.
        assert!(inherits || forbids(lints), "{directory}/Cargo.toml");
    }
}

/// The manifest of every crate of ours, with its directory.
fn manifests() -> impl Iterator<Item = (String, Table)> {
    let workspace = read("");
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let members = members
        .iter()
        .map(|member| member.as_str().unwrap().to_owned());
    let mut directories = vec![String::new()];
    directories.extend(members);
    // A workspace of its own, because only nightly Rust builds it.
    directories.push("fuzz/targets".to_owned());
    directories.into_iter().map(|directory| {
        let manifest = read(&directory);
        (directory, manifest)
    })
}

fn read(directory: &str) -> Table {
    let file = root().join(directory).join("Cargo.toml");
    fs::read_to_string(file).unwrap().parse().unwrap()
}

fn package(manifest: &Table) -> &str {
    manifest["package"]["name"].as_str().unwrap()
}

/// Of all kinds, for every platform.
fn dependencies(manifest: &Table) -> BTreeSet<String> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let platforms = manifest.get("target").and_then(Value::as_table);
    let platforms = platforms.into_iter().flat_map(Table::values);
    let tables = platforms.filter_map(Value::as_table).chain([manifest]);
    let named = tables.flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)));
    let named = named.filter_map(Value::as_table).flat_map(Table::keys);
    named.cloned().collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
