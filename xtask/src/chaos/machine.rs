//! Whether the machine itself does its part. Where it stands still, or its disk does, for reasons of its own,
//! that is a fault like those of the schedule.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::history::{Event, Recorder};

const INTERVAL: Duration = Duration::from_millis(100);
/// A machine that does a small thing later than this is not well.
const MICROSECONDS: u64 = 500_000;

/// Looks until it is dropped. `file` is written to again and again.
pub(super) async fn watch(recorder: Arc<Recorder>, file: PathBuf) {
    loop {
        let began = recorder.now();
        sleep(INTERVAL).await;
        note(&recorder, began, "machine");
        let began = recorder.now();
        let probe = file.clone();
        // Where that does not work the service says so itself.
        let _written = spawn_blocking(move || write_through(&probe)).await;
        note(&recorder, began, "disk");
    }
}

fn note(recorder: &Recorder, began: u64, what: &str) {
    let late = recorder.now().saturating_sub(began);
    if late > MICROSECONDS {
        let fault = format!("the {what} stood still for {} ms", late / 1_000);
        recorder.record(began, "machine", Event::Fault { fault });
    }
}

fn write_through(file: &Path) -> io::Result<()> {
    let mut file = File::create(file)?;
    file.write_all(b"still there")?;
    file.sync_all()
}
