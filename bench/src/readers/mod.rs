//! Who follows the log of revocations: verifiers and idle streams, in processes of their own, because
//! in life they are services elsewhere.
//!
//! A child is this very program, started with [`COMMAND`] and the address at which the parent takes
//! its call. Orders and replies are lines of JSON; when either end is gone, so is the connection, and the
//! child ends.

mod child;
mod fleet;
mod line;
mod orders;

use std::ffi::OsString;
use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(crate) use child::serve;
pub(crate) use fleet::Fleet;
pub(crate) use orders::Verifiers;

/// The first argument of a child; not for people, so not in the help.
const COMMAND: &str = "readers";

/// Where the parent waits, if this process is to be a child.
pub(crate) fn parent(arguments: impl IntoIterator<Item = OsString>) -> Option<SocketAddr> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != COMMAND {
        return None;
    }
    arguments.next()?.to_str()?.parse().ok()
}

/// How many file descriptors a process may have, after raising that as far as the system allows.
/// Children inherit it.
pub(crate) fn file_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_child_has_a_parent() {
        let of = |arguments: &[&str]| parent(arguments.iter().map(OsString::from));
        let address = "127.0.0.1:80".parse().unwrap();
        assert_eq!(of(&["bench", "readers", "127.0.0.1:80"]), Some(address));
        for ordinary in [
            &["bench"][..],
            &["bench", "revoke"],
            &["bench", "readers"],
            &["bench", "readers", "x"],
            &["bench", "revoke", "127.0.0.1:80"],
        ] {
            assert_eq!(of(ordinary), None, "{ordinary:?}");
        }
    }
}
