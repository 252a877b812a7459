//! The command line.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

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
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_on_the_command_line_once() {
        for scenario in SCENARIOS {
            let arguments = Arguments::try_parse_from(["bench", scenario.name]).unwrap();
            assert!(matches!(arguments.what, What::One(found) if found.name == scenario.name));
            let same = SCENARIOS.iter().filter(|other| other.name == scenario.name);
            assert_eq!(same.count(), 1, "{}", scenario.name);
        }
        assert!(Arguments::try_parse_from(["bench", "nothing"]).is_err());
        let all = Arguments::try_parse_from(["bench", "all", "--report", "x.md"]).unwrap();
        assert!(matches!(all.what, What::All));
    }

    #[test]
    fn a_database_is_named_or_made_but_not_both() {
        let parse = |more: &[&str]| {
            let arguments = ["bench", "revoke"].iter().chain(more);
            Arguments::try_parse_from(arguments).is_ok()
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
    fn seconds_are_a_number_within_reason() {
        assert_eq!(seconds("0.5"), Ok(std::time::Duration::from_millis(500)));
        for bad in ["", "0", "-1", "NaN", "inf", "ten", "4000"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
