//! The tokens of one session, and the requests that they are used in.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::history::{Event, Role, name_of};
use super::random::Random;
use super::site::{Access, Credentials, Request, Site, text};
use super::town::{App, PASSWORD, Person, SCOPE};

/// What an app keeps of a session.
#[derive(Clone, Debug)]
pub(super) struct Wallet {
    pub(super) session: String,
    pub(super) client: String,
    pub(super) refresh: Refresh,
    pub(super) access: Access,
    /// The refresh tokens before, oldest first.
    pub(super) past: Vec<Refresh>,
}

/// A refresh token, whose session and generation everybody can read.
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub(super) token: String,
    pub(super) generation: u32,
}

/// What a refresh led to.
pub(super) enum Outcome {
    Issued(Refresh, Access),
    /// `invalid_grant`: the session is over.
    Over,
    /// Nobody knows, or the client is disabled: try again.
    Again,
}

/// How a refresh token is presented.
pub(super) struct Presenting<'a> {
    pub(super) who: &'a str,
    pub(super) role: Role,
    pub(super) key: &'a str,
    pub(super) replica: usize,
    pub(super) sabotaged: bool,
    /// For the API when absent.
    pub(super) resource: Option<&'a str>,
}

/// How many of the refresh tokens before are kept.
const PAST: usize = 4;

impl Wallet {
    /// Moves on to the tokens of an answer.
    pub(super) fn take(&mut self, refresh: Refresh, access: Access) {
        if refresh.token != self.refresh.token {
            let before = std::mem::replace(&mut self.refresh, refresh);
            self.past.push(before);
            if self.past.len() > PAST {
                self.past.remove(0);
            }
        }
        self.access = access;
    }
}

impl Refresh {
    /// The session and the token: `tsr1_` and base64url of session (16 bytes), generation (4) and MAC.
    pub(super) fn read(token: &str) -> Option<(String, Self)> {
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix("tsr1_")?).ok()?;
        let (session, rest) = bytes.split_first_chunk::<16>()?;
        let generation = u32::from_be_bytes(*rest.first_chunk::<4>()?);
        let token = token.to_owned();
        Some((hyphenated(*session), Self { token, generation }))
    }
}

/// As `sid` is written (RFC 9562 §4).
fn hyphenated(id: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in id.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

impl Site {
    /// Logs a person in on a screen of the app; `None` where that did not work.
    pub(super) async fn sign_in(
        &self,
        who: &str,
        (person, app): (&Person, &App),
        random: &mut Random,
    ) -> Option<Wallet> {
        let verifier = random.name() + &random.name();
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let form = [
            ("client_id", app.id.as_str()),
            ("response_type", "code"),
            ("scope", SCOPE),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("username", &person.username),
            ("password", PASSWORD),
            ("device_name", who),
        ];
        let replica = random.below(self.replicas());
        let reply = self
            .send(replica, Request::form("/oauth/challenge", &form))
            .await;
        let code = text(&reply.body, "authorization_code").map(ToOwned::to_owned);
        let event = Event::Password {
            person: person.id.clone(),
            client: app.id.clone(),
            answer: reply.answer,
        };
        self.recorder.record(reply.began, who, event);
        self.redeem(
            who,
            (person, app),
            (&code?, &verifier),
            random.below(self.replicas()),
        )
        .await
    }

    /// Never twice: a code that comes again ends the session that it began.
    async fn redeem(
        &self,
        who: &str,
        (person, app): (&Person, &App),
        (code, verifier): (&str, &str),
        replica: usize,
    ) -> Option<Wallet> {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", app.id.as_str()),
            ("code", code),
            ("code_verifier", verifier),
        ];
        let reply = self
            .send(replica, Request::form("/oauth/token", &form))
            .await;
        let issued = issued(&reply.body);
        let session = issued.as_ref().map(|(session, ..)| session.clone());
        let event = Event::SignIn {
            session: session.clone(),
            person: person.id.clone(),
            client: app.id.clone(),
            refresh: issued
                .as_ref()
                .map(|(_, refresh, _)| name_of(&refresh.token)),
            access: issued.as_ref().map(|(.., access)| name_of(&access.token)),
            answer: reply.answer,
        };
        self.recorder.record(reply.began, who, event);
        let (session, refresh, access) = issued?;
        Some(Wallet {
            session,
            client: app.id.clone(),
            refresh,
            access,
            past: Vec::new(),
        })
    }

    /// Presents a refresh token of a session once.
    pub(super) async fn present(
        &self,
        (wallet, refresh): (&Wallet, &Refresh),
        how: Presenting<'_>,
    ) -> Outcome {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("client_id", wallet.client.as_str()),
            ("refresh_token", refresh.token.as_str()),
        ];
        form.extend(how.resource.map(|resource| ("resource", resource)));
        let request = Request {
            idempotency_key: Some(how.key),
            ..Request::form("/oauth/token", &form)
        };
        let reply = self.send(how.replica, request).await;
        let issued = issued(&reply.body);
        let successor = issued.as_ref();
        let successor = successor.map(|(_, next, _)| (name_of(&next.token), next.generation));
        let outcome = match issued {
            Some((_, next, access)) if reply.answer.status == 200 => Outcome::Issued(next, access),
            _ if reply.answer.is(400, "invalid_grant") => Outcome::Over,
            _ => Outcome::Again,
        };
        let event = Event::Refresh {
            session: wallet.session.clone(),
            client: wallet.client.clone(),
            role: how.role,
            presented: name_of(&refresh.token),
            generation: refresh.generation,
            key: how.key.to_owned(),
            successor,
            access: match &outcome {
                Outcome::Issued(_, access) => Some(name_of(&access.token)),
                _ => None,
            },
            sabotaged: how.sabotaged,
            answer: reply.answer,
        };
        self.recorder.record(reply.began, how.who, event);
        outcome
    }

    /// Asks a replica whether an access token is active.
    pub(super) async fn introspect(
        &self,
        who: &str,
        (api, replica): (&Credentials, usize),
        access: &Access,
    ) {
        let form = [("token", access.token.as_str())];
        let request = Request {
            credentials: Some(api),
            ..Request::form("/oauth/introspect", &form)
        };
        let reply = self.send(replica, request).await;
        let event = Event::Introspect {
            session: access.session.clone().unwrap_or_default(),
            access: name_of(&access.token),
            active: reply
                .body
                .get("active")
                .and_then(serde_json::Value::as_bool),
            answer: reply.answer,
        };
        self.recorder.record(reply.began, who, event);
    }
}

fn issued(body: &serde_json::Value) -> Option<(String, Refresh, Access)> {
    let (session, refresh) = Refresh::read(text(body, "refresh_token")?)?;
    let access = Access {
        token: text(body, "access_token")?.to_owned(),
        session: Some(session.clone()),
    };
    Some((session, refresh, access))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_and_generation_are_read_from_a_refresh_token() {
        let mut bytes = [0; 44];
        bytes[..2].copy_from_slice(&[0x01, 0x9a]);
        bytes[15] = 0xff;
        bytes[19] = 7;
        let token = format!("tsr1_{}", URL_SAFE_NO_PAD.encode(bytes));
        let (session, refresh) = Refresh::read(&token).unwrap();
        assert_eq!(session, "019a0000-0000-0000-0000-0000000000ff");
        assert_eq!(refresh.generation, 7);
        assert_eq!(refresh.token, token);
        assert!(Refresh::read("tsr1_AAAA").is_none());
        assert!(Refresh::read("tsc1_AAAA").is_none());
    }

    #[test]
    fn a_wallet_keeps_some_of_its_past() {
        let refresh = |generation: u32| Refresh {
            token: generation.to_string(),
            generation,
        };
        let access = Access {
            token: String::new(),
            session: None,
        };
        let mut wallet = Wallet {
            session: String::new(),
            client: String::new(),
            refresh: refresh(1),
            access: access.clone(),
            past: Vec::new(),
        };
        for generation in [2, 2, 3, 4, 5, 6, 7] {
            wallet.take(refresh(generation), access.clone());
        }
        let past: Vec<_> = wallet
            .past
            .iter()
            .map(|refresh| refresh.generation)
            .collect();
        assert_eq!((wallet.refresh.generation, past), (7, vec![3, 4, 5, 6]));
    }
}
