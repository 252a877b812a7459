//! How things are measured: CPU time, not wall time, in short slices that alternate between what
//! is measured and its yardstick.

mod comparison;
mod cpu_time;
mod latencies;
mod monotonic;
mod own_core;
mod raw_rsa;
mod slices;
mod threads;
mod timer;

pub(crate) use comparison::{Comparison, Round};
pub(crate) use cpu_time::{TaskTimes, of_this_thread, resident_mib};
pub(crate) use latencies::Latencies;
pub(crate) use monotonic::Monotonic;
pub(crate) use own_core::{OwnCore, launch_apart};
pub(crate) use raw_rsa::{RawRsaSigner, raw_rsa_public_key};
pub(crate) use slices::alternate;
pub(crate) use threads::{Work, cores, work_on};
pub(crate) use timer::Timer;

/// A count as a floating-point number; exact below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "no benchmark counts to nine quadrillion"
)]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}
