//! People, their phones and their sessions, in the database of an installation.

mod accounts;
mod database;
mod filling;
mod login;
mod made_up;
mod phone;
mod sessions;

pub(crate) use accounts::{PASSWORD, sign_up, username};
pub(crate) use database::{Database, sqlite_version};
pub(crate) use login::Login;
pub(crate) use made_up::{MadeUpSessions, Random};
pub(crate) use phone::{Phone, Share, challenge, log_in};
pub(crate) use sessions::Sessions;
