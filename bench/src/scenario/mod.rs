//! What can be measured, one file each.

mod at_scale;
mod commits;
mod curve;
mod follower;
mod footprint;
mod in_process;
mod introspect;
mod jwks;
mod limits;
mod login;
mod login_flood;
mod memory;
mod refresh;
mod reject;
mod revoke;
mod revoke_rate;
mod settings;
mod siege;
mod sign;
mod start;
mod status_list;
mod token;
mod under_load;
mod verify;
mod verify_cached;

pub(crate) use at_scale::run as refresh_at_scale;
pub(crate) use curve::{AGAINST_CLIENTS, AGAINST_RATE};
pub(crate) use settings::Settings;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::arguments::{existing_file, seconds};
use crate::failure::Outcome;
use crate::report::Report;
use crate::service::{Binary, Installation, Postgres};

/// Every scenario. A new one is a file with a constant, and a line here.
pub(crate) const SCENARIOS: &[Scenario] = &[
    sign::SCENARIO,
    verify::SCENARIO,
    verify_cached::SCENARIO,
    reject::SCENARIO,
    token::SCENARIO,
    refresh::SCENARIO,
    login::SCENARIO,
    login_flood::SCENARIO,
    introspect::SCENARIO,
    jwks::SCENARIO,
    curve::SCENARIO,
    start::SCENARIO,
    memory::SCENARIO,
    footprint::SCENARIO,
    revoke::SCENARIO,
    revoke_rate::SCENARIO,
    status_list::SCENARIO,
    siege::SCENARIO,
    limits::SCENARIO,
];

/// How many clients load the service, where nothing speaks for another number.
const USUAL_CLIENTS: u16 = 8;
/// What `revoke` and `revoke-rate` do where nobody wants anything else.
const VERIFIERS: u32 = 100;
const PROCESSES: u16 = 4;
const RATE: u32 = 1_000;

/// Something that can be measured.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// One line for the help.
    pub(crate) about: &'static str,
    /// Measures.
    pub(crate) run: for<'a> fn(&'a Plan) -> LocalBoxFuture<'a, Outcome<Report>>,
}

/// How to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Plan {
    /// How long to measure; warming up comes on top.
    #[arg(long = "seconds", value_name = "N", default_value = "8", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// How many clients load the service, each with one request under way; 8 when absent, in
    /// `refresh` 32, in `login-flood` 4, in `revoke-rate` 128 at the most.
    #[arg(long, value_name = "N", value_parser = clients())]
    clients: Option<u16>,
    /// How many sessions are in the database. `refresh` compares so many with ten thousand;
    /// `footprint` makes 200,000 when absent.
    #[arg(long, value_name = "N", value_parser = sessions())]
    sessions: Option<u32>,
    /// The executable of the service, instead of the one that is built here.
    #[arg(long, value_name = "PATH", value_parser = existing_file)]
    binary: Option<PathBuf>,
    /// An empty database for the service, instead of SQLite in a temporary directory. `refresh
    /// --sessions` makes a second one beside it.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// The kind of database. `postgres` starts a server of its own, from the installed programs.
    #[arg(
        long,
        value_name = "KIND",
        default_value = "sqlite",
        conflicts_with = "database_url"
    )]
    database: DatabaseKind,
    /// How many verifiers follow the log in `revoke`.
    #[arg(long, value_name = "N", default_value_t = VERIFIERS, value_parser = readers())]
    verifiers: u32,
    /// How many idle streams follow it beside them.
    #[arg(long, value_name = "M", value_parser = readers())]
    streams: Option<u32>,
    /// In how many processes the verifiers live, and in how many others the streams.
    #[arg(long, value_name = "P", default_value_t = PROCESSES, value_parser = clap::value_parser!(u16).range(1..=100))]
    processes: u16,
    /// How many sessions `revoke-rate` ends in a second.
    #[arg(long, value_name = "N", default_value_t = RATE, value_parser = rate())]
    rate: u32,
}

/// A kind of database.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseKind {
    /// A file in a temporary directory.
    Sqlite,
    /// A server of our own.
    Postgres,
}

impl DatabaseKind {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

impl Plan {
    /// How figures are taken, to tell them from those that were taken in another way.
    pub(crate) fn settings(&self) -> Settings {
        Settings::of(self)
    }

    /// The executable of the service, and whether somebody has named it.
    pub(crate) fn binary(&self) -> Outcome<(Binary, bool)> {
        let binary = Binary::find(self.binary.as_deref())?;
        Ok((binary, self.binary.is_some()))
    }

    /// The same way of measuring, of this executable.
    pub(crate) fn of(&self, binary: &Binary) -> Self {
        Self {
            binary: Some(binary.path().to_owned()),
            ..self.clone()
        }
    }

    /// The same way of measuring, on another database and with another number of sessions.
    pub(crate) fn on(&self, database: DatabaseKind, sessions: Option<u32>) -> Self {
        Self {
            sessions,
            database,
            ..self.clone()
        }
    }

    /// How many clients load the service.
    fn clients(&self, usual: u16) -> u16 {
        self.clients.unwrap_or(usual)
    }

    /// This plan with the database it asks for, and the server that has to live as long.
    pub(crate) async fn with_database(&self) -> Outcome<(Self, Option<Postgres>)> {
        if self.database == DatabaseKind::Sqlite {
            return Ok((self.clone(), None));
        }
        let server = Postgres::start().await?;
        let plan = Self {
            database_url: Some(server.url().to_owned()),
            ..self.clone()
        };
        Ok((plan, Some(server)))
    }

    /// A fresh installation of the service.
    fn install(&self) -> Outcome<Installation> {
        let (binary, _) = self.binary()?;
        Installation::prepare(binary, self.database_url.as_deref())
    }
}

fn clients() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=1_000)
}

fn readers() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1_000_000)
}

fn rate() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=100_000)
}

fn sessions() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1_000..=100_000_000)
}
