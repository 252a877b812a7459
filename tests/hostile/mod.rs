//! What an attacker tries. `docs/attacks.md` lists every attack with the tests that try it.

mod browser;
mod tokens;
