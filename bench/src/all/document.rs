//! The report as Markdown.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::facts::Facts;
use super::figures::{readable, readable_or_dash};
use super::findings::{Finding, Findings, Reported, ReportedBar};
use super::notes::Notes;
use super::origin;
use super::plots::Plot;
use crate::scenario::SCENARIOS;

/// What the report is made of.
pub(super) struct Document<'a> {
    pub(super) facts: &'a Facts,
    pub(super) findings: &'a Findings,
    pub(super) notes: &'a Notes,
    pub(super) plots: &'a [Plot],
    /// The directory of the plots, as seen from the report.
    pub(super) plots_in: &'a str,
}

const INTRODUCTION: &str = "\
# Benchmarks

Written by a program; whoever wants other words changes them there, and the reasons in
[`bench/notes.md`](../bench/notes.md). Take the figures anew on your own machine, in about 25 minutes:

```
cargo run --release -p tokensmith-bench -- all --report docs/benchmarks.md
```

[bench/README.md](../bench/README.md) says what each figure means and how it is taken. Absolute figures are those of this
machine, on which load generator, service and database share the cores; **ratios** compare what was measured in turns in the same
run, and hold elsewhere, too.
";

/// Members of every report, which a table of figures has in this order and before all others.
const COMMON: [&str; 7] = [
    "ops",
    "ops_per_second",
    "p50_ms",
    "p99_ms",
    "server_cpu_us_per_op",
    "raw_rsa_sign_us",
    "ratio",
];

const ABOUT_CPU: &str = "\
CPU time of the service for one operation, measured in turns with one raw operation on all cores; `ratio` is the median over
the turns. `jwks`, `status-list` and the references of `introspect` have no row: nothing raw lies below them but a request over
loopback and, for a reference, a row that is read.";

/// CPU time of ours and of the yardstick, and their ratio.
const CPU_AGAINST_LIMITS: [(&str, [&str; 3]); 7] = [
    ("sign", SIGNATURE),
    ("verify", VERIFICATION),
    ("token", SIGNATURE),
    ("refresh", SIGNATURE),
    ("login", HASH),
    ("introspect", VERIFICATION),
    ("introspect", SERVICE_JWT),
];
const SIGNATURE: [&str; 3] = ["server_cpu_us_per_op", "raw_rsa_sign_us", "ratio"];
const VERIFICATION: [&str; 3] = ["server_cpu_us_per_op", "raw_rsa_verify_us", "ratio"];
const SERVICE_JWT: [&str; 3] = [
    "service_jwt_server_cpu_us_per_op",
    "service_jwt_raw_rsa_verify_us",
    "service_jwt_ratio",
];
const HASH: [&str; 3] = [
    "server_cpu_us_per_op",
    "raw_argon2id_us",
    "ratio_to_argon2id",
];

const ABOUT_RATES: &str = "\
Operations in a second of wall time. Load generator, service and database share the cores, while a limit has them for
itself, and both are from different minutes: so these ratios say less than those above. Several refreshes share a durable
commit, so there may be more of them.";

/// Which rate is compared with which limit of the same database.
const RATES_AGAINST_LIMITS: [(&str, &str, &str); 10] = [
    ("sign", RATE, "rsa_signatures_per_second_one_core"),
    ("verify", RATE, "rsa_verifications_per_second_one_core"),
    ("token", RATE, "rsa_signatures_per_second"),
    ("refresh", RATE, "rsa_signatures_per_second"),
    ("refresh", RATE, "durable_commits_per_second"),
    ("refresh", RATE, "durable_commits_per_second_32_clients"),
    ("login", RATE, "argon2id_per_second"),
    ("introspect", RATE, VERIFICATIONS),
    ("introspect", "service_jwt_ops_per_second", VERIFICATIONS),
    ("revoke-rate", RATE, "durable_commits_per_second"),
];
const RATE: &str = "ops_per_second";
const VERIFICATIONS: &str = "rsa_verifications_per_second";

const DATABASES: [&str; 2] = ["sqlite", "postgres"];

impl Document<'_> {
    pub(super) fn to_markdown(&self) -> String {
        let parts = [
            INTRODUCTION.to_owned(),
            self.machine(),
            self.bars(),
            self.limits(),
            self.against_limits(),
            self.pictures(),
            self.scenarios(),
        ];
        let mut text = parts.join("\n");
        // Exactly one newline at the end, whatever came last.
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    fn machine(&self) -> String {
        let mut table = Table::new(&["what", "which"], &[]);
        for (name, value) in &self.facts.rows {
            table.row([(*name).to_owned(), value.clone()]);
        }
        let about = origin::about(self.findings, &self.facts.origin);
        format!("## The machine\n\n{}{about}", table.text)
    }

    fn bars(&self) -> String {
        let mut table = Table::new(&["figure", "database", "verdict"], &["bar", "measured"]);
        let mut missed = String::new();
        for (finding, report) in self.findings.reports() {
            for bar in &report.bars {
                let name = format!("{} {}", report.scenario, bar.figure);
                let verdict = if bar.met { "met" } else { "**MISSED**" };
                table.row([
                    format!("`{name}`{}", of_sessions(finding)),
                    database(&finding.database).to_owned(),
                    verdict.to_owned(),
                    limit(bar),
                    readable_or_dash(bar.value),
                ]);
                if !bar.met {
                    self.reason(&mut missed, finding, &name);
                }
            }
        }
        let mut text = format!("## What was to be reached\n\n{}", table.text);
        if !missed.is_empty() {
            let _ok = write!(text, "\n### What is missed, and why\n{missed}");
        }
        text
    }

    fn reason(&self, missed: &mut String, finding: &Finding, name: &str) {
        let on = database(&finding.database);
        let note = self.notes.find(name, &finding.database);
        let note = note.unwrap_or("Nobody has written down why.");
        let sessions = of_sessions(finding);
        let _ok = write!(missed, "\n**`{name}`{sessions}, {on}.** {note}\n");
    }

    fn limits(&self) -> String {
        let text = "## What the machine allows\n\nRaw operations with nothing around them, in a second. Durable commits \
             are of one small update each, by the own tool of the database: the `sqlite3` shell with `synchronous = FULL` and a \
             write-ahead log, `pgbench` from one connection and from 32.\n\n";
        format!("{text}{}", self.figures("limits"))
    }

    fn against_limits(&self) -> String {
        let mut cpu = Table::new(&["figure", "database"], &["µs", "limit in µs", "ratio"]);
        let mut rates = Table::new(
            &["figure", "database", "limit"],
            &["in a second", "of the limit", "ratio"],
        );
        for (scenario, [ours, yardstick, ratio]) in CPU_AGAINST_LIMITS {
            for (on, report) in self.on_each(scenario) {
                let figures = [ours, yardstick, ratio].map(|name| report.figure(name));
                if figures.iter().all(Option::is_some) {
                    let texts = [format!("`{scenario} {ours}`"), database(on).to_owned()];
                    cpu.row(texts.into_iter().chain(figures.map(readable_or_dash)));
                }
            }
        }
        for (scenario, figure, limit) in RATES_AGAINST_LIMITS {
            for (on, report) in self.on_each(scenario) {
                let most = self.findings.find("limits", on);
                let most = most.and_then(|limits| limits.figure(limit));
                if let (Some(reached), Some(most)) = (report.figure(figure), most) {
                    let name = format!("`{scenario} {figure}`");
                    let texts = [name, database(on).to_owned(), format!("`{limit}`")];
                    let figures = [reached, most, reached / most].map(readable);
                    rates.row(texts.into_iter().chain(figures));
                }
            }
        }
        let (cpu, rates) = (cpu.text, rates.text);
        let head = "## Figures against their limits";
        format!("{head}\n\n{ABOUT_CPU}\n\n{cpu}\n{ABOUT_RATES}\n\n{rates}")
    }

    /// The reports of a scenario with its usual number of sessions, by database.
    fn on_each(&self, scenario: &str) -> impl Iterator<Item = (&'static str, &Reported)> {
        let found = DATABASES.map(|on| Some((on, self.findings.find(scenario, on)?)));
        found.into_iter().flatten()
    }

    fn pictures(&self) -> String {
        let mut text = "## Plots\n".to_owned();
        for plot in self.plots {
            let (name, about) = (&plot.name, &plot.title);
            let _ok = write!(text, "\n![{about}]({}/{name}.svg)\n", self.plots_in);
        }
        text
    }

    fn scenarios(&self) -> String {
        let mut text = "## Each scenario\n".to_owned();
        for scenario in SCENARIOS
            .iter()
            .filter(|scenario| scenario.name != "limits")
        {
            let (name, about) = (scenario.name, scenario.about);
            let _ok = write!(
                text,
                "\n### `{name}`\n\nMeasures {about}.\n\n{}",
                self.figures(name)
            );
            if let Some(note) = self.notes.find(name, "") {
                let _ok = write!(text, "\n{note}\n");
            }
        }
        text
    }

    /// Everything that was found in a scenario: a column for each database and number of sessions.
    fn figures(&self, scenario: &str) -> String {
        let reports = self.findings.reports();
        let reports = reports.filter(|(_, report)| report.scenario == scenario);
        let mut reports: Vec<_> = reports.collect();
        if reports.is_empty() {
            return "Not measured.\n".to_owned();
        }
        reports.sort_by_key(|(finding, _)| {
            let place = DATABASES
                .iter()
                .position(|other| *other == finding.database);
            (place, finding.sessions)
        });
        let heads = reports.iter().map(|(finding, _)| {
            let on = database(&finding.database);
            format!("{on}{}", of_sessions(finding))
        });
        let heads: Vec<String> = heads.collect();
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        let mut table = Table::new(&["figure"], &heads);
        for name in names(&reports) {
            let values = reports
                .iter()
                .map(|(_, report)| readable_or_dash(report.figure(name)));
            table.row(std::iter::once(format!("`{name}`")).chain(values));
        }
        let mut text = table.text;
        for (finding, report) in reports {
            series(&mut text, finding, report);
            for remark in &report.remarks {
                let _ok = write!(text, "\n{}: {remark}\n", database(&finding.database));
            }
        }
        text
    }
}

/// Of the figures that at least one report has: the common ones, the others, and `errors`.
fn names<'r>(reports: &[(&'r Finding, &'r Reported)]) -> Vec<&'r str> {
    let all = reports.iter().flat_map(|(_, report)| &report.figures);
    let all: BTreeSet<&str> = all
        .filter(|(_, value)| value.is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    let place = |name: &str| match COMMON.iter().position(|common| *common == name) {
        Some(place) => place,
        None if name == "errors" => COMMON.len() + 1,
        None => COMMON.len(),
    };
    let mut names: Vec<_> = all.into_iter().collect();
    names.sort_by_key(|name| place(name));
    names
}

fn series(text: &mut String, finding: &Finding, report: &Reported) {
    for series in &report.series {
        let (of, on) = (&series.of, database(&finding.database));
        let heads = [&series.against, "in a second", "p50 in ms", "p99 in ms"];
        let mut table = Table::new(&[], &heads);
        for point in &series.points {
            let figures = [point.at, point.ops_per_second, point.p50_ms, point.p99_ms];
            table.row(figures.map(readable));
        }
        let _ok = write!(
            text,
            "\n`{of}` on {on}, against {}:\n\n{}",
            series.against, table.text
        );
    }
}

pub(super) fn of_sessions(finding: &Finding) -> String {
    let sessions = finding.sessions.map(f64::from).map(readable);
    sessions.map_or_else(String::new, |sessions| format!(", {sessions} sessions"))
}

pub(super) fn database(name: &str) -> &str {
    match name {
        "sqlite" => "SQLite",
        "postgres" => "PostgreSQL",
        other => other,
    }
}

fn limit(bar: &ReportedBar) -> String {
    match (bar.at_most, bar.at_least) {
        (Some(most), _) => format!("≤ {}", readable(most)),
        (None, Some(fewest)) => format!("≥ {}", readable(fewest)),
        (None, None) => "–".to_owned(),
    }
}

/// A table of Markdown.
struct Table {
    text: String,
}

impl Table {
    /// Columns of text first, aligned left, then columns of figures, aligned right.
    fn new(texts: &[&str], figures: &[&str]) -> Self {
        let mut table = Self {
            text: String::new(),
        };
        table.row(texts.iter().chain(figures).map(|head| (*head).to_owned()));
        let (left, right) = ("---|".repeat(texts.len()), "---:|".repeat(figures.len()));
        let _ok = writeln!(table.text, "|{left}{right}");
        table
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.text.push('|');
        for cell in cells {
            let _ok = write!(self.text, " {} |", cell.replace('|', "\\|"));
        }
        self.text.push('\n');
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::all::findings::Finding;

    /// A small set with a bar that is missed, and everything that is drawn.
    pub(crate) fn made_up() -> Findings {
        let findings: Vec<Finding> =
            serde_json::from_str(include_str!("fixtures/findings.json")).unwrap();
        Findings(findings)
    }

    #[test]
    fn a_small_set_of_findings_makes_this_report() {
        let findings = made_up();
        let facts = Facts {
            origin: origin::tests::origin("0123456789ab", "aa"),
            rows: vec![
                ("date", "2026-01-02 03:04 UTC".to_owned()),
                ("cores", "2".to_owned()),
            ],
        };
        let plots = crate::all::plots::all(&findings).unwrap();
        let notes = Notes::parse("\n## token p99_to_p50\n\nThe generator has the same cores.\n");
        let document = Document {
            facts: &facts,
            findings: &findings,
            notes: &notes,
            plots: &plots,
            plots_in: "benchmarks",
        };
        let text = document.to_markdown();
        let expected = include_str!("fixtures/report.md");
        if text != expected {
            let place = std::env::temp_dir().join("tokensmith-bench-report.md");
            std::fs::write(&place, text).unwrap();
            panic!(
                "the report has changed: compare fixtures/report.md with {}",
                place.display()
            );
        }
    }
}
