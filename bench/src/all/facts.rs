//! On what machine the figures were taken, and of what source.

use std::path::Path;
use std::process::{Command, Stdio};

use tokensmith::domain::Timestamp;

use super::origin::{Origin, Program};
use crate::people::sqlite_version;
use crate::scenario::Settings;
use crate::service::postgres_program;

/// Facts for the head of the report, each with its name.
pub(super) struct Facts {
    /// Of what is measured in this run.
    pub(super) origin: Origin,
    pub(super) rows: Vec<(&'static str, String)>,
}

impl Facts {
    /// What cannot be found out is said to be unknown.
    pub(super) async fn of_this_machine(
        now: Timestamp,
        program: Program,
        settings: Settings,
    ) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let known = |fact: Option<String>| fact.unwrap_or_else(|| "unknown".to_owned());
        let commit = known(commit());
        let cores = std::thread::available_parallelism().ok();
        let load = read("/proc/loadavg");
        let load: Vec<_> = load.split(' ').take(3).collect();
        let postgres = postgres_program("postgres");
        let rows = vec![
            ("date", now.format("%Y-%m-%d %H:%M UTC").to_string()),
            ("commit", commit.clone()),
            ("program", program.description()),
            (
                "processor",
                known(field(&read("/proc/cpuinfo"), "model name")),
            ),
            ("cores", known(cores.map(|cores| cores.to_string()))),
            ("memory", known(memory(&read("/proc/meminfo")))),
            (
                "kernel",
                known(first_line(&read("/proc/sys/kernel/osrelease"))),
            ),
            (
                "file system",
                known(file_system(
                    &read("/proc/self/mountinfo"),
                    &std::env::temp_dir(),
                )),
            ),
            ("load before", load.join(" ")),
            ("rustc", known(said_by(Path::new("rustc")))),
            ("PostgreSQL", known(said_by(&postgres))),
            ("SQLite", known(sqlite_version().await)),
            ("sqlite3 shell", known(said_by(Path::new("sqlite3")))),
        ];
        let origin = Origin {
            commit,
            program,
            settings,
        };
        Self { origin, rows }
    }
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(arguments);
        output_of(&mut command)
    };
    let hash = first_line(&git(&["rev-parse", "--short=12", "HEAD"])?)?;
    let status = git(&["status", "--porcelain", "--untracked-files=all"])?;
    let remark = if has_changes(&status) {
        " and changes"
    } else {
        ""
    };
    Some(format!("{hash}{remark}"))
}

/// Whether something has changed that programs are made of. Text is not; above all not the report
/// that was written a minute ago.
fn has_changes(status: &str) -> bool {
    let is_text = |line: &str| {
        let path = Path::new(line);
        let ending = path.extension().unwrap_or_default();
        (ending == "md" || ending == "svg") && !line.contains(" -> ")
    };
    !status.lines().all(is_text)
}

/// The version, as the program says it.
fn said_by(program: &Path) -> Option<String> {
    version_in(&output_of(Command::new(program).arg("--version"))?)
}

/// The first word that begins with a digit.
fn version_in(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    let version = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    version.map(ToOwned::to_owned)
}

fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}

fn first_line(text: &str) -> Option<String> {
    text.lines().next().map(|line| line.trim().to_owned())
}

/// The value of `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(field, _)| field.trim() == name)?;
    Some(value.trim().to_owned())
}

fn memory(meminfo: &str) -> Option<String> {
    let total = field(meminfo, "MemTotal")?;
    let kib: u64 = total.strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{} MiB", kib / 1_024))
}

/// Type and device of the mount that a directory is on: `proc_pid_mountinfo(5)`.
fn file_system(mounts: &str, directory: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let point = Path::new(mount.split(' ').nth(4)?);
        let mut fields = file_system.split(' ');
        let (kind, device) = (fields.next()?, fields.next()?);
        let is_on_it = directory.starts_with(point);
        is_on_it.then(|| (point.components().count(), format!("{kind} on {device}")))
    });
    mounts.max_by_key(|(depth, _)| *depth).map(|(_, of)| of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_on_the_innermost_mount() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
            2 1 0:5 / /tmp rw,nosuid shared:1 - tmpfs tmpfs rw\n\
            3 1 0:6 / /tmpother rw - xfs /dev/sdb rw\n";
        let of = |place: &str| file_system(mounts, Path::new(place));
        assert_eq!(of("/tmp/x").as_deref(), Some("tmpfs on tmpfs"));
        assert_eq!(of("/home").as_deref(), Some("ext4 on /dev/sda1"));
        assert_eq!(file_system("", Path::new("/")), None);
    }

    #[test]
    fn a_report_that_was_just_written_is_no_change() {
        assert!(!has_changes(""));
        let report = " M docs/benchmarks.md\n?? docs/benchmarks/latency-against-rate.svg\n";
        assert!(!has_changes(report));
        for change in [" M src/main.rs\n", "R  src/main.rs -> main.md\n"] {
            assert!(has_changes(&format!("{report}{change}")), "{change}");
        }
    }

    #[test]
    fn facts_are_read_from_what_linux_says() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nMemTotal:  2048 kB\n";
        assert_eq!(
            field(info, "model name").as_deref(),
            Some("Some CPU @ 3 GHz")
        );
        assert_eq!(memory(info).as_deref(), Some("2 MiB"));
        assert_eq!(field(info, "model"), None);
        let postgres = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(version_in(postgres).as_deref(), Some("15.18"));
    }
}
