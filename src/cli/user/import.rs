//! `tokensmith user import`
//!
//! The file is read line by line and imported in transactions of [`LINES_AT_A_TIME`] lines, so
//! memory is bounded however long it is.
//!
//! An import can be cut off between any two steps and run again with `--resume`. There is no note
//! of how far it came, which could be lost or be ahead of the database: the accounts are the note.
//! A transaction is there as a whole or not at all, no two accounts share a name, and a line whose
//! account is there with the same username and e-mail address, as written, counts as done.

mod line;
mod lines;
mod progress;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::accounts::{AccountError, Accounts};
use crate::admin::Administration;
use crate::cli::{Failure, SettingsArgs, output};
use crate::domain::Timestamp;
use crate::domain::audit::Origin;
use crate::domain::ports::UserCreation;

use line::Entry;
use lines::{Lines, NumberedLine};
use progress::Progress;

/// How many lines one transaction takes.
const LINES_AT_A_TIME: usize = 500;

const HELP: &str = "\
The file has one JSON object a line, with these members and no others:

  username        required
  email
  email_verified  true or false
  name, phone, address
  password_hash   without one, nobody can sign in before `tokensmith user set-password`

A password hash is one of Argon2 ($argon2id$, $argon2i$, $argon2d$), bcrypt ($2a$, $2b$, $2y$) or
PBKDF2 ($pbkdf2-sha256$, $pbkdf2-sha512$, and Django's pbkdf2_sha256$). At the next login it is
replaced by one of this server's own kind.

Lines that cannot be imported are named on standard error with their number and the reason; all
others are imported. Exit code 0 says that every line is there, 1 that some were refused.

An import that was interrupted, in whatever way, is run again with --resume and the same file:
accounts that are there already with the same username and e-mail address are passed over, and
nothing is imported twice.";

/// `tokensmith user import`
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct ImportArgs {
    /// The file with one JSON object a line (see --help), or - for standard input
    file: PathBuf,
    /// Pass over accounts that an earlier run has imported from this file
    #[arg(long)]
    resume: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// What became of the lines.
#[derive(Default, Serialize)]
struct Tally {
    imported: u64,
    already_there: u64,
    refused: u64,
}

/// Runs the command.
pub(super) async fn run(
    arguments: &ImportArgs,
    administration: &Administration,
) -> Result<(), Failure> {
    let clock = &administration.clock;
    let unreadable = |error: io::Error| {
        let file = arguments.file.display();
        Failure::Message(format!("cannot read {file}: {error}"))
    };
    let mut lines = Lines::new(open(&arguments.file).map_err(unreadable)?);
    let mut import = Import {
        accounts: &administration.accounts,
        resumes: arguments.resume,
        progress: Progress::begin(clock.now()),
        tally: Tally::default(),
    };
    loop {
        let some = lines.next_lines(LINES_AT_A_TIME).map_err(unreadable)?;
        let Some(first) = some.first().map(|line| line.number) else {
            break;
        };
        let taken = import.take(some, clock.now()).await;
        taken.map_err(|error| stopped(&import, first, &error))?;
        import.progress.show(import.tally.lines(), clock.now());
    }
    import.progress.clear();
    import.tally.show(arguments.json)
}

fn open(file: &Path) -> io::Result<Box<dyn BufRead>> {
    Ok(if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(file)?))
    })
}

fn stopped(import: &Import<'_>, line: u64, error: &AccountError) -> Failure {
    import.progress.clear();
    Failure::Message(format!(
        "stopped at line {line}: {error} (what came before is imported; go on with --resume)"
    ))
}

/// An import under way.
struct Import<'a> {
    accounts: &'a Accounts,
    resumes: bool,
    progress: Progress,
    tally: Tally,
}

impl Import<'_> {
    /// Imports the lines in one transaction. When it fails, none of them is.
    async fn take(&mut self, lines: Vec<NumberedLine>, now: Timestamp) -> Result<(), AccountError> {
        let mut refused: Vec<(u64, String)> = Vec::new();
        let mut wanted: Vec<(u64, Entry)> = Vec::with_capacity(lines.len());
        for NumberedLine { number, text } in lines {
            match text.and_then(|text| line::parse(&text)) {
                Ok(entry) => wanted.push((number, entry)),
                Err(reason) => refused.push((number, reason)),
            }
        }
        if self.resumes {
            self.pass_over_what_is_there(&mut wanted).await?;
        }
        let (numbers, batch): (Vec<u64>, Vec<Entry>) = wanted.into_iter().unzip();
        let outcomes = if batch.is_empty() {
            Vec::new()
        } else {
            let origin = &Origin::COMMAND_LINE;
            self.accounts.import(batch, origin, now).await?
        };
        for (number, outcome) in numbers.into_iter().zip(outcomes) {
            match outcome {
                UserCreation::Created => self.tally.imported += 1,
                UserCreation::NameTaken => {
                    refused.push((number, AccountError::NameTaken.to_string()));
                }
            }
        }
        refused.sort_unstable_by_key(|(number, _)| *number);
        for (number, reason) in refused {
            self.tally.refused += 1;
            self.progress.clear();
            output::error_line(&format!("line {number}: {reason}"));
        }
        Ok(())
    }

    async fn pass_over_what_is_there(
        &mut self,
        wanted: &mut Vec<(u64, Entry)>,
    ) -> Result<(), AccountError> {
        let people: Vec<_> = wanted.iter().map(|(_, (person, _))| person).collect();
        let there = self.accounts.are_there(&people).await?;
        self.tally.already_there += there.iter().filter(|there| **there).count() as u64;
        let mut there = there.into_iter();
        wanted.retain(|_| there.next() != Some(true));
        Ok(())
    }
}

impl Tally {
    fn lines(&self) -> u64 {
        self.imported + self.already_there + self.refused
    }

    fn show(&self, json: bool) -> Result<(), Failure> {
        if json {
            output::json(self)?;
        } else {
            let Self {
                imported,
                already_there,
                refused,
            } = self;
            output::line(&format!(
                "imported {imported}, already there {already_there}, refused {refused}"
            ))?;
        }
        if self.refused > 0 {
            return Err(Failure::Reported);
        }
        Ok(())
    }
}
