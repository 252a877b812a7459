//! The answers of both web integrations, request by request.

use actix_web::test as actix_test;
use actix_web::{App, web};
use axum::body::Body;
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::Value;
use tokensmith_verify::actix::{Bearer, RequireScope};
use tokensmith_verify::testing::Forge;
use tokensmith_verify::tower::BearerLayer;
use tokensmith_verify::{Claims, KeySet, NoCustomClaims, Verified, Verifier};
use tower::ServiceExt as _;

use crate::issuer::{AUDIENCE, Issuer};

/// What both frameworks must answer.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    challenge: Option<String>,
    retry_after: Option<String>,
    body: String,
}

impl Answer {
    fn error(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        assert!(body["error_description"].is_string(), "{}", self.body);
        Some(body["error"].as_str()?.to_owned())
    }
}

struct Request {
    path: &'static str,
    authorization: Vec<String>,
}

impl Request {
    fn new(path: &'static str) -> Self {
        Self {
            path,
            authorization: Vec::new(),
        }
    }

    fn authorization(mut self, value: impl Into<String>) -> Self {
        self.authorization.push(value.into());
        self
    }

    fn bearer(path: &'static str, token: &str) -> Self {
        Self::new(path).authorization(format!("Bearer {token}"))
    }
}

/// Sends the request through both frameworks and insists on one answer.
async fn answer(verifier: &Verifier, request: Request) -> Answer {
    let axum = by_axum(verifier.clone(), &request).await;
    let actix = by_actix(verifier.clone(), &request).await;
    assert_eq!(axum, actix);
    axum
}

async fn by_axum(verifier: Verifier, request: &Request) -> Answer {
    let any = BearerLayer::new(verifier);
    let orders_read = any.clone().require_scope("orders:read".parse().unwrap());
    let subject =
        |Extension(claims): Extension<Verified<Claims>>| async move { claims.sub.clone() };
    let app = Router::new()
        .route("/me", get(subject).layer(any))
        .route("/orders", get(subject).layer(orders_read));
    let mut builder = http::Request::builder().uri(request.path);
    for value in &request.authorization {
        builder = builder.header("authorization", value);
    }
    let response = app
        .oneshot(builder.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let header = |name| {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (status, challenge, retry_after) = (
        response.status().as_u16(),
        header("www-authenticate"),
        header("retry-after"),
    );
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    Answer {
        status,
        challenge,
        retry_after,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

async fn by_actix(verifier: Verifier, request: &Request) -> Answer {
    async fn subject(bearer: Bearer) -> String {
        bearer.sub.clone()
    }

    let orders_read = RequireScope::parse("orders:read").unwrap();
    let app = App::new()
        .app_data(web::Data::new(verifier))
        .route("/me", web::get().to(subject))
        .route("/orders", web::get().to(subject).wrap(orders_read));
    let app = actix_test::init_service(app).await;
    let mut builder = actix_test::TestRequest::get().uri(request.path);
    for value in &request.authorization {
        builder = builder.append_header(("authorization", value.as_str()));
    }
    let response = actix_test::call_service(&app, builder.to_request()).await;
    let header = |name| {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (status, challenge, retry_after) = (
        response.status().as_u16(),
        header("www-authenticate"),
        header("retry-after"),
    );
    let body = actix_test::read_body(response).await;
    Answer {
        status,
        challenge,
        retry_after,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

#[tokio::test]
async fn a_good_token_reaches_the_handler_whatever_the_case_of_the_scheme() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let token = forge
        .issue("ada")
        .audience(AUDIENCE)
        .scope("orders:read")
        .sign();
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer "] {
        for path in ["/me", "/orders"] {
            let request = Request::new(path).authorization(format!("{scheme} {token}"));
            let answer = answer(&verifier, request).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (200, "ada"),
                "{scheme} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_request_without_a_bearer_token_gets_a_challenge_without_an_error_code() {
    let verifier = Forge::new().verifier(AUDIENCE);
    for request in [
        Request::new("/orders"),
        Request::new("/me"),
        Request::new("/orders").authorization("Basic YTpi"),
        Request::new("/orders").authorization("DPoP e30.e30.e30"),
    ] {
        let answer = answer(&verifier, request).await;
        assert_eq!(answer.status, 401);
        let challenge = answer.challenge.as_deref();
        assert_eq!(challenge, Some(r#"Bearer realm="https://api.example.com""#));
    }
}

#[tokio::test]
async fn a_malformed_request_is_an_invalid_request() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let token = forge
        .issue("ada")
        .audience(AUDIENCE)
        .scope("orders:read")
        .sign();
    for request in [
        Request::bearer("/orders", &token).authorization(format!("Bearer {token}")),
        Request::bearer("/orders", &token).authorization("Basic YTpi"),
        Request::bearer("/orders?access_token=x", &token),
        Request::new("/orders?a=b&access_token=x"),
        Request::new("/orders").authorization("Bearer"),
        Request::new("/orders").authorization("Bearer "),
        Request::new("/orders").authorization("Bearer a b"),
        Request::new("/orders").authorization("Bearer a,b"),
    ] {
        let label = format!("{} {:?}", request.path, request.authorization);
        let answer = answer(&verifier, request).await;
        assert_eq!(answer.status, 400, "{label}");
        assert_eq!(
            answer.error().as_deref(),
            Some("invalid_request"),
            "{label}"
        );
        assert!(
            answer
                .challenge
                .unwrap()
                .contains(r#"error="invalid_request""#)
        );
    }
}

#[tokio::test]
async fn every_bad_token_gets_the_same_answer() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let mut answers = Vec::new();
    for token in [
        "x".to_owned(),
        "e30.e30.e30".to_owned(),
        forge.issue("ada").audience(AUDIENCE).expired().sign(),
        forge
            .issue("ada")
            .audience("https://other.example.com")
            .sign(),
        forge
            .clone()
            .with_kid("unknown")
            .issue("ada")
            .audience(AUDIENCE)
            .sign(),
        forge
            .issue("ada")
            .audience(AUDIENCE)
            .scope("orders:read")
            .bound_to("thumbprint")
            .sign(),
        Forge::for_issuer("https://evil.example")
            .issue("ada")
            .audience(AUDIENCE)
            .sign(),
    ] {
        answers.push(answer(&verifier, Request::bearer("/orders", &token)).await);
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
    assert_eq!(answers[0].status, 401);
    assert_eq!(answers[0].error().as_deref(), Some("invalid_token"));
    assert!(
        answers[0]
            .challenge
            .as_ref()
            .unwrap()
            .contains(r#"error="invalid_token""#)
    );
}

#[tokio::test]
async fn why_a_token_was_rejected_is_counted_for_the_operator() {
    let issuer = Issuer::start().await;
    let verifier = issuer.discover().connect().await.unwrap();
    let forge = issuer.forge();
    let clone = verifier.clone();
    assert_eq!(verifier.rejections().total(), 0);
    assert!(
        verifier
            .verify(&forge.issue("ada").audience(AUDIENCE).sign())
            .is_ok()
    );
    assert!(clone.verify(&forge.issue("ada").sign()).is_err());
    assert!(verifier.verify("x").is_err());
    // Looked at twice, because its key is asked for, and counted once.
    let unknown = forge.with_kid("unknown").issue("ada").sign();
    let waited = verifier.verify_waiting::<NoCustomClaims>(&unknown).await;
    assert!(waited.is_err());

    let stats = verifier.rejections();
    let counted: Vec<_> = stats.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(
        counted,
        [
            ("not_compact_jws", 1),
            ("unknown_kid", 1),
            ("wrong_audience", 1)
        ]
    );
    assert_eq!(clone.rejections(), stats);
    // Both frameworks verify the token.
    answer(&clone, Request::bearer("/me", "e30.e30.e30")).await;
    assert_eq!(verifier.rejections().count("malformed_header"), 2);
}

#[tokio::test]
async fn a_token_without_the_scope_is_told_which_one() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    for token in [
        forge.issue("ada").audience(AUDIENCE).sign(),
        forge
            .issue("ada")
            .audience(AUDIENCE)
            .scope("orders:write orders:readx")
            .sign(),
    ] {
        let answer = answer(&verifier, Request::bearer("/orders", &token)).await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.error().as_deref(), Some("insufficient_scope"));
        let challenge = answer.challenge.unwrap();
        assert!(
            challenge.contains(r#"error="insufficient_scope""#),
            "{challenge}"
        );
        assert!(challenge.contains(r#"scope="orders:read""#), "{challenge}");
    }
}

#[tokio::test]
async fn without_keys_the_answer_is_503_so_that_clients_keep_their_tokens() {
    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    verifier.replace_keys(KeySet::default());
    let token = forge.issue("ada").audience(AUDIENCE).sign();
    let answer = answer(&verifier, Request::bearer("/orders", &token)).await;
    assert_eq!((answer.status, answer.challenge.as_deref()), (503, None));
    assert_eq!(answer.retry_after.as_deref(), Some("5"));
}

#[tokio::test]
async fn the_first_token_of_a_new_key_is_let_through() {
    let issuer = Issuer::start().await;
    let verifier = issuer.discover().connect().await.unwrap();
    let new = issuer.forge().with_kid("new");
    issuer.serve_keys_of(&[&new]);
    let token = new
        .issue("ada")
        .audience(AUDIENCE)
        .scope("orders:read")
        .sign();
    let answer = answer(&verifier, Request::bearer("/orders", &token)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn custom_claims_are_part_of_the_extractor() {
    #[derive(Clone, serde::Deserialize)]
    struct Tenant {
        tenant: String,
    }
    async fn actix_tenant(bearer: Bearer<Tenant>) -> String {
        bearer.custom.tenant.clone()
    }

    let forge = Forge::new();
    let verifier = forge.verifier(AUDIENCE);
    let good = forge
        .issue("ada")
        .audience(AUDIENCE)
        .scope("a")
        .claim("tenant", "acme")
        .sign();
    let bad = forge.issue("ada").audience(AUDIENCE).scope("a").sign();

    let app = App::new().app_data(web::Data::new(verifier.clone())).route(
        "/",
        web::get()
            .to(actix_tenant)
            .wrap(RequireScope::parse("a").unwrap()),
    );
    let app = actix_test::init_service(app).await;
    for (token, status) in [(&good, 200), (&bad, 401)] {
        let request = actix_test::TestRequest::get()
            .append_header(("authorization", format!("Bearer {token}")));
        let response = actix_test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status().as_u16(), status);
    }

    let tenant = |Extension(claims): Extension<Verified<Claims<Tenant>>>| async move {
        claims.custom.tenant.clone()
    };
    let layer = BearerLayer::<Tenant>::with_custom_claims(verifier);
    let app = Router::new().route("/", get(tenant).layer(layer));
    for (token, status) in [(&good, 200), (&bad, 401)] {
        let request = http::Request::builder()
            .uri("/")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }
}

#[actix_web::test]
async fn an_actix_service_without_a_verifier_fails_closed() {
    async fn handler(_: Bearer) -> &'static str {
        "never"
    }

    let app = App::new().route("/", web::get().to(handler));
    let app = actix_test::init_service(app).await;
    let request = actix_test::TestRequest::get().append_header(("authorization", "Bearer x"));
    let response = actix_test::call_service(&app, request.to_request()).await;
    assert_eq!(response.status().as_u16(), 500);
}
