//! What a reader of the log and of the status lists finds.

use std::collections::BTreeSet;

use reqwest::header::HeaderMap;
use serde_json::Value;
use tokensmith_verify::revocation::{
    BitList, Delta, Event, Frame, LIST_TYP, ListToken, Position, Watermark, inflate,
};
use tokensmith_verify::{KeySet, Reject, Verifier, jws};

use super::app::{TestApp, TestClient};
use super::login::claims;
use super::{Reply, wait};

/// A position of a list.
pub(crate) type Bit = (String, u64);

/// What a part of the log says is dead.
#[derive(Debug, Default)]
pub(crate) struct Dead {
    /// How many events say so.
    pub(crate) events: usize,
    pub(crate) bits: BTreeSet<Bit>,
    pub(crate) watermarks: Vec<Watermark>,
}

/// A reader that looks at what each act has put into the log.
pub(crate) struct Log<'a> {
    app: &'a TestApp,
    end: Position,
    bits: BTreeSet<Bit>,
}

/// Waits until a verifier accepts a token, and fails when it minds anything but that it is stale: on a busy
/// machine a heartbeat may be late.
pub(crate) async fn accepted(verifier: &Verifier, token: &str) {
    wait::until("the verifier is fresh", || async {
        match verifier.verify(token) {
            Ok(_) => Some(()),
            Err(Reject::RevocationStale) => None,
            Err(other) => panic!("a good token: {other}"),
        }
    })
    .await;
}

/// Where an answer says that the log stands.
pub(crate) fn position(headers: &HeaderMap) -> Position {
    let value = headers.get("revocation-seq").expect("Revocation-Seq");
    value.to_str().unwrap().parse().unwrap()
}

/// The bit of a token.
pub(crate) fn bit(token: &str) -> Bit {
    let status = &claims(token)["status"]["status_list"];
    let list = status["uri"].as_str().unwrap().to_owned();
    (list, status["idx"].as_u64().unwrap())
}

impl<'a> Log<'a> {
    /// Begins where the log stands, which a client is told that gives back what is none of its.
    pub(crate) async fn begin(app: &'a TestApp, client: &TestClient) -> Self {
        let reply = app.revoke(client, "nothing").await;
        Self {
            app,
            end: position(&reply.headers),
            bits: BTreeSet::new(),
        }
    }

    /// An answer has ended what these tokens were got with, and nothing else: the log says so, all at
    /// once, where the answer says that it stands.
    pub(crate) async fn ends(&mut self, what: &str, headers: &HeaderMap, tokens: &[&str]) {
        let dead = self.up_to(position(headers)).await;
        let bits: BTreeSet<Bit> = tokens.iter().map(|token| bit(token)).collect();
        assert_eq!((&dead.bits, dead.events), (&bits, 1), "{what}");
        assert_eq!(dead.watermarks, [], "{what}");
    }

    /// A command has ended what these tokens were got with, and nothing else. Answers the cut-offs.
    pub(crate) async fn ends_by_command(&mut self, tokens: &[&str]) -> Vec<Watermark> {
        let bits: BTreeSet<Bit> = tokens.iter().map(|token| bit(token)).collect();
        let mut dead = Dead::default();
        // One act is one batch, so the first answer that has anything may lack a part of it only
        // where the server cuts what is long.
        while dead.bits.len() < bits.len() || dead.events == 0 {
            self.read_into(&mut dead).await;
        }
        assert_eq!(dead.bits, bits);
        dead.watermarks
    }

    /// An answer has ended nothing, and says where the log stands.
    pub(crate) fn stands(&self, what: &str, headers: &HeaderMap) {
        assert_eq!(position(headers), self.end, "{what}");
    }

    /// What the log says from here to a position.
    pub(crate) async fn up_to(&mut self, position: Position) -> Dead {
        let mut dead = Dead::default();
        while self.end < position {
            self.read_into(&mut dead).await;
        }
        assert_eq!(self.end, position, "nothing else has happened");
        dead
    }

    /// The lists say what the log has said.
    pub(crate) async fn agrees_with_the_lists(&self) {
        let uris: BTreeSet<&String> = self.bits.iter().map(|(uri, _)| uri).collect();
        assert!(!uris.is_empty());
        for uri in uris {
            let list = self.app.status_list(uri, self.end).await;
            let set = self.bits.iter().filter(|(of, _)| of == uri);
            let mut count = 0;
            for (_, idx) in set {
                assert_eq!(list.is_set(u32::try_from(*idx).unwrap()), Some(true));
                count += 1;
            }
            assert_eq!(list.count(), count, "and no other");
        }
    }

    async fn read_into(&mut self, dead: &mut Dead) {
        for frame in self.app.changes(self.end).await {
            dead.events += 1;
            self.end = frame.position;
            match frame.event().unwrap() {
                Event::Delta(Delta { list, idx }) => {
                    let bits = idx.into_iter().map(|idx| (list.clone(), idx.into()));
                    dead.bits.extend(bits);
                }
                Event::Watermark(watermark) => dead.watermarks.push(watermark),
                Event::List(_) => {}
            }
        }
        self.bits.extend(dead.bits.iter().cloned());
    }
}

impl TestApp {
    /// `GET /revocation/changes`: what comes next after a position.
    async fn changes(&self, after: Position) -> Vec<Frame> {
        let path = format!("/revocation/changes?after={after}&wait=5");
        let reply = self.get(&path).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        serde_json::from_value(reply.json()["events"].clone()).unwrap()
    }

    /// A status list, verified, as soon as it says what had happened at a position.
    pub(crate) async fn status_list(&self, uri: &str, position: Position) -> BitList {
        let keys = self.get("/.well-known/jwks.json").await.text;
        let keys = KeySet::from_json(&keys).unwrap();
        let path = uri.strip_prefix(&self.issuer).unwrap();
        let token = wait::until("the list says it", || async {
            let signed = self.get(path).await.text;
            let payload = jws::verify_within(&signed, &keys, signed.len()).unwrap();
            assert_eq!(payload.typ.as_deref(), Some(LIST_TYP));
            let token: ListToken = serde_json::from_slice(&payload.bytes).unwrap();
            (token.position() >= position).then_some(token)
        });
        let token = token.await;
        assert_eq!(
            (token.iss.as_str(), token.sub.as_str()),
            (&*self.issuer, uri)
        );
        let claim = token.status_list;
        BitList::from_bytes(&inflate(claim.bits, &claim.lst).unwrap()).unwrap()
    }

    /// `POST /api/admin/revocations`
    pub(crate) async fn take_back(&self, administrator: &str, what: Value) -> Reply {
        self.admin(
            administrator,
            reqwest::Method::POST,
            "/revocations",
            Some(what),
        )
        .await
    }

    /// Whether a client is told that a token is good.
    pub(crate) async fn is_good(&self, client: &TestClient, token: &str) -> bool {
        let answer = self.introspect(client, token).await.json();
        answer["active"].as_bool().unwrap()
    }
}
