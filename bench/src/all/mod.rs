//! Every scenario on both databases, and the report about them.

mod document;
mod facts;
mod figures;
mod findings;
mod notes;
mod plots;
mod progress;
mod steps;

use std::path::{Path, PathBuf};

use tokensmith::clock::SystemClock;
use tokensmith::domain::ports::Clock;

use crate::failure::{Doing, Failure, Outcome};
use crate::scenario::{Plan, SCENARIOS};
use crate::service::cargo_target_directory;
use facts::Facts;
use findings::{Finding, Findings};
use progress::Progress;
use steps::{Step, steps};

/// What only `all` takes.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Of `all`")]
pub(crate) struct Options {
    /// The Markdown file that `all` writes; plots go into a directory of the same name beside it.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The largest database: figures are taken at every power of ten from ten thousand on.
    #[arg(long, value_name = "N", default_value = "10000000",
          value_parser = clap::value_parser!(u32).range(10_000..=100_000_000))]
    most_sessions: u32,
    /// Measure these scenarios only and take what was found last time of the others (repeatable).
    #[arg(long, value_name = "SCENARIO", value_parser = clap::builder::PossibleValuesParser::new(
          SCENARIOS.iter().map(|scenario| scenario.name)))]
    only: Vec<String>,
    /// Go on where an earlier run was interrupted.
    #[arg(long)]
    resume: bool,
    /// Leave out one kind of database.
    #[arg(long, value_name = "KIND")]
    without: Option<crate::scenario::DatabaseKind>,
}

/// Measures what has to be measured and writes the report. Answers what was found.
pub(crate) async fn run(plan: &Plan, options: &Options) -> Outcome<Findings> {
    let none = || Failure::new("all writes a report: name the file with --report");
    let report = options.report.as_deref().ok_or_else(none)?;
    if plan.has_database() {
        return Err(Failure::new("all makes its own databases"));
    }
    let steps = steps(options.most_sessions, options.without);
    require_room(options.most_sessions)?;
    let store = Store::open()?;
    let facts = Facts::of_this_machine(SystemClock.now()).await;
    let (mut findings, mut open) = (Vec::new(), Vec::new());
    for step in &steps {
        let is_asked_for =
            options.only.is_empty() || options.only.iter().any(|o| o == step.scenario);
        let may_be_old = options.resume || !is_asked_for;
        match store.read(step).filter(|_| may_be_old) {
            Some(finding) => findings.push(finding),
            None if is_asked_for => open.push(step),
            None => {}
        }
    }
    let progress = Progress::over(&open, plan.duration);
    for step in open {
        progress.begin(step);
        let finding = step
            .run(plan, &facts.commit)
            .await
            .map_err(|failure| Failure::new(format!("{}: {failure}", step.name())))?;
        store.write(step, &finding)?;
        findings.push(finding);
        progress.end(step);
    }
    progress.finish();
    let findings = Findings::in_order(findings, &steps);
    write_report(report, &facts, &findings)?;
    Ok(findings)
}

fn write_report(path: &Path, facts: &Facts, findings: &Findings) -> Outcome<()> {
    let directory = path.with_extension("");
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    std::fs::create_dir_all(&directory).doing("making the directory of the plots")?;
    let plots = plots::all(findings)?;
    for plot in &plots {
        let file = directory.join(format!("{}.svg", plot.name));
        write_whole(&file, &plot.svg)?;
    }
    let notes = notes::Notes::read();
    let text = document::Document {
        facts,
        findings,
        notes: &notes,
        plots: &plots,
        plots_in: &name,
    };
    write_whole(path, &text.to_markdown())
}

/// Under its name appears a whole file or none.
fn write_whole(path: &Path, text: &str) -> Outcome<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let doing = path.display().to_string();
    let mut file =
        tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new("."))).doing(&doing)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).doing(&doing)?;
    // A temporary file is for its owner alone; a report is for everybody.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), readable).doing(&doing)?;
    file.persist(path).map(drop).doing(&doing)
}

/// Where a database, its log and its indexes go, and the temporary files of its sorts.
fn require_room(sessions: u32) -> Outcome<()> {
    /// More than a session with half a person takes anywhere.
    const BYTES_EACH: u64 = 1_500;
    let directory = std::env::temp_dir();
    let disk = rustix::fs::statvfs(&directory).doing("looking for room on the disk")?;
    let (free, needed) = (
        disk.f_bavail * disk.f_frsize,
        u64::from(sessions) * BYTES_EACH,
    );
    if free < needed {
        let (place, needed) = (directory.display(), needed / 1_000_000_000 + 1);
        return Err(Failure::new(format!(
            "{place} has no room for {needed} GB: set TMPDIR or fewer --most-sessions"
        )));
    }
    Ok(())
}

/// What earlier runs have found, a file for each step.
struct Store(PathBuf);

impl Store {
    fn open() -> Outcome<Self> {
        let this = std::env::current_exe().doing("finding this program")?;
        let target = this.parent().and_then(cargo_target_directory);
        let directory = target.unwrap_or(Path::new("target")).join("bench/all");
        std::fs::create_dir_all(&directory).doing("making a directory for what is found")?;
        Ok(Self(directory))
    }

    fn file(&self, step: &Step) -> PathBuf {
        self.0.join(format!("{}.json", step.name()))
    }

    /// What an older release has written in another form is measured again.
    fn read(&self, step: &Step) -> Option<Finding> {
        let text = std::fs::read_to_string(self.file(step)).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn write(&self, step: &Step, finding: &Finding) -> Outcome<()> {
        let text = serde_json::to_string_pretty(finding).doing("writing what was found")?;
        write_whole(&self.file(step), &text)
    }
}
