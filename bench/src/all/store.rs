//! What was found, kept in a file for each step until the next run.

use std::path::{Path, PathBuf};

use super::findings::Finding;
use super::origin::Origin;
use super::steps::Step;
use super::{Options, write_whole};
use crate::failure::{Doing, Outcome};
use crate::service::{Binary, cargo_target_directory};

/// A directory with what was found, and with the executable of which it is.
pub(super) struct Store(PathBuf);

/// What is there already, and what is to be measured.
pub(super) struct Chosen<'s> {
    pub(super) findings: Vec<Finding>,
    pub(super) open: Vec<&'s Step>,
}

impl Store {
    pub(super) fn open() -> Outcome<Self> {
        let this = std::env::current_exe().doing("finding this program")?;
        let target = this.parent().and_then(cargo_target_directory);
        let directory = target.unwrap_or(Path::new("target")).join("bench/all");
        std::fs::create_dir_all(&directory).doing("making a directory for what is found")?;
        Ok(Self(directory))
    }

    /// The executable as it is now: a build meanwhile must not change what the later steps measure.
    pub(super) fn keep(&self, binary: &Binary) -> Outcome<Binary> {
        binary.copy_into(&self.0)
    }

    /// Decides which steps are measured. A run of everything begins with nothing; a finding that is
    /// not asked for stays, whatever it is of, and the report says so.
    pub(super) fn choose<'s>(
        &self,
        steps: &'s [Step],
        options: &Options,
        now: &Origin,
    ) -> Outcome<Chosen<'s>> {
        if options.is_of_everything() {
            self.clear()?;
        }
        let mut chosen = Chosen {
            findings: Vec::new(),
            open: Vec::new(),
        };
        for step in steps {
            let is_asked_for = options.asks_for(step.scenario);
            let is_good = |found: &Finding| {
                !is_asked_for || (options.resume && found.origin.is_as_good_as(now))
            };
            match self.read(step).filter(is_good) {
                Some(finding) => chosen.findings.push(finding),
                None if is_asked_for => chosen.open.push(step),
                None => {}
            }
        }
        Ok(chosen)
    }

    pub(super) fn write(&self, step: &Step, finding: &Finding) -> Outcome<()> {
        let text = serde_json::to_string_pretty(finding).doing("writing what was found")?;
        write_whole(&self.file(step), &text)
    }

    fn file(&self, step: &Step) -> PathBuf {
        self.0.join(format!("{}.json", step.name()))
    }

    /// What an older release has written in another form is as if it were not there.
    fn read(&self, step: &Step) -> Option<Finding> {
        let text = std::fs::read_to_string(self.file(step)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Also of steps that there are no more.
    fn clear(&self) -> Outcome<()> {
        let doing = "clearing what was found before";
        for entry in std::fs::read_dir(&self.0).doing(doing)? {
            let path = entry.doing(doing)?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                std::fs::remove_file(path).doing(doing)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokensmith::domain::Timestamp;

    use super::*;
    use crate::all::origin::tests::origin;
    use crate::all::steps::steps;
    use crate::arguments::tests::all_options;

    /// With a finding of each step, all of the program `aa`.
    fn full() -> (tempfile::TempDir, Store, Vec<Step>) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store(directory.path().to_owned());
        let steps = steps(10_000, None);
        let then = origin("0123456789ab", "aa");
        for step in &steps {
            let at = Timestamp::default();
            let finding = Finding::new(step, &[], &then, (at, Duration::ZERO)).unwrap();
            store.write(step, &finding).unwrap();
        }
        (directory, store, steps)
    }

    fn open(chosen: &Chosen<'_>) -> Vec<&'static str> {
        let mut open: Vec<_> = chosen.open.iter().map(|step| step.scenario).collect();
        open.dedup();
        open
    }

    #[test]
    fn a_run_of_everything_begins_with_nothing() {
        let (_directory, store, steps) = full();
        let now = origin("0123456789ab", "aa");
        let chosen = store.choose(&steps, &all_options(&[]), &now).unwrap();
        assert_eq!(chosen.open.len(), steps.len());
        assert!(steps.iter().all(|step| store.read(step).is_none()));
    }

    #[test]
    fn resuming_takes_what_is_of_the_same_program_and_settings() {
        let (_directory, store, steps) = full();
        let resume = all_options(&["--resume"]);
        let another_commit = origin("ba9876543210", "aa");
        let chosen = store.choose(&steps, &resume, &another_commit).unwrap();
        assert_eq!(chosen.findings.len(), steps.len());
        let another_program = origin("0123456789ab", "bb");
        let chosen = store.choose(&steps, &resume, &another_program).unwrap();
        assert_eq!(chosen.open.len(), steps.len());
        let mut longer = origin("0123456789ab", "aa");
        longer.settings = crate::arguments::tests::plan(&["--seconds", "9"]).settings();
        let chosen = store.choose(&steps, &resume, &longer).unwrap();
        assert_eq!(chosen.open.len(), steps.len());
    }

    #[test]
    fn only_what_is_asked_for_is_measured_and_the_rest_stays() {
        let (_directory, store, steps) = full();
        let only = all_options(&["--only", "token", "--only", "refresh"]);
        for program in ["aa", "bb"] {
            let now = origin("0123456789ab", program);
            let chosen = store.choose(&steps, &only, &now).unwrap();
            assert_eq!(open(&chosen), ["token", "refresh"]);
            assert_eq!(chosen.findings.len() + chosen.open.len(), steps.len());
        }
    }

    #[test]
    fn what_cannot_be_read_is_measured_again() {
        let (_directory, store, steps) = full();
        std::fs::write(store.file(&steps[0]), "{}").unwrap();
        let now = origin("0123456789ab", "aa");
        let resume = all_options(&["--resume"]);
        let chosen = store.choose(&steps, &resume, &now).unwrap();
        assert_eq!(open(&chosen), [steps[0].scenario]);
    }
}
