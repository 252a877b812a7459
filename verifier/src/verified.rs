//! The proof that something was verified.

use std::ops::Deref;
use std::sync::Arc;

/// A value that a [`Verifier`](crate::Verifier) has verified.
///
/// Only this crate can make one, so a function that takes a `Verified<Claims>` cannot be called
/// with claims that nobody checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    kid: Arc<str>,
}

impl<T> Verified<T> {
    pub(crate) fn new(value: T, kid: Arc<str>) -> Self {
        Self { value, kid }
    }

    /// The `kid` of the key that signed.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Takes the value out; from here on nothing says that it was verified.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
