//! Every scenario on both databases, and the report about them.

mod document;
mod facts;
mod figures;
mod findings;
mod notes;
mod origin;
mod plots;
mod progress;
mod steps;
mod store;

use std::path::{Path, PathBuf};

use tokensmith::clock::SystemClock;
use tokensmith::domain::ports::Clock;

use crate::failure::{Doing, Failure, Outcome};
use crate::scenario::{Plan, SCENARIOS};
use facts::Facts;
use findings::Findings;
use origin::Program;
use progress::Progress;
use steps::steps;
use store::Store;

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
    /// Go on where an earlier run was interrupted; what was found of another executable or with
    /// other options is measured again.
    #[arg(long)]
    resume: bool,
    /// Leave out one kind of database.
    #[arg(long, value_name = "KIND")]
    without: Option<crate::scenario::DatabaseKind>,
}

impl Options {
    /// Neither goes on nor improves on anything.
    fn is_of_everything(&self) -> bool {
        self.only.is_empty() && !self.resume
    }

    fn asks_for(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == scenario)
    }
}

/// Measures what has to be measured and writes the report. Answers what was found.
pub(crate) async fn run(plan: &Plan, options: &Options) -> Outcome<Findings> {
    let none = || Failure::new("all writes a report: name the file with --report");
    let report = options.report.as_deref().ok_or_else(none)?;
    let steps = steps(options.most_sessions, options.without);
    require_room(options.most_sessions)?;
    let store = Store::open()?;
    let (binary, is_given) = plan.binary()?;
    let binary = store.keep(&binary)?;
    let program = Program {
        sha256: binary.sha256()?,
        is_given,
    };
    let plan = &plan.of(&binary);
    let facts = Facts::of_this_machine(SystemClock.now(), program, plan.settings()).await;
    let chosen = store.choose(&steps, options, &facts.origin)?;
    let progress = Progress::over(&chosen.open, plan.duration);
    let mut findings = chosen.findings;
    for step in chosen.open {
        progress.begin(step);
        let finding = step
            .run(plan, &facts.origin)
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
