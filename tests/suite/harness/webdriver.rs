//! Chromium, driven by Debian's `chromedriver` over the W3C `WebDriver` protocol: JSON over HTTP,
//! a line for each call. <https://www.w3.org/TR/webdriver2/>

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{app, variable, wait};

const HOW_TO_INSTALL: &str = "tests with a browser need Chromium and its driver (Debian: apt-get install chromium \
     chromium-driver)";

/// A `chromedriver` with everything that it starts, ended when it is dropped.
///
/// Each browser has its own: it is there in 30 ms, and shared state would outlive the tests.
pub(super) struct Driver {
    address: String,
    /// Holds the profile and whatever else the browser writes.
    home: PathBuf,
    shell: Child,
}

/// One browser window with its own profile.
pub(super) struct Session {
    url: String,
    http: reqwest::Client,
}

/// What the driver says when it cannot do something: one of the specification's codes, such as
/// `no such element`, and more.
pub(super) type Failure = String;

impl Driver {
    /// # Panics
    /// When it is not installed. A skipped browser test would look like a passed one.
    pub(super) fn start() -> Self {
        let program = installed("chromedriver").expect(HOW_TO_INSTALL);
        let home = tempfile::Builder::new()
            .prefix("tokensmith-browser")
            .tempdir()
            .unwrap()
            .keep();
        let port = app::free_port();
        // The shell ends driver and browser when its standard input ends: when this value is
        // dropped, and when this process dies, however that happens.
        let script = r#"
            setsid "$0" --port="$1" --log-path="$2/chromedriver.log" >"$2/output" 2>&1 &
            cat >/dev/null
            kill -KILL -$! || kill -KILL $!
            wait
            rm -rf "$2" || rm -rf "$2"
        "#;
        let shell = Command::new("sh")
            .args(["-c", script])
            .args([&program, Path::new(&port.to_string()), &home])
            .env("HOME", &home)
            .env("TMPDIR", &home)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            address: format!("http://127.0.0.1:{port}"),
            home,
            shell,
        }
    }

    /// Opens a browser that asks for pages in a language.
    pub(super) async fn open(&self, language: &str) -> Session {
        let http = client();
        let status = format!("{}/status", self.address);
        wait::until("chromedriver answers", || async {
            http.get(&status).send().await.ok()
        })
        .await;
        let wanted = json!({ "capabilities": { "alwaysMatch": self.capabilities(language) } });
        let url = format!("{}/session", self.address);
        let opened = call(&http, Method::POST, &url, Some(&wanted)).await;
        let opened = opened.unwrap_or_else(|failure| {
            let said = std::fs::read_to_string(self.home.join("output")).unwrap_or_default();
            panic!("{HOW_TO_INSTALL}; it does not start: {failure}\n{said}")
        });
        let id = opened["sessionId"].as_str().unwrap();
        let url = format!("{url}/{id}");
        Session { url, http }
    }

    fn capabilities(&self, language: &str) -> Value {
        let profile = format!("--user-data-dir={}/profile", self.home.display());
        let mut chrome = json!({
            "args": [
                "--headless=new",
                profile,
                // Chromium refuses to sandbox as root, and these pages are our own.
                "--no-sandbox",
                // Containers give /dev/shm 64 MiB, on which pages crash.
                "--disable-dev-shm-usage",
                "--disable-gpu",
                // The crash reporter would leave the process group and outlive the test.
                "--disable-breakpad",
                "--disable-crash-reporter",
                "--no-proxy-server",
                "--hide-scrollbars",
                format!("--lang={language}"),
            ],
            "prefs": { "intl.accept_languages": language },
        });
        // Elsewhere than on Debian, the driver finds the browser by itself.
        if let Some(chromium) = installed("chromium") {
            chrome["binary"] = chromium.to_str().into();
        }
        json!({
            "browserName": "chrome",
            "timeouts": { "pageLoad": 20_000, "script": 10_000 },
            "goog:chromeOptions": chrome,
            "goog:loggingPrefs": { "browser": "ALL" },
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _reaped = self.shell.wait();
    }
}

impl Session {
    /// The same browser from another runtime: a client's connections live on the runtime that
    /// made them.
    pub(super) fn for_another_runtime(&self) -> Self {
        Self {
            url: self.url.clone(),
            http: client(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.url);
        call(&self.http, Method::GET, &url, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.url);
        call(&self.http, Method::POST, &url, Some(&body)).await
    }

    /// With an empty path, closes the browser.
    pub(super) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.url);
        call(&self.http, Method::DELETE, &url, None).await
    }

    /// Runs the body of a function in the page. The page's CSP has no say in it.
    pub(super) async fn run(&self, script: &str, arguments: Value) -> Result<Value, Failure> {
        let body = json!({ "script": script, "args": arguments });
        self.post("/execute/sync", body).await
    }

    /// A command of the Chrome `DevTools` Protocol.
    pub(super) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", body).await.unwrap()
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

async fn call(
    http: &reqwest::Client,
    method: Method,
    url: &str,
    body: Option<&Value>,
) -> Result<Value, Failure> {
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(serde_json::to_vec(body).unwrap());
    }
    let response = request.send().await.unwrap();
    let success = response.status().is_success();
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let value = answer["value"].clone();
    if success {
        return Ok(value);
    }
    Err(format!("{}: {}", value["error"], value["message"]))
}

/// Where the search path has a program.
fn installed(program: &str) -> Option<PathBuf> {
    let places = variable("PATH")?;
    places
        .split(':')
        .map(|place| Path::new(place).join(program))
        .find(|file| file.is_file())
}
