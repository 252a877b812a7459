//! The settings file.
//!
//! The input is a `tokensmith.toml`, and behind a line `%%` the variables, one on a line. Settings
//! that are printed are read again as the same, and nothing that is said of them has a secret in it.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{Seek as _, Write as _};

use tempfile::NamedTempFile;
use tokensmith::config::{Environment, Flags, PrintedSetting, Settings};

/// Long enough not to be there by chance.
const SECRET: &str = "zq7SECRETzq7SECRETzq7SECRETzq7SE";

thread_local! {
    /// Written anew each time: settings are read from a file.
    static FILE: OnceCell<NamedTempFile> = const { OnceCell::new() };
}

/// Holds every property of settings.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (file, variables) = text.split_once("\n%%\n").unwrap_or((&text, ""));
    let environment = environment(variables, &[]);
    if let Ok(printed) = print(file, &environment) {
        let again = print(&as_file(&printed), &Environment::default());
        let again = again.expect("settings that were printed are read again");
        assert_eq!(
            values(&again),
            values(&printed),
            "print then parse is the identity"
        );
    }
    if !text.contains("SECRET") {
        check_secrets(file, variables);
    }
}

fn check_secrets(file: &str, variables: &str) {
    let url = format!("postgres://tokensmith:{SECRET}@db.example.com/tokensmith");
    let secrets = [
        ("TOKENSMITH_MASTER_KEY", SECRET),
        ("TOKENSMITH_DATABASE_URL", &url),
    ];
    assert_silent(file, &environment(variables, &secrets));
    // Slips of those who write settings are among them.
    let lines = [
        format!("master_key = \"{SECRET}\""),
        format!("master_key = {SECRET}"),
        format!("master_key = \"{SECRET}"),
        format!("master_key = [\"{SECRET}\"]"),
        format!("master_key_file = \"key\"\nmaster_key = \"{SECRET}\""),
        format!("database_url = \"{url}\""),
        format!("database_url = \"{SECRET}\""),
        format!("database_url = \"postgres://tokensmith:{SECRET}@[db\""),
        format!("database_url = {url}"),
    ];
    // One at a time: each is a file to be written. In front, so that no table swallows it.
    let line = &lines[file.len() % lines.len()];
    assert_silent(&format!("{line}\n{file}"), &environment(variables, &[]));
}

fn assert_silent(file: &str, environment: &Environment) {
    let said = match print(file, environment) {
        Ok(printed) => format!("{printed:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(
        !said.contains(SECRET),
        "nothing that is said has a secret in it: {said}"
    );
}

fn print(
    file: &str,
    environment: &Environment,
) -> Result<Vec<PrintedSetting>, tokensmith::config::ConfigError> {
    FILE.with(|cell| {
        let temporary = cell.get_or_init(|| NamedTempFile::new().expect("there is a disk"));
        rewrite(temporary.as_file(), file).expect("there is room on it");
        let flags = Flags {
            config: Some(temporary.path().to_owned()),
            values: Vec::new(),
        };
        let printed = Settings::print(&flags, environment);
        assert_eq!(
            printed.is_ok(),
            Settings::load(&flags, environment).is_ok(),
            "what can be printed can be loaded"
        );
        printed
    })
}

/// In place: file systems that are careful with files that were cut to nothing write to the disk.
fn rewrite(mut file: &File, text: &str) -> std::io::Result<()> {
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

/// The first four variables count, and then those that are added.
fn environment(variables: &str, added: &[(&str, &str)]) -> Environment {
    let mut all = [("TOKENSMITH_UNUSED", ""); 6];
    let given = variables.lines().filter_map(|line| line.split_once('='));
    let given = given.filter(|(name, _)| *name != "TOKENSMITH_CONFIG");
    for (place, variable) in given.take(4).chain(added.iter().copied()).enumerate() {
        all[place] = variable;
    }
    Environment::from(all)
}

/// Secrets are printed as dots, so the copy goes without.
fn as_file(printed: &[PrintedSetting]) -> String {
    let mut file = String::new();
    for setting in printed.iter().filter(|setting| !is_hidden(setting)) {
        if let Some(value) = &setting.value {
            let value = toml::Value::from(value.as_str());
            file.extend([setting.name, " = ", &value.to_string(), "\n"]);
        }
    }
    file
}

fn values(printed: &[PrintedSetting]) -> Vec<(&str, Option<&str>)> {
    let shown = printed.iter().filter(|setting| !is_hidden(setting));
    shown
        .map(|setting| (setting.name, setting.value.as_deref()))
        .collect()
}

fn is_hidden(setting: &PrintedSetting) -> bool {
    let is_secret = setting.value.as_deref() == Some("…");
    let names_others = ["database_url", "master_key"].contains(&setting.name);
    is_secret || names_others
}
