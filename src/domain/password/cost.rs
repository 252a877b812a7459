//! What a password hash may cost.

use std::ops::RangeInclusive;

/// The costs of Argon2: 8 KiB to 256 MiB of memory and at least 8 KiB for each lane, 1 to 16
/// passes, 1 to 16 lanes, and at most 1 GiB written in all passes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Parameters {
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
}

impl Default for Argon2Parameters {
    /// 19 MiB, two passes, one lane: what OWASP recommends; 10 to 20 ms.
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
        }
    }
}

impl Argon2Parameters {
    /// Parameters within the bounds.
    pub fn new(
        memory_kib: u32,
        iterations: u32,
        parallelism: u32,
    ) -> Result<Self, CostOutOfBounds> {
        within("the parallelism of argon2", parallelism, 1..=16)?;
        within(
            "the memory of argon2 in KiB",
            memory_kib,
            8 * parallelism..=256 * 1024,
        )?;
        within("the iterations of argon2", iterations, 1..=16)?;
        let written = memory_kib.saturating_mul(iterations);
        within(
            "the memory of argon2 in KiB times the iterations",
            written,
            8..=1024 * 1024,
        )?;
        Ok(Self {
            memory_kib,
            iterations,
            parallelism,
        })
    }

    /// Memory in KiB.
    #[must_use]
    pub fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    #[must_use]
    pub fn iterations(self) -> u32 {
        self.iterations
    }

    /// Lanes. One thread computes them all.
    #[must_use]
    pub fn parallelism(self) -> u32 {
        self.parallelism
    }
}

/// A hash or a setting costs more, or less, than is good.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} must be {least} to {most}")]
pub struct CostOutOfBounds {
    what: &'static str,
    least: u32,
    most: u32,
}

/// Checks one cost; `what` says which, with its unit.
pub(super) fn within(
    what: &'static str,
    value: u32,
    bounds: RangeInclusive<u32>,
) -> Result<(), CostOutOfBounds> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    Err(CostOutOfBounds { what, least, most })
}
