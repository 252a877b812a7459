//! What a scenario found, as one JSON object or as a table.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::{Doing, Outcome};
use crate::http::Slice;
use crate::measure::{Comparison, Latencies, real};

/// The figures of one scenario. A figure that the scenario does not measure is `null`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Name of the scenario.
    pub(crate) scenario: &'static str,
    /// Operations that were measured.
    pub(crate) ops: u64,
    /// Operations in a second of wall time under load.
    pub(crate) ops_per_second: Option<f64>,
    /// Median latency as the caller sees it.
    pub(crate) p50_ms: Option<f64>,
    /// 99th percentile of the latency.
    pub(crate) p99_ms: Option<f64>,
    /// Answers that were wrong or missing.
    pub(crate) errors: u64,
    /// CPU time of our code for one operation. Of a running service: user and system, all threads.
    pub(crate) server_cpu_us_per_op: Option<f64>,
    /// CPU time of one raw RSA-2048 signature, measured in turns with the load.
    pub(crate) raw_rsa_sign_us: Option<f64>,
    /// Our CPU time over that of the yardstick.
    pub(crate) ratio: Option<f64>,
    /// Figures that only some scenarios have; the unit is in the name.
    #[serde(flatten)]
    pub(crate) more: BTreeMap<&'static str, f64>,
    /// What the figures have to reach.
    pub(crate) bars: Vec<Bar>,
    /// Figures at several points, for plots.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) series: Vec<Series>,
    /// What the reader must know beside the figures, such as what could not be measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) remarks: Vec<String>,
}

/// How a load behaves from point to point.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    /// What was asked for.
    pub(crate) of: String,
    /// What the points differ in, with its unit.
    pub(crate) against: String,
    pub(crate) points: Vec<Point>,
}

/// One point of a series.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) at: f64,
    pub(crate) ops_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Point {
    /// What a load did at this point.
    pub(crate) fn of(at: f64, slice: &Slice, latencies: &Latencies) -> Self {
        Self {
            at: rounded(at),
            ops_per_second: rounded(real(slice.ops) / slice.wall.as_secs_f64()),
            p50_ms: rounded(latencies.quantile_ms(0.5)),
            p99_ms: rounded(latencies.quantile_ms(0.99)),
        }
    }
}

/// A limit for one figure.
#[derive(Debug, Serialize)]
pub(crate) struct Bar {
    figure: &'static str,
    value: f64,
    #[serde(flatten)]
    limit: Limit,
    met: bool,
}

/// On which side of its limit a figure has to be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Limit {
    /// Not above.
    AtMost(f64),
    /// Not below.
    AtLeast(f64),
}

impl Report {
    pub(crate) fn new(scenario: &'static str) -> Self {
        Self {
            scenario,
            ..Self::default()
        }
    }

    /// Adds how many operations there were in a second; `ops` is set already.
    pub(crate) fn throughput(&mut self, wall: Duration) {
        self.ops_per_second = Some(rounded(real(self.ops) / wall.as_secs_f64()));
    }

    /// Adds what ran alone on one thread: the throughput is that of the operations by themselves.
    pub(crate) fn operations(&mut self, latencies: &Latencies) {
        self.ops = latencies.count();
        self.ops_per_second = Some(rounded(1e3 / latencies.mean_ms()));
        self.latencies(latencies);
    }

    /// Adds the latencies of the operations.
    pub(crate) fn latencies(&mut self, latencies: &Latencies) {
        self.p50_ms = Some(rounded(latencies.quantile_ms(0.5)));
        self.p99_ms = Some(rounded(latencies.quantile_ms(0.99)));
    }

    /// Adds how the operations compare with raw RSA signatures.
    pub(crate) fn against_raw_signatures(&mut self, comparison: &Comparison) {
        self.server_cpu_us_per_op = Some(rounded(comparison.ours_us));
        self.raw_rsa_sign_us = Some(rounded(comparison.yardstick_us));
        self.ratio = Some(rounded(comparison.ratio));
    }

    /// Adds the CPU time of the service for one operation.
    pub(crate) fn server_cpu(&mut self, microseconds: f64) {
        self.server_cpu_us_per_op = Some(rounded(microseconds));
    }

    /// Adds how the operations compare with raw RSA verifications.
    pub(crate) fn against_raw_verifications(&mut self, comparison: &Comparison) {
        self.server_cpu_us_per_op = Some(rounded(comparison.ours_us));
        self.figure("raw_rsa_verify_us", comparison.yardstick_us);
        self.ratio = Some(rounded(comparison.ratio));
    }

    /// Adds a figure of this scenario alone.
    pub(crate) fn figure(&mut self, name: &'static str, value: f64) {
        self.more.insert(name, rounded(value));
    }

    /// Holds a figure against its limit.
    pub(crate) fn bar(&mut self, figure: &'static str, value: f64, limit: Limit) {
        self.bars.push(Bar {
            figure,
            value: rounded(value),
            limit,
            met: limit.is_kept_by(value),
        });
    }

    /// Whether every answer was right and, if the bars count, every bar is met.
    pub(crate) fn is_good(&self, bars_count: bool) -> bool {
        self.errors == 0 && (!bars_count || self.bars.iter().all(|bar| bar.met))
    }

    /// One line of JSON.
    pub(crate) fn to_json(&self) -> Outcome<String> {
        serde_json::to_string(self).doing("writing the figures as JSON")
    }

    /// For people.
    pub(crate) fn to_table(&self) -> String {
        let mut table = format!("{}\n", self.scenario);
        let mut row = |name: &str, value: String| {
            // Writing to memory cannot fail.
            let _ok = writeln!(table, "  {name:<36}{value:>12}");
        };
        row("ops", self.ops.to_string());
        let figures = [
            ("ops_per_second", self.ops_per_second),
            ("p50_ms", self.p50_ms),
            ("p99_ms", self.p99_ms),
            ("server_cpu_us_per_op", self.server_cpu_us_per_op),
            ("raw_rsa_sign_us", self.raw_rsa_sign_us),
            ("ratio", self.ratio),
        ];
        for (name, value) in figures {
            if let Some(value) = value {
                row(name, value.to_string());
            }
        }
        for (name, value) in &self.more {
            row(name, value.to_string());
        }
        for series in &self.series {
            for point in &series.points {
                let name = format!("{} at {} {}", series.of, point.at, series.against);
                let (p50, p99) = (point.p50_ms, point.p99_ms);
                row(
                    &name,
                    format!("{}/s, p50 {p50} ms, p99 {p99} ms", point.ops_per_second),
                );
            }
        }
        row("errors", self.errors.to_string());
        for bar in &self.bars {
            let verdict = if bar.met { "met" } else { "MISSED" };
            let name = format!("{} {}", bar.figure, bar.limit);
            row(&name, verdict.to_owned());
        }
        for remark in &self.remarks {
            table.push_str("  ");
            table.push_str(remark);
            table.push('\n');
        }
        table.trim_end().to_owned()
    }
}

impl Limit {
    /// The figure is not rounded before; not a number keeps no limit.
    fn is_kept_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(fewest) => value >= fewest,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(fewest) => write!(f, "at least {fewest}"),
        }
    }
}

/// To a thousandth: more digits would only be noise.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_every_member_that_scripts_rely_on() {
        let report = Report::new("token");
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        for member in [
            "scenario",
            "ops",
            "ops_per_second",
            "p50_ms",
            "p99_ms",
            "errors",
            "server_cpu_us_per_op",
            "raw_rsa_sign_us",
            "ratio",
        ] {
            assert!(json.get(member).is_some(), "{member}");
        }
    }

    #[test]
    fn a_bar_is_met_up_to_its_limit_and_never_by_nonsense() {
        let mut report = Report::new("token");
        report.bar("ratio", 1.12, Limit::AtMost(1.12));
        assert!(report.is_good(true));
        report.bar("ratio", 1.120_001, Limit::AtMost(1.12));
        assert!(report.is_good(false));
        assert!(!report.is_good(true));
        for limit in [Limit::AtMost(1.12), Limit::AtLeast(1.12)] {
            let mut report = Report::new("token");
            report.bar("ratio", f64::NAN, limit);
            assert!(!report.is_good(true));
        }
    }

    #[test]
    fn a_bar_may_be_a_lower_limit() {
        let mut report = Report::new("refresh");
        report.bar("transitions_per_commit", 8.0, Limit::AtLeast(8.0));
        assert!(report.is_good(true));
        let json = report.to_json().unwrap();
        assert!(
            json.contains(r#""value":8.0,"at_least":8.0,"met":true"#),
            "{json}"
        );
        report.bar("transitions_per_commit", 7.999, Limit::AtLeast(8.0));
        assert!(!report.is_good(true));
    }

    #[test]
    fn wrong_answers_are_never_good() {
        let report = Report {
            errors: 1,
            ..Report::new("token")
        };
        assert!(!report.is_good(false));
    }

    #[test]
    fn the_table_says_which_bar_is_missed() {
        let mut report = Report::new("jwks");
        report.bar("server_cpu_us_per_op", 9.0, Limit::AtMost(8.0));
        assert!(report.to_table().contains("server_cpu_us_per_op at most 8"));
        assert!(report.to_table().ends_with("MISSED"));
    }
}
