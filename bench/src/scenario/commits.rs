//! Durable commits in a second, of one small update each, by the own tools of the databases: what a
//! service that writes a row for every request cannot exceed on this disk, unless commits share.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Doing, Failure, Outcome};
use crate::measure::real;
use crate::people::{Database, Random};
use crate::report::Report;
use crate::service::postgres_program;

/// Rows of the table, of which one is updated by its primary key.
const ROWS: u32 = 10_000;
/// Updates between two looks at the clock.
const BATCH: u32 = 50;
/// Connections that commit at the same time, as many as there are phones in `refresh`.
const TOGETHER: &str = "32";

/// SQLite with a write-ahead log and `synchronous = FULL`, from a script on standard input.
pub(super) fn by_sqlite3(report: &mut Report, duration: Duration) -> Outcome<()> {
    let directory = tempfile::tempdir().doing("making a directory")?;
    let mut command = Command::new("sqlite3");
    command.arg("-batch").arg(directory.path().join("limit.db"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let Some(mut shell) = start(&mut command, report)? else {
        return Ok(());
    };
    let committed = commit_one_by_one(&mut shell, duration);
    // It has ended by itself at the end of its script, unless something went wrong.
    let _ended = shell.kill();
    shell.wait().doing("waiting for sqlite3")?;
    report.figure("durable_commits_per_second", committed?);
    Ok(())
}

fn commit_one_by_one(shell: &mut Child, duration: Duration) -> Outcome<f64> {
    let none = || Failure::new("sqlite3 takes no script");
    let mut script = shell.stdin.take().ok_or_else(none)?;
    let mut answers = BufReader::new(shell.stdout.take().ok_or_else(none)?);
    let mut await_mark = |script: &mut std::process::ChildStdin, statements: &str| {
        writeln!(script, "{statements}SELECT 'mark';").doing("writing to sqlite3")?;
        script.flush().doing("writing to sqlite3")?;
        let mut line = String::new();
        while line.trim_end() != "mark" {
            line.clear();
            if answers.read_line(&mut line).doing("reading from sqlite3")? == 0 {
                return Err(Failure::new("sqlite3 has ended early"));
            }
        }
        Ok(())
    };
    let prepare = format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;\n\
         CREATE TABLE limits (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);\n\
         WITH RECURSIVE row (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM row WHERE id < {ROWS})\n\
         INSERT INTO limits SELECT id, 0 FROM row;\n"
    );
    await_mark(&mut script, &prepare)?;
    let mut random = Random::new("limits", 0);
    let (start, mut commits) = (Instant::now(), 0);
    while start.elapsed() < duration {
        let mut update = || {
            let id = random.below(ROWS) + 1;
            format!("UPDATE limits SET n = n + 1 WHERE id = {id};\n")
        };
        let batch: Vec<_> = (0..BATCH).map(|_| update()).collect();
        await_mark(&mut script, &batch.concat())?;
        commits += u64::from(BATCH);
    }
    Ok(real(commits) / start.elapsed().as_secs_f64())
}

/// PostgreSQL with the settings that it has, from one connection and from several.
pub(super) async fn by_pgbench(report: &mut Report, url: &str, duration: Duration) -> Outcome<()> {
    let directory = tempfile::tempdir().doing("making a directory")?;
    let script = directory.path().join("update.sql");
    let update =
        format!("\\set id random(1, {ROWS})\nUPDATE limits SET n = n + 1 WHERE id = :id;\n");
    std::fs::write(&script, update).doing("writing the script of pgbench")?;
    let location = url.parse().doing("reading the database URL")?;
    let mut database = Database::connect(&location).await?;
    let prepare = format!(
        "CREATE TABLE limits (id INT PRIMARY KEY, n INT NOT NULL); \
         INSERT INTO limits SELECT id, 0 FROM generate_series(1, {ROWS}) AS id"
    );
    database.execute(prepare).await?;
    let each = duration.as_secs().max(1).to_string();
    for (figure, clients, threads) in [
        ("durable_commits_per_second", "1", "1"),
        ("durable_commits_per_second_32_clients", TOGETHER, "2"),
    ] {
        let mut command = Command::new(postgres_program("pgbench"));
        command.args(["--no-vacuum", "--protocol=prepared", "--time", &each]);
        command.args(["--client", clients, "--jobs", threads, "--file"]);
        command.arg(&script).arg(url);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        let Some(child) = start(&mut command, report)? else {
            break;
        };
        let output = child.wait_with_output().doing("waiting for pgbench")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let rate = number_after(&said, "tps = ").ok_or_else(|| {
            let reason = String::from_utf8_lossy(&output.stderr).into_owned();
            Failure::new(format!("pgbench says no rate: {reason}"))
        })?;
        report.figure(figure, rate);
    }
    database.execute("DROP TABLE limits".to_owned()).await
}

/// How often the disk syncs a page, which is below every durable commit.
pub(super) fn by_pg_test_fsync(report: &mut Report) -> Outcome<()> {
    let directory = tempfile::tempdir().doing("making a directory")?;
    let mut command = Command::new(postgres_program("pg_test_fsync"));
    command.args(["-s", "1", "-f"]);
    command.arg(directory.path().join("synced"));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let Some(mut child) = start(&mut command, report)? else {
        return Ok(());
    };
    let lines = child.stdout.take().map(BufReader::new);
    // The first of its tests is what the databases do on Linux; the others take long.
    let rate = lines.and_then(|lines| {
        let mut lines = lines.lines().map_while(Result::ok);
        lines.find_map(|line| number_after(&line, " fdatasync "))
    });
    let _ended = child.kill();
    child.wait().doing("waiting for pg_test_fsync")?;
    match rate {
        Some(rate) => report.figure("fdatasyncs_per_second", rate),
        None => report.remarks.push("pg_test_fsync says no rate.".into()),
    }
    Ok(())
}

/// Starts a tool; where it is not installed, the report says so.
fn start(command: &mut Command, report: &mut Report) -> Outcome<Option<Child>> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.spawn() {
        Ok(child) => Ok(Some(child)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let remark = format!("{name} is not installed, so its limit was not measured.");
            report.remarks.push(remark);
            Ok(None)
        }
        Err(error) => Err(error).doing(&format!("starting {name}")),
    }
}

/// The number behind a label.
fn number_after(text: &str, label: &str) -> Option<f64> {
    let (_, rest) = text.split_once(label)?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_found_in_what_the_tools_say() {
        let pgbench = "latency average = 0.5 ms\ntps = 1931.250371 (without initial connection)\n";
        assert_eq!(number_after(pgbench, "tps = "), Some(1_931.250_371));
        let fsync = "        fdatasync                         10740.894 ops/sec      93 usecs/op";
        assert_eq!(number_after(fsync, " fdatasync "), Some(10_740.894));
        assert_eq!(number_after("no fdatasync here", " fdatasync "), None);
    }

    #[test]
    fn a_tool_that_is_missing_is_said_and_not_an_error() {
        let mut report = Report::new("limits");
        let mut command = Command::new("/nowhere/pgbench");
        assert!(start(&mut command, &mut report).unwrap().is_none());
        assert!(report.remarks[0].contains("/nowhere/pgbench is not installed"));
    }
}
