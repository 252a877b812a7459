//! An issuer on a real socket whose every answer a test can set.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokensmith_verify::testing::Forge;
use tokensmith_verify::{Discovery, Verifier, VerifierBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

pub(crate) const AUDIENCE: &str = "https://api.example.com";
pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";
pub(crate) const JWKS: &str = "/jwks.json";

#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

pub(crate) struct Issuer {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    /// The heads of all requests for the JWKS.
    requests: watch::Sender<Vec<String>>,
}

impl Answer {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self {
            status: "200 OK",
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn status(status: &'static str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            answers: Mutex::default(),
            requests: watch::Sender::new(Vec::new()),
        });
        let issuer = Self {
            url,
            shared: Arc::clone(&shared),
        };
        issuer.serve_metadata(&issuer.url, &format!("{}{JWKS}", issuer.url));
        issuer.serve_keys_of(&[&issuer.forge()]);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
        });
        issuer
    }

    pub(crate) fn forge(&self) -> Forge {
        Forge::for_issuer(self.url.as_str())
    }

    pub(crate) fn serve_metadata(&self, issuer: &str, jwks_uri: &str) {
        let body = serde_json::json!({ "issuer": issuer, "jwks_uri": jwks_uri });
        self.serve(METADATA, Answer::json(body.to_string()));
    }

    pub(crate) fn serve_keys_of(&self, forges: &[&Forge]) {
        self.serve(JWKS, Answer::json(jwks_of(forges)));
    }

    pub(crate) fn serve(&self, path: &str, answer: Answer) {
        self.shared
            .answers
            .lock()
            .unwrap()
            .insert(path.to_owned(), answer);
    }

    /// A verifier with intervals short enough to watch; the cooldown stays long.
    pub(crate) fn discover(&self) -> VerifierBuilder<Discovery> {
        Verifier::discover(self.url.as_str()).audience(AUDIENCE)
    }

    pub(crate) fn jwks_requests(&self) -> Vec<String> {
        self.shared.requests.borrow().clone()
    }

    /// Waits until the JWKS was asked for that often.
    pub(crate) async fn jwks_requested(&self, times: usize) {
        let mut requests = self.shared.requests.subscribe();
        let enough = requests.wait_for(|requests| requests.len() >= times);
        timeout(Duration::from_secs(20), enough)
            .await
            .expect("the JWKS is asked for")
            .unwrap();
    }
}

pub(crate) fn jwks_of(forges: &[&Forge]) -> String {
    let keys: Vec<_> = forges.iter().map(|forge| forge.jwk()).collect();
    serde_json::json!({ "keys": keys }).to_string()
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let holds = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(20), holds)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => head.extend_from_slice(&buffer[..length]),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let answer = shared.answers.lock().unwrap().get(&path).cloned();
    let mut answer = answer.unwrap_or_else(|| Answer::status("404 Not Found"));
    if !answer
        .headers
        .iter()
        .any(|(name, _)| *name == "transfer-encoding")
    {
        answer = answer
            .clone()
            .header("content-length", answer.body.len().to_string());
    }
    let headers: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let text = format!(
        "HTTP/1.1 {}\r\nconnection: close\r\n{}\r\n{}",
        answer.status,
        headers.concat(),
        answer.body
    );
    if path == JWKS {
        shared.requests.send_modify(|requests| requests.push(head));
    }
    // The client may have hung up on purpose.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
