//! Somebody who logs in again and again.

use std::net::SocketAddr;

use serde::Deserialize;

use super::phone::{self, Tokens};
use super::{PASSWORD, challenge};
use crate::failure::Outcome;
use crate::http::{Client, Connection, is_sampled};

/// One person with one phone: the challenge endpoint with the password, then the token endpoint with
/// the code. Each login is a session of its own.
pub(crate) struct Login {
    connection: Connection,
    challenge: Vec<u8>,
    done: u64,
}

impl Login {
    /// For the n-th person.
    pub(crate) async fn of(address: SocketAddr, person: usize) -> Outcome<Self> {
        Ok(Self {
            connection: Connection::open(address).await?,
            challenge: challenge(address, person, PASSWORD),
            done: 0,
        })
    }

    /// Whether both answers were right.
    async fn once(&mut self) -> Outcome<bool> {
        let answer = self.connection.exchange(&self.challenge).await?;
        let Some(code) = code_of(answer.body).filter(|_| answer.status == 200) else {
            return Ok(false);
        };
        let request = phone::redemption(self.connection.address(), &code);
        let answer = self.connection.exchange(&request).await?;
        let looks_right =
            !is_sampled(self.done) || serde_json::from_slice::<Tokens>(answer.body).is_ok();
        self.done += 1;
        Ok(answer.status == 200 && looks_right)
    }
}

impl Client for Login {
    async fn ask(&mut self) -> Outcome<bool> {
        if let Ok(is_right) = self.once().await {
            return Ok(is_right);
        }
        self.connection.reopen().await?;
        Ok(false)
    }
}

/// The code of an answer of the challenge endpoint.
pub(super) fn code_of(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        authorization_code: String,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    Some(answer.authorization_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_and_an_error_has_none() {
        let good = br#"{"authorization_code":"abc"}"#;
        assert_eq!(code_of(good).as_deref(), Some("abc"));
        assert_eq!(code_of(br#"{"error":"insufficient_authorization"}"#), None);
    }
}
