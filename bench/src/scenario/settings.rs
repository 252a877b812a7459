//! How a figure was taken, as far as that changes the figure.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{PROCESSES, Plan, RATE, VERIFIERS};

/// What two measurements must have in common to stand beside each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    duration_ms: u64,
    clients: Option<u16>,
    verifiers: u32,
    streams: Option<u32>,
    processes: u16,
    rate: u32,
}

impl Settings {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            duration_ms: u64::try_from(plan.duration.as_millis()).unwrap_or(u64::MAX),
            clients: plan.clients,
            verifiers: plan.verifiers,
            streams: plan.streams,
            processes: plan.processes,
            rate: plan.rate,
        }
    }
}

/// As options of the command line: the seconds always, others where they are not the usual ones.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::from_millis(self.duration_ms).as_secs_f64();
        write!(f, "--seconds {seconds}")?;
        let unusual = |value: u32, usual: u32| (value != usual).then_some(value);
        let others = [
            ("clients", self.clients.map(u32::from)),
            ("verifiers", unusual(self.verifiers, VERIFIERS)),
            ("streams", self.streams),
            (
                "processes",
                unusual(self.processes.into(), PROCESSES.into()),
            ),
            ("rate", unusual(self.rate, RATE)),
        ];
        for (name, value) in others {
            if let Some(value) = value {
                write!(f, " --{name} {value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::arguments::tests::plan;

    #[test]
    fn settings_are_shown_as_they_are_given() {
        assert_eq!(plan(&[]).settings().to_string(), "--seconds 8");
        let given = "--seconds 0.2 --clients 4 --verifiers 10 --streams 7 --processes 2 --rate 50";
        let options: Vec<_> = given.split(' ').collect();
        assert_eq!(plan(&options).settings().to_string(), given);
    }

    #[test]
    fn settings_differ_when_an_option_does() {
        let usual = plan(&[]).settings();
        for option in [
            "--seconds",
            "--clients",
            "--verifiers",
            "--streams",
            "--processes",
            "--rate",
        ] {
            assert_ne!(plan(&[option, "3"]).settings(), usual, "{option}");
        }
        let kept = serde_json::to_string(&usual).unwrap();
        let read: super::Settings = serde_json::from_str(&kept).unwrap();
        assert_eq!(read, usual);
    }
}
