//! Doors for the fuzz targets of this repository: what is private here and reads what strangers
//! send. It is behind a feature of its own and no part of the API.

use crate::jwt::Policy;
use crate::{Claims, ConfigError, KeySet, Reject, VerifierBuilder};

pub use crate::fetch::{Heard, Rehearsal, Source};

/// The rules for claims alone, as they are applied behind a good signature.
pub struct ClaimsRules(Policy);

impl ClaimsRules {
    /// Those of the verifier that this would build.
    ///
    /// # Errors
    ///
    /// The first mistake in the settings.
    pub fn of(builder: &VerifierBuilder<KeySet>) -> Result<Self, ConfigError> {
        builder.policy().map(Self)
    }

    /// Reads a payload as of `now`, in Unix seconds.
    ///
    /// # Errors
    ///
    /// The [`Reject`] that says which rule was broken.
    pub fn read(&self, payload: &[u8], now: i64) -> Result<Claims, Reject> {
        let (claims, _) = self.0.read_claims(payload, now)?;
        Ok(claims)
    }
}
