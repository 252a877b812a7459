//! Every secret that goes through the harness, and the search for them where none may be.
//!
//! This is on in every test that starts the service: all of them run at trace level, and when the service
//! ends, its log, its metrics and the errors that it answered with are searched; when the database goes, so
//! is all that it holds, the audit log with the rest. That costs the suite about a seventh of its processor
//! time, and it sees every path that any test takes. A test that ran the suite again would cost all of it.

mod dump;
mod forms;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use serde_json::Value;

pub(crate) use dump::dump;

use super::Reply;

/// Members, parameters and fields that are secret, whoever sends them.
const SECRET_NAMES: &[&str] = &[
    "access_token",
    "assertion",
    "authorization_code",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "current_password",
    "id_token",
    "id_token_hint",
    "logout_token",
    "new_password",
    "password",
    "refresh_token",
    "request_uri",
    "secret",
    "subject_token",
    "token",
];
/// What a hosted page is made of, and what travels in the address of one.
const PAGE_FIELD_NAMES: &[&str] = &["csrf", "request"];
/// What a client says in an address; not secret, but no business of a log either.
const QUERY_NAMES: &[&str] = &["login_hint", "nonce", "state"];

/// What is shorter is no secret, but a word of a test such as `wrong`.
const LEAST_CHARACTERS: usize = 8;
/// A test under load makes tens of thousands of tokens in the same way. What it does a hundred times shows
/// what it does.
const MOST_OF_A_NAME: usize = 100;
const MOST_ERRORS: usize = 1_000;
/// How our own secrets begin, and those of others.
const SHAPES: &[&str] = &[
    "tss1_",
    "tsr1_",
    "tsc1_",
    "tsl1_",
    "tsa1_",
    "eyJ",
    "PRIVATE KEY-----",
];
/// After one of our prefixes. A JWT goes on with a dot besides.
const SHAPED_CHARACTERS: usize = 12;

/// Where no secret may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Log,
    Metrics,
    /// An error in JSON.
    ErrorBody,
    /// An error for people, as a page of ours.
    ErrorPage,
    /// All tables, and the files of the database where it has any.
    Database,
}

/// What kind of secret it is, as far as that decides where it may be.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Credential,
    PageField,
    QueryValue,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        let is_in = |names: &[&str]| names.contains(&name);
        match () {
            () if is_in(SECRET_NAMES) => Some(Self::Credential),
            () if is_in(PAGE_FIELD_NAMES) => Some(Self::PageField),
            () if is_in(QUERY_NAMES) => Some(Self::QueryValue),
            () => None,
        }
    }

    fn may_be_in(self, place: Place) -> bool {
        match self {
            Self::Credential => false,
            Self::PageField => place == Place::ErrorPage,
            // A pushed request and a code are rows with what the client has said.
            Self::QueryValue => !matches!(place, Place::Log | Place::Metrics),
        }
    }
}

/// The secrets of one database and of every process on it.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// With what it is called.
    secrets: BTreeMap<String, (Kind, String)>,
    counts: BTreeMap<String, usize>,
    public: BTreeSet<String>,
    errors: Vec<(Place, String)>,
}

impl Secrets {
    /// Takes a secret down.
    pub(crate) fn note(&self, name: &str, secret: &str) {
        self.take(Kind::Credential, name, secret);
    }

    /// Takes down what a request carries.
    pub(crate) fn note_request(&self, request: &reqwest::Request) {
        let headers = request.headers();
        let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
        if let Some(credential) = text(AUTHORIZATION) {
            self.note_credential(credential);
        }
        for (_, value) in text(COOKIE).into_iter().flat_map(cookies) {
            self.note("a cookie", value);
        }
        if let Some(key) = headers.get("idempotency-key") {
            self.note(
                "an idempotency key",
                &String::from_utf8_lossy(key.as_bytes()),
            );
        }
        self.note_pairs(request.url().query_pairs());
        self.note_public(request.url().query_pairs());
        let body = request
            .body()
            .and_then(reqwest::Body::as_bytes)
            .unwrap_or_default();
        if let Ok(json) = serde_json::from_slice(body) {
            self.note_json(&json);
        } else {
            self.note_pairs(url::form_urlencoded::parse(body));
            self.note_public(url::form_urlencoded::parse(body));
        }
    }

    /// Takes down what an answer carries, and the whole of an error, to be searched later.
    pub(crate) fn note_answer(&self, reply: &Reply) {
        self.note_headers(&reply.headers);
        let is_page = reply.header("content-type").starts_with("text/html");
        if is_page {
            self.note_page(&reply.text);
        } else if let Ok(json) = serde_json::from_str(&reply.text) {
            self.note_json(&json);
        }
        if reply.status.as_u16() >= 400 {
            let mut headers = reply.headers.clone();
            // That is where cookies belong.
            headers.remove(SET_COOKIE);
            let place = if is_page {
                Place::ErrorPage
            } else {
                Place::ErrorBody
            };
            let whole = format!("{headers:?}\n{}", reply.text);
            let mut seen = self.0.lock().unwrap();
            if seen.errors.len() < MOST_ERRORS {
                seen.errors.push((place, whole));
            }
        }
    }

    /// Takes down what a command has printed.
    pub(crate) fn note_json(&self, json: &Value) {
        match json {
            Value::Object(members) => {
                for (name, value) in members {
                    let kind = Kind::of(name).filter(|kind| *kind != Kind::QueryValue);
                    if let (Some(kind), Some(text)) = (kind, value.as_str()) {
                        self.take(kind, name, text);
                    }
                    self.note_json(value);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.note_json(value)),
            _ => {}
        }
    }

    /// Searches one place for all secrets.
    ///
    /// # Panics
    /// When one is there, with the surroundings.
    pub(crate) fn assert_none_in(&self, place: Place, text: &[u8]) {
        let found = self.find_in(place, text);
        let first: Vec<_> = found.iter().take(3).collect();
        assert!(
            found.is_empty(),
            "{} secrets in {place:?}: {first:#?}",
            found.len()
        );
    }

    /// As [`Self::assert_none_in`], in all the errors that were answered.
    pub(crate) fn assert_none_in_errors(&self) {
        let errors = std::mem::take(&mut self.0.lock().unwrap().errors);
        for place in [Place::ErrorBody, Place::ErrorPage] {
            let of_place = errors.iter().filter(|(of, _)| *of == place);
            let texts: Vec<_> = of_place.map(|(_, text)| text.as_str()).collect();
            self.assert_none_in(place, texts.join("\n").as_bytes());
        }
    }

    /// Whether there is anything to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap().secrets.is_empty()
    }

    /// What is in a place and must not be, each with its surroundings.
    pub(crate) fn find_in(&self, place: Place, text: &[u8]) -> BTreeSet<String> {
        let mut found = find_shapes(text);
        let seen = self.0.lock().unwrap();
        let wanted = seen
            .secrets
            .iter()
            .filter(|(secret, (kind, _))| !kind.may_be_in(place) && !seen.public.contains(*secret));
        let needles: Vec<(&str, Vec<u8>)> = wanted
            .flat_map(|(secret, (_, name))| {
                let forms = forms::of(secret).into_iter();
                forms.map(|form| (name.as_str(), form))
            })
            .collect();
        let search = AhoCorasick::new(needles.iter().map(|(_, form)| form)).unwrap();
        found.extend(search.find_iter(text).map(|hit| {
            let name = needles[hit.pattern().as_usize()].0;
            format!("{name}: {}", surroundings(text, hit.start(), hit.end()))
        }));
        found
    }

    fn note_headers(&self, headers: &HeaderMap) {
        for header in headers.get_all(SET_COOKIE) {
            let header = String::from_utf8_lossy(header.as_bytes());
            for (_, value) in cookies(&header).take(1) {
                self.note("a cookie", value);
            }
        }
        let location = headers.get(LOCATION).and_then(|it| it.to_str().ok());
        if let Some((_, query)) = location.and_then(|location| location.split_once('?')) {
            self.note_pairs(url::form_urlencoded::parse(query.as_bytes()));
        }
    }

    fn note_credential(&self, credential: &str) {
        let Some((_, value)) = credential.split_once(' ') else {
            return;
        };
        if credential.starts_with("Bearer") {
            self.note("a bearer token", value);
        }
        let decoded = STANDARD.decode(value).unwrap_or_default();
        if let Some((id, secret)) = String::from_utf8_lossy(&decoded).split_once(':') {
            let secret = percent_decode_str(secret).decode_utf8_lossy();
            self.note("client_secret", &secret);
            self.note_public([("client_id", id)]);
        }
    }

    fn note_pairs<N: AsRef<str>, V: AsRef<str>>(&self, pairs: impl IntoIterator<Item = (N, V)>) {
        for (name, value) in pairs {
            self.note_named(name.as_ref(), value.as_ref());
        }
    }

    /// Page fields are where our templates put them; a page of a test may be anything.
    fn note_page(&self, html: &str) {
        for name in PAGE_FIELD_NAMES {
            let field = format!("name=\"{name}\" value=\"");
            for (at, _) in html.match_indices(&field) {
                let rest = &html[at + field.len()..];
                self.note_named(name, rest.split('"').next().unwrap_or_default());
            }
        }
    }

    /// What is also sent where it is no secret is none: a challenge in place of its verifier, a name in
    /// place of a password, the same markup everywhere.
    fn note_public<N: AsRef<str>, V: AsRef<str>>(&self, pairs: impl IntoIterator<Item = (N, V)>) {
        let pairs = pairs
            .into_iter()
            .filter(|(name, _)| Kind::of(name.as_ref()).is_none());
        let values = pairs.map(|(_, value)| value.as_ref().to_owned());
        self.0.lock().unwrap().public.extend(values);
    }

    fn note_named(&self, name: &str, value: &str) {
        if let Some(kind) = Kind::of(name) {
            self.take(kind, name, value);
        }
    }

    fn take(&self, kind: Kind, name: &str, secret: &str) {
        // Ids stand in logs and rows; tests try them in place of a code.
        let is_id = secret.len() == 36 && uuid::Uuid::try_parse(secret).is_ok();
        if secret.chars().count() >= LEAST_CHARACTERS && !is_id {
            let seen = &mut *self.0.lock().unwrap();
            if !seen.secrets.contains_key(secret) {
                let count = seen.counts.entry(name.to_owned()).or_default();
                *count += 1;
                if *count > MOST_OF_A_NAME {
                    return;
                }
            }
            let known = seen.secrets.entry(secret.to_owned());
            let known = known.or_insert_with(|| (kind, name.to_owned()));
            known.0 = known.0.min(kind);
        }
    }
}

/// Whatever looks like a secret, known to the harness or not: browsers and other people's programs do
/// not say what they were given.
fn find_shapes(text: &[u8]) -> BTreeSet<String> {
    let search = AhoCorasick::new(SHAPES).unwrap();
    let hits = search.find_iter(text).filter(|hit| {
        let rest = &text[hit.end()..];
        let is_token = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
        let length = rest.iter().take_while(is_token).count();
        match SHAPES[hit.pattern().as_usize()] {
            "PRIVATE KEY-----" => true,
            "eyJ" => length >= SHAPED_CHARACTERS && rest.get(length) == Some(&b'.'),
            _ => length >= SHAPED_CHARACTERS,
        }
    });
    hits.map(|hit| format!("its shape: {}", surroundings(text, hit.start(), hit.end())))
        .collect()
}

fn surroundings(text: &[u8], start: usize, end: usize) -> String {
    let from = start.saturating_sub(160);
    let to = text.len().min(end + 80);
    String::from_utf8_lossy(&text[from..to]).into_owned()
}

/// Name and value of each part of `Cookie` or `Set-Cookie`.
fn cookies(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header
        .split(';')
        .filter_map(|part| part.trim().split_once('='))
}
