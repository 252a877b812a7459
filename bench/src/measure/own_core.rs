//! A core for the load generator alone. Where it shares the cores with the service, one of them waits now and
//! then for a time slice of the other to end, and latencies are those of the kernel's scheduler.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::failure::{Doing, Outcome};
use crate::service::{Installation, Service};

/// As long as this is there, this thread has a core that no service is on which it has started. Databases go
/// where they like.
pub(crate) struct OwnCore {
    all: CpuSet,
    own: CpuSet,
    others: CpuSet,
}

impl OwnCore {
    /// Nothing where there is only one core.
    pub(crate) fn take() -> Outcome<Option<Self>> {
        let all = sched_getaffinity(None).doing("asking for the cores")?;
        let Some((own, others)) = split(&all) else {
            return Ok(None);
        };
        move_to(&own)?;
        Ok(Some(Self { all, own, others }))
    }

    /// How many cores the service has.
    pub(crate) fn of_service(&self) -> u32 {
        self.others.count()
    }

    /// Does something on the cores of the service. A process begins where the thread is that starts it.
    pub(crate) fn on_the_others<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        move_to(&self.others)?;
        let done = work();
        move_to(&self.own)?;
        done
    }
}

impl Drop for OwnCore {
    fn drop(&mut self) {
        // They were ours before.
        let _back = move_to(&self.all);
    }
}

/// Starts the service, apart from this thread where there are cores enough, and waits until it is ready.
pub(crate) async fn launch_apart(
    installation: &Installation,
    own_core: Option<&OwnCore>,
) -> Outcome<Service> {
    let launched = match own_core {
        Some(own_core) => own_core.on_the_others(|| installation.launch()),
        None => installation.launch(),
    };
    let mut service = launched?;
    service.ready().await?;
    Ok(service)
}

fn move_to(cores: &CpuSet) -> Outcome<()> {
    sched_setaffinity(None, cores).doing("choosing the cores")
}

/// The last core, and all others.
fn split(all: &CpuSet) -> Option<(CpuSet, CpuSet)> {
    let last = (0..CpuSet::MAX_CPU).rfind(|core| all.is_set(*core))?;
    let (mut own, mut others) = (CpuSet::new(), *all);
    own.set(last);
    others.unset(last);
    (others.count() > 0).then_some((own, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(numbers: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        for number in numbers {
            set.set(*number);
        }
        set
    }

    #[test]
    fn the_last_core_is_for_the_generator_and_the_others_are_for_the_service() {
        let (own, others) = split(&cores(&[1, 2, 7])).unwrap();
        assert!(own == cores(&[7]) && others == cores(&[1, 2]));
        assert!(split(&cores(&[3])).is_none());
        assert!(split(&cores(&[])).is_none());
    }

    #[test]
    fn the_cores_are_given_back() {
        let all = sched_getaffinity(None).unwrap();
        if let Some(own_core) = OwnCore::take().unwrap() {
            assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
            assert_eq!(own_core.of_service() + 1, all.count());
        }
        assert!(sched_getaffinity(None).unwrap() == all);
    }
}
