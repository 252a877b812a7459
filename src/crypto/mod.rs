//! The only code that names `ring`, `aws-lc-rs`, or a crate that hashes passwords.
//!
//! `ring` makes digests, HMAC, HKDF, PBKDF2, AES-GCM and random bytes; `aws-lc-rs` makes and uses
//! RSA and elliptic-curve keys, because it signs more than twice as fast (docs/decisions/0002).
//!
//! Everything comes from the master key (`master_key`), and ends when that is renewed, but for what
//! `inheritance` lets live on (docs/decisions/0018).

mod audit_chain;
mod entropy;
mod inheritance;
mod key_pair;
mod master_key;
mod password;
mod pem_import;
mod secret;
mod session_tokens;
mod status_permutation;
mod vault;

pub use audit_chain::HmacChainSealer;
pub use entropy::SystemEntropy;
pub use master_key::{MasterKey, MasterKeyError, MasterKeySource};
pub use password::{PasswordPool, PasswordPoolError};
pub use secret::{HmacSecretMint, demo_client_secret, demo_password};
pub use session_tokens::{KeyRefused, MasterKeyedTokens};
pub use status_permutation::FeistelPermutation;
pub use vault::SealedKeyVault;
