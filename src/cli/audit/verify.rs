//! `tokensmith audit verify`

use std::str::FromStr;

use clap::Args;
use serde::Serialize;

use crate::accounts::AccountError;
use crate::accounts::trail::{Break, Verification};
use crate::admin::Administration;
use crate::cli::{Failure, SettingsArgs, output};
use crate::domain::audit::Seal;

const HELP: &str = "\
Every record is chained to the one before by a keyed hash. Whoever can write to the database but \
has no master key cannot change, remove or insert a record unseen. What remains is to cut the end \
off and to set the chain back, or to go on with a copy of it. Against that, note the end of the \
chain that this command prints somewhere else, and give it with --expect the next time.";

/// `tokensmith audit verify`
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct VerifyArgs {
    /// The end of the chain as noted before: the record with this number must still have this hash
    #[arg(long, value_name = "SEQUENCE:HASH")]
    expect: Option<Note>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// The end of a chain as somebody noted it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    sequence: i64,
    /// In hex, as it is printed.
    hash: String,
}

/// The text is no such note.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("write the number and the hash as `audit verify` printed them, such as 42:9f86…")]
struct InvalidNote;

impl FromStr for Note {
    type Err = InvalidNote;

    fn from_str(text: &str) -> Result<Self, InvalidNote> {
        let (sequence, hash) = text.split_once(':').ok_or(InvalidNote)?;
        let sequence = sequence.parse().map_err(|_| InvalidNote)?;
        if sequence < 0 || hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidNote);
        }
        let hash = hash.to_ascii_lowercase();
        Ok(Self { sequence, hash })
    }
}

/// What was found, as JSON.
#[derive(Serialize)]
struct Report {
    whole: bool,
    /// How many records are whole, from the first.
    records: i64,
    /// Where the chain ends, as far as it is whole; what `--expect` takes.
    end: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Runs the command.
pub(super) async fn run(
    arguments: &VerifyArgs,
    administration: &Administration,
) -> Result<(), Failure> {
    let trail = &administration.accounts.trail;
    trail.seal().await.map_err(AccountError::from)?;
    let found = trail.verify().await.map_err(AccountError::from)?;
    let mut problem = found.broken.as_ref().map(in_words);
    if let (None, Some(note)) = (&problem, &arguments.expect) {
        problem = contradiction(note, &found, administration).await?;
    }
    report(
        &Report {
            whole: problem.is_none(),
            records: found.end.sequence,
            end: written(found.end),
            problem,
        },
        arguments.json,
    )
}

fn in_words(broken: &Break) -> String {
    match broken {
        Break::Missing(number) => format!("record {number} is missing: it was removed"),
        Break::Changed(number, id) => {
            format!("record {number} ({id}) does not fit its hash: it was changed or put in")
        }
        Break::CutOff(claimed) => format!(
            "the end is cut off, or was set to another place: the chain should end with record {}",
            claimed.sequence
        ),
    }
}

/// What speaks against a note, where the chain is whole in itself.
async fn contradiction(
    note: &Note,
    found: &Verification,
    administration: &Administration,
) -> Result<Option<String>, Failure> {
    let (number, end) = (note.sequence, found.end.sequence);
    if number > end {
        return Ok(Some(format!(
            "the end is cut off: the log ends with record {end}, and record {number} was noted"
        )));
    }
    let hash = if number == 0 {
        Seal::START.hash
    } else {
        let store = &administration.store;
        let noted = store.sealed_records(number - 1, 1).await;
        let noted = noted.map_err(AccountError::from)?;
        match noted.first().and_then(|stored| stored.seal) {
            Some(seal) if seal.sequence == number => seal.hash,
            _ => {
                return Ok(Some(format!(
                    "record {number}, which was noted, is missing"
                )));
            }
        }
    };
    Ok((hash.to_string() != note.hash).then(|| {
        format!(
            "record {number} is not the one that was noted: the log was cut off before it and has \
             grown again"
        )
    }))
}

fn report(report: &Report, json: bool) -> Result<(), Failure> {
    let Report { records, end, .. } = report;
    if json {
        output::json(report)?;
        return match report.problem {
            None => Ok(()),
            Some(_) => Err(Failure::Reported),
        };
    }
    match &report.problem {
        None => {
            output::line(&format!("The audit log is whole: {records} records."))?;
            Ok(output::line(&format!("It ends with {end}"))?)
        }
        Some(problem) => {
            output::line(&format!(
                "The first {records} records are whole, up to {end}"
            ))?;
            let text = format!("the audit log is broken: {problem}");
            Err(Failure::Message(text))
        }
    }
}

fn written(seal: Seal) -> String {
    format!("{}:{}", seal.sequence, seal.hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let note: Note = written(Seal::START).parse().unwrap();
        assert_eq!((note.sequence, note.hash.as_str()), (0, &*"0".repeat(64)));
        let upper: Note = format!("7:{}", "AB".repeat(32)).parse().unwrap();
        assert_eq!(
            (upper.sequence, upper.hash.as_str()),
            (7, &*"ab".repeat(32))
        );
        for bad in [
            "",
            "7",
            "7:",
            "-1:",
            ":ab",
            &format!("-1:{}", "0".repeat(64)),
        ] {
            assert_eq!(bad.parse::<Note>(), Err(InvalidNote), "{bad}");
        }
    }
}
