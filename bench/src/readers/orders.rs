//! What a parent and its children say to each other.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::measure::Monotonic;

/// What a child shall do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Connect so many verifiers.
    Verify { whose: Verifiers, count: u32 },
    /// Open so many streams, and read from them without looking.
    Hold { address: SocketAddr, count: u32 },
    /// Look for the revocation of this token, which is good now, with each verifier.
    Watch { token: String },
    /// Say how many streams are open.
    Count,
}

/// What a child answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// It is done; of `Watch`, the looking has begun.
    Done,
    /// When each verifier rejected the token.
    Rejected { at: Vec<Monotonic> },
    /// How many streams are open.
    Open { count: u32 },
    /// It cannot be done.
    Failed { reason: String },
}

/// Whose tokens are verified, and where it is heard of revocations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verifiers {
    pub(crate) issuer: String,
    /// Another replica than the one behind the issuer's address.
    pub(crate) revocation_from: Option<String>,
}
