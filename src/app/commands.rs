//! Gives each command what it works with.

use std::process::ExitCode;
use std::time::Duration;

use super::{Application, Installation, Parts, Purpose, StartError, issuer_or_local};
use crate::admin::Administration;
use crate::cli::keys::KeysCommand;
use crate::cli::keys::renew_master::{self, RenewMasterArgs};
use crate::cli::relay::RelayArgs;
use crate::cli::{self, Command, Failure, SettingsArgs};
use crate::config::{Environment, Flags, Settings};
use crate::telemetry::logs::{self, LogGuard};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    // Prints usage errors itself and exits with 2.
    let command = cli::parse();
    match actix_web::rt::System::new().block_on(run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            cli::report(&failure);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(arguments) => dev(&arguments).await,
        Command::Demo(arguments) => tell_demo(&arguments).await,
        Command::Serve(arguments) => serve(&arguments).await,
        Command::Relay(arguments) => relay(&arguments).await,
        Command::Client(command) => {
            let administration = open(command.settings(), command.is_first_step()).await?;
            cli::client::run(command, &administration).await
        }
        Command::User(command) => {
            let administration = open(command.settings(), command.is_first_step()).await?;
            cli::user::run(command, &administration).await
        }
        Command::Session(command) => {
            let administration = open(command.settings(), false).await?;
            cli::session::run(command, &administration).await
        }
        Command::Audit(command) => {
            let administration = open(command.settings(), false).await?;
            cli::audit::run(command, &administration).await
        }
        Command::Keys(KeysCommand::RenewMaster(arguments)) => renew_master(&arguments).await,
        Command::Keys(KeysCommand::Signing(command)) => {
            let administration = open(command.settings(), command.is_first_step()).await?;
            cli::keys::run(command, &administration).await
        }
        Command::Token(command) => {
            let now = crate::domain::ports::Clock::now(&crate::clock::SystemClock);
            cli::token::run(command, now).await
        }
        Command::Config(command) => cli::config::run(command),
        Command::Doctor(arguments) => {
            let settings = arguments.settings.load();
            let opened = match &settings {
                Ok(settings) => open_with(settings, Installation::MustExist)
                    .await
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            cli::doctor::run(&arguments, settings, opened).await
        }
        Command::Completions(arguments) => cli::completions::run(&arguments),
    }
}

async fn dev(arguments: &SettingsArgs) -> Result<(), Failure> {
    let settings = arguments.load()?;
    let _logs = start_logs(&settings)?;
    let application = Application::build(&settings, Purpose::Development).await?;
    let demo = application.seed_demo().await?;
    cli::dev::welcome(application.url(), application.issuer().as_str(), &demo)?;
    let served = application.run_until_stopped().await;
    Ok(served.map_err(StartError::Server)?)
}

/// A service in a directory that is gone afterwards, and a story in it.
async fn tell_demo(arguments: &cli::demo::DemoArgs) -> Result<(), Failure> {
    let start = std::time::Instant::now();
    let home = tempfile::tempdir()?;
    // Neither the settings of this directory nor those of the process: the story is the same for
    // everybody.
    let config = home.path().join("tokensmith.toml");
    std::fs::write(&config, "")?;
    let inside = |name: &str| home.path().join(name).display().to_string();
    let flags = Flags {
        config: Some(config),
        values: vec![
            ("listen", "127.0.0.1:0".to_owned()),
            ("data_dir", inside("data")),
            ("keys_dir", inside("keys")),
        ],
    };
    let settings = Settings::load(&flags, &Environment::from([]))?;
    let application = Application::build(&settings, Purpose::Development).await?;
    let demo = application.seed_demo().await?;
    let (url, issuer) = (application.url().to_owned(), application.issuer().clone());
    let service = actix_web::rt::spawn(application.run_until_stopped());
    let stage = cli::demo::Stage {
        url: &url,
        issuer: issuer.as_str(),
        demo: &demo,
        started_in: start.elapsed(),
    };
    let told = cli::demo::tell(arguments, &stage).await;
    service.abort();
    told
}

async fn serve(arguments: &SettingsArgs) -> Result<(), Failure> {
    let settings = arguments.load()?;
    let _logs = start_logs(&settings)?;
    let application = Application::build(&settings, Purpose::Production).await?;
    let served = application.run_until_stopped().await;
    Ok(served.map_err(StartError::Server)?)
}

async fn relay(arguments: &RelayArgs) -> Result<(), Failure> {
    let settings = arguments.load()?;
    let _logs = start_logs(&settings)?;
    Ok(super::relay::run(&settings, arguments).await?)
}

async fn renew_master(arguments: &RenewMasterArgs) -> Result<(), Failure> {
    let mut settings = arguments.settings().load()?;
    settings.database_limits.timeout = COMMAND_PATIENCE;
    let issuer = issuer_or_local(&settings, settings.listen)?;
    let done = super::renewal::run(&settings, issuer, arguments.write()).await;
    let done = done.map_err(|error| Failure::Message(error.to_string()))?;
    renew_master::report(arguments, &done)
}

/// How long a command waits for the database: whoever typed it can see that it hangs, and stop it.
const COMMAND_PATIENCE: Duration = Duration::from_mins(1);

/// Opens the database for a command that works beside, or without, a running server.
async fn open(arguments: &SettingsArgs, is_first_step: bool) -> Result<Administration, Failure> {
    let installation = if is_first_step {
        Installation::MayBeMade
    } else {
        Installation::MustExist
    };
    Ok(open_with(&arguments.load()?, installation).await?)
}

async fn open_with(
    settings: &Settings,
    installation: Installation,
) -> Result<Administration, StartError> {
    let issuer = issuer_or_local(settings, settings.listen)?;
    let mut settings = settings.clone();
    settings.database_limits.timeout = COMMAND_PATIENCE;
    Ok(Parts::open(&settings, issuer, installation)
        .await?
        .administration)
}

fn start_logs(settings: &Settings) -> Result<LogGuard, Failure> {
    let filter = logs::parse_filter(&settings.log_filter)
        .map_err(|error| Failure::Message(error.to_string()))?;
    Ok(logs::start(filter, settings.log_format))
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Message(error.to_string())
    }
}
