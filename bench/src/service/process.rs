//! A running service.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Counters;
use crate::failure::{Doing, Failure, Outcome};
use crate::http::{self, Connection};

const READY_WITHIN: Duration = Duration::from_secs(20);
const STOPPED_WITHIN: Duration = Duration::from_secs(12);
/// How often a starting or stopping service is looked at.
const POLL: Duration = Duration::from_millis(1);

/// The process of the service; it is killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Service {
    pub(super) fn new(child: Child, address: SocketAddr, log: PathBuf) -> Self {
        Self {
            child,
            address,
            log,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `/readyz` answers 200.
    pub(crate) async fn ready(&mut self) -> Outcome<()> {
        let request = http::get(self.address, "/readyz", &[]);
        let start = Instant::now();
        while start.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait().doing("waiting for the service")? {
                return Err(self.not_ready(&format!("ended with {status}")));
            }
            if let Ok(mut connection) = Connection::open(self.address).await
                && let Ok(response) = connection.exchange(&request).await
                && response.status == 200
            {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(self.not_ready("is not ready"))
    }

    /// What it counts.
    pub(crate) async fn counters(&self) -> Outcome<Counters> {
        let mut connection = Connection::open(self.address).await?;
        let request = http::get(self.address, "/metrics", &[]);
        let text = connection.exchange(&request).await?.body.to_vec();
        let text = String::from_utf8(text).doing("reading the metrics")?;
        Ok(Counters::of_text(text))
    }

    /// Tells the service to stop and waits for it.
    pub(crate) async fn stop(mut self) -> Outcome<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Failure::new("the service has no process id"))?;
        kill_process(pid, Signal::TERM).doing("stopping the service")?;
        let start = Instant::now();
        while start.elapsed() < STOPPED_WITHIN {
            match self.child.try_wait().doing("waiting for the service")? {
                Some(status) => return require_success(status),
                None => tokio::time::sleep(POLL).await,
            }
        }
        Err(Failure::new("the service does not stop"))
    }

    fn not_ready(&self, what: &str) -> Failure {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().last().unwrap_or("its log is empty");
        Failure::new(format!("the service {what}: {last}"))
    }
}

fn require_success(status: ExitStatus) -> Outcome<()> {
    // A service that has only just become ready may not handle the signal yet.
    let ended_by_us = status.signal() == Some(Signal::TERM.as_raw());
    if status.success() || ended_by_us {
        Ok(())
    } else {
        Err(Failure::new(format!("the service ended with {status}")))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for already.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_service_does_not_outlive_its_measurement() {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        let address = "127.0.0.1:1".parse().unwrap();
        drop(Service::new(child, address, PathBuf::new()));
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
