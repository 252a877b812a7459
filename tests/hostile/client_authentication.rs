//! Clients that prove less than who they are.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::header::AUTHORIZATION;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::app::TestClient;
use crate::harness::{Database, TestApp, now, on_every_database};

/// Where a client says who it is, with what would be a good request otherwise.
const ENDPOINTS: [(&str, &[(&str, &str)]); 5] = [
    ("/oauth/token", &[("grant_type", "client_credentials")]),
    ("/oauth/revoke", &[("token", "x")]),
    ("/oauth/introspect", &[("token", "x")]),
    ("/oauth/par", &[("response_type", "code")]),
    ("/oauth/challenge", &[("response_type", "code")]),
];

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn denied() -> (u16, String) {
    (401, "invalid_client".to_owned())
}

on_every_database! {
    async fn attack_26_no_endpoint_takes_less_than_the_secret(database) {
        let app = TestApp::start(&database).await;
        let orders = app.orders().await;
        let other = app.client("other", &["--scope", "other"]).await;
        let (id, secret) = (&*orders.id, &*orders.secret);
        let shorter = &secret[..secret.len() - 1];
        let wrong: Vec<String> = vec![
            String::new(),
            " ".to_owned(),
            "null".to_owned(),
            "tss1_".to_owned(),
            other.secret.clone(),
            shorter.to_owned(),
            format!("{secret}A"),
            format!("{secret}%00"),
            format!("{secret}%0a"),
            format!("{secret}+"),
            secret.to_uppercase(),
            secret.replacen("tss1_", "", 1),
            secret.replacen("tss1_", "tss1%255F", 1),
            format!("{id}:{secret}"),
        ];
        let mut headers: Vec<String> = wrong.iter().map(|wrong| basic(id, wrong)).collect();
        headers.extend([
            basic("", secret),
            basic("nobody", secret),
            basic("ORDERS", secret),
            basic("orders%00", secret),
            basic("other", secret),
            basic(id, secret).replacen("Basic", "Bearer", 1),
            basic(id, secret).replacen("Basic ", "Basic", 1),
            format!("Basic {id}:{secret}"),
            format!("Basic {}", URL_SAFE_NO_PAD.encode(format!("{id}:{secret}\u{fffd}"))),
            format!("Basic {}", STANDARD.encode(id)),
            "Basic".to_owned(),
            format!("Bearer {secret}"),
        ]);
        for (path, form) in ENDPOINTS {
            let with = |header: &str| {
                app.request(Method::POST, path).header(AUTHORIZATION, header).form(form)
            };
            let mut said = None;
            for header in &headers {
                let reply = app.send(with(header)).await;
                assert_eq!(reply.error(), denied(), "{path} {header}");
                assert!(reply.header("www-authenticate").starts_with("Basic "), "{path}");
                assert_eq!(said.get_or_insert(reply.text.clone()), &reply.text, "{path} {header}");
            }
            // Nor does a good one beside a bad one count, in whichever order.
            for two in [[basic(id, secret), basic(id, "x")], [basic(id, "x"), basic(id, secret)]] {
                let request = with(&two[0]).header(AUTHORIZATION, &two[1]);
                assert_eq!(app.send(request).await.error(), denied(), "{path} two headers");
            }
            for in_form in &wrong {
                let fields = [("client_id", id), ("client_secret", in_form)];
                let request = app.request(Method::POST, path).form(&[form, &fields].concat());
                assert_eq!(app.send(request).await.error(), denied(), "{path} {in_form:?}");
            }
            let reply = app.send(with(&basic(id, secret))).await;
            assert_ne!(reply.status, 401, "{path}: with its secret it is known");
        }
    }
}

on_every_database! {
    async fn attack_26_a_client_that_cannot_prove_itself_is_in_the_audit_log_and_does_not_flood_it(database) {
        let app = TestApp::start(&database).await;
        let orders = app.orders().await;
        for (id, secret) in [(orders.id.as_str(), "wrong"), ("made-up", "tss1_x")] {
            for _ in 0..30 {
                let request = app.request(Method::POST, "/oauth/token");
                let request = request.header(AUTHORIZATION, basic(id, secret));
                let reply = app.send(request.form(&[("grant_type", "client_credentials")])).await;
                assert_eq!(reply.error(), denied());
            }
        }
        let said = app.run(&["audit", "list", "--event", "client_refused", "--json"]);
        let about = |id: &str| {
            let known = said.out.matches(&format!("\"client_id\":\"{id}\"")).count();
            known + said.out.matches(&format!("\"client_id\": \"{id}\"")).count()
        };
        assert_eq!(about(&orders.id), 1, "{}", said.out);
        assert!(said.out.contains("unknown client"), "{}", said.out);
        assert!(!said.out.contains("made-up"), "a stranger writes nothing into the log");
        assert!(!said.out.contains("wrong"), "{}", said.out);
    }
}

on_every_database! {
    async fn attack_26_a_public_client_is_none_with_a_secret_and_a_confidential_none_without(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let backend = app.app_for_people("backend", &["--first-party"]).await;
        let without = TestClient { secret: String::new(), ..backend.clone() };
        let with = TestClient { secret: backend.secret.clone(), ..phone.clone() };
        let (theirs, own) = (app.login(&backend, &ada).await, app.login(&phone, &ada).await);
        for (impostor, tokens) in [(&without, &theirs), (&with, &own)] {
            let token = &tokens.refresh_token;
            assert_eq!(app.refresh(impostor, token, &[]).await.error(), denied());
            assert_eq!(app.revoke(impostor, token).await.error(), denied());
            assert_eq!(app.introspect(impostor, token).await.error(), denied());
            assert_eq!(app.challenge(impostor, &ada, &[]).await.error(), denied());
        }
        // A client of a kind that cannot prove itself is told nothing about tokens at all.
        assert_eq!(app.introspect(&phone, &own.access_token).await.error(), denied());
        assert_eq!(app.refresh(&backend, &theirs.refresh_token, &[]).await.status, 200);
        assert_eq!(app.refresh(&phone, &own.refresh_token, &[]).await.status, 200);
    }
}

/// The median time of an answer, of requests that take turns.
async fn medians(app: &TestApp, requests: &[&dyn Fn() -> RequestBuilder]) -> Vec<Duration> {
    const ROUNDS: usize = 101;
    let mut times = vec![Vec::new(); requests.len()];
    for _ in 0..ROUNDS {
        for (request, times) in requests.iter().zip(&mut times) {
            let start = Instant::now();
            assert_eq!(app.send(request()).await.status, 401);
            times.push(start.elapsed());
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    times.into_iter().map(median).collect()
}

#[tokio::test]
async fn attack_26_how_long_a_refusal_takes_does_not_tell_what_was_wrong() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let orders = app.orders().await;
    let (secret, length) = (orders.secret.clone(), orders.secret.len());
    let with = |id: &'static str, secret: String| {
        let app = &app;
        move || {
            let form = [("grant_type", "client_credentials")];
            let request = app.request(Method::POST, "/oauth/token");
            request.basic_auth(id, Some(&secret)).form(&form)
        }
    };
    let unknown = with("nobody", secret.clone());
    let first = with("orders", format!("X{}", &secret[1..]));
    let last = with("orders", format!("{}X", &secret[..length - 1]));
    let short = with("orders", "X".to_owned());
    // One HMAC and a comparison are microseconds of an answer of some hundred; a look at the
    // database or a slow hash would be a multiple. A busy machine gets three tries.
    let mut seen = Vec::new();
    for _ in 0..3 {
        let times = medians(&app, &[&unknown, &first, &last, &short]).await;
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        if most.as_secs_f64() < least.as_secs_f64() * 1.5 {
            return;
        }
        seen.push(times);
    }
    panic!("unknown client, wrong at the first letter, at the last, short: {seen:?}");
}

/// Assertions that would prove a client elsewhere (RFC 7523 §2.2), if somebody believed them.
fn assertions(app: &TestApp, client: &TestClient, jku: &str) -> Vec<String> {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token_endpoint = format!("{}/oauth/token", app.issuer);
    let claims = |aud: Value| {
        part(json!({
            "iss": client.id, "sub": client.id, "aud": aud, "jti": "1", "exp": now() + 60,
        }))
    };
    let header = |alg: &str| part(json!({ "alg": alg, "jku": jku, "kid": "x" }));
    let mac = |signed: &str| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, client.secret.as_bytes());
        URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, signed.as_bytes()))
    };
    let audiences = [
        json!(token_endpoint),
        json!(app.issuer),
        json!([app.issuer, "https://other.example.com"]),
    ];
    let mut all = Vec::new();
    for audience in audiences {
        for alg in ["none", "HS256", "RS256"] {
            let signed = format!("{}.{}", header(alg), claims(audience.clone()));
            let signature = if alg == "HS256" {
                mac(&signed)
            } else {
                String::new()
            };
            all.push(format!("{signed}.{signature}"));
        }
    }
    all
}

#[tokio::test]
async fn attack_27_an_assertion_proves_nothing() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let orders = app.orders().await;
    let keys = TcpListener::bind("127.0.0.1:0").unwrap();
    keys.set_nonblocking(true).unwrap();
    let jku = format!("http://{}/jwks.json", keys.local_addr().unwrap());
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    for assertion in assertions(&app, &orders, &jku) {
        for (path, form) in ENDPOINTS {
            for client_id in [Some("orders"), None] {
                let mut fields = form.to_vec();
                fields.extend(client_id.map(|id| ("client_id", id)));
                fields.extend([
                    ("client_assertion_type", kind),
                    ("client_assertion", &assertion),
                ]);
                let request = app.request(Method::POST, path).form(&fields);
                assert_eq!(
                    app.send(request).await.error(),
                    denied(),
                    "{path} {assertion}"
                );
            }
        }
    }
    assert!(
        keys.accept().is_err(),
        "nobody has asked for the attacker's keys"
    );
    let metadata = app
        .get("/.well-known/oauth-authorization-server")
        .await
        .json();
    for (name, value) in metadata.as_object().unwrap() {
        let is_about_clients = name.contains("endpoint_auth") || name.starts_with("request_");
        let offers = value.to_string();
        assert!(
            !is_about_clients || !offers.contains("_jwt"),
            "{name}: {offers}"
        );
        assert!(!name.contains("auth_signing_alg"), "{name}: {offers}");
    }
    let administrator = app.admin_token().await;
    for method in ["private_key_jwt", "client_secret_jwt", "tls_client_auth"] {
        let body = json!({
            "grant_types": ["client_credentials"], "token_endpoint_auth_method": method,
        });
        let reply = app
            .admin(&administrator, Method::POST, "/clients", Some(body))
            .await;
        assert_eq!(
            reply.error(),
            (400, "invalid_request".to_owned()),
            "{method}"
        );
    }
}
