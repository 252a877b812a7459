//! `deploy/nginx.conf`, as it is, before two real replicas.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream as Connection};

use crate::harness::app::{TestClient, free_port};
use crate::harness::login::Tokens;
use crate::harness::{Database, TestApp, skip, wait};

const CONFIGURATION: &str = include_str!("../../deploy/nginx.conf");

/// A stranger who calls from another address than nginx does.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// nginx, which ends when this is dropped.
struct Nginx {
    process: Child,
    port: u16,
    directory: TempDir,
}

impl Nginx {
    /// Starts it before these addresses; `None` where it is not installed.
    async fn start(port: u16, replicas: [&str; 2]) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut configuration = CONFIGURATION.to_owned();
        // What is different here: where the replicas are, the port, and a place for its files.
        for (there, here) in [
            ("tokensmith-1:8080", replicas[0].to_owned()),
            ("tokensmith-2:8080", replicas[1].to_owned()),
            ("listen 8080;", format!("listen {port};")),
            (" /tmp/", format!(" {}/", directory.path().display())),
        ] {
            assert!(configuration.contains(there), "{there}");
            configuration = configuration.replace(there, &here);
        }
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        // nginx opens it once more for the lines of requests; neither must write over the other.
        let mut log = File::options();
        let log = log.create(true).append(true);
        let log = log.open(directory.path().join("log")).unwrap();
        let started = Command::new("nginx")
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(&file)
            // One process, which is gone when it is killed.
            .args(["-g", "daemon off; master_process off;"])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn();
        let Ok(process) = started else {
            skip("nginx", "install it (Debian: apt-get install nginx-light)");
            return None;
        };
        let nginx = Self {
            process,
            port,
            directory,
        };
        wait::until("nginx listens", || async {
            TcpStream::connect(("127.0.0.1", port)).ok().map(|_| ())
        })
        .await;
        Some(nginx)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// The status of a path that is sent as it stands here.
    fn status_of(&self, path: &str) -> u16 {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let patience = Some(Duration::from_secs(10));
        connection.set_read_timeout(patience).unwrap();
        write!(connection, "GET {path} HTTP/1.0\r\nHost: auth\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Two replicas, of which everything is asked through nginx.
struct Site {
    /// As clients see them: its address is that of nginx.
    app: TestApp,
    /// The address of the replica behind it.
    direct: String,
    other: TestApp,
    nginx: Nginx,
}

impl Site {
    /// `None` where nginx or PostgreSQL is not installed.
    async fn start() -> Option<Self> {
        let database = Database::postgres().await?;
        let port = free_port();
        let issuer = format!("http://127.0.0.1:{port}");
        let settings = [
            ("TOKENSMITH_ISSUER", issuer.as_str()),
            ("TOKENSMITH_TRUSTED_PROXIES", "127.0.0.1"),
            ("TOKENSMITH_PASSWORDS_MEMORY_KIB", "8192"),
            ("TOKENSMITH_PASSWORDS_ITERATIONS", "1"),
        ];
        let mut app = TestApp::start_with(&database, &settings).await;
        let other = TestApp::start_with(&database, &settings).await;
        let host = |app: &TestApp| app.address.strip_prefix("http://").unwrap().to_owned();
        let nginx = Nginx::start(port, [&host(&app), &host(&other)]).await?;
        let direct = std::mem::replace(&mut app.address, issuer);
        Some(Self {
            app,
            direct,
            other,
            nginx,
        })
    }

    /// A client that was registered at one replica is known to both.
    async fn until_both_know(&self, client: &TestClient) {
        for address in [&self.direct, &self.other.address] {
            let url = format!("{address}/oauth/token");
            let form = [("grant_type", "unknown"), ("client_id", &client.id)];
            wait::until("the replica knows the client", || async {
                let request = reqwest::Client::new().post(&url);
                let request = if client.secret.is_empty() {
                    request.form(&form)
                } else {
                    request
                        .basic_auth(&client.id, Some(&client.secret))
                        .form(&form[..1])
                };
                (request.send().await.unwrap().status() == 400).then_some(())
            })
            .await;
        }
    }

    async fn orders(&self) -> TestClient {
        let client = self.app.orders().await;
        self.until_both_know(&client).await;
        client
    }

    async fn phone(&self) -> TestClient {
        let client = self.app.phone().await;
        self.until_both_know(&client).await;
        client
    }

    /// Leaves the replicas to themselves, which are searched for secrets at their end.
    fn close(mut self) {
        self.app.address = self.direct;
        let log = self.nginx.log();
        assert!(!log.contains("emerg"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_and_services_get_their_tokens_through_the_proxy() {
    let Some(site) = Site::start().await else {
        return;
    };
    let orders = site.orders().await;
    site.app.access_token(&orders).await;
    let (phone, ada) = (site.phone().await, site.app.user("ada").await);
    let mut tokens = site.app.login(&phone, &ada).await;
    for _ in 0..4 {
        tokens = Tokens::of(&site.app.refresh(&phone, &tokens.refresh_token, &[]).await);
    }
    assert_eq!(
        site.app.revoke(&phone, &tokens.refresh_token).await.status,
        200
    );
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
    ] {
        assert_eq!(site.app.get(path).await.status, 200, "{path}");
    }
    // The line of a request with all that a login may have.
    let path = format!(
        "/oauth/authorize?client_id=nobody&state={}",
        "s".repeat(7_000)
    );
    let long = site.app.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(long.status(), 400, "it has reached the server");
    assert!(long.headers().contains_key("content-security-policy"));
    site.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_for_strangers_is_not_there() {
    let Some(site) = Site::start().await else {
        return;
    };
    assert_eq!(site.nginx.status_of("/.well-known/jwks.json"), 200);
    for path in [
        "/metrics",
        "/metrics/",
        "//metrics",
        "/readyz",
        "/api/admin/clients",
        "/api/me/../admin/clients",
        "/oauth/../metrics",
        "/oauth/%2e%2e/metrics",
        "/oauth%2f..%2fmetrics",
        "/oauth/..%2fapi/admin/keys",
        // Where the path leads to when its escapes are undone, and where the server sees none of that.
        "/api/admin/clients/x%2f..%2f..%2f..%2f..%2flogin",
        "/api/admin/clients/x%2F..%2F..%2F..%2F..%2Flogin?x=1",
        "/api/admin/clients/%2e%2e/%2e%2e/%2E%2E/login",
        "/api/admin/clients/../../../login",
        "/api/admin//../../login",
        "/login/./",
        "/login/..",
        "/login//",
        "/API/ADMIN/clients",
        "/api/menu",
        "/",
    ] {
        let status = site.nginx.status_of(path);
        assert_eq!(status, 404, "{path}");
    }
    let log = format!("{}{}", site.app.log(), site.other.log());
    for path in ["/oauth%2f", "/api/admin", "/api/menu"] {
        assert!(!log.contains(path), "{path} has come through");
    }
    // What stands in a query is not looked at.
    let query = "/.well-known/jwks.json?x=%2f..%2f%2e//";
    assert_eq!(site.nginx.status_of(query), 200);
    assert_eq!(
        site.nginx.status_of("/healthz"),
        200,
        "from its own machine"
    );
    let elsewhere = from(IpAddr::V4(STRANGER)).get(format!("{}/healthz", site.app.address));
    assert_eq!(elsewhere.send().await.unwrap().status(), 403);
    site.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_of_a_client_arrives_and_not_what_the_client_says() {
    let Some(site) = Site::start().await else {
        return;
    };
    let orders = site.orders().await;
    let request = from(IpAddr::V4(STRANGER))
        .post(format!("{}/oauth/token", site.app.address))
        .basic_auth(&orders.id, Some(&orders.secret))
        .header("x-forwarded-for", "203.0.113.9")
        .header("forwarded", "for=203.0.113.10")
        .form(&[("grant_type", "client_credentials")]);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let line = wait::until("the request is in a log", || async {
        let log = format!("{}{}", site.app.log(), site.other.log());
        log.contains("\"address\":\"127.0.0.2\"").then_some(log)
    })
    .await;
    assert!(!line.contains("203.0.113."), "{line}");
    site.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_of_revocations_is_passed_on_as_it_comes() {
    let Some(site) = Site::start().await else {
        return;
    };
    let (phone, ada) = (site.phone().await, site.app.user("ada").await);
    let tokens = site.app.login(&phone, &ada).await;
    let stream = site.app.request(Method::GET, "/revocation/stream");
    let mut stream = stream.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let mut text = String::new();
    // With the first heartbeat the stream is under way.
    read_until(&mut stream, &mut text, "event: heartbeat").await;
    let answer = site.app.revoke(&phone, &tokens.refresh_token).await;
    let answered = Instant::now();
    let id = format!("id: {}", answer.header("revocation-seq"));
    read_until(&mut stream, &mut text, &id).await;
    let took = answered.elapsed();
    assert!(took < Duration::from_secs(1), "the event took {took:?}");
    drop(stream);
    site.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_that_strangers_may_have_repeated_comes_through() {
    let Some(site) = Site::start().await else {
        return;
    };
    let back = "https://app.example.com/bye";
    let options = ["--public", "--post-logout-redirect-uri", back];
    let shop = site.app.app_for_people("shop", &options).await;
    site.until_both_know(&shop).await;
    let begins = "/oauth/authorize?client_id=shop&redirect_uri=http://127.0.0.1/callback&state=";
    let ends = format!("/oauth/logout?client_id=shop&post_logout_redirect_uri={back}&state=");
    for (start, length, expected) in [
        (begins, 4_000, 303),
        (begins, 15_000, 303),
        (&ends, 1_300, 303),
        (&ends, 15_000, 400),
    ] {
        for _ in 0..4 {
            let path = format!("{start}{}", "!".repeat(length));
            assert_eq!(site.nginx.status_of(&path), expected, "{start}… {length}");
            let form = path.split_once('?').unwrap().1.to_owned();
            let path = start.split_once('?').unwrap().0;
            let post = site.app.request(Method::POST, path).body(form);
            let post = post.header("content-type", "application/x-www-form-urlencoded");
            let status = post.send().await.unwrap().status();
            assert_eq!(status, expected, "posted {start}… {length}");
            let keys = site.nginx.status_of("/.well-known/jwks.json");
            assert_eq!(keys, 200, "after {start}… {length}");
        }
    }
    site.close();
}

/// A replica whose answers have as many bytes of a head as the last part of the path says.
async fn verbose_replica() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer_verbosely(connection));
        }
    });
    address
}

async fn answer_verbosely(mut connection: Connection) -> Option<()> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(connection.read_u8().await.ok()?);
    }
    let asked = String::from_utf8(asked).ok()?;
    let path = asked.split(' ').nth(1)?;
    let bytes = path.rsplit('/').next()?.parse().ok()?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\nX: {}\r\n\r\n",
        "x".repeat(bytes)
    );
    connection.write_all(head.as_bytes()).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_passed_on_takes_no_replica_from_others() {
    let (one, other) = (verbose_replica().await, verbose_replica().await);
    let Some(nginx) = Nginx::start(free_port(), [&one, &other]).await else {
        return;
    };
    assert_eq!(nginx.status_of("/docs/60000"), 200, "that is a long head");
    for _ in 0..4 {
        assert_eq!(nginx.status_of("/docs/70000"), 502, "that is too long");
    }
    for _ in 0..4 {
        assert_eq!(nginx.status_of("/docs/10"), 200);
    }
    let path = "/docs/70000?name=ada";
    assert_eq!(nginx.status_of(path), 502);
    let log = nginx.log();
    assert!(log.contains("\"GET /docs/70000\" 502 127.0.0.1:"), "{log}");
    assert!(!log.contains("name=ada"), "{log}");
}

/// Tokens and refreshes from eight clients, while one replica is killed in their midst.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_when_a_replica_is_killed() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 60;
    let Some(mut site) = Site::start().await else {
        return;
    };
    let (orders, phone) = (site.orders().await, site.phone().await);
    let ada = site.app.user("ada").await;
    let mut devices = Vec::new();
    for _ in 0..CLIENTS {
        devices.push(site.app.login(&phone, &ada).await);
    }
    let app = &site.app;
    let work = join_all(devices.into_iter().map(|mut device| {
        let (orders, phone) = (&orders, &phone);
        async move {
            for _ in 0..REQUESTS {
                app.access_token(orders).await;
                device = Tokens::of(&app.refresh(phone, &device.refresh_token, &[]).await);
            }
        }
    }));
    let other = &mut site.other;
    let killing = async {
        // In the midst of it: both replicas have served some already.
        wait::until("the replica is at work", || async {
            let served = other
                .metric("tokensmith_http_requests_total", "/oauth/token")
                .await;
            (served > 40.0).then_some(())
        })
        .await;
        other.signal("KILL");
        other.exit().await;
    };
    tokio::join!(work, killing);
    let log = site.nginx.log();
    let failed: Vec<_> = log.lines().filter(|line| line.contains("\" 50")).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let twice = |line: &str| line.contains("\" 200 127.0.0.1:") && line.contains(", 127.0.0.1:");
    assert!(log.lines().any(twice), "none was sent to both: {log}");
    site.close();
}

async fn read_until(stream: &mut reqwest::Response, text: &mut String, wanted: &str) {
    while !text.contains(wanted) {
        let chunk = tokio::time::timeout(Duration::from_secs(20), stream.chunk());
        let chunk = chunk.await.expect("something comes").unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

fn from(address: IpAddr) -> reqwest::Client {
    let client = reqwest::Client::builder().local_address(address);
    client.no_proxy().build().unwrap()
}
