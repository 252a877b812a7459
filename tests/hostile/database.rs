//! A database that fails: stopped, crashed, frozen, out of reach, slow, full, locked, overrun. Each time
//! the same is asked ([`Scene`]): what needs no database goes on, everything else is told to come back
//! later, nothing that anybody holds is lost, and all of it works again soon after the database does.
//!
//! That every endpoint has an answer for it is in `service::contract`, that verifiers notice in
//! `service::instant_logout`.

mod disk;
mod network;
mod overload;
mod server;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::harness::app::TestClient;
use crate::harness::authorize::AuthorizationRequest;
use crate::harness::login::{TestUser, Tokens};
use crate::harness::person::Person;
use crate::harness::revocation::bit;
use crate::harness::{Database, Reply, TestApp, wait};

/// The settings of most tests: so that nobody waits for long.
const IMPATIENT: (&str, &str) = ("TOKENSMITH_DATABASE_TIMEOUT", "2s");
/// No promise: a machine that does other things at the same time.
const SLACK: Duration = Duration::from_secs(1);
/// The promise: so soon after the database is back, everything works again.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);
/// In the URL of the database, and nowhere else.
const PASSWORD: &str = "correct-horse-battery";

/// The service with clients and people, before, during and after the trouble.
struct Scene {
    app: TestApp,
    orders: TestClient,
    phone: TestClient,
    /// An API with a website: it has a secret, and may ask what is the matter with tokens for it.
    api: TestClient,
    /// Is disabled in the end.
    leaving: TestClient,
    ada: TestUser,
    /// What the phone of Ada has.
    tokens: Tokens,
    /// Another session of hers, which is ended in the end.
    other: Tokens,
    administrator: String,
    /// Ada's browser, where she is signed in.
    browser: Person,
    /// How long an operation may take.
    timeout: Duration,
}

impl Scene {
    async fn on(database: &Database, settings: &[(&str, &str)]) -> Self {
        let app = TestApp::start_with(database, settings).await;
        let (orders, phone) = (app.orders().await, app.phone().await);
        let arguments = [
            "--first-party",
            "--resource-server",
            "https://api.example.com",
        ];
        let api = app.app_for_people("api", &arguments).await;
        let leaving = app.client("leaving", &["--scope", "orders:read"]).await;
        let ada = app.user("ada").await;
        let mut browser = Person::new(&app);
        app.code_in_browser(&mut browser, &phone, &ada, &[]).await;
        let given = settings.iter().find(|(name, _)| *name == IMPATIENT.0);
        Self {
            tokens: app.login(&phone, &ada).await,
            other: app.login(&phone, &ada).await,
            administrator: app.admin_token().await,
            timeout: Duration::from_secs(if given.is_some() { 2 } else { 3 }),
            app,
            orders,
            phone,
            api,
            leaving,
            ada,
            browser,
        }
    }

    /// What needs no database: tokens for services, published documents, the lists of what is revoked.
    async fn goes_on(&self) {
        let (list, _) = bit(&self.tokens.access_token);
        let list = list.strip_prefix(&self.app.issuer).unwrap().to_owned();
        for path in [
            "/healthz",
            "/.well-known/jwks.json",
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
            "/revocation/snapshot",
            "/metrics",
            &list,
        ] {
            assert_eq!(self.app.get(path).await.status, 200, "{path}");
        }
        let begun = Instant::now();
        for _ in 0..20 {
            self.app.access_token(&self.orders).await;
        }
        // Each would have waited for as long as an operation may take.
        let took = begun.elapsed();
        assert!(took < self.timeout * 5, "20 tokens took {took:?}");
    }

    /// What changes something: told to come back later, within the time that two operations may take.
    async fn turns_writers_away(&mut self) {
        let (app, phone) = (&self.app, &self.phone);
        let login = TestApp::login_form(&self.ada, &[]);
        let ended = [("token", self.other.refresh_token.as_str())];
        let pushed = AuthorizationRequest::of(&self.api).parameters;
        let pushed: Vec<_> = pushed
            .iter()
            .map(|(name, value)| (&**name, value))
            .collect();
        let admin = |method, path| app.request(method, path).bearer_auth(&self.administrator);
        self.turns_away(vec![
            ("a refresh", self.refresh()),
            ("a login", app.form(phone, "/oauth/challenge", &login)),
            ("a logout", app.form(phone, "/oauth/revoke", &ended)),
            (
                "a pushed request",
                app.form(&self.api, "/oauth/par", &pushed),
            ),
            (
                "an administrator",
                admin(Method::POST, "/api/admin/clients/leaving/disable"),
            ),
        ])
        .await;
    }

    /// What only reads, and cannot answer from memory.
    async fn turns_readers_away(&mut self) {
        let app = &self.app;
        let token = [("token", self.tokens.access_token.as_str())];
        let me = app.request(Method::GET, "/oauth/userinfo");
        let clients = app.request(Method::GET, "/api/admin/users");
        self.turns_away(vec![
            (
                "introspection",
                app.form(&self.api, "/oauth/introspect", &token),
            ),
            ("userinfo", me.bearer_auth(&self.tokens.access_token)),
            ("an administrator", clients.bearer_auth(&self.administrator)),
        ])
        .await;
        let begun = Instant::now();
        let request = AuthorizationRequest::of(&self.phone);
        let page = self.app.authorize(&mut self.browser, &request).await;
        assert_eq!(page.status, 503, "{}", page.text);
        assert!(page.header("retry-after").parse::<u32>().is_ok());
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(begun.elapsed() < self.timeout * 2 + SLACK);
    }

    async fn turns_away(&self, requests: Vec<(&str, RequestBuilder)>) {
        let begun = Instant::now();
        let asked = requests.into_iter();
        let asked =
            asked.map(|(what, request)| async move { (what, self.app.send(request).await) });
        for (what, reply) in join_all(asked).await {
            assert!(is_told_to_come_back(&reply), "{what}: {reply:?}");
        }
        let took = begun.elapsed();
        assert!(
            took < self.timeout * 2 + SLACK,
            "turned away after {took:?}"
        );
    }

    /// The load balancer is told.
    async fn is_not_ready(&self) {
        let reply = wait::within(Duration::from_secs(4), "it says so", || async {
            let reply = self.app.get("/readyz").await;
            (reply.status == 503).then_some(reply)
        });
        assert_eq!(reply.await.json()["database"], false);
    }

    fn refresh(&self) -> RequestBuilder {
        let token = &self.tokens.refresh_token;
        self.app.refresh_request(&self.phone, token, &[])
    }

    /// The database is back at this moment.
    async fn recovers(&mut self) {
        let back = Instant::now();
        // The same token as before, and again if it takes a while: that is what an app does.
        let refreshed = wait::within(RECOVERED_WITHIN, "a refresh works again", || async {
            let reply = self.app.send(self.refresh()).await;
            assert!(
                reply.status == 200 || is_told_to_come_back(&reply),
                "{reply:?}"
            );
            (reply.status == 200).then_some(reply)
        })
        .await;
        let left = || RECOVERED_WITHIN.saturating_sub(back.elapsed());
        self.tokens = Tokens::of(&refreshed);
        let heartbeats = || {
            self.app
                .metric("tokensmith_revocation_heartbeats_total", "")
        };
        let heard = heartbeats().await;
        wait::within(left(), "it is ready, and verifiers hear of it", || async {
            let is_ready = self.app.get("/readyz").await.status == 200;
            (is_ready && heartbeats().await > heard).then_some(())
        })
        .await;
        self.has_lost_nothing().await;
    }

    async fn has_lost_nothing(&mut self) {
        let app = &self.app;
        // The session goes on, and so does the browser; a login works as before.
        self.tokens = Tokens::of(&app.send(self.refresh()).await);
        let other = app
            .refresh(&self.phone, &self.other.refresh_token, &[])
            .await;
        self.other = Tokens::of(&other);
        let callback = app
            .code_in_browser(&mut self.browser, &self.phone, &self.ada, &[])
            .await;
        assert!(callback.code.is_some(), "without a password");
        app.login(&self.phone, &self.ada).await;
        // What is revoked and changed now is seen.
        assert!(app.is_good(&self.api, &self.other.access_token).await);
        let revoked = app.revoke(&self.phone, &self.other.refresh_token).await;
        assert_eq!(revoked.status, 200);
        assert!(!app.is_good(&self.api, &self.other.access_token).await);
        assert_eq!(app.run(&["client", "disable", "leaving"]).code, 0);
        wait::until("the client is disabled", || async {
            (app.token(&self.leaving, &[]).await.status == 401).then_some(())
        })
        .await;
        let verified = app.run(&["audit", "verify"]);
        assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
        let sessions = app.run(&["session", "list", "ada", "--json"]).json();
        let live = |tokens: &Tokens| sessions.to_string().contains(&tokens.sid);
        assert!(live(&self.tokens) && !live(&self.other));
    }

    /// The log says when each trouble began and when it was over, once each, and no secret.
    fn has_logged_it(&self, what: &str, outages: usize) {
        let log = self.app.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let messages: Vec<String> = lines.map(|line| line["message"].to_string()).collect();
        let count = |start: &str| {
            let wanted = format!("\"{start}{what}");
            messages.iter().filter(|it| it.starts_with(&wanted)).count()
        };
        assert_eq!((count(""), count("over: ")), (outages, outages), "{log}");
        assert!(!log.contains(PASSWORD), "the password of the database");
        assert!(!log.contains(&self.tokens.refresh_token), "a refresh token");
    }
}

/// As many requests at once as the system allows: each has a connection.
fn allow_many_connections() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

/// RFC 9110 §15.6.4, with the seconds to wait.
fn is_told_to_come_back(reply: &Reply) -> bool {
    reply.status == 503
        && reply.header("retry-after").parse::<u32>().is_ok()
        && reply.error().1 == "temporarily_unavailable"
}
