//! An app on a phone: it logs in once and then refreshes its tokens.

use std::net::SocketAddr;
use std::rc::Rc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokensmith::domain::rotation::Generation;

use super::made_up::Random;
use super::{PASSWORD, Sessions, login, username};
use crate::failure::{Doing, Failure, Outcome};
use crate::http::{self, Client, Connection, is_sampled};
use crate::service::{PHONE, PHONE_SCOPE};

/// Chrome on Android.
const USER_AGENT: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Mobile Safari/537.36";
/// The secret of PKCE (RFC 7636 §4.1). One is enough for a measurement.
const CODE_VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// The tokens of a login or a refresh.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// Logs a person in: the challenge endpoint, then the token endpoint.
pub(crate) async fn log_in(address: SocketAddr, person: usize) -> Outcome<Tokens> {
    let mut connection = Connection::open(address).await?;
    let request = challenge(address, person, PASSWORD);
    let answer = connection.exchange(&request).await?;
    let refused = |status, body: &[u8]| {
        let body = String::from_utf8_lossy(body).into_owned();
        Failure::new(format!("logging in: status {status}: {body}"))
    };
    let Some(code) = login::code_of(answer.body).filter(|_| answer.status == 200) else {
        return Err(refused(answer.status, answer.body));
    };
    let request = redemption(address, &code);
    let answer = connection.exchange(&request).await?;
    if answer.status != 200 {
        return Err(refused(answer.status, answer.body));
    }
    serde_json::from_slice(answer.body).doing("reading tokens")
}

/// A request for the tokens of a login (RFC 6749 §4.1.3).
pub(super) fn redemption(address: SocketAddr, code: &str) -> Vec<u8> {
    let form = format!(
        "grant_type=authorization_code&client_id={PHONE}&code={code}&code_verifier={CODE_VERIFIER}"
    );
    http::post_form(address, TOKEN_PATH, &[("user-agent", USER_AGENT)], &form)
}

pub(super) const TOKEN_PATH: &str = "/oauth/token";

/// A request to log in with a password (draft-ietf-oauth-first-party-apps §5).
pub(crate) fn challenge(address: SocketAddr, person: usize, password: &str) -> Vec<u8> {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, CODE_VERIFIER.as_bytes()));
    let (scope, username) = (PHONE_SCOPE.replace(' ', "+"), username(person));
    let form = format!(
        "client_id={PHONE}&response_type=code&scope={scope}&code_challenge={challenge}\
         &code_challenge_method=S256&username={username}&password={password}"
    );
    let headers = [("user-agent", USER_AGENT)];
    http::post_form(address, "/oauth/challenge", &headers, &form)
}

/// Refreshes again and again.
pub(crate) struct Phone {
    connection: Connection,
    address: SocketAddr,
    number: u32,
    asked: u64,
    wallet: Wallet,
}

/// Which refresh token is next.
enum Wallet {
    /// The one that came with the last answer.
    Chain(String),
    /// One of many sessions, by chance.
    Share(Share),
}

/// The sessions that one phone refreshes, so that no other does at the same time.
pub(crate) struct Share {
    pub(crate) sessions: Rc<Sessions>,
    /// Every so many sessions one is in the share, from this one on.
    pub(crate) first: u32,
    pub(crate) every: u32,
    chosen: u32,
    random: Random,
    generations: Vec<u32>,
}

impl Share {
    /// The share of one of so many phones. All sessions are as they were made up.
    pub(crate) fn new(sessions: Rc<Sessions>, (number, of): (u32, u32)) -> Self {
        let size = sessions.count().saturating_sub(number).div_ceil(of);
        let mut share = Self {
            sessions,
            first: number,
            every: of,
            chosen: 0,
            random: Random::new("share", number),
            generations: (0..size).map(|_| Generation::FIRST.0).collect(),
        };
        share.choose();
        share
    }

    fn choose(&mut self) {
        let size = u32::try_from(self.generations.len()).unwrap_or(u32::MAX);
        self.chosen = self.random.below(size);
    }

    fn generation(&mut self) -> Option<&mut u32> {
        self.generations.get_mut(usize::try_from(self.chosen).ok()?)
    }

    /// The current refresh token of the chosen session.
    fn token(&mut self) -> String {
        let number = self.first + self.every * self.chosen;
        let generation = Generation(self.generation().copied().unwrap_or_default());
        self.sessions.refresh_token(number, generation)
    }

    fn step(&mut self) {
        if let Some(generation) = self.generation() {
            *generation += 1;
        }
    }
}

impl Phone {
    /// A phone with the refresh token of a login.
    pub(crate) async fn with_token(
        address: SocketAddr,
        number: u32,
        token: String,
    ) -> Outcome<Self> {
        Self::new(address, number, Wallet::Chain(token)).await
    }

    /// A phone that refreshes many sessions.
    pub(crate) async fn with_share(
        address: SocketAddr,
        number: u32,
        share: Share,
    ) -> Outcome<Self> {
        Self::new(address, number, Wallet::Share(share)).await
    }

    async fn new(address: SocketAddr, number: u32, wallet: Wallet) -> Outcome<Self> {
        Ok(Self {
            connection: Connection::open(address).await?,
            address,
            number,
            asked: 0,
            wallet,
        })
    }

    /// The same request again after a failure, so that the service can answer it again.
    fn request(&mut self) -> Vec<u8> {
        let token = match &mut self.wallet {
            Wallet::Chain(token) => token.clone(),
            Wallet::Share(share) => share.token(),
        };
        let key = format!("phone-{}-{}", self.number, self.asked);
        let headers = [("user-agent", USER_AGENT), ("idempotency-key", &key)];
        let form = format!("grant_type=refresh_token&client_id={PHONE}&refresh_token={token}");
        http::post_form(self.address, TOKEN_PATH, &headers, &form)
    }
}

impl Client for Phone {
    async fn ask(&mut self) -> Outcome<bool> {
        let request = self.request();
        let Ok(response) = self.connection.exchange(&request).await else {
            self.connection.reopen().await?;
            return Ok(false);
        };
        let next = next_token(response.body).filter(|_| response.status == 200);
        let Some(next) = next else {
            return Ok(false);
        };
        let looks_right =
            !is_sampled(self.asked) || serde_json::from_slice::<Tokens>(response.body).is_ok();
        self.asked += 1;
        match &mut self.wallet {
            Wallet::Chain(token) => {
                let is_new = *token != next;
                next.clone_into(token);
                Ok(is_new && looks_right)
            }
            Wallet::Share(share) => {
                share.step();
                let is_right = !is_sampled(self.asked) || share.token() == next;
                share.choose();
                Ok(is_right && looks_right)
            }
        }
    }
}

/// The refresh token of an answer, found without reading all of it.
fn next_token(body: &[u8]) -> Option<&str> {
    let body = std::str::from_utf8(body).ok()?;
    let (_, rest) = body.split_once(r#""refresh_token":""#)?;
    let (token, _) = rest.split_once('"')?;
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_token_is_found_in_an_answer() {
        let body = br#"{"access_token":"a.b.c","refresh_token":"tsr1_x","scope":"openid"}"#;
        assert_eq!(next_token(body), Some("tsr1_x"));
        assert_eq!(next_token(br#"{"error":"invalid_grant"}"#), None);
    }

    #[test]
    fn a_challenge_is_the_digest_of_its_verifier() {
        // RFC 7636 appendix B.
        let request = challenge("127.0.0.1:80".parse().unwrap(), 7, "secret");
        let request = String::from_utf8(request).unwrap();
        assert!(request.contains("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&"));
        assert!(request.ends_with("&username=person-7&password=secret"));
    }
}
