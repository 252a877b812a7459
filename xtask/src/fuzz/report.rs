//! What libFuzzer says, as a table.

use std::fmt::Write as _;

/// How one target went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) target: String,
    executions: u64,
    /// Places in the code that were reached.
    coverage: u64,
    /// The same, with how often and with what values.
    features: u64,
    new_inputs: u64,
    /// What was said last before the end, and the file with the input.
    broken: Option<Broken>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Broken {
    why: String,
    input: Option<String>,
}

impl Outcome {
    /// Reads the log of a run.
    pub(super) fn read(target: &str, log: &str, is_clean: bool) -> Self {
        let stat = |name: &str| {
            let line = log.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|number| number.trim().parse().ok())
        };
        let progress = |name: &str| {
            let mut words = log.rsplit(char::is_whitespace).peekable();
            std::iter::from_fn(|| Some((words.next()?, words.peek().copied()?)))
                .find(|(_, before)| *before == name)
                .and_then(|(number, _)| number.parse().ok())
        };
        let saying = |start: &str| log.lines().find(|line| line.contains(start));
        let input = saying("Test unit written to ").and_then(|line| line.split_once("written to "));
        Self {
            target: target.to_owned(),
            executions: stat("stat::number_of_executed_units:").unwrap_or_default(),
            coverage: progress("cov:").unwrap_or_default(),
            features: progress("ft:").unwrap_or_default(),
            new_inputs: stat("stat::new_units_added:").unwrap_or_default(),
            broken: (!is_clean).then(|| Broken {
                why: why(log),
                input: input.map(|(_, file)| file.to_owned()),
            }),
        }
    }

    /// What to do about what was found.
    pub(super) fn failure(&self) -> Option<String> {
        let Broken { why, input } = self.broken.as_ref()?;
        let target = &self.target;
        let Some(input) = input else {
            return Some(format!(
                "{target}: {why}; see target/fuzz-artifacts/{target}.log"
            ));
        };
        Some(format!(
            "{target}: {why}\n  to see it again with stable Rust:\n    cp {input} \
             fuzz/corpus/{target}/NAME-THAT-SAYS-WHAT-IT-IS\n    cargo test -p tokensmith-fuzz"
        ))
    }
}

/// The sentence of the property that did not hold, or what libFuzzer stopped for.
fn why(log: &str) -> String {
    let mut lines = log.lines();
    let panicked = lines
        .find(|line| line.starts_with("thread ") && line.contains("panicked at"))
        .and_then(|_| lines.next());
    let stopped = || log.lines().find(|line| line.contains("ERROR: libFuzzer"));
    panicked
        .or_else(stopped)
        .unwrap_or("it ended early")
        .to_owned()
}

pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut table = format!(
        "{:<16} {:>12} {:>9} {:>9} {:>10}  {}\n",
        "target", "executions", "coverage", "features", "new inputs", "found"
    );
    for outcome in outcomes {
        let found = outcome.broken.as_ref().map_or("nothing", |_| "A DEFECT");
        let _ = writeln!(
            table,
            "{:<16} {:>12} {:>9} {:>9} {:>10}  {found}",
            outcome.target,
            outcome.executions,
            outcome.coverage,
            outcome.features,
            outcome.new_inputs
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "#2\tINITED cov: 11 ft: 12 corp: 1/1b exec/s: 0 rss: 30Mb
#4096\tpulse  cov: 100 ft: 200 corp: 10/20b lim: 4 exec/s: 2048 rss: 31Mb
Done 5000 runs in 2 second(s)
stat::number_of_executed_units: 5000
stat::average_exec_per_sec:     2500
stat::new_units_added:          9
";

    #[test]
    fn a_clean_run_is_counted() {
        let outcome = Outcome::read("form", CLEAN, true);
        assert_eq!((outcome.executions, outcome.new_inputs), (5000, 9));
        assert_eq!((outcome.coverage, outcome.features), (100, 200));
        assert_eq!(outcome.failure(), None);
        assert!(table(&[outcome]).contains("5000       100       200          9  nothing"));
    }

    #[test]
    fn a_property_that_does_not_hold_is_told_with_its_sentence_and_its_input() {
        let log = format!(
            "{CLEAN}\nthread '<unnamed>' (7) panicked at fuzz/src/form.rs:9:5:\na form has two readings\n\
             ==7== ERROR: libFuzzer: deadly signal\n\
             artifact_prefix='x/'; Test unit written to x/crash-abc\n"
        );
        let failure = Outcome::read("form", &log, false).failure().unwrap();
        assert!(
            failure.starts_with("form: a form has two readings"),
            "{failure}"
        );
        assert!(
            failure.contains("cp x/crash-abc fuzz/corpus/form/"),
            "{failure}"
        );
    }

    #[test]
    fn a_run_that_ended_without_a_word_is_a_failure_too() {
        let outcome = Outcome::read("form", "", false);
        assert!(outcome.failure().unwrap().contains("it ended early"));
    }
}
