//! Which faults come when. The seed says it.

use std::fmt;
use std::time::Duration;

use super::random::Random;

/// Something that goes wrong for a while. Replicas are counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// `kill -9`, and started again after a while.
    Kill { replica: usize, down: Duration },
    /// SIGTERM, and started again after a while.
    Stop { replica: usize, down: Duration },
    /// The process stands still and goes on later.
    Freeze { replica: usize, lasting: Duration },
    /// All connections between clients and a replica end.
    BreakDoor { replica: usize },
    /// Nothing passes between clients and a replica, and nobody is told.
    SilenceDoor { replica: usize, lasting: Duration },
    /// All connections between a replica and its database end.
    BreakWire { replica: usize },
    /// Nothing passes between a replica and its database, and nobody is told.
    SilenceWire { replica: usize, lasting: Duration },
    /// Everything between a replica and its database takes longer.
    SlowWire {
        replica: usize,
        delay: Duration,
        lasting: Duration,
    },
    /// The database server is shut down, and started again after a while.
    StopDatabase { down: Duration },
    /// The database server ends at once, recovers when it is started again.
    CrashDatabase { down: Duration },
    /// The database server stands still and goes on later.
    FreezeDatabase { lasting: Duration },
}

/// What may break.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragile {
    pub(super) replicas: usize,
    /// There is a database server of its own, and a wire to it.
    pub(super) has_database_server: bool,
}

/// The faults of a run, without an end.
pub(super) struct Schedule {
    random: Random,
    fragile: Fragile,
}

/// Some quiet, and then faults at the same time.
pub(super) struct Step {
    pub(super) quiet: Duration,
    pub(super) faults: Vec<Fault>,
}

/// The kinds of fault that a single process has, and those that a database server adds.
const ALONE: usize = 5;
const WITH_DATABASE_SERVER: usize = 11;

impl Schedule {
    pub(super) fn new(seed: u64, fragile: Fragile) -> Self {
        Self {
            random: Random::new(seed, "faults"),
            fragile,
        }
    }

    pub(super) fn next(&mut self) -> Step {
        // Now and then it is quiet for so long that nothing is left of the fault before. Some rules are strict
        // only then, so that is much of the time.
        let quiet = if self.random.percent(30) {
            self.random.between(25_000, 45_000)
        } else {
            self.random.between(200, 6_000)
        };
        let first = self.fault();
        let second = self.random.percent(25).then(|| self.fault());
        let faults = std::iter::once(first)
            .chain(second.filter(|second| !second.is_in_the_way_of(&first)))
            .collect();
        Step { quiet, faults }
    }

    fn fault(&mut self) -> Fault {
        let kinds = if self.fragile.has_database_server {
            WITH_DATABASE_SERVER
        } else {
            ALONE
        };
        let kind = self.random.below(kinds);
        let replica = self.random.below(self.fragile.replicas);
        let down = self.random.between(0, 3_000);
        // No request that was on its way may arrive so late that it looks like theft.
        let lasting = self.random.between(500, 5_000);
        let delay = self.random.between(20, 300);
        match kind {
            0 => Fault::Kill { replica, down },
            1 => Fault::Stop { replica, down },
            2 => Fault::Freeze { replica, lasting },
            3 => Fault::BreakDoor { replica },
            4 => Fault::SilenceDoor { replica, lasting },
            5 => Fault::BreakWire { replica },
            6 => Fault::SilenceWire { replica, lasting },
            7 => Fault::SlowWire {
                replica,
                delay,
                lasting,
            },
            8 => Fault::StopDatabase { down },
            9 => Fault::CrashDatabase { down },
            _ => Fault::FreezeDatabase { lasting },
        }
    }
}

impl Fault {
    /// What it befalls: a replica by its number, or the database server.
    fn victim(&self) -> Option<usize> {
        match self {
            Self::Kill { replica, .. }
            | Self::Stop { replica, .. }
            | Self::Freeze { replica, .. }
            | Self::BreakDoor { replica }
            | Self::SilenceDoor { replica, .. }
            | Self::BreakWire { replica }
            | Self::SilenceWire { replica, .. }
            | Self::SlowWire { replica, .. } => Some(*replica),
            Self::StopDatabase { .. }
            | Self::CrashDatabase { .. }
            | Self::FreezeDatabase { .. } => None,
        }
    }

    fn is_in_the_way_of(&self, other: &Self) -> bool {
        self.victim() == other.victim()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { replica, down } => write!(f, "replica {replica} killed, {down:?} down"),
            Self::Stop { replica, down } => write!(f, "replica {replica} stopped, {down:?} down"),
            Self::Freeze { replica, lasting } => {
                write!(f, "replica {replica} frozen for {lasting:?}")
            }
            Self::BreakDoor { replica } => write!(f, "clients of replica {replica} cut"),
            Self::SilenceDoor { replica, lasting } => {
                write!(f, "clients of replica {replica} silenced for {lasting:?}")
            }
            Self::BreakWire { replica } => write!(f, "database of replica {replica} cut"),
            Self::SilenceWire { replica, lasting } => {
                write!(f, "database of replica {replica} silenced for {lasting:?}")
            }
            Self::SlowWire {
                replica,
                delay,
                lasting,
            } => write!(
                f,
                "database of replica {replica} {delay:?} slower for {lasting:?}"
            ),
            Self::StopDatabase { down } => write!(f, "database stopped, {down:?} down"),
            Self::CrashDatabase { down } => write!(f, "database crashed, {down:?} down"),
            Self::FreezeDatabase { lasting } => write!(f, "database frozen for {lasting:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn faults(seed: u64, has_database_server: bool) -> Vec<String> {
        let fragile = Fragile {
            replicas: 3,
            has_database_server,
        };
        let mut schedule = Schedule::new(seed, fragile);
        let steps = (0..500).flat_map(|_| schedule.next().faults);
        steps.map(|fault| fault.to_string()).collect()
    }

    #[test]
    fn a_seed_says_which_faults_come() {
        assert_eq!(faults(7, true), faults(7, true));
        assert_ne!(faults(7, true), faults(8, true));
    }

    #[test]
    fn every_fault_comes_and_those_of_a_database_server_only_where_there_is_one() {
        let kinds = |has_database_server| {
            let words = faults(1, has_database_server).into_iter().map(|fault| {
                let words = fault.split([' ', ',']);
                let words = words.filter(|word| word.chars().all(char::is_alphabetic));
                words.collect::<Vec<_>>().join(" ")
            });
            words.collect::<BTreeSet<_>>()
        };
        assert_eq!(kinds(false).len(), ALONE);
        assert_eq!(kinds(true).len(), WITH_DATABASE_SERVER, "{:?}", kinds(true));
        assert!(!kinds(false).iter().any(|kind| kind.contains("database")));
    }

    #[test]
    fn nothing_is_left_of_a_fault_for_two_fifths_of_the_time() {
        let fragile = Fragile {
            replicas: 3,
            has_database_server: true,
        };
        let mut schedule = Schedule::new(5, fragile);
        let left = Duration::from_secs(10);
        // From the beginning of a fault until everything runs again.
        let fault = Duration::from_secs(4);
        let quiet: Vec<_> = (0..2_000).map(|_| schedule.next().quiet).collect();
        let outside: Duration = quiet.iter().map(|quiet| quiet.saturating_sub(left)).sum();
        let all = quiet.iter().map(|quiet| *quiet + fault).sum();
        let share = outside.div_duration_f64(all);
        assert!((0.4..0.5).contains(&share), "{share}");
    }

    #[test]
    fn two_faults_at_once_do_not_befall_the_same() {
        let fragile = Fragile {
            replicas: 2,
            has_database_server: true,
        };
        let mut schedule = Schedule::new(3, fragile);
        let steps: Vec<_> = (0..500).map(|_| schedule.next().faults).collect();
        assert!(steps.iter().any(|faults| faults.len() == 2));
        for faults in steps.iter().filter(|faults| faults.len() == 2) {
            assert_ne!(faults[0].victim(), faults[1].victim());
        }
    }
}
