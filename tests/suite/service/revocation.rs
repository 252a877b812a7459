//! Whatever takes tokens back: the log says so, where `Revocation-Seq` says, and so do the lists; and
//! this server takes them no longer.

mod clients;
mod cut_offs;
mod documents;
mod people;
mod sessions;
