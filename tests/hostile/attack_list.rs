//! `docs/attacks.md` names the tests that try each attack, `docs/limits.md` those that prove each limit.
//! A name on these pages is the name of a test, and a test that is named after an attack is on the
//! page of attacks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The numbers of the attacks.
const ATTACKS: std::ops::RangeInclusive<u32> = 1..=42;

/// Where names go that stand below a title without a number.
const NO_ATTACK: u32 = 0;

#[test]
fn the_page_of_attacks_and_the_tests_name_each_other() {
    let page = fs::read_to_string(root().join("docs/attacks.md")).unwrap();
    let problems = problems(&page, &Sources::of_this_project());
    assert!(problems.is_empty(), "docs/attacks.md: {problems:#?}");
}

#[test]
fn the_page_of_limits_names_tests_that_are_there() {
    let page = fs::read_to_string(root().join("docs/limits.md")).unwrap();
    let sources = Sources::of_this_project();
    let quoted = page
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    let tests: BTreeSet<&str> = quoted.filter(|name| name.contains("::")).collect();
    assert!(tests.len() > 20, "it names tests: {tests:?}");
    let mut wrong = Vec::new();
    for test in tests {
        if let Err(why) = sources.find(test) {
            wrong.push(format!("`{test}` {why}"));
        }
    }
    assert!(wrong.is_empty(), "docs/limits.md: {wrong:#?}");
}

/// One attack on the page.
#[derive(Debug, Default)]
struct Section {
    /// What stands in backticks in the list below `Tests:`.
    tests: BTreeSet<String>,
    waits: bool,
}

/// The sections of the page, by their numbers.
fn sections(page: &str) -> BTreeMap<u32, Section> {
    let mut sections: BTreeMap<u32, Section> = BTreeMap::new();
    let mut current = None;
    let mut in_tests = false;
    for line in page.lines() {
        if line.starts_with('#') {
            let title = line.strip_prefix("### ").unwrap_or_default();
            let number = title.split_once(". ").and_then(|it| it.0.parse().ok());
            current = Some(sections.entry(number.unwrap_or(NO_ATTACK)).or_default());
            in_tests = false;
        }
        let Some(section) = &mut current else {
            continue;
        };
        in_tests |= line.starts_with("Tests:");
        section.waits |= line.starts_with("Waits for ");
        if in_tests {
            let quoted = line.split('`').skip(1).step_by(2);
            section.tests.extend(quoted.map(str::to_owned));
        }
    }
    sections
}

/// What the page says wrongly, and what it does not say.
fn problems(page: &str, sources: &Sources) -> Vec<String> {
    let sections = sections(page);
    let mut problems = Vec::new();
    for number in ATTACKS {
        match sections.get(&number) {
            None => problems.push(format!("attack {number} has no section")),
            Some(section) if section.tests.is_empty() && !section.waits => {
                problems.push(format!(
                    "attack {number} names no test and nothing that it waits for"
                ));
            }
            Some(_) => {}
        }
    }
    for (number, section) in &sections {
        if !ATTACKS.contains(number) && *number != NO_ATTACK {
            problems.push(format!("there is no attack {number}"));
        }
        for test in &section.tests {
            if let Err(why) = sources.find(test) {
                problems.push(format!("attack {number}: `{test}` {why}"));
            }
        }
    }
    for (number, path) in sources.named_after_attacks() {
        let listed = sections
            .get(&number)
            .is_some_and(|section| section.tests.contains(&path));
        if !listed {
            problems.push(format!("attack {number} does not name `{path}`"));
        }
    }
    problems
}

/// Files with tests and vectors, by their paths from the root of the project.
struct Sources(BTreeMap<String, String>);

impl Sources {
    fn of_this_project() -> Self {
        let mut files = BTreeMap::new();
        for directory in ["tests", "src", "verifier/src", "verifier/tests"] {
            read_into(&mut files, &root().join(directory));
        }
        Self(files)
    }

    /// Whether a name on the page leads to a test.
    fn find(&self, name: &str) -> Result<(), &'static str> {
        if let Some(vector) = name.strip_prefix("vectors/") {
            return self.find_vector(vector);
        }
        let (place, path) = name.split_once(": ").unwrap_or(("", name));
        let (modules, test) = path.rsplit_once("::").ok_or("names no module")?;
        let files = files_of(place, modules).ok_or("is of no known kind")?;
        let texts: Vec<&String> = files.iter().filter_map(|file| self.0.get(file)).collect();
        if texts.is_empty() {
            return Err("is in a file that does not exist");
        }
        let is_there = texts
            .iter()
            .any(|text| tests_in(text).any(|known| known == test));
        is_there.then_some(()).ok_or("is not in its file")
    }

    fn find_vector(&self, name: &str) -> Result<(), &'static str> {
        let (file, vector) = name.split_once(": ").unwrap_or((name, ""));
        let text = self.0.get(&format!("verifier/tests/vectors/{file}"));
        let text = text.ok_or("is in a file that does not exist")?;
        if vector.is_empty() {
            return Ok(());
        }
        let wanted = vector
            .strip_prefix('"')
            .and_then(|it| it.strip_suffix('"'))
            .unwrap_or(vector);
        let json: Value = serde_json::from_str(text).map_err(|_| "is in a file that is no JSON")?;
        let is_there = names_in(&json).contains(&wanted);
        is_there.then_some(()).ok_or("is not in its file")
    }

    /// The tests of this suite whose names begin with `attack_NN_`, by that number.
    fn named_after_attacks(&self) -> Vec<(u32, String)> {
        let mut found = Vec::new();
        for (file, text) in &self.0 {
            let Some(module) = file
                .strip_prefix("tests/")
                .and_then(|it| it.strip_suffix(".rs"))
            else {
                continue;
            };
            let module = module
                .strip_prefix("suite/")
                .unwrap_or(module)
                .replace('/', "::");
            for test in tests_in(text) {
                let number = test.strip_prefix("attack_").and_then(|rest| rest.get(..2));
                if let Some(number) = number.and_then(|number| number.parse().ok()) {
                    found.push((number, format!("{module}::{test}")));
                }
            }
        }
        found
    }
}

/// Where a test may be that the page gives this path.
fn files_of(place: &str, modules: &str) -> Option<Vec<String>> {
    let of_module = |folder: &str, modules: &str| {
        let path = modules.replace("::", "/");
        vec![
            format!("{folder}{path}.rs"),
            format!("{folder}{path}/mod.rs"),
        ]
    };
    Some(match place {
        "" if modules.starts_with("hostile") => of_module("tests/", modules),
        "" => of_module("tests/suite/", modules),
        "verifier/tests" => of_module("verifier/tests/verifier/", modules),
        "src" | "verifier/src" => {
            // Beside the code, or in a file of its own.
            let beside = modules.strip_suffix("::tests").unwrap_or(modules);
            let folder = format!("{place}/");
            [of_module(&folder, beside), of_module(&folder, modules)].concat()
        }
        _ => return None,
    })
}

/// The names of the tests in a file: what has an attribute that says so, and what the macro for
/// both databases makes one.
fn tests_in(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        let begins = line.starts_with("#[test]")
            || line.starts_with("#[tokio::test")
            || line.starts_with("#[actix_web::test")
            || line.starts_with("on_every_database! {");
        let declared = line
            .strip_prefix("async ")
            .unwrap_or(line)
            .strip_prefix("fn ");
        let name = declared.and_then(|rest| rest.split('(').next());
        let found = name.filter(|_| is_test);
        is_test = begins || (is_test && name.is_none());
        found
    })
}

/// Every `name` in the JSON.
fn names_in(json: &Value) -> BTreeSet<&str> {
    match json {
        Value::Array(items) => items.iter().flat_map(names_in).collect(),
        Value::Object(members) => {
            let own = members.get("name").and_then(Value::as_str);
            own.into_iter()
                .chain(members.values().flat_map(names_in))
                .collect()
        }
        _ => BTreeSet::new(),
    }
}

fn read_into(files: &mut BTreeMap<String, String>, directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_into(files, &path);
        } else if path
            .extension()
            .is_some_and(|it| it == "rs" || it == "json")
        {
            let relative = path.strip_prefix(root()).unwrap();
            files.insert(
                relative.to_str().unwrap().to_owned(),
                fs::read_to_string(&path).unwrap(),
            );
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A project of four files, and its page: every number but the last names the same test.
fn sample() -> (String, Sources) {
    let files = [
        (
            "tests/hostile/codes.rs",
            "#[tokio::test]\nasync fn attack_24_a_code_is_good_once() {}\nfn no_test() {}",
        ),
        (
            "tests/suite/service/refresh.rs",
            "on_every_database! {\n    async fn a_replay_is_caught(database) {",
        ),
        (
            "verifier/src/jws.rs",
            "    #[test]\n    #[ignore]\n    fn the_size_is_checked() {",
        ),
        (
            "verifier/tests/vectors/header.json",
            r#"[{"name": "kid null", "token": {"name": "inner"}}]"#,
        ),
    ];
    let sources = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let section = |number| {
        let test = "- `service::refresh::a_replay_is_caught`";
        format!("### {number}. Something\nWhat `it` is.\nTests:\n{test}\n")
    };
    let sections: Vec<String> = ATTACKS.map(section).collect();
    let page = format!("# Attacks\n`not_in_a_section`\n{}", sections.concat());
    let more = [
        "- `hostile::codes::attack_24_a_code_is_good_once`, `vectors/header.json`",
        "- `verifier/src: jws::tests::the_size_is_checked`, `vectors/header.json: \"kid null\"`",
    ];
    let page = page.replace("### 25.", &format!("{}\n### 25.", more.join("\n")));
    (page, Sources(sources.into()))
}

#[test]
fn a_page_on_which_all_is_right_has_no_problems() {
    let (page, sources) = sample();
    assert_eq!(problems(&page, &sources), Vec::<String>::new());
    let waiting = page.replace(
        "### 27. Something\nWhat `it` is.\nTests:\n- `service::refresh::a_replay_is_caught`",
        "### 27. Something\nWaits for what is not there yet.",
    );
    assert_ne!(waiting, page);
    assert_eq!(problems(&waiting, &sources), Vec::<String>::new());
}

#[test]
fn whatever_is_misspelt_or_left_out_on_the_page_is_noticed() {
    let (page, sources) = sample();
    for (written, instead, problem) in [
        (
            "a_code_is_good_once",
            "a_code_is_good_twice",
            "is not in its file",
        ),
        ("a_code_is_good_once", "no_test", "is not in its file"),
        (
            "hostile::codes::attack_24",
            "hostile::code::attack_24",
            "does not exist",
        ),
        (
            "hostile::codes::attack_24_a_code_is_good_once`, ",
            "",
            "attack 24 does not name",
        ),
        (
            "the_size_is_checked",
            "the_size_was_checked",
            "is not in its file",
        ),
        ("verifier/src: jws", "verifier: jws", "is of no known kind"),
        ("kid null", "kid nil", "is not in its file"),
        ("header.json: ", "headers.json: ", "does not exist"),
        ("### 7. ", "### 8. ", "attack 7 has no section"),
        ("### 7. ", "### 77. ", "there is no attack 77"),
        (
            "### 42. Something\nWhat `it` is.\nTests:",
            "### 42. Something",
            "attack 42 names no test",
        ),
    ] {
        let changed = page.replace(written, instead);
        assert_ne!(changed, page, "{written}");
        let found = problems(&changed, &sources);
        assert!(
            found.iter().any(|one| one.contains(problem)),
            "{written}: {found:?}"
        );
    }
}
