//! What a step found, as it is kept in a file and read again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokensmith::domain::Timestamp;

use super::origin::Origin;
use super::steps::Step;
use crate::failure::{Doing, Outcome};
use crate::report::{Report, Series};

/// The reports of one step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(super) step: String,
    pub(super) scenario: String,
    #[serde(flatten)]
    pub(super) origin: Origin,
    /// In UTC.
    pub(super) at: String,
    pub(super) took_seconds: u64,
    pub(super) database: String,
    #[serde(default)]
    pub(super) sessions: Option<u32>,
    pub(super) reports: Vec<Reported>,
}

/// One report, whose scenario this program need not know any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reported {
    pub(super) scenario: String,
    pub(super) bars: Vec<ReportedBar>,
    #[serde(default)]
    pub(super) series: Vec<Series>,
    #[serde(default)]
    pub(super) remarks: Vec<String>,
    /// Not measured where `None`.
    #[serde(flatten)]
    pub(super) figures: BTreeMap<String, Option<f64>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReportedBar {
    pub(super) figure: String,
    pub(super) value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at_most: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at_least: Option<f64>,
    pub(super) met: bool,
}

impl Finding {
    /// Of a step that has ended at that instant and has taken so long.
    pub(super) fn new(
        step: &Step,
        reports: &[Report],
        origin: &Origin,
        (at, took): (Timestamp, Duration),
    ) -> Outcome<Self> {
        let reports = reports.iter().map(|report| {
            let json = report.to_json()?;
            serde_json::from_str(&json).doing("reading a report")
        });
        Ok(Self {
            step: step.name(),
            scenario: step.scenario.to_owned(),
            origin: origin.clone(),
            at: at.format("%Y-%m-%d %H:%M").to_string(),
            took_seconds: took.as_secs(),
            database: step.database.name().to_owned(),
            sessions: step.sessions,
            reports: reports.collect::<Outcome<_>>()?,
        })
    }
}

impl Reported {
    pub(super) fn figure(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied().flatten()
    }
}

/// All that was found, in the order of the steps.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn in_order(mut findings: Vec<Finding>, steps: &[Step]) -> Self {
        let names: Vec<_> = steps.iter().map(Step::name).collect();
        findings.sort_by_key(|finding| names.iter().position(|name| *name == finding.step));
        Self(findings)
    }

    /// With the finding that it belongs to.
    pub(super) fn reports(&self) -> impl Iterator<Item = (&Finding, &Reported)> {
        let all = self.0.iter();
        all.flat_map(|finding| finding.reports.iter().map(move |report| (finding, report)))
    }

    /// The report of a scenario on a database, with its usual number of sessions.
    pub(super) fn find(&self, scenario: &str, database: &str) -> Option<&Reported> {
        let mut reports = self.reports().filter(|(finding, report)| {
            finding.sessions.is_none()
                && finding.database == database
                && report.scenario == scenario
        });
        reports.next().map(|(_, report)| report)
    }

    /// Whether every answer was right and, if the bars count, every bar is met.
    pub(crate) fn are_good(&self, bars_count: bool) -> bool {
        self.reports().all(|(_, report)| {
            let is_right = report.figure("errors").is_some_and(|errors| errors < 1.0);
            is_right && (!bars_count || report.bars.iter().all(|bar| bar.met))
        })
    }

    /// One JSON array.
    pub(crate) fn to_json(&self) -> Outcome<String> {
        serde_json::to_string(self).doing("writing what was found as JSON")
    }

    /// What is missed, for people.
    pub(crate) fn summary(&self) -> String {
        let bars = self.reports().flat_map(|(_, report)| &report.bars);
        let (met, missed): (Vec<_>, Vec<_>) = bars.partition(|bar| bar.met);
        format!("{} bars met, {} missed", met.len(), missed.len())
    }
}
