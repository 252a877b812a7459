//! A timer that wakes within a tenth of a millisecond. That of the runtime counts in whole
//! milliseconds, which is longer than what is measured here.

use std::fs::File;
use std::io::ErrorKind;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

use crate::failure::{Doing, Outcome};

const NOT_AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Wakes its task after a while: `timerfd_create(2)`.
///
/// It is no pipe, but like one it is readable when there is something: that is all that the runtime
/// makes of it, and its interface for other descriptors is not safe.
pub(crate) struct Timer(Receiver);

impl Timer {
    pub(crate) fn new() -> Outcome<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).doing("making a timer")?;
        let timer = Receiver::from_file_unchecked(File::from(timer));
        timer.map(Self).doing("making a timer")
    }

    /// Waits so long; a wait that is given up leaves nothing behind.
    pub(crate) async fn wait(&self, duration: Duration) -> Outcome<()> {
        // Zero would mean never.
        let duration = duration.max(Duration::from_nanos(1));
        let once = Itimerspec {
            it_interval: NOT_AGAIN,
            it_value: Timespec {
                tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: duration.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once).doing("setting a timer")?;
        loop {
            self.0.readable().await.doing("waiting for a timer")?;
            match self.0.try_read(&mut [0; 8]) {
                // It was an earlier wait that ended, which setting the timer has undone.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                ended => return ended.doing("waiting for a timer").map(drop),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_wait_is_never_too_short_and_may_be_given_up() {
        let timer = Timer::new().unwrap();
        let given_up = timer.wait(Duration::from_hours(1));
        assert!(
            futures_util::future::poll_immediate(given_up)
                .await
                .is_none()
        );
        for microseconds in [0, 1, 300, 3_000] {
            let (start, duration) = (Instant::now(), Duration::from_micros(microseconds));
            timer.wait(duration).await.unwrap();
            assert!(start.elapsed() >= duration);
        }
    }
}
