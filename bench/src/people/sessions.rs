//! Sessions in the database of an installation, and the tokens that belong to them.

use std::net::SocketAddr;
use std::sync::Arc;

use tokensmith::clock::SystemClock;
use tokensmith::crypto::{MasterKeyedTokens, SystemEntropy};
use tokensmith::domain::ports::{Clock, ReferenceToken, SessionTokens};
use tokensmith::domain::rotation::Generation;

use super::phone::{TOKEN_PATH, Tokens};
use super::{Database, MadeUpSessions};
use crate::failure::{Doing, Failure, Outcome};
use crate::http::{self, Connection};
use crate::measure::real;
use crate::service::{Installation, PHONE};

/// Sessions that were made up, each as it is when it begins. Nobody has logged in: the tokens are made
/// with the master key.
pub(crate) struct Sessions {
    made_up: MadeUpSessions,
    tokens: MasterKeyedTokens,
    /// Of the database, with indexes.
    bytes: u64,
}

impl Sessions {
    /// Fills the database of an installation. No service must be running on it.
    pub(crate) async fn write(installation: &Installation, count: u32) -> Outcome<Self> {
        installation.register_phone()?;
        let made_up = MadeUpSessions::new(SystemClock.now(), count);
        let mut database = Database::connect(&installation.database()?).await?;
        let bytes = database.fill(&made_up).await?;
        database.age_clients().await?;
        database.analyze().await?;
        let master = installation.master_key()?;
        let tokens = MasterKeyedTokens::new(&master, Arc::new(SystemEntropy::default()));
        let tokens = tokens.doing("deriving the keys of tokens")?;
        Ok(Self {
            made_up,
            tokens,
            bytes,
        })
    }

    pub(crate) fn count(&self) -> u32 {
        self.made_up.count()
    }

    /// Bytes of the database for one session, as it is when it begins.
    pub(crate) fn bytes_each(&self) -> f64 {
        real(self.bytes) / f64::from(self.made_up.count())
    }

    /// A refresh token of the n-th session.
    pub(crate) fn refresh_token(&self, number: u32, generation: Generation) -> String {
        let (id, secret) = (self.made_up.id(number), MadeUpSessions::secret(number));
        let token = self.tokens.refresh_token(id, generation, &secret);
        token.as_str().to_owned()
    }

    /// An access token of the n-th session as a reference, for five minutes from now.
    pub(crate) fn reference_token(&self, number: u32) -> String {
        let now = SystemClock.now();
        let token = ReferenceToken {
            session: self.made_up.id(number),
            issued_at: now,
            expires_at: now + std::time::Duration::from_mins(5),
            scope: None,
            audience: None,
        };
        self.tokens
            .reference_token(&token, &MadeUpSessions::secret(number))
    }

    /// An access token of the n-th session, which must not have been refreshed before.
    pub(crate) async fn access_token(
        &self,
        connection: &mut Connection,
        address: SocketAddr,
        number: u32,
    ) -> Outcome<String> {
        let token = self.refresh_token(number, Generation::FIRST);
        let form = format!("grant_type=refresh_token&client_id={PHONE}&refresh_token={token}");
        let request = http::post_form(address, TOKEN_PATH, &[], &form);
        let answer = connection.exchange(&request).await?;
        if answer.status != 200 {
            let (status, body) = (answer.status, String::from_utf8_lossy(answer.body));
            let refused = format!("refreshing a session: status {status}: {body}");
            return Err(Failure::new(refused));
        }
        let tokens: Tokens = serde_json::from_slice(answer.body).doing("reading tokens")?;
        Ok(tokens.access_token)
    }

    /// A request that logs the n-th session out (RFC 7009).
    pub(crate) fn logout(&self, address: SocketAddr, number: u32) -> Vec<u8> {
        let token = self.refresh_token(number, Generation::FIRST);
        let form = format!("client_id={PHONE}&token={token}");
        http::post_form(address, "/oauth/revoke", &[], &form)
    }
}
