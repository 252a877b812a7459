//! Forged access tokens at the one endpoint of this server that takes them. The verifier library
//! has the long list; these are the forgeries that need the real server's keys and tokens.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Database, TestApp, now, on_every_database, wait};

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decode(segment: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).unwrap()).unwrap()
}

/// The token of an administrator, taken apart.
struct Genuine {
    token: String,
    header: Value,
    claims: Value,
    signature: String,
}

impl Genuine {
    async fn of(app: &TestApp) -> Self {
        let token = app.admin_token().await;
        let segments: Vec<&str> = token.split('.').collect();
        Self {
            header: decode(segments[0]),
            claims: decode(segments[1]),
            signature: segments[2].to_owned(),
            token: token.clone(),
        }
    }

    /// The token with other members and the old signature.
    fn with(&self, header: &Value, claims: &Value) -> String {
        let merge = |base: &Value, change: &Value| {
            let mut merged = base.clone();
            for (name, value) in change.as_object().unwrap() {
                merged[name] = value.clone();
            }
            encode(&merged)
        };
        let (header, claims) = (merge(&self.header, header), merge(&self.claims, claims));
        format!("{header}.{claims}.{}", self.signature)
    }
}

async fn assert_rejected(app: &TestApp, name: &str, token: &str) {
    let reply = app.admin(token, Method::GET, "/clients", None).await;
    assert_eq!(reply.error(), (401, "invalid_token".into()), "{name}");
    let challenge = reply.header("www-authenticate");
    assert!(
        challenge.starts_with("Bearer ") && challenge.contains("invalid_token"),
        "{name}"
    );
    assert_eq!(
        reply.json()["error_description"],
        "the access token is not valid here",
        "{name}: which check failed is nobody's business",
    );
}

on_every_database! {
    async fn a_forged_token_is_rejected(database) {
        let app = TestApp::start(&database).await;
        let genuine = Genuine::of(&app).await;
        assert_eq!(app.admin(&genuine.token, Method::GET, "/clients", None).await.status, 200);

        let none = json!({ "alg": "none" });
        let unsigned = genuine.with(&none, &json!({}));
        let (signing_input, _) = unsigned.rsplit_once('.').unwrap();
        let other_kid = json!({ "kid": "A".repeat(43) });
        let jwk: Value = app.get("/.well-known/jwks.json").await.json()["keys"][0].clone();
        for (name, token) in [
            ("alg none, signature kept", unsigned.clone()),
            ("alg none, signature empty", format!("{signing_input}.")),
            ("alg none, two parts", signing_input.to_owned()),
            ("alg None", genuine.with(&json!({ "alg": "None" }), &json!({}))),
            ("alg RS384 on an RS256 key", genuine.with(&json!({ "alg": "RS384" }), &json!({}))),
            ("an unknown kid", genuine.with(&other_kid, &json!({}))),
            ("another typ", genuine.with(&json!({ "typ": "JWT" }), &json!({}))),
            ("expired", genuine.with(&json!({}), &json!({ "exp": now() - 3600 }))),
            ("longer life", genuine.with(&json!({}), &json!({ "exp": now() + 3000 }))),
            ("another audience", genuine.with(&json!({}), &json!({ "aud": "https://x.example" }))),
            ("another scope", genuine.with(&json!({}), &json!({ "scope": "tokensmith:admin x" }))),
            ("an embedded key", genuine.with(&json!({ "jwk": jwk }), &json!({ "sub": "x" }))),
            ("trailing dot", format!("{}.", genuine.token)),
            ("padding", format!("{}=", genuine.token)),
            ("oversized", "a".repeat(10_000)),
        ] {
            assert_rejected(&app, name, &token).await;
        }
    }
}

on_every_database! {
    async fn a_genuine_signature_does_not_make_up_for_a_wrong_claim_or_type(database) {
        let app = TestApp::start(&database).await;
        let admin = app.admin_token().await;
        let kid = import_key(&app, &admin).await;
        let sign = |typ: &str, kid: &str, change| sign_like(&admin, (typ, kid), &[change]);
        let unchanged = ("jti", json!("x"));
        let genuine = sign("at+jwt", &kid, unchanged.clone());
        assert_eq!(app.admin(&genuine, Method::GET, "/clients", None).await.status, 200);
        for (name, token) in [
            ("another typ", sign("JWT", &kid, unchanged.clone())),
            ("an unknown kid", sign("at+jwt", &"A".repeat(43), unchanged)),
            ("expired", sign("at+jwt", &kid, ("exp", json!(now() - 120)))),
            ("another audience", sign("at+jwt", &kid, ("aud", json!("https://api.example.com")))),
            ("another issuer", sign("at+jwt", &kid, ("iss", json!("https://evil.example")))),
            ("a life of a day", sign("at+jwt", &kid, ("exp", json!(now() + 86_400)))),
            ("bound to a key", sign("at+jwt", &kid, ("cnf", json!({ "jkt": "A".repeat(43) })))),
            ("of a client that is not there", sign("at+jwt", &kid, ("client_id", json!("gone")))),
        ] {
            assert_rejected(&app, name, &token).await;
        }
    }
}

on_every_database! {
    async fn a_rejection_says_nothing_to_the_sender_and_the_reason_to_the_operator(database) {
        const REJECTIONS: &str = "tokensmith_token_rejections_total";
        let app = TestApp::start(&database).await;
        let admin = app.admin_token().await;
        let kid = import_key(&app, &admin).await;
        let phone = app.phone().await;
        let tokens = app.login(&phone, &app.user("ada").await).await;
        let person = app.for_account(&phone, &tokens).await.access_token;
        let change = |name: &'static str, value: Value| (name, value);
        let yesterday = [change("iat", json!(now() - 86_700)), change("exp", json!(now() - 86_400))];
        let (flipped, _) = admin.rsplit_once('.').unwrap();
        let flipped = format!("{flipped}.{}", "A".repeat(342));
        let (mut bodies, mut reasons) = (BTreeSet::new(), BTreeSet::new());
        // At each of the three doors, signed with the server's own key and wrong for one reason.
        for (door, genuine) in [("/api/admin/clients", &admin), ("/api/me", &person), ("/oauth/userinfo", &person)] {
            let sign = |typ: &str, changes: &[(&str, Value)]| sign_like(genuine, (typ, &kid), changes);
            assert_eq!(app.with_token(genuine, Method::GET, door, None).await.status, 200, "{door}");
            let unchanged = sign("at+jwt", &[]);
            assert_eq!(app.with_token(&unchanged, Method::GET, door, None).await.status, 200, "{door}");
            for (reason, token) in [
                ("wrong_type", sign("JWT", &[])),
                ("wrong_type", sign("logout+jwt", &[])),
                ("expired", sign("at+jwt", &yesterday)),
                ("issued_in_future", sign("at+jwt", &[change("iat", json!(now() + 60))])),
                ("lifetime_too_long", sign("at+jwt", &[change("exp", json!(now() + 86_400))])),
                ("wrong_issuer", sign("at+jwt", &[change("iss", json!(format!("{}/", app.issuer)))])),
                ("wrong_issuer", sign("at+jwt", &[change("iss", json!("https://evil.example"))])),
                ("invalid_claim", sign("at+jwt", &[change("exp", json!("never"))])),
                ("invalid_claim", sign("at+jwt", &[change("aud", json!([]))])),
                ("client_disabled", sign("at+jwt", &[change("client_id", json!("nobody"))])),
                ("sender_constrained", sign("at+jwt", &[change("cnf", json!({ "jkt": "A".repeat(43) }))])),
                ("bad_signature", flipped.clone()),
                ("algorithm_not_allowed", format!("{}.e30.AA", encode(&json!({ "alg": "none", "kid": kid })))),
                ("too_large", "a".repeat(9_000)),
                ("not_compact_jws", "a".to_owned()),
            ] {
                let label = format!("reason=\"{reason}\"");
                let before = app.metric(REJECTIONS, &label).await;
                let reply = app.with_token(&token, Method::GET, door, None).await;
                assert_eq!(reply.error(), (401, "invalid_token".into()), "{door}: {reason}");
                bodies.insert((reply.text.clone(), reply.header("www-authenticate").to_owned()));
                assert!(!reply.text.contains(reason), "{door}: {reason}");
                let counted = app.metric(REJECTIONS, &label).await - before;
                assert!((counted - 1.0).abs() < 0.01, "{door}: {reason} was counted {counted} times");
                reasons.insert(reason);
            }
        }
        for reason in reasons {
            // Lines are written together, a moment later.
            wait::until("the log says why", || async {
                let log = app.log();
                let mut lines = log.lines().filter(|line| line.contains("cause"));
                lines.any(|line| line.contains(reason)).then_some(())
            })
            .await;
        }
        assert_eq!(bodies.len(), 1, "one answer for all: {bodies:#?}");
    }
}

on_every_database! {
    async fn a_good_token_of_a_person_stays_good_for_its_own_api_alone(database) {
        let app = TestApp::start(&database).await;
        let kid = import_key(&app, &app.admin_token().await).await;
        let phone = app.phone().await;
        let tokens = app.login(&phone, &app.user("ada").await).await;
        let person = app.for_account(&phone, &tokens).await.access_token;
        for audience in [
            json!("https://api.example.com"),
            json!(format!("{}/", app.issuer)),
            json!(format!("{}/api/me", app.issuer)),
            json!(app.issuer.to_uppercase()),
            json!(format!("{} https://x.example", app.issuer)),
            json!(phone.id),
        ] {
            let token = sign_like(&person, ("at+jwt", &kid), &[("aud", audience.clone())]);
            let reply = app.me(&token, Method::GET, "", None).await;
            assert_eq!(reply.error(), (401, "invalid_token".into()), "{audience}");
            let reply = app.admin(&token, Method::GET, "/clients", None).await;
            assert_eq!(reply.error(), (401, "invalid_token".into()), "{audience}");
        }
        let absent = sign_like(&person, ("at+jwt", &kid), &[("aud", Value::Null)]);
        assert_eq!(app.me(&absent, Method::GET, "", None).await.status, 401);
    }
}

const PEM: &str = include_str!("../../src/crypto/vault/fixtures/rsa2048-pkcs1.pem");

/// Gives the server a key that we have, too; answers its id.
async fn import_key(app: &TestApp, admin: &str) -> String {
    let body = Some(json!({ "pem": PEM, "now": true }));
    let imported = app.admin(admin, Method::POST, "/keys/import", body).await;
    imported.json()["keys"][0]["kid"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The claims of a genuine token with changes, signed with that key.
fn sign_like(genuine: &str, (typ, kid): (&str, &str), changes: &[(&str, Value)]) -> String {
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    let mut header = Header::new(Algorithm::RS256);
    (header.typ, header.kid) = (Some(typ.to_owned()), Some(kid.to_owned()));
    let mut claims = decode(genuine.split('.').nth(1).unwrap());
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    let key = EncodingKey::from_rsa_der(pem::parse(PEM).unwrap().contents());
    #[expect(
        clippy::disallowed_methods,
        reason = "a second signer with the same key"
    )]
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

on_every_database! {
    async fn the_token_of_a_deleted_administrator_does_not_open_for_a_namesake(database) {
        let app = TestApp::start(&database).await;
        let token = app.admin_token().await;
        let other = app.client("other-admin", &["--scope", "tokensmith:admin"]).await;
        let other = app.access_token(&other).await;
        assert_eq!(app.admin(&other, Method::DELETE, "/clients/admin", None).await.status, 204);
        let namesake = json!({
            "client_id": "admin", "grant_types": ["client_credentials"], "scope": "orders:read",
        });
        assert_eq!(app.admin(&other, Method::POST, "/clients", Some(namesake)).await.status, 201);
        let reply = app.admin(&token, Method::GET, "/clients", None).await;
        assert!(matches!(reply.status.as_u16(), 401 | 403), "{}", reply.text);
    }
}

on_every_database! {
    async fn the_public_key_is_no_hmac_secret(database) {
        use jsonwebtoken::{Algorithm, EncodingKey, Header};
        let app = TestApp::start(&database).await;
        let genuine = Genuine::of(&app).await;
        let jwks = app.get("/.well-known/jwks.json").await;
        let key = &jwks.json()["keys"][0];
        let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
        let pem = public_key_pem(&modulus);
        for secret in [key.to_string().into_bytes(), jwks.text.clone().into_bytes(), modulus, pem, vec![]] {
            let mut header = Header::new(Algorithm::HS256);
            header.typ = Some("at+jwt".into());
            header.kid = Some(key["kid"].as_str().unwrap().to_owned());
            #[expect(clippy::disallowed_methods, reason = "an attacker's tool")]
            let forged = jsonwebtoken::encode(&header, &genuine.claims, &EncodingKey::from_secret(&secret));
            assert_rejected(&app, "HS256 over the public key", &forged.unwrap()).await;
        }
    }
}

/// The public key as the `RSAPublicKey` that an attacker would make of the JWKS.
fn public_key_pem(modulus: &[u8]) -> Vec<u8> {
    let mut integer = vec![0x02, 0x82, 0x01, 0x01, 0x00];
    integer.extend_from_slice(modulus);
    integer.extend_from_slice(&[0x02, 0x03, 0x01, 0x00, 0x01]);
    let mut der = vec![0x30, 0x82, 0x01, 0x0a];
    der.extend_from_slice(&integer);
    pem::encode(&pem::Pem::new("RSA PUBLIC KEY", der)).into_bytes()
}

on_every_database! {
    async fn a_genuine_token_for_something_else_opens_nothing(database) {
        let app = TestApp::start(&database).await;
        let orders = app.orders().await;
        let for_an_api = app.access_token(&orders).await;
        assert_rejected(&app, "for another audience", &for_an_api).await;

        let weak = app.client("weak", &["--scope", "other"]).await;
        let token = app.access_token(&weak).await;
        let reply = app.admin(&token, Method::GET, "/clients", None).await;
        assert_eq!(reply.error(), (403, "insufficient_scope".into()));
        assert!(reply.header("www-authenticate").contains("scope=\"tokensmith:admin\""));

        let without = app.send(app.request(Method::GET, "/api/admin/clients")).await;
        assert_eq!(without.error(), (401, "invalid_token".into()));
        assert_eq!(without.header("www-authenticate"), "Bearer realm=\"tokensmith\"");
        let cookie = app.request(Method::GET, "/api/admin/clients").header("cookie", "token=x");
        assert_eq!(app.send(cookie).await.status, 401);
        let empty = app.request(Method::GET, "/api/admin/clients").header("authorization", "Bearer");
        assert_eq!(app.send(empty).await.error(), (400, "invalid_request".into()));
        let basic = app.request(Method::GET, "/api/admin/clients").basic_auth("a", Some("b"));
        let reply = app.send(basic).await;
        assert_eq!(reply.error(), (401, "invalid_token".into()));
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"tokensmith\"");
    }
}

on_every_database! {
    async fn a_token_of_another_installation_opens_nothing(database) {
        let app = TestApp::start(&database).await;
        let elsewhere = Database::sqlite();
        let stranger = TestApp::start_with(&elsewhere, &[("TOKENSMITH_ISSUER", &app.issuer)]).await;
        let token = stranger.admin_token().await;
        assert_rejected(&app, "same issuer, other keys", &token).await;
    }
}

on_every_database! {
    async fn the_token_of_a_disabled_administrator_opens_nothing(database) {
        let app = TestApp::start(&database).await;
        let token = app.admin_token().await;
        let path = "/clients/admin/disable";
        assert_eq!(app.admin(&token, Method::POST, path, None).await.status, 200);
        assert_rejected(&app, "disabled", &token).await;
    }
}
