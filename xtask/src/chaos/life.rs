//! One run, from the start of the fleet to the last question.

use std::fs;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout_at};

use super::device::Device;
use super::faults::{Fault, Schedule};
use super::fleet::Fleet;
use super::history::{Event, Recorder};
use super::site::Site;
use super::town::Town;
use super::wallet::Wallet;
use super::{ChaosError, Plan, actors, finale, machine};

/// Starts the fleet, and keeps its logs.
pub(super) async fn live_through(plan: &Plan, recorder: Arc<Recorder>) -> Result<(), ChaosError> {
    let fleet = Fleet::start(plan.database, plan.replicas, &plan.binary).await?;
    let outcome = live_in(&fleet, plan, recorder).await;
    for (replica, log) in fleet.logs().await.into_iter().enumerate() {
        let file = plan.log(replica);
        fs::write(&file, log).map_err(|error| ChaosError::File(file, error))?;
    }
    outcome
}

/// Lets everybody live, lets faults happen, and asks the last questions.
async fn live_in(fleet: &Fleet, plan: &Plan, recorder: Arc<Recorder>) -> Result<(), ChaosError> {
    let site = Site::over(fleet, Arc::clone(&recorder)).await?;
    let town = Arc::new(Town::found(fleet, site, plan.seed).await?);
    let setup = Event::Setup {
        database: plan.database.to_string(),
        seed: plan.seed,
        replicas: plan.replicas,
        verifiers: town.site.verifier_names.clone(),
        clients: town.terms(),
    };
    recorder.record(recorder.now(), "chaos", setup);
    // Until everything is over: whoever is asked last may have to wait for the disk, too.
    let mut machine = JoinSet::new();
    machine.spawn(machine::watch(Arc::clone(&recorder), fleet.file("probe")));
    let mut devices: JoinSet<Option<Wallet>> = JoinSet::new();
    let all = (0..plan.clients).filter_map(|number| Device::new(Arc::clone(&town), number));
    all.for_each(|device| {
        devices.spawn(device.live());
    });
    let mut others = JoinSet::new();
    for service in &town.services {
        others.spawn(actors::serve(Arc::clone(&town), service.clone()));
    }
    others.spawn(actors::rob_graves(Arc::clone(&town)));
    others.spawn(actors::administer(Arc::clone(&town)));
    let until = Instant::now() + plan.lasting;
    let schedule = Schedule::new(plan.seed, fleet.fragile());
    let faults = let_things_happen(schedule, (fleet, &recorder), until);
    let progress = show_progress(plan, &recorder);
    let mut is_interrupted = false;
    let faults = tokio::select! {
        faults = faults => faults,
        () = progress => Ok(()),
        () = interrupted() => {
            println!("{}: told to come to an end", plan.database);
            is_interrupted = true;
            Ok(())
        }
    };
    if is_interrupted {
        fleet.revive(&recorder).await?;
    }
    town.site.end();
    faults?;
    fleet.until_ready().await?;
    println!(
        "{}: no more faults; everybody comes to an end",
        plan.database
    );
    let wallets = devices.join_all().await.into_iter().flatten().collect();
    others.join_all().await;
    town.until_tasks_are_done().await;
    finale::ask(&town, fleet, wallets).await?;
    town.until_tasks_are_done().await;
    Ok(())
}

/// Until somebody wants it to end, such as by Ctrl-C. What has happened until then is checked.
async fn interrupted() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => pending().await,
        }
    };
    tokio::select! {
        _ = ctrl_c() => {}
        _ = terminate => {}
    }
}

/// Faults until an instant; none begins after it.
async fn let_things_happen(
    mut schedule: Schedule,
    (fleet, recorder): (&Fleet, &Recorder),
    until: Instant,
) -> Result<(), ChaosError> {
    loop {
        let step = schedule.next();
        if timeout_at(until, sleep(step.quiet)).await.is_err() {
            return Ok(());
        }
        let mut faults = step.faults.into_iter();
        let (first, second) = (faults.next(), faults.next());
        tokio::try_join!(
            suffer(fleet, recorder, first),
            suffer(fleet, recorder, second)
        )?;
    }
}

async fn suffer(
    fleet: &Fleet,
    recorder: &Recorder,
    fault: Option<Fault>,
) -> Result<(), ChaosError> {
    match fault {
        Some(fault) => fleet.suffer(fault, recorder).await,
        None => Ok(()),
    }
}

/// A line every ten seconds.
async fn show_progress(plan: &Plan, recorder: &Recorder) {
    let mut ticks = interval(Duration::from_secs(10));
    ticks.tick().await;
    loop {
        ticks.tick().await;
        println!(
            "{} {:>5} s: {}",
            plan.database,
            recorder.now() / 1_000_000,
            recorder.tally()
        );
    }
}
