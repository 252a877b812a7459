//! What an attacker tries. `docs/attacks.md` lists every attack with the tests that try it.

mod admin;
mod attack_list;
mod browser;
mod client_authentication;
mod connections;
mod database;
mod grants;
mod guessing;
mod introspection;
mod keys;
mod limits;
mod master_key;
mod protocol;
mod recovery;
mod refresh;
mod secrets;
mod tls;
mod tokens;
