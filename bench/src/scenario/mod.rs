//! What can be measured, one file each.

mod footprint;
mod in_process;
mod jwks;
mod login_flood;
mod memory;
mod refresh;
mod refresh_at_scale;
mod sign;
mod start;
mod token;
mod under_load;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::arguments::{existing_file, seconds};
use crate::failure::Outcome;
use crate::report::Report;
use crate::service::{Binary, Installation};

/// Every scenario. A new one is a file with a constant, and a line here.
pub(crate) const SCENARIOS: &[Scenario] = &[
    sign::SCENARIO,
    verify::SCENARIO,
    token::SCENARIO,
    refresh::SCENARIO,
    login_flood::SCENARIO,
    jwks::SCENARIO,
    start::SCENARIO,
    memory::SCENARIO,
    footprint::SCENARIO,
];

/// How many clients load the service, where nothing speaks for another number.
const USUAL_CLIENTS: u16 = 8;

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
    /// `refresh` 32, in `login-flood` 4.
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
}

impl Plan {
    /// How many clients load the service.
    fn clients(&self, usual: u16) -> u16 {
        self.clients.unwrap_or(usual)
    }

    /// A fresh installation of the service.
    fn install(&self) -> Outcome<Installation> {
        let binary = Binary::find(self.binary.as_deref())?;
        Installation::prepare(binary, self.database_url.as_deref())
    }
}

fn clients() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=1_000)
}

fn sessions() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1_000..=100_000_000)
}
