//! Where values come from, and the words for what is wrong with one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its name in the file; a dot stands for a table.
    pub name: &'static str,
    /// The value when none is given.
    pub default: Option<&'static str>,
    /// What is right.
    pub expected: &'static str,
    /// Whether the value is never shown.
    pub is_secret: bool,
    /// Whether it may be an array in the file.
    pub is_list: bool,
}

impl Setting {
    pub(super) const fn new(
        name: &'static str,
        default: &'static str,
        expected: &'static str,
    ) -> Self {
        Self {
            default: Some(default),
            ..Self::optional(name, expected)
        }
    }

    pub(super) const fn optional(name: &'static str, expected: &'static str) -> Self {
        Self {
            name,
            default: None,
            expected,
            is_secret: false,
            is_list: false,
        }
    }

    pub(super) const fn secret(name: &'static str, expected: &'static str) -> Self {
        Self {
            is_secret: true,
            ..Self::optional(name, expected)
        }
    }

    pub(super) const fn list(name: &'static str, expected: &'static str) -> Self {
        Self {
            is_list: true,
            ..Self::optional(name, expected)
        }
    }

    /// The variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!(
            "{VARIABLE_PREFIX}{}",
            self.name.replace('.', "_").to_uppercase()
        )
    }
}

const VARIABLE_PREFIX: &str = "TOKENSMITH_";
const DEFAULT_FILE: &str = "tokensmith.toml";

/// The `TOKENSMITH_*` variables of the process. Without `Debug`: the master key may be among them.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads the variables of this process.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads variables"
    )]
    pub fn of_process() -> Self {
        // Names that are not UTF-8 cannot be ours.
        let ours = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let value = value.to_string_lossy().into_owned();
            name.starts_with(VARIABLE_PREFIX).then_some((name, value))
        });
        Self(ours.collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(
            variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        )
    }
}

/// What was given on the command line. Without `Debug`: a password may be in it.
#[derive(Clone, Default)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// Setting name to value.
    pub values: Vec<(&'static str, String)>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave one.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable.
    Variable(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// What is wrong with the settings, in one line that names the place and the remedy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A value does not fit.
    #[error("{name} = {value:?} (from {origin}) is not right{why}: expected {expected}")]
    Value {
        /// The setting.
        name: &'static str,
        /// Its value, or dots for a secret.
        value: String,
        /// Where it came from.
        origin: Origin,
        /// What the parser said, behind a comma; may be empty.
        why: String,
        /// What would be right.
        expected: String,
    },
    /// The file has a setting that does not exist.
    #[error("{name:?} in file {} is no setting{suggestion}", path.display())]
    Unknown {
        /// What was written.
        name: String,
        /// The file.
        path: PathBuf,
        /// The setting that was perhaps meant.
        suggestion: String,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A setting that this command needs is missing.
    #[error("{name} is not set: {expected}; set it in {DEFAULT_FILE}, as {variable} or as {flag}")]
    Missing {
        /// The setting.
        name: &'static str,
        /// What would be right.
        expected: &'static str,
        /// Its variable.
        variable: &'static str,
        /// Its flag.
        flag: &'static str,
    },
}

/// A setting as `config print` shows it.
#[derive(Debug, serde::Serialize)]
pub struct PrintedSetting {
    /// Its name in the file.
    pub name: &'static str,
    /// Its value; dots for a secret, `None` when unset.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: String,
}

/// The values of all layers, the topmost of each.
pub(super) struct Layers(BTreeMap<&'static str, (String, Origin)>);

impl Layers {
    pub(super) fn read(flags: &Flags, environment: &Environment) -> Result<Self, ConfigError> {
        let mut layers = Self(BTreeMap::new());
        for setting in super::settings() {
            if let Some(default) = setting.default {
                layers
                    .0
                    .insert(setting.name, (default.to_owned(), Origin::Default));
            }
        }
        layers.read_file(flags, environment)?;
        for setting in super::settings() {
            let variable = setting.variable();
            // An empty variable counts as unset, as in most shells and orchestrators.
            if let Some(value) = environment.get(&variable).filter(|value| !value.is_empty()) {
                layers
                    .0
                    .insert(setting.name, (value.to_owned(), Origin::Variable(variable)));
            }
        }
        for (name, value) in &flags.values {
            let flag = format!("--{}", name.replace(['_', '.'], "-"));
            layers.0.insert(name, (value.clone(), Origin::Flag(flag)));
        }
        Ok(layers)
    }

    fn read_file(&mut self, flags: &Flags, environment: &Environment) -> Result<(), ConfigError> {
        let named = flags.config.clone().or_else(|| {
            environment
                .get("TOKENSMITH_CONFIG")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        });
        let path = named.clone().unwrap_or_else(|| DEFAULT_FILE.into());
        let unreadable = |reason: String| ConfigError::Unreadable {
            path: path.clone(),
            reason,
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(());
            }
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| unreadable(one_line(&error)))?;
        let mut given = Vec::new();
        flatten("", &table, &mut given);
        for (name, value) in given {
            let setting = find(&name).ok_or_else(|| unknown(&name, &path))?;
            self.0
                .insert(setting.name, (value, Origin::File(path.clone())));
        }
        Ok(())
    }

    /// Parses a setting that has a default. The parser's error may be empty.
    pub(super) fn parse<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        match self.parse_optional(name, parse)? {
            Some(value) => Ok(value),
            None => Err(self.contradiction(name, "a value")),
        }
    }

    pub(super) fn parse_optional<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((value, origin)) = self.0.get(name) else {
            return Ok(None);
        };
        parse(value).map(Some).map_err(|why| ConfigError::Value {
            name,
            value: shown(name, value),
            origin: origin.clone(),
            why: if why.is_empty() {
                why
            } else {
                format!(", {why}")
            },
            expected: find(name).map_or("", |setting| setting.expected).to_owned(),
        })
    }

    /// Two settings do not go together.
    pub(super) fn contradiction(&self, name: &'static str, expected: &str) -> ConfigError {
        let (value, origin) = self
            .0
            .get(name)
            .cloned()
            .unwrap_or((String::new(), Origin::Default));
        ConfigError::Value {
            name,
            value: shown(name, &value),
            origin,
            why: String::new(),
            expected: expected.to_owned(),
        }
    }

    pub(super) fn print(&self, database: &str) -> Vec<PrintedSetting> {
        super::settings()
            .map(|setting| {
                let given = self.0.get(setting.name);
                let is_database = setting.name == "database_url";
                let value = match given {
                    _ if is_database => Some(database.to_owned()),
                    Some((value, _)) => Some(shown(setting.name, value)),
                    None => None,
                };
                let origin = given.map_or(Origin::Default, |(_, origin)| origin.clone());
                PrintedSetting {
                    name: setting.name,
                    value,
                    origin: origin.to_string(),
                }
            })
            .collect()
    }
}

fn find(name: &str) -> Option<&'static Setting> {
    super::settings().find(|setting| setting.name == name)
}

/// A value fit to be shown. A database URL that does not parse may still hold a password.
fn shown(name: &str, value: &str) -> String {
    let hidden = find(name).is_some_and(|setting| setting.is_secret)
        || (name == "database_url" && !value.starts_with("sqlite:"));
    if hidden {
        "…".to_owned()
    } else {
        value.to_owned()
    }
}

fn unknown(name: &str, path: &Path) -> ConfigError {
    let nearest = super::settings()
        .map(|setting| (distance(name, setting.name), setting.name))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let suggestion =
        nearest.map_or_else(String::new, |(_, name)| format!("; did you mean {name:?}?"));
    ConfigError::Unknown {
        name: name.to_owned(),
        path: path.to_owned(),
        suggestion,
    }
}

/// Levenshtein's edit distance, for suggestions.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut previous = i + 1;
        let mut next = vec![previous];
        for (to, above) in right.iter().zip(row.iter().skip(1)) {
            let substituted = diagonal + usize::from(from != *to);
            previous = substituted.min(above + 1).min(previous + 1);
            diagonal = *above;
            next.push(previous);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

fn flatten(prefix: &str, table: &toml::Table, given: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            toml::Value::Table(inner) => flatten(&name, inner, given),
            toml::Value::String(text) => given.push((name, text.clone())),
            other => {
                let text = joined(&name, other).unwrap_or_else(|| other.to_string());
                given.push((name, text));
            }
        }
    }
}

/// An array of strings, written as in a variable, for a setting that is a list.
fn joined(name: &str, value: &toml::Value) -> Option<String> {
    find(name).filter(|setting| setting.is_list)?;
    let items: Option<Vec<_>> = value.as_array()?.iter().map(toml::Value::as_str).collect();
    Some(items?.join(", "))
}

/// The parser's message without the excerpt of the file, which may hold a secret.
fn one_line(error: &toml::de::Error) -> String {
    error.message().replace('\n', " ")
}
