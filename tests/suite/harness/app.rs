//! The running service, with a verb for each endpoint.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use super::command::{Said, run, tokensmith};
use super::contract::{Contract, Documented};
use super::database::Home;
use super::secrets::{Place, Secrets};
use super::{Database, wait};

/// How long the end of a test waits for a service that may not answer.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(1);

/// One process of the service, killed when it is dropped.
pub(crate) struct TestApp {
    /// `http://127.0.0.1:PORT`
    pub(crate) address: String,
    /// The issuer of its tokens.
    pub(crate) issuer: String,
    /// What has gone through this process and others on its database.
    pub(crate) secrets: Secrets,
    /// For as long as the process writes there.
    _home: Arc<Home>,
    process: Child,
    variables: Vec<(String, String)>,
    log: PathBuf,
    http: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The operation and status of the contract that it is an instance of; `None` for what is
    /// answered to any unknown path or method.
    pub(crate) documented: Option<Documented>,
}

/// A registered client.
#[derive(Clone, Debug)]
pub(crate) struct TestClient {
    pub(crate) id: String,
    /// Empty for a public client.
    pub(crate) secret: String,
}

impl TestApp {
    /// Starts `tokensmith serve` on a database and waits until it is ready.
    pub(crate) async fn start(database: &Database) -> Self {
        Self::start_with(database, &[]).await
    }

    /// As [`Self::start`], with further variables.
    pub(crate) async fn start_with(database: &Database, further: &[(&str, &str)]) -> Self {
        let app = Self::spawn(database, further);
        app.wait_until_ready().await;
        app
    }

    /// Starts the process without waiting for it.
    pub(crate) fn spawn(database: &Database, further: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let port = free_port();
        let own = [
            ("TOKENSMITH_LISTEN", format!("127.0.0.1:{port}")),
            ("TOKENSMITH_ISSUER", format!("http://127.0.0.1:{port}")),
            ("TOKENSMITH_WORKERS", "2".to_owned()),
            // All that could be in a log, for the search when the process ends.
            ("TOKENSMITH_LOG", "trace".to_owned()),
        ];
        let mut variables: Vec<(String, String)> = own
            .into_iter()
            .chain(database.variables())
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        for (name, value) in further {
            variables.retain(|(known, _)| known != name);
            variables.push(((*name).to_owned(), (*value).to_owned()));
        }
        let given = |wanted| {
            let given = variables.iter().find(|(name, _)| name == wanted);
            given.map(|(_, value)| value.clone()).unwrap()
        };
        let issuer = given("TOKENSMITH_ISSUER");
        let address = format!("http://{}", given("TOKENSMITH_LISTEN"));
        let log = database
            .home
            .path()
            .join(format!("log-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let process = tokensmith(&["serve"])
            .envs(variables.clone())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            address,
            issuer,
            secrets: database.secrets.clone(),
            _home: Arc::clone(&database.home),
            process,
            variables,
            log,
            http,
        }
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn wait_until_ready(&self) {
        let url = format!("{}/readyz", self.address);
        let ready = wait::until("the service is ready", || async {
            let reply = self.http.get(&url).send().await.ok()?;
            reply.status().is_success().then_some(())
        });
        assert!(
            tokio::time::timeout(Duration::from_secs(25), ready)
                .await
                .is_ok(),
            "the service did not become ready; its log:\n{}",
            self.log()
        );
    }

    /// A request to a path of the service.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.address))
    }

    /// Sends a request, reads the answer, and holds it against the contract.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Reply {
        let request = request.build().unwrap();
        self.secrets.note_request(&request);
        let (method, url) = (request.method().clone(), request.url().clone());
        let response = self.http.execute(request).await.unwrap();
        let mut reply = Reply {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
            documented: None,
        };
        self.secrets.note_answer(&reply);
        let base = self.base_path();
        reply.documented = Contract::committed()
            .check(&base, (&method, url.path()), &reply)
            .unwrap_or_else(|error| panic!("{method} {url}: {error}: {}", reply.text));
        reply
    }

    /// What all paths begin with; empty for most issuers.
    fn base_path(&self) -> String {
        let issuer = url::Url::parse(&self.issuer).unwrap();
        issuer.path().trim_end_matches('/').to_owned()
    }

    /// `GET`
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    /// A form from a client, with its secret in the header; a public one names itself in the form.
    pub(crate) fn form<V: AsRef<str>>(
        &self,
        client: &TestClient,
        path: &str,
        form: &[(&str, V)],
    ) -> RequestBuilder {
        let request = self.request(Method::POST, path);
        let fields = form.iter().map(|(name, value)| (*name, value.as_ref()));
        if client.secret.is_empty() {
            let own = ("client_id", client.id.as_str());
            return request.form(&fields.chain([own]).collect::<Vec<_>>());
        }
        request
            .basic_auth(&client.id, Some(&client.secret))
            .form(&fields.collect::<Vec<_>>())
    }

    /// `POST /oauth/token`
    pub(crate) async fn token(&self, client: &TestClient, parameters: &[(&str, &str)]) -> Reply {
        self.send(self.form(client, "/oauth/token", &with_grant(parameters)))
            .await
    }

    /// An access token of the client.
    pub(crate) async fn access_token(&self, client: &TestClient) -> String {
        let reply = self.token(client, &[]).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Registers a service on the command line, beside the running service, and waits until that
    /// knows it.
    /// A token that another key has signed than that one, once it does.
    pub(crate) async fn token_of_another_key(&self, client: &TestClient, than: &str) -> String {
        let header = |token: &str| token.split('.').next().map(str::to_owned);
        wait::until("another key signs", async || {
            let token = self.access_token(client).await;
            (header(&token) != header(than)).then_some(token)
        })
        .await
    }

    pub(crate) async fn client(&self, id: &str, arguments: &[&str]) -> TestClient {
        let mut all = vec!["--grant", "client_credentials"];
        all.extend(arguments);
        self.register(id, &all).await
    }

    /// Registers a client on the command line, beside the running service, and waits until the
    /// service knows it.
    pub(crate) async fn register(&self, id: &str, arguments: &[&str]) -> TestClient {
        let mut all = vec!["client", "create", "--id", id, "--json"];
        all.extend(arguments);
        let created = self.run(&all).json();
        let secret = created["client_secret"].as_str().unwrap_or_default();
        let client = TestClient {
            id: id.to_owned(),
            secret: secret.to_owned(),
        };
        wait::until("the service knows the client", || async {
            let asked = self.form(&client, "/oauth/token", &[("grant_type", "unknown")]);
            // From elsewhere, so that a test with limits by address has all of its own.
            let reply = self
                .send(asked.header("x-forwarded-for", "192.0.2.254"))
                .await;
            (reply.status == 400).then_some(())
        })
        .await;
        client
    }

    /// A client for `https://api.example.com` with two scopes.
    pub(crate) async fn orders(&self) -> TestClient {
        let arguments = [
            "--scope",
            "orders:read orders:write",
            "--audience",
            "https://api.example.com",
        ];
        self.client("orders", &arguments).await
    }

    /// An administrator's access token.
    pub(crate) async fn admin_token(&self) -> String {
        let client = self.client("admin", &["--scope", "tokensmith:admin"]).await;
        self.access_token(&client).await
    }

    /// A request to the administrative API, with a JSON body where there is one.
    pub(crate) async fn admin(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Reply {
        self.with_token(token, method, &format!("/api/admin{path}"), body)
            .await
    }

    /// A request with a bearer token, with a JSON body where there is one.
    pub(crate) async fn with_token(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Reply {
        let mut request = self.request(method, path).bearer_auth(token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(serde_json::to_vec(&body).unwrap());
        }
        self.send(request).await
    }

    /// Runs a command with the settings of this service.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let said = run(&mut self.command(arguments));
        if let Ok(printed) = serde_json::from_str(&said.out) {
            self.secrets.note_json(&printed);
        }
        said
    }

    /// A command with the settings of this service.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = tokensmith(arguments);
        command.envs(self.variables.clone());
        command
    }

    /// What the service has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The value of a metric, summed over all label sets that contain `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = self.get("/metrics").await.text;
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| series.split('{').next() == Some(name))
            .filter(|(series, _)| series.contains(labels))
            .map(|(_, value)| value.parse::<f64>().unwrap())
            .sum()
    }

    /// How many sockets the process has open.
    pub(crate) fn open_sockets(&self) -> usize {
        let descriptors = format!("/proc/{}/fd", self.process.id());
        let links = std::fs::read_dir(descriptors).unwrap().flatten();
        links
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// CPU time that the process has used, in hundredths of a second.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // The name of the program, in parentheses, may hold anything.
        let numbers = stat.rsplit_once(')').unwrap().1;
        let of = |number: usize| numbers.split_whitespace().nth(number).unwrap();
        of(11).parse::<u64>().unwrap() + of(12).parse::<u64>().unwrap()
    }

    /// The memory that the process holds.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse().unwrap()
    }

    /// Sends a signal such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// How the process ended, once it has.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        while status.is_none() {
            status = self.process.try_wait().unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        status.unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let metrics = self.last_metrics();
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
        // The test has failed already; a second panic would hide why.
        if std::thread::panicking() {
            return;
        }
        let log = self.log();
        assert!(!log.contains("panicked at"), "the service panicked:\n{log}");
        self.secrets.assert_none_in(Place::Log, log.as_bytes());
        let metrics = metrics.unwrap_or_default();
        self.secrets
            .assert_none_in(Place::Metrics, metrics.as_bytes());
        self.secrets.assert_none_in_errors();
    }
}

impl TestApp {
    /// The metrics, when the log has the lines of all requests before; `None` when nobody answers (any
    /// more). A process that was stopped or is busy is not waited for.
    fn last_metrics(&mut self) -> Option<String> {
        if self.process.try_wait().ok()?.is_some() {
            return None;
        }
        let host = self.address.strip_prefix("http://")?;
        let mut connection = TcpStream::connect(host).ok()?;
        connection
            .set_read_timeout(Some(PATIENCE_AT_THE_END))
            .ok()?;
        let id = uuid::Uuid::new_v4().simple();
        // HTTP/1.0, so that the answer comes in one piece.
        let request = format!(
            "GET {}/metrics HTTP/1.0\r\nHost: {host}\r\ntraceparent: 00-{id}-00f067aa0ba902b7-01\r\n\r\n",
            self.base_path()
        );
        connection.write_all(request.as_bytes()).ok()?;
        let mut metrics = String::new();
        connection.read_to_string(&mut metrics).ok()?;
        // Lines are written together, some time after the answer.
        let (id, start) = (id.to_string(), Instant::now());
        let mut log = File::open(&self.log).ok()?;
        let mut end = String::new();
        while !end.contains(&id) && start.elapsed() < PATIENCE_AT_THE_END {
            std::thread::sleep(Duration::from_millis(5));
            let _read = log.read_to_string(&mut end);
        }
        Some(metrics)
    }
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// A header as text; empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Status and `error` of an OAuth error.
    pub(crate) fn error(&self) -> (u16, String) {
        let error = self.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(
            self.json()["error_description"].is_string(),
            "{}",
            self.text
        );
        (self.status.as_u16(), error)
    }
}

fn with_grant<'a>(parameters: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = parameters.to_vec();
    if !form.iter().any(|(name, _)| *name == "grant_type") {
        form.push(("grant_type", "client_credentials"));
    }
    form
}

/// A port that nobody listens on. Each is handed out once in this process.
pub(crate) fn free_port() -> u16 {
    tokensmith_cluster::free_port().unwrap()
}
