//! The command line.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, Parser};

use crate::all;
use crate::scenario::{Plan, SCENARIOS, Scenario};

/// Measures Tokensmith and prints figures.
///
/// Exit codes: 0 measured, 1 failed or wrong answers, 2 bad usage.
#[derive(Parser)]
#[command(name = "tokensmith-bench", version)]
pub(crate) struct Arguments {
    /// What to measure.
    #[arg(value_name = "SCENARIO", value_parser = whats())]
    pub(crate) what: What,
    #[command(flatten)]
    pub(crate) plan: Plan,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also fail when a figure misses its bar.
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) of_all: all::Options,
}

/// One scenario, or every one with a report.
#[derive(Clone, Copy)]
pub(crate) enum What {
    One(&'static Scenario),
    All,
}

const ALL: &str = "all";

impl Arguments {
    /// Those of this process. Where they make no sense, says so and exits.
    pub(crate) fn read() -> Self {
        Self::of(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn of<T>(words: impl IntoIterator<Item = T>) -> Result<Self, clap::Error>
    where
        T: Into<std::ffi::OsString> + Clone,
    {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(words)?;
        let arguments = Self::from_arg_matches(&matches)?;
        arguments.what.require_sense(&mut command, &matches)?;
        Ok(arguments)
    }
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::One(scenario) => scenario.name,
            Self::All => ALL,
        }
    }

    /// Whoever gives an option wants it to be heeded.
    fn require_sense(self, command: &mut Command, matches: &ArgMatches) -> Result<(), clap::Error> {
        let what = self.name();
        let is_given = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        let unheeded = command.get_arguments().find(|argument| {
            let id = argument.get_id().as_str();
            is_given(id) && !is_heeded(id, what)
        });
        if let Some(unheeded) = unheeded.map(ToString::to_string) {
            let problem = format!("the argument '{unheeded}' has no meaning for '{what}'");
            return Err(command.error(ErrorKind::ArgumentConflict, problem));
        }
        if matches!(self, Self::All) && !is_given("report") {
            let problem = "all writes a report: name the file with --report";
            return Err(command.error(ErrorKind::MissingRequiredArgument, problem));
        }
        Ok(())
    }
}

/// Whether an option changes what is measured.
fn is_heeded(option: &str, what: &str) -> bool {
    match option {
        "report" | "most_sessions" | "only" | "resume" | "without" => what == ALL,
        // All databases, of all sizes.
        "database" | "database_url" => what != ALL,
        "sessions" => matches!(what, "refresh" | "memory" | "footprint"),
        "verifiers" | "streams" | "processes" => matches!(what, "revoke" | ALL),
        "rate" => matches!(what, "revoke-rate" | ALL),
        "binary" => !matches!(what, "sign" | "verify" | "reject" | "footprint" | "limits"),
        "clients" => !matches!(
            what,
            "sign"
                | "verify"
                | "verify-cached"
                | "reject"
                | "curve"
                | "start"
                | "footprint"
                | "revoke"
                | "limits"
        ),
        _ => true,
    }
}

fn whats() -> impl TypedValueParser<Value = What> {
    let names = SCENARIOS
        .iter()
        .map(|scenario| PossibleValue::new(scenario.name).help(scenario.about));
    let all = PossibleValue::new(ALL).help("all of them on both databases, with a report");
    PossibleValuesParser::new(names.chain([all])).try_map(|name| {
        if name == ALL {
            return Ok(What::All);
        }
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
        scenario.map(What::One).ok_or("no such scenario")
    })
}

/// Parses a number of seconds; half seconds are fine.
pub(crate) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|seconds| (0.1..=3_600.0).contains(seconds))
        .map(std::time::Duration::from_secs_f64)
        .ok_or_else(|| "expected a number of seconds from 0.1 to 3600".to_owned())
}

/// Parses the path of an executable that exists.
pub(crate) fn existing_file(text: &str) -> Result<PathBuf, String> {
    std::fs::canonicalize(text).map_err(|error| error.to_string())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// How `all` measures with these options.
    pub(crate) fn plan(options: &[&str]) -> Plan {
        let words = ["bench", "all", "--report", "x.md"].iter().chain(options);
        Arguments::of(words).unwrap().plan
    }

    /// What else `all` does with these options.
    pub(crate) fn all_options(options: &[&str]) -> all::Options {
        let words = ["bench", "all", "--report", "x.md"].iter().chain(options);
        Arguments::of(words).unwrap().of_all
    }

    /// The exit code with these words; none where they make sense.
    fn exit_code(words: &[&str]) -> Option<i32> {
        let outcome = Arguments::of(["bench"].iter().chain(words));
        outcome.err().map(|error| error.exit_code())
    }

    #[test]
    fn every_scenario_is_on_the_command_line_once() {
        for scenario in SCENARIOS {
            let arguments = Arguments::of(["bench", scenario.name]).unwrap();
            assert!(matches!(arguments.what, What::One(found) if found.name == scenario.name));
            let same = SCENARIOS.iter().filter(|other| other.name == scenario.name);
            assert_eq!(same.count(), 1, "{}", scenario.name);
        }
        assert!(Arguments::of(["bench", "nothing"]).is_err());
        let all = Arguments::of(["bench", "all", "--report", "x.md"]).unwrap();
        assert!(matches!(all.what, What::All));
    }

    #[test]
    fn a_database_is_named_or_made_but_not_both() {
        let parse = |more: &[&str]| {
            let arguments = ["bench", "revoke"].iter().chain(more);
            Arguments::of(arguments).is_ok()
        };
        assert!(parse(&["--database", "postgres"]));
        assert!(parse(&["--database-url", "postgres://localhost/x"]));
        assert!(!parse(&["--database", "mysql"]));
        let both = [
            "--database",
            "postgres",
            "--database-url",
            "postgres://localhost/x",
        ];
        assert!(!parse(&both));
    }

    #[test]
    fn an_option_that_would_not_be_heeded_is_bad_usage() {
        for scenario in SCENARIOS {
            let of_all: [&[&str]; 5] = [
                &["--report", "x.md"],
                &["--most-sessions", "10000"],
                &["--only", "token"],
                &["--resume"],
                &["--without", "sqlite"],
            ];
            for option in of_all {
                let words = [&[scenario.name], option].concat();
                assert_eq!(exit_code(&words), Some(2), "{words:?}");
            }
        }
        // Also where the value is the one that holds anyway.
        for words in [
            "all --report x.md --database sqlite",
            "all --report x.md --database-url postgres://localhost/x",
            "all --report x.md --sessions 10000",
            "all",
            "token --sessions 10000",
            "token --streams 5",
            "revoke --rate 5",
            "curve --clients 5",
            "limits --clients 5",
            "sign --binary /proc/self/exe",
        ] {
            let words: Vec<_> = words.split(' ').collect();
            assert_eq!(exit_code(&words), Some(2), "{words:?}");
        }
    }

    #[test]
    fn an_option_that_is_heeded_is_taken() {
        for words in [
            "all --report x.md --only token --only refresh --resume --without postgres",
            "all --report x.md --seconds 1 --clients 5 --rate 5 --streams 5 --binary /proc/self/exe",
            "refresh --sessions 10000 --database postgres --clients 5",
            "memory --sessions 10000",
            "footprint --sessions 10000",
            "revoke --streams 5 --verifiers 2 --processes 2",
            "revoke-rate --rate 5 --clients 5",
            "verify-cached --binary /proc/self/exe",
            "token --check --json --seconds 1",
        ] {
            let words: Vec<_> = words.split(' ').collect();
            assert_eq!(exit_code(&words), None, "{words:?}");
        }
    }

    #[test]
    fn seconds_are_a_number_within_reason() {
        assert_eq!(seconds("0.5"), Ok(std::time::Duration::from_millis(500)));
        for bad in ["", "0", "-1", "NaN", "inf", "ten", "4000"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
