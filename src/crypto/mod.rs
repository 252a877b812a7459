//! The only code that names `ring` or `aws-lc-rs`.
//!
//! `ring` makes digests, HMAC, HKDF, AES-GCM and random bytes; `aws-lc-rs` makes and uses RSA and
//! elliptic-curve keys, because it signs more than twice as fast (docs/decisions/0002).

mod entropy;
mod key_pair;
mod master_key;
mod pem_import;
mod secret;
mod vault;

pub use entropy::SystemEntropy;
pub use master_key::{MasterKey, MasterKeyError, MasterKeySource};
pub use secret::{HmacSecretMint, demo_client_secret};
pub use vault::SealedKeyVault;
