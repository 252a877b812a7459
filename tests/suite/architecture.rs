//! The import rule of `ARCHITECTURE.md`, read from the `use` lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Layers from the outside in. A module imports from layers below its own only; modules of one
/// layer do not import each other.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["app"],
    &["cli"],
    &["config"],
    &["http", "store", "crypto", "outbound", "clock"],
    &["web"],
    &["replica", "relay"],
    &["grants", "admin", "revocation"],
    &["accounts"],
    &["telemetry"],
    &["domain"],
];

#[test]
fn imports_point_inward() {
    let mut violations = BTreeSet::new();
    for file in rust_files(&root().join("src")) {
        let module = top_module(&file);
        if module == "lib" {
            continue;
        }
        let layer = layer_of(&module);
        for imported in imported_modules(&fs::read_to_string(&file).unwrap()) {
            if imported != module && layer_of(&imported) <= layer {
                violations.insert(format!("{} imports {imported}", file.display()));
            }
        }
    }
    assert!(
        violations.is_empty(),
        "arrows that point back: {violations:#?}"
    );
}

#[test]
fn cryptography_is_named_in_one_place() {
    let named = |text: &str| {
        let code = || {
            text.lines()
                .map(|line| line.split("//").next().unwrap_or_default())
        };
        [
            "ring::",
            "aws_lc_rs::",
            "jsonwebtoken::",
            "argon2::",
            "bcrypt::",
        ]
        .iter()
        .any(|name| {
            code().any(|line| {
                line.match_indices(name).any(|(at, _)| {
                    // Not the end of a longer name, such as `string::`.
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                })
            })
        })
    };
    let outside: Vec<_> = rust_files(&root().join("src"))
        .into_iter()
        .filter(|file| top_module(file) != "crypto" && named(&fs::read_to_string(file).unwrap()))
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
}

#[test]
fn statements_are_written_in_one_file() {
    let verbs = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "];
    let outside: Vec<_> = rust_files(&root().join("src"))
        .into_iter()
        .filter(|file| !file.ends_with("store/sql.rs"))
        .filter(|file| {
            let text = fs::read_to_string(file).unwrap();
            // Tests may have tables of their own.
            let product = text.split("#[cfg(test)]").next().unwrap();
            let mut code = product
                .lines()
                .map(|line| line.split("//").next().unwrap_or_default());
            code.any(|line| verbs.iter().any(|verb| line.contains(verb)))
        })
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |directory: &str| -> BTreeSet<String> {
        fs::read_dir(root().join("migrations").join(directory))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn layer_of(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("module {module} has no layer; give it one in ARCHITECTURE.md"))
}

fn top_module(file: &Path) -> String {
    let relative = file.strip_prefix(root().join("src")).unwrap();
    let first = relative
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The top-level modules named after `crate::` anywhere in the code, not in comments.
fn imported_modules(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .flat_map(|line| {
            line.match_indices("crate::")
                .map(move |(at, _)| &line[at + 7..])
        })
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .filter(|name: &String| !name.is_empty() && name.chars().all(char::is_lowercase))
        .collect()
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
