//! What happened: every request, every verification and every fault, with the instants at which it began
//! and ended. Tokens are in it as the beginning of their digest only.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Something that took its time. Instants are microseconds of the monotonic clock since the run began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) began: u64,
    pub(super) ended: u64,
    /// Which part of the run did it.
    pub(super) who: String,
    #[serde(flatten)]
    pub(super) what: Event,
}

/// What it was. A `session` is its `sid`, a `person` a user id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// With what the run began.
    Setup {
        database: String,
        seed: u64,
        replicas: usize,
        verifiers: Vec<String>,
        clients: Vec<ClientTerms>,
    },
    /// A fault, from its beginning until everything runs again.
    Fault { fault: String },
    /// From here on there are no more faults: what follows are the last questions.
    Calm,
    /// A password was exchanged for a code.
    Password {
        person: String,
        client: String,
        answer: Answer,
    },
    /// A code was exchanged for the tokens of a new session.
    SignIn {
        session: Option<String>,
        person: String,
        client: String,
        refresh: Option<String>,
        access: Option<String>,
        answer: Answer,
    },
    /// A refresh token was presented.
    Refresh {
        session: String,
        client: String,
        role: Role,
        presented: String,
        generation: u32,
        key: String,
        /// The refresh token of the answer, and its generation.
        successor: Option<(String, u32)>,
        access: Option<String>,
        /// We have made the answer get lost ourselves.
        sabotaged: bool,
        answer: Answer,
    },
    /// A service asked for a token of its own.
    Service {
        client: String,
        access: Option<String>,
        answer: Answer,
    },
    /// A session was revoked (RFC 7009), by its refresh or its access token.
    Logout {
        session: String,
        client: String,
        with: String,
        position: Option<String>,
        answer: Answer,
    },
    /// A person ended all sessions.
    SignOut {
        session: String,
        person: String,
        position: Option<String>,
        answer: Answer,
    },
    /// An administrator did something to a client, a session, or the keys.
    Admin {
        act: Act,
        subject: String,
        position: Option<String>,
        answer: Answer,
    },
    /// A verifier was asked about an access token; `reject` is why it was not accepted.
    Verify {
        verifier: usize,
        session: Option<String>,
        access: String,
        reject: Option<String>,
    },
    /// A replica was asked about an access token (RFC 7662).
    Introspect {
        session: String,
        access: String,
        active: Option<bool>,
        answer: Answer,
    },
    /// Whether the status list of a replica has the bit of a session set.
    Bit {
        session: String,
        replica: usize,
        is_set: Option<bool>,
    },
    /// A record of the audit log.
    Audit {
        kind: String,
        session: Option<String>,
        person: Option<String>,
        client: Option<String>,
        detail: Option<String>,
    },
    /// What `audit verify` says.
    AuditVerified { is_whole: bool, said: String },
    /// A replica has logged what no replica may.
    Logged { replica: usize, line: String },
}

/// What the checker has to know of a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ClientTerms {
    pub(super) id: String,
    /// Within which the token before may be used again with another key.
    pub(super) retry_window_ms: u64,
}

/// Who presents a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// Whose session it is, by the rules.
    Honest,
    /// Who stole it, or the owner of a session with a thief in it.
    Thief,
    /// Whoever tries what must not work any more.
    Ghost,
}

/// What administrators do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Act {
    DisableClient,
    EnableClient,
    RotateKeys,
    EndSession,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) replica: usize,
    /// Zero where there was none.
    pub(super) status: u16,
    /// The code of the error; without an answer, what happened instead.
    pub(super) error: Option<String>,
}

impl Answer {
    pub(super) fn is(&self, status: u16, error: &str) -> bool {
        self.status == status && self.error.as_deref() == Some(error)
    }

    /// Nobody knows whether the request had an effect; with 408 it did not arrive in time.
    pub(super) fn is_failure(&self) -> bool {
        matches!(self.status, 0 | 408) || self.status >= 500
    }

    /// A failure that a fault explains. Others with 5xx are errors of the service, whatever is broken around it.
    pub(super) fn is_explicable(&self) -> bool {
        matches!(self.status, 0 | 408) || self.is(503, "temporarily_unavailable")
    }
}

impl Event {
    /// The session that it is about.
    pub(super) fn session(&self) -> Option<&str> {
        match self {
            Self::Refresh { session, .. }
            | Self::Logout { session, .. }
            | Self::SignOut { session, .. }
            | Self::Introspect { session, .. }
            | Self::Bit { session, .. } => Some(session),
            Self::SignIn { session, .. }
            | Self::Verify { session, .. }
            | Self::Audit { session, .. } => session.as_deref(),
            Self::Admin {
                act: Act::EndSession,
                subject,
                ..
            } => Some(subject),
            _ => None,
        }
    }

    /// How the request ended, if it was one.
    pub(super) fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Password { answer, .. }
            | Self::SignIn { answer, .. }
            | Self::Refresh { answer, .. }
            | Self::Service { answer, .. }
            | Self::Logout { answer, .. }
            | Self::SignOut { answer, .. }
            | Self::Admin { answer, .. }
            | Self::Introspect { answer, .. } => Some(answer),
            _ => None,
        }
    }
}

/// The name of a token in the history: too short a part of its digest to be of use to anybody.
pub(super) fn name_of(token: &str) -> String {
    let digest = digest(&SHA256, token.as_bytes());
    let beginning = digest.as_ref().first_chunk::<9>();
    beginning.map_or_else(String::new, |beginning| URL_SAFE_NO_PAD.encode(beginning))
}

/// What has happened so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    requests: u64,
    failures: u64,
    faults: u64,
    endings: u64,
    verifications: u64,
}

impl Tally {
    fn count(&mut self, what: &Event) {
        let answer = what.answer();
        self.requests += u64::from(answer.is_some());
        self.failures += u64::from(answer.is_some_and(Answer::is_failure));
        self.faults += u64::from(matches!(what, Event::Fault { .. }));
        self.verifications += u64::from(matches!(what, Event::Verify { .. }));
        let is_end = matches!(
            what,
            Event::Logout { .. }
                | Event::SignOut { .. }
                | Event::Admin {
                    act: Act::EndSession | Act::DisableClient,
                    ..
                }
        );
        let is_done = answer.is_some_and(|answer| matches!(answer.status, 200 | 204));
        self.endings += u64::from(is_end && is_done);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, {} without an answer or 5xx; {} verifications, {} logouts and the like; {} faults",
            self.requests, self.failures, self.verifications, self.endings, self.faults
        )
    }
}

/// Collects what happens, and writes each entry to a file.
pub(super) struct Recorder {
    began: Instant,
    written: Mutex<Written>,
}

struct Written {
    entries: Vec<Entry>,
    tally: Tally,
    /// A thread writes: whoever records must not wait for a disk.
    lines: Option<mpsc::Sender<Entry>>,
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Recorder {
    pub(super) fn to(file: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(file)?);
        let (lines, entries) = mpsc::channel::<Entry>();
        let writer = thread::spawn(move || {
            for entry in entries {
                serde_json::to_writer(&mut file, &entry)?;
                file.write_all(b"\n")?;
            }
            file.flush()
        });
        let written = Written {
            entries: Vec::new(),
            tally: Tally::default(),
            lines: Some(lines),
            writer: Some(writer),
        };
        Ok(Self {
            began: Instant::now(),
            written: Mutex::new(written),
        })
    }

    /// The present instant of the history.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Something that began then, and ended now.
    pub(super) fn record(&self, began: u64, who: &str, what: Event) {
        self.record_ended((began, self.now()), who, what);
    }

    /// Something that began and ended then.
    pub(super) fn record_ended(&self, (began, ended): (u64, u64), who: &str, what: Event) {
        let entry = Entry {
            began,
            ended,
            who: who.to_owned(),
            what,
        };
        let mut written = self.lock();
        if let Some(lines) = &written.lines {
            // A thread that has ended says why when it is asked.
            let _ended = lines.send(entry.clone());
        }
        written.tally.count(&entry.what);
        written.entries.push(entry);
    }

    /// What has happened so far, in numbers.
    pub(super) fn tally(&self) -> Tally {
        self.lock().tally
    }

    /// The whole history, which is in the file from then on.
    pub(super) fn finish(&self) -> io::Result<Vec<Entry>> {
        let mut written = self.lock();
        drop(written.lines.take());
        if let Some(writer) = written.writer.take() {
            let failed = |_| io::Error::other("the thread that writes has panicked");
            writer.join().map_err(failed)??;
        }
        Ok(std::mem::take(&mut written.entries))
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a history that was recorded before.
pub(super) fn read(file: &Path) -> io::Result<Vec<Entry>> {
    let lines = BufReader::new(File::open(file)?).lines();
    lines
        .map(|line| serde_json::from_str(&line?).map_err(io::Error::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history");
        let recorder = Recorder::to(&file).unwrap();
        let answer = Answer {
            replica: 1,
            status: 0,
            error: Some("timeout".to_owned()),
        };
        recorder.record(0, "nobody", Event::Calm);
        let refresh = Event::Refresh {
            session: "s".to_owned(),
            client: "phone".to_owned(),
            role: Role::Honest,
            presented: name_of("tsr1_x"),
            generation: 3,
            key: "k".to_owned(),
            successor: Some((name_of("tsr1_y"), 4)),
            access: None,
            sabotaged: true,
            answer,
        };
        recorder.record_ended((5, 7), "device 1", refresh);
        let written = format!("{:?}", recorder.finish().unwrap());
        assert_eq!(format!("{:?}", read(&file).unwrap()), written);
    }

    #[test]
    fn a_token_is_not_in_its_name() {
        assert_eq!(name_of("tsr1_x").len(), 12);
        assert_ne!(name_of("tsr1_x"), name_of("tsr1_y"));
    }
}
