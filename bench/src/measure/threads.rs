//! The same work on several cores at once, as a loaded service does it.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::{cpu_time, real};
use crate::failure::{Doing, Failure, Outcome};

/// What some threads have done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    operations: u64,
    /// Of all threads together.
    cpu: Duration,
    /// Of the thread that took longest.
    wall: Duration,
}

impl Work {
    /// CPU time of one operation in µs.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / real(self.operations)
    }

    /// Operations in a second of wall time, of all threads together.
    pub(crate) fn per_second(&self) -> f64 {
        real(self.operations) / self.wall.as_secs_f64()
    }
}

/// How many cores there are.
pub(crate) fn cores() -> Outcome<NonZeroUsize> {
    std::thread::available_parallelism().doing("counting the cores")
}

/// Each of so many threads makes its own operation and repeats it for about `duration`.
pub(crate) fn work_on<O: FnMut() -> Outcome<()>>(
    threads: NonZeroUsize,
    duration: Duration,
    operation: impl Fn() -> Outcome<O> + Sync,
) -> Outcome<Work> {
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.get())
            .map(|_| scope.spawn(|| repeat(operation()?, duration)))
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Outcome<Work>>| {
            let panicked = |_| Err(Failure::new("a working thread has panicked"));
            thread.join().unwrap_or_else(panicked)
        };
        threads.into_iter().map(join).collect::<Outcome<Vec<_>>>()
    })?;
    Ok(parts.iter().fold(Work::default(), |sum, part| Work {
        operations: sum.operations + part.operations,
        cpu: sum.cpu + part.cpu,
        wall: sum.wall.max(part.wall),
    }))
}

fn repeat(mut operation: impl FnMut() -> Outcome<()>, duration: Duration) -> Outcome<Work> {
    let (start, before) = (Instant::now(), cpu_time::of_this_thread());
    let mut operations = 0;
    while start.elapsed() < duration {
        operation()?;
        operations += 1;
    }
    Ok(Work {
        operations,
        cpu: cpu_time::of_this_thread().saturating_sub(before),
        wall: start.elapsed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_threads_did_is_added_up_but_not_how_long_they_took() {
        let threads = NonZeroUsize::new(3).unwrap();
        let duration = Duration::from_millis(30);
        let work = work_on(threads, duration, || {
            Ok(|| {
                std::hint::black_box((0..1_000).sum::<u64>());
                Ok(())
            })
        });
        let work = work.unwrap();
        assert!(work.operations > 3 && work.cpu > Duration::ZERO);
        assert!(work.wall >= duration && work.cpu <= 3 * work.wall);
        let failing = work_on(threads, duration, || Ok(|| Err(Failure::new("no"))));
        assert_eq!(failing.unwrap_err().to_string(), "no");
    }
}
