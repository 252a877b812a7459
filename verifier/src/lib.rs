#![doc = include_str!("../README.md")]
#![warn(missing_docs)]
#![warn(clippy::missing_errors_doc)]

#[cfg(feature = "actix")]
pub mod actix;
mod algorithm;
mod audience;
mod base64url;
mod builder;
mod cache;
#[cfg(any(feature = "actix", feature = "tower"))]
mod challenge;
mod claims;
mod clock;
#[cfg(feature = "fetch")]
mod fetch;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod json;
mod jwk;
pub mod jws;
mod jwt;
mod keyset;
mod numeric_date;
mod reject;
mod rejections;
pub mod revocation;
mod scope;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;
mod verified;
mod verifier;

pub use algorithm::Algorithm;
pub use audience::{Audience, EmptyAudience};
pub use builder::{ConfigError, VerifierBuilder};
#[cfg(any(feature = "actix", feature = "tower"))]
pub use challenge::Denial;
pub use claims::{
    ACCESS_TOKEN_TYP, Actor, Claims, Confirmation, MAX_ACCESS_TOKEN_LIFETIME, NoCustomClaims,
    REGISTERED_CLAIMS, Status, StatusListEntry,
};
#[cfg(feature = "fetch")]
pub use fetch::{ConnectError, Discovery, FetchError, RevocationError};
pub use jwk::{Key, KeyRefusal};
pub use keyset::{KeySet, KeySetError, RefusedKey};
pub use reject::Reject;
pub use rejections::RejectionStats;
pub use revocation::{Freshness, RevocationReader, RevocationStats, RevocationWatch};
pub use scope::{InvalidScope, ScopeSet};
pub use verified::Verified;
pub use verifier::Verifier;
