//! What can be measured, one file each.

mod in_process;
mod jwks;
mod memory;
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
    jwks::SCENARIO,
    start::SCENARIO,
    memory::SCENARIO,
];

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
    /// How many clients load the service; each has one request under way.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clients())]
    pub(crate) clients: u16,
    /// The executable of the service, instead of the one that is built here.
    #[arg(long, value_name = "PATH", value_parser = existing_file)]
    binary: Option<PathBuf>,
    /// An empty database for the service, instead of SQLite in a temporary directory.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl Plan {
    /// A fresh installation of the service.
    fn install(&self) -> Outcome<Installation> {
        let binary = Binary::find(self.binary.as_deref())?;
        Installation::prepare(binary, self.database_url.as_deref())
    }
}

fn clients() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=1_000)
}
