//! Load generator and micro-benchmarks. Each scenario runs what it measures and its yardstick in
//! turns, so that the noise of the machine hits both, and prints figures; see `README.md`.

mod all;
mod arguments;
mod failure;
mod http;
mod measure;
mod people;
mod progress;
mod readers;
mod report;
mod scenario;
mod service;

use std::io::Write;
use std::process::ExitCode;

use arguments::{Arguments, What};
use failure::{Doing, Failure, Outcome};

fn main() -> ExitCode {
    let is_good = match readers::parent(std::env::args_os()) {
        Some(parent) => on_one_thread(readers::serve(parent)).map(|()| true),
        None => run(&Arguments::read()),
    };
    match is_good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            // There is nowhere left to report that standard error is gone.
            let _lost = writeln!(std::io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints; answers whether the figures are good.
fn run(arguments: &Arguments) -> Outcome<bool> {
    let (text, is_good) = match arguments.what {
        What::One(scenario) => {
            let report = on_one_thread(until_told_to_stop(async {
                let (plan, _server) = arguments.plan.with_database().await?;
                (scenario.run)(&plan).await
            }))?;
            let text = if arguments.json {
                report.to_json()?
            } else {
                report.to_table()
            };
            (text, report.is_good(arguments.check))
        }
        What::All => {
            let all = all::run(&arguments.plan, &arguments.of_all);
            let findings = on_one_thread(until_told_to_stop(all))?;
            let text = if arguments.json {
                findings.to_json()?
            } else {
                findings.summary()
            };
            (text, findings.are_good(arguments.check))
        }
    };
    writeln!(std::io::stdout(), "{text}").doing("printing the figures")?;
    Ok(is_good)
}

/// One thread: the generator must leave the cores to the service.
fn on_one_thread<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("starting the runtime")?;
    runtime.block_on(work)
}

/// Dropping the measurement stops the service that it has started.
async fn until_told_to_stop<T>(measurement: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).doing("listening for signals")?;
    let mut terminate = signal(SignalKind::terminate()).doing("listening for signals")?;
    let stop = std::pin::pin!(async move {
        futures_util::future::select(
            std::pin::pin!(interrupt.recv()),
            std::pin::pin!(terminate.recv()),
        )
        .await;
    });
    match futures_util::future::select(std::pin::pin!(measurement), stop).await {
        futures_util::future::Either::Left((outcome, _)) => outcome,
        futures_util::future::Either::Right(_) => Err(Failure::new("told to stop")),
    }
}
