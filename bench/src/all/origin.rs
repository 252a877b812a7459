//! Where a finding comes from: of which program it is, and how it was measured.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::document::{database, of_sessions};
use super::findings::{Finding, Findings};
use crate::scenario::Settings;

/// What a finding is kept with, so that no other program passes for it later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// Of the source that this program is built from; with a remark where that has changed since.
    pub(super) commit: String,
    pub(super) program: Program,
    pub(super) settings: Settings,
}

/// The executable of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Program {
    /// In hexadecimal.
    pub(super) sha256: String,
    /// Of whatever source: it was given with `--binary`.
    pub(super) is_given: bool,
}

impl Program {
    /// For the facts about the machine.
    pub(super) fn description(&self) -> String {
        let of = if self.is_given {
            "the program given with `--binary`"
        } else {
            "the `tokensmith` beside the load generator"
        };
        format!("{of}, SHA-256 `{}`", self.sha256)
    }
}

impl Origin {
    /// Whether a finding of then is one of now. The commit does not matter: most change no program.
    pub(super) fn is_as_good_as(&self, now: &Self) -> bool {
        self.program.sha256 == now.program.sha256 && self.settings == now.settings
    }

    /// In what a finding of then differs from one of now; nothing, if in nothing.
    fn difference(&self, now: &Self) -> String {
        let mut differences = Vec::new();
        if self.commit != now.commit {
            differences.push(format!("at commit {}", self.commit));
        }
        if self.program.sha256 != now.program.sha256 {
            let given = if self.program.is_given {
                ", given with `--binary`"
            } else {
                ""
            };
            let sha256 = &self.program.sha256;
            differences.push(format!("with another program (SHA-256 `{sha256}`{given})"));
        }
        if self.settings != now.settings {
            differences.push(format!("with `{}`", self.settings));
        }
        differences.join(", ")
    }
}

/// When and how the findings were measured, and which of them otherwise than those of this run.
pub(super) fn about(findings: &Findings, now: &Origin) -> String {
    let instants = || findings.0.iter().map(|finding| finding.at.as_str());
    let (Some(first), Some(last)) = (instants().min(), instants().max()) else {
        return String::new();
    };
    let settings = &now.settings;
    let mut text =
        format!("\nThe figures were measured between {first} and {last} UTC, with `{settings}`.\n");
    let mut differences: Vec<String> = Vec::new();
    for finding in &findings.0 {
        let difference = finding.origin.difference(now);
        if !difference.is_empty() && !differences.contains(&difference) {
            differences.push(difference);
        }
    }
    if !differences.is_empty() {
        text.push_str("\nNot all are of this run:\n\n");
    }
    for difference in differences {
        let is_of_it = |finding: &Finding| finding.origin.difference(now) == difference;
        let names = names(&findings.0, is_of_it).join("; ");
        let _ok = writeln!(text, "* measured {difference}: {names}");
    }
    text
}

/// The findings of a kind; a scenario alone stands for all that it found.
fn names(findings: &[Finding], is_of_it: impl Fn(&Finding) -> bool) -> Vec<String> {
    let mut names = Vec::new();
    for finding in findings.iter().filter(|finding| is_of_it(finding)) {
        let scenario = &finding.scenario;
        let mut others = findings.iter().filter(|other| other.scenario == *scenario);
        let mut name = format!("`{scenario}`");
        if !others.all(&is_of_it) {
            let on = database(&finding.database);
            let _ok = write!(name, " on {on}{}", of_sessions(finding));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::all::document::tests::made_up;
    use crate::arguments::tests::plan;

    /// Of this program at this commit, with usual settings.
    pub(crate) fn origin(commit: &str, sha256: &str) -> Origin {
        Origin {
            commit: commit.to_owned(),
            program: Program {
                sha256: sha256.to_owned(),
                is_given: false,
            },
            settings: plan(&[]).settings(),
        }
    }

    #[test]
    fn a_finding_is_kept_over_commits_but_not_over_programs_or_settings() {
        let now = origin("0123456789ab", "aa");
        assert!(origin("ba9876543210", "aa").is_as_good_as(&now));
        assert!(!origin("0123456789ab", "bb").is_as_good_as(&now));
        let mut shorter = now.clone();
        shorter.settings = plan(&["--seconds", "1"]).settings();
        assert!(!shorter.is_as_good_as(&now));
    }

    #[test]
    fn findings_of_this_run_have_nothing_said_about_them() {
        let mut findings = made_up();
        let now = origin("0123456789ab", "aa");
        for finding in &mut findings.0 {
            finding.origin = now.clone();
        }
        let expected = "\nThe figures were measured between 2026-01-02 02:10 and 2026-01-02 03:00 \
             UTC, with `--seconds 8`.\n";
        assert_eq!(about(&findings, &now), expected);
    }

    #[test]
    fn what_another_run_has_found_is_named_with_the_difference() {
        let mut findings = made_up();
        let now = origin("0123456789ab", "aa");
        for finding in &mut findings.0 {
            finding.origin = match finding.scenario.as_str() {
                "limits" => origin("ba9876543210", "aa"),
                _ => now.clone(),
            };
        }
        let of_refresh = findings.0.iter_mut().find(|of| of.scenario == "refresh");
        let other = &mut of_refresh.unwrap().origin;
        other.program.sha256 = "bb".to_owned();
        other.program.is_given = true;
        other.settings = plan(&["--seconds", "1", "--clients", "4"]).settings();
        let text = about(&findings, &now);
        let (_, others) = text.split_once("Not all are of this run:\n\n").unwrap();
        assert_eq!(
            others,
            "* measured at commit ba9876543210: `limits`\n\
             * measured with another program (SHA-256 `bb`, given with `--binary`), with `--seconds \
             1 --clients 4`: `refresh` on SQLite, 10,000 sessions\n"
        );
    }

    #[test]
    fn a_program_that_was_given_is_said_to_be() {
        let mut program = origin("0123456789ab", "aa").program;
        assert_eq!(
            program.description(),
            "the `tokensmith` beside the load generator, SHA-256 `aa`"
        );
        program.is_given = true;
        let given = "the program given with `--binary`, SHA-256 `aa`";
        assert_eq!(program.description(), given);
    }
}
