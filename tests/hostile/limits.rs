//! How much one caller may ask. `docs/limits.md` lists every limit with its test.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::app::TestClient;
use crate::harness::login::TestUser;
use crate::harness::{Database, Reply, TestApp, on_every_database, wait};

/// Addresses are told by the proxy in front, as in production.
const BEHIND_A_PROXY: (&str, &str) = ("TOKENSMITH_TRUSTED_PROXIES", "127.0.0.1");
/// Ten at once, and then one a second.
const SLOW: (&str, &str) = ("TOKENSMITH_LIMITS_ADDRESS_PER_SECOND", "1");
const AT_ONCE: usize = 10;

/// A refresh with a token that was never good.
fn refresh(app: &TestApp, client: &TestClient, token: &str) -> RequestBuilder {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    app.form(client, "/oauth/token", &form)
}

/// The statuses of so many requests, from an address as the proxy tells it.
async fn statuses(
    app: &TestApp,
    count: usize,
    address: &str,
    request: impl Fn() -> RequestBuilder,
) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        let reply = app.send(request().header("x-forwarded-for", address)).await;
        if reply.status == 429 {
            assert_told_to_wait(&reply);
        }
        statuses.push(reply.status.as_u16());
    }
    statuses
}

fn assert_told_to_wait(reply: &Reply) {
    assert_eq!(reply.error(), (429, "temporarily_unavailable".to_owned()));
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test]
async fn attack_38_requests_that_lead_nowhere_are_limited_by_address() {
    let database = Database::sqlite();
    let app = TestApp::start_with(&database, &[BEHIND_A_PROXY, SLOW]).await;
    let phone = app.phone().await;
    let guess = || refresh(&app, &phone, "tsr1_guess");
    let seen = statuses(&app, AT_ONCE + 5, "192.0.2.7", guess).await;
    assert_eq!(seen[..AT_ONCE], [400; AT_ONCE]);
    assert!(seen[AT_ONCE..].contains(&429), "{seen:?}");
    // The same limit for what else strangers can ask.
    for path in [
        "/oauth/token",
        "/oauth/revoke",
        "/oauth/introspect",
        "/oauth/par",
        "/oauth/challenge",
    ] {
        let stranger = || app.request(Method::POST, path).form(&[("client_id", "x")]);
        let seen = statuses(&app, 3, "192.0.2.7", stranger).await;
        assert!(seen.contains(&429), "{path}: {seen:?}");
    }
    let neighbour = statuses(&app, 1, "192.0.2.8", guess).await;
    assert_eq!(neighbour, [400]);
    assert!(app.metric("tokensmith_rate_limited_total", "address").await >= 1.0);
    wait::until("who waits is served again", || async {
        let seen = statuses(&app, 1, "192.0.2.7", guess).await;
        (seen == [400]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn attack_38_another_address_in_the_header_is_no_way_around_the_limit() {
    let database = Database::sqlite();
    let app = TestApp::start_with(&database, &[BEHIND_A_PROXY, SLOW]).await;
    let phone = app.phone().await;
    let mut turned_away = 0;
    for number in 0..2 * AT_ONCE {
        // What stands left of the proxy's own word was written by the stranger.
        let claimed = format!("198.51.100.{number}, 192.0.2.7");
        let request = refresh(&app, &phone, "tsr1_guess").header("x-forwarded-for", claimed);
        turned_away += usize::from(app.send(request).await.status == 429);
    }
    assert!(turned_away >= AT_ONCE - 3, "{turned_away}");
    let of_one_subscriber = async |number: usize| {
        let address = format!("2001:db8:7::{number:x}");
        let request = refresh(&app, &phone, "tsr1_guess").header("x-forwarded-for", address);
        app.send(request).await.status.as_u16()
    };
    let mut seen = Vec::new();
    for number in 1..=2 * AT_ONCE {
        seen.push(of_one_subscriber(number).await);
    }
    assert!(seen.contains(&429), "a /64 is one subscriber: {seen:?}");
}

on_every_database! {
    async fn a_server_that_calls_for_many_people_is_not_limited_by_address(database) {
        let app = TestApp::start_with(&database, &[BEHIND_A_PROXY, SLOW]).await;
        let server = app.app_for_people("server", &["--first-party"]).await;
        let expired = || refresh(&app, &server, "tsr1_expired");
        let seen = statuses(&app, 3 * AT_ONCE, "192.0.2.7", expired).await;
        assert_eq!(seen, vec![400; 3 * AT_ONCE]);
        // Not even when strangers use the address up.
        let stranger = || app.request(Method::POST, "/oauth/token").form(&[("client_id", "x")]);
        let seen = statuses(&app, 2 * AT_ONCE, "192.0.2.7", stranger).await;
        assert!(seen.contains(&429), "{seen:?}");
        assert_eq!(statuses(&app, 1, "192.0.2.7", expired).await, [400]);
    }
}

on_every_database! {
    async fn people_who_succeed_are_not_limited_by_address(database) {
        let app = TestApp::start_with(&database, &[BEHIND_A_PROXY, SLOW]).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let mut tokens = app.login(&phone, &ada).await;
        for number in 0..3 * AT_ONCE {
            let request = refresh(&app, &phone, &tokens.refresh_token);
            let reply = app.send(request.header("x-forwarded-for", "192.0.2.7")).await;
            assert_eq!(reply.status, 200, "{number}: {}", reply.text);
            tokens = crate::harness::login::Tokens::of(&reply);
        }
    }
}

#[tokio::test]
async fn who_has_to_wait_loses_nothing() {
    let database = Database::sqlite();
    let app = TestApp::start_with(&database, &[BEHIND_A_PROXY, SLOW]).await;
    let phone = app.phone().await;
    let tokens = app.login(&phone, &app.user("ada").await).await;
    let guess = || refresh(&app, &phone, "tsr1_guess");
    let seen = statuses(&app, 2 * AT_ONCE, "192.0.2.7", guess).await;
    assert!(seen.contains(&429));
    // The honest phone behind the same address is told to wait, not logged out.
    wait::until("the phone is served", || async {
        let request = refresh(&app, &phone, &tokens.refresh_token);
        let reply = app
            .send(request.header("x-forwarded-for", "192.0.2.7"))
            .await;
        assert!(reply.status == 200 || reply.status == 429, "{}", reply.text);
        (reply.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_runs_wild_is_limited_where_the_operator_says_so() {
    let database = Database::sqlite();
    let app = TestApp::start_with(&database, &[("TOKENSMITH_LIMITS_CLIENT_PER_SECOND", "1")]).await;
    let orders = app.orders().await;
    let other = app.client("other", &["--scope", "orders:read"]).await;
    let mut turned_away = 0;
    for _ in 0..2 * AT_ONCE {
        let reply = app.token(&orders, &[]).await;
        if reply.status == 429 {
            assert_told_to_wait(&reply);
            turned_away += 1;
        }
    }
    assert!(turned_away >= AT_ONCE - 3, "{turned_away}");
    assert_eq!(app.token(&other, &[]).await.status, 200);
    assert!(app.metric("tokensmith_rate_limited_total", "client").await >= 1.0);
    // Nobody else can use up what the client may have.
    let impostor = TestClient {
        secret: "tss1_wrong".to_owned(),
        ..other.clone()
    };
    for _ in 0..3 * AT_ONCE {
        assert_eq!(app.token(&impostor, &[]).await.status, 401);
    }
    assert_eq!(app.token(&other, &[]).await.status, 200);
}

#[tokio::test]
async fn a_client_that_shows_its_secret_has_no_limit_by_default() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let orders = app.orders().await;
    for _ in 0..300 {
        assert_eq!(app.token(&orders, &[]).await.status, 200);
    }
}

#[tokio::test]
async fn attack_16_json_that_is_deep_or_wide_is_refused() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let administrator = app.admin_token().await;
    let create = async |body: String| {
        let request = app.request(Method::POST, "/api/admin/clients");
        let request = request.bearer_auth(&administrator);
        let request = request.header("content-type", "application/json");
        app.send(request.body(body)).await
    };
    let deep = format!("{}{}", "[".repeat(8_000), "]".repeat(8_000));
    assert_eq!(create(deep.clone()).await.status, 400);
    assert_eq!(
        create(format!(r#"{{"client_id":{deep}}}"#)).await.status,
        400
    );
    // Of so many levels, with the outermost object and the value in the middle.
    let nested = |levels: usize| (1..levels).fold(json!("x"), |inner, _| json!({ "a": inner }));
    let members = |count: usize| -> Value { (0..count).map(|n| (format!("c{n}"), n)).collect() };
    for (id, claims, is_good) in [
        ("deep-8", nested(8), true),
        ("deep-9", nested(9), false),
        ("wide-64", members(64), true),
        ("wide-65", members(65), false),
    ] {
        let client = json!({
            "client_id": id, "grant_types": ["client_credentials"], "access_token_claims": claims
        });
        let reply = create(client.to_string()).await;
        if is_good {
            assert_eq!(reply.status, 201, "{id}: {}", reply.text);
        } else {
            let expected = (400, "invalid_client_metadata".to_owned());
            assert_eq!(reply.error(), expected, "{id}: {}", reply.text);
            assert!(reply.text.contains("nest at most 8"), "{}", reply.text);
        }
    }
    let wide = format!(r#"{{"client_id":"wide","x":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(create(wide).await.status, 413);
}

/// That it is refused with this error because of this limit, and for no other reason.
fn assert_beyond(reply: &Reply, error: &str, limit: &str) {
    assert_eq!(reply.error(), (400, error.to_owned()), "{}", reply.text);
    let body = reply.json();
    let description = body["error_description"].as_str().unwrap();
    assert!(description.contains(limit), "{description}");
}

/// That it is refused for another reason.
fn assert_within(reply: &Reply, error: &str, limit: &str) {
    assert_eq!(reply.error(), (400, error.to_owned()), "{}", reply.text);
    assert!(!reply.text.contains(limit), "{}", reply.text);
}

#[tokio::test]
async fn what_a_request_names_has_limits() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let orders = app.orders().await;
    let phone = app.phone().await;
    let administrator = app.admin_token().await;

    let scope = async |length: usize| app.token(&orders, &[("scope", &"x".repeat(length))]).await;
    assert_within(&scope(2_048).await, "invalid_scope", "longer than");
    assert_beyond(&scope(2_049).await, "invalid_scope", "longer than 2048");
    let resource = async |length: usize| {
        let start = "https://api.example.com/";
        let uri = format!("{start}{}", "x".repeat(length - start.len()));
        app.token(&orders, &[("resource", &uri)]).await
    };
    // One that is too long is not even looked for among those of the client.
    assert_within(&resource(512).await, "invalid_target", "absolute URI");
    assert_beyond(&resource(513).await, "invalid_target", "absolute URI");
    let one = ("resource", "https://api.example.com");
    let many = app.token(&orders, &[one; 33]).await;
    assert_eq!(many.error(), (400, "invalid_request".to_owned()));
    let keyed = async |length: usize| {
        let request = refresh(&app, &phone, "tsr1_x");
        let reply = app.send(request.header("idempotency-key", "k".repeat(length)));
        reply.await.error()
    };
    assert_eq!(keyed(256).await, (400, "invalid_grant".to_owned()));
    assert_eq!(keyed(257).await, (400, "invalid_request".to_owned()));
    for (path, expected) in [("/clients?limit=200", 200), ("/clients?limit=201", 400)] {
        let list = app.admin(&administrator, Method::GET, path, None).await;
        assert_eq!(list.status, expected, "{}", list.text);
    }
}

#[tokio::test]
async fn a_password_has_256_bytes_at_most() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let phone = app.phone().await;
    let administrator = app.admin_token().await;
    let create = async |username: &str, password: &str| {
        let body = Some(json!({ "username": username, "password": password }));
        app.admin(&administrator, Method::POST, "/users", body)
            .await
    };
    // Nothing that is easy to guess: the same digits do not come again.
    let digits: Vec<_> = (1..=32_u32)
        .map(|number| format!("{:08x}", number.wrapping_mul(0x9e37_79b9)))
        .collect();
    let longest = digits.concat();
    assert_eq!(longest.len(), 256);
    let longer = format!("{longest}x");
    let created = create("ada", &longest).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let refused = create("grace", &longer).await;
    assert_beyond(&refused, "unacceptable_password", "at most 256 bytes");

    // Nor is the rest cut off when somebody logs in.
    let ada = |password: String| TestUser {
        id: created.json()["user_id"].as_str().unwrap().to_owned(),
        name: "ada".to_owned(),
        password,
    };
    let login = app.challenge(&phone, &ada(longer), &[]).await;
    let expected = (400, "insufficient_authorization".to_owned());
    assert_eq!(login.error(), expected, "{}", login.text);
    app.code(&phone, &ada(longest)).await;
}

#[tokio::test]
async fn what_is_registered_has_limits() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let administrator = app.admin_token().await;
    let uris: Vec<_> = (0..33)
        .map(|n| format!("https://app.example/{n}"))
        .collect();
    let with_uri = async |length: usize| {
        let start = "https://app.example/";
        let uri = format!("{start}{}", "x".repeat(length - start.len()));
        let body = json!({
            "client_id": format!("uri-{length}"), "grant_types": ["authorization_code"],
            "redirect_uris": [uri]
        });
        app.admin(&administrator, Method::POST, "/clients", Some(body))
            .await
    };
    assert_eq!(with_uri(512).await.status, 201);
    assert_beyond(&with_uri(513).await, "invalid_request", "1 to 512");
    let scopes: Vec<_> = (0..500).map(|n| format!("scope-number-{n}")).collect();
    for (limit, metadata) in [
        ("at most 32 redirect URIs", json!({ "redirect_uris": uris })),
        (
            "at most 32 post-logout redirect URIs",
            json!({
                "redirect_uris": ["https://app.example/cb"], "post_logout_redirect_uris": uris
            }),
        ),
        (
            "the most is 4096",
            json!({
                "redirect_uris": ["https://app.example/cb"], "scope": scopes.join(" ")
            }),
        ),
    ] {
        let mut body = json!({ "client_id": "large", "grant_types": ["authorization_code"] });
        for (name, value) in metadata.as_object().unwrap() {
            body[name] = value.clone();
        }
        let refused = app
            .admin(&administrator, Method::POST, "/clients", Some(body))
            .await;
        assert_beyond(&refused, "invalid_client_metadata", limit);
    }
}

#[tokio::test]
async fn a_key_set_does_not_grow_without_end() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let administrator = app.admin_token().await;
    // A further key is made when the one before it signs, two seconds later.
    wait::within(
        Duration::from_mins(1),
        "no further key is made",
        async || {
            let body = Some(json!({ "alg": "Ed25519", "now": true }));
            let rotate = app.admin(&administrator, Method::POST, "/keys/rotate", body);
            let status = rotate.await.status.as_u16();
            assert!([200, 409].contains(&status), "{status}");
            (status == 409).then_some(())
        },
    )
    .await;
    let jwks = app.get("/.well-known/jwks.json").await.json();
    assert!(jwks["keys"].as_array().unwrap().len() <= 12 + 1, "{jwks}");
}
