//! CPU time and memory as Linux accounts them.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::failure::{Doing, Failure, Outcome};

/// CPU time of the calling thread so far.
pub(crate) fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

/// CPU time of every thread of a process so far, in nanoseconds by thread id.
///
/// From `schedstat`, which counts nanoseconds; `stat` counts ticks of ten milliseconds. The kernel
/// brings the figure of a thread up to date when the thread stops running, so it is exact while
/// the process is idle, which is when it is read here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskTimes(HashMap<u32, u64>);

impl TaskTimes {
    /// The times as of now.
    pub(crate) fn of_process(pid: u32) -> Outcome<Self> {
        let mut times = HashMap::new();
        let directory = format!("/proc/{pid}/task");
        for entry in fs::read_dir(&directory).doing(&directory)? {
            let entry = entry.doing(&directory)?;
            let Some(thread) = entry.file_name().to_str().and_then(|id| id.parse().ok()) else {
                continue;
            };
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else {
                continue;
            };
            let time = parse_schedstat(&text)
                .ok_or_else(|| Failure::new("this kernel has no schedstat"))?;
            times.insert(thread, time);
        }
        Ok(Self(times))
    }

    /// What was used since `earlier`. Threads that ended in between are left out.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let used = self.0.iter().map(|(thread, now)| {
            let before = earlier.0.get(thread).copied().unwrap_or_default();
            now.saturating_sub(before)
        });
        Duration::from_nanos(used.sum())
    }
}

/// `proc(5)`: nanoseconds on a CPU, nanoseconds waiting for one, number of time slices.
fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// The resident memory of a process in MiB: all of it, and the part that is not backed by files.
pub(crate) fn resident_mib(pid: u32) -> Outcome<(f64, f64)> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).doing(&path)?;
    let field = |name| {
        parse_status_kib(&status, name).ok_or_else(|| Failure::new(format!("{path} has no {name}")))
    };
    Ok((field("VmRSS:")? / 1_024.0, field("RssAnon:")? / 1_024.0))
}

fn parse_status_kib(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_starts_with_the_nanoseconds_on_a_cpu() {
        assert_eq!(parse_schedstat("49674 12 1\n"), Some(49_674));
        assert_eq!(parse_schedstat(""), None);
        assert_eq!(parse_schedstat("x 1 2"), None);
    }

    #[test]
    fn new_threads_count_from_zero_and_ended_ones_not_at_all() {
        let earlier = TaskTimes([(1, 100), (2, 50)].into());
        let later = TaskTimes([(1, 130), (3, 7)].into());
        assert_eq!(later.since(&earlier), Duration::from_nanos(37));
        assert_eq!(later.since(&later), Duration::ZERO);
    }

    #[test]
    fn memory_is_read_from_the_field_of_that_name() {
        let status = "VmPeak:\t   1 kB\nVmRSS:\t   20480 kB\nRssAnon:\t    1024 kB\n";
        assert_eq!(parse_status_kib(status, "VmRSS:"), Some(20_480.0));
        assert_eq!(parse_status_kib(status, "VmSwap:"), None);
    }

    #[test]
    fn a_thread_that_works_uses_time() {
        let before = of_this_thread();
        let mut work = 0_u64;
        while of_this_thread() == before {
            work = std::hint::black_box(work + 1);
        }
        assert!(of_this_thread() > before);
        assert!(resident_mib(std::process::id()).unwrap().0 > 0.0);
        assert!(
            !TaskTimes::of_process(std::process::id())
                .unwrap()
                .0
                .is_empty()
        );
    }
}
