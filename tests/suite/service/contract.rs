//! `openapi.yaml` says what the service does: no more, and no less. Beyond these tests, every
//! answer that any test reads is held against it.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::app::TestClient;
use crate::harness::cable::Cable;
use crate::harness::contract::{Contract, Operation};
use crate::harness::{Database, TestApp, on_every_database, wait};

const PEM: &str = include_str!("../../../src/crypto/vault/fixtures/p256.pem");

/// An operation, a status that it documents, and a request that provokes it.
type Case = (&'static str, u16, RequestBuilder);

on_every_database! {
    async fn every_documented_answer_can_be_provoked(database) {
        let mut documented = Contract::committed().documented_answers();
        let (database, cable) = behind_a_cable(database).await;
        let scene = Scene::set(&database).await;
        let mut provoked = BTreeSet::new();
        for (operation, status, request) in scene.cases() {
            provoked.insert(scene.provoke(operation, status, request).await);
        }
        provoked.extend(scene.provoke_refusals().await);
        match cable {
            Some(cable) => {
                cable.cut();
                provoked.extend(scene.provoke_outage().await);
            }
            // An embedded database does not go away.
            None => documented.retain(|(_, status)| *status != 503),
        }
        assert_eq!(provoked, documented);
    }
}

/// The service with a client, a signing key to revoke, and tokens with and without the scope.
struct Scene {
    app: TestApp,
    client: TestClient,
    administrator: String,
    kid: String,
}

impl Scene {
    async fn set(database: &Database) -> Self {
        let app = TestApp::start(database).await;
        let client = app.client("orders", &["--scope", "orders:read"]).await;
        let administrator = app.admin_token().await;
        let body = Some(json!({ "alg": "Ed25519" }));
        let keys = app
            .admin(&administrator, Method::POST, "/keys/rotate", body)
            .await
            .json();
        let mut keys = keys["keys"].as_array().unwrap().iter();
        let spare = keys.find(|key| key["alg"] == "Ed25519").unwrap();
        let kid = spare["kid"].as_str().unwrap().to_owned();
        Self {
            app,
            client,
            administrator,
            kid,
        }
    }

    /// Sends the request and checks that the answer is the documented one.
    async fn provoke(
        &self,
        operation: &str,
        status: u16,
        request: RequestBuilder,
    ) -> (String, u16) {
        let expected = (operation.to_owned(), status);
        let reply = self.app.send(request).await;
        assert_eq!(reply.documented.as_ref(), Some(&expected), "{}", reply.text);
        expected
    }

    /// What each operation answers, in an order in which one prepares the next.
    fn cases(&self) -> Vec<Case> {
        let mut cases = self.public_cases();
        cases.extend(self.client_cases());
        cases.extend(self.key_cases());
        cases
    }

    fn public_cases(&self) -> Vec<Case> {
        let get = |path| self.app.request(Method::GET, path);
        let known = |path| get(path).header("if-none-match", "*");
        let token = |secret: &str, fields: &[(&str, &str)]| {
            let request = self.app.request(Method::POST, "/oauth/token");
            request
                .basic_auth(&self.client.id, Some(secret))
                .form(fields)
        };
        let secret = self.client.secret.as_str();
        let grant = ("grant_type", "client_credentials");
        vec![
            ("issueToken", 200, token(secret, &[grant])),
            (
                "issueToken",
                400,
                token(secret, &[("grant_type", "password")]),
            ),
            ("issueToken", 401, token("wrong", &[grant])),
            (
                "issueToken",
                413,
                token(secret, &[grant, ("pad", &too_long())]),
            ),
            (
                "readMetadata",
                200,
                get("/.well-known/oauth-authorization-server"),
            ),
            (
                "readMetadata",
                304,
                known("/.well-known/oauth-authorization-server"),
            ),
            ("readKeySet", 200, get("/.well-known/jwks.json")),
            ("readKeySet", 304, known("/.well-known/jwks.json")),
            ("checkHealth", 200, get("/healthz")),
            ("checkReadiness", 200, get("/readyz")),
            ("readMetrics", 200, get("/metrics")),
            ("readContract", 200, get("/openapi.yaml")),
            ("readDocs", 200, get("/docs")),
            ("readDocsStyle", 200, get("/docs.css")),
        ]
    }

    fn client_cases(&self) -> Vec<Case> {
        let get = |path| self.admin(Method::GET, path);
        let post = |path| self.admin(Method::POST, path);
        let delete = |path| self.admin(Method::DELETE, path);
        let new = json!({ "client_id": "new", "grant_types": ["client_credentials"] });
        let too_long = json!({ "client_id": too_long() });
        vec![
            ("createClient", 201, with(post("/clients"), &new)),
            ("createClient", 409, with(post("/clients"), &new)),
            (
                "createClient",
                400,
                with(post("/clients"), &json!({ "grant_types": [] })),
            ),
            ("createClient", 413, with(post("/clients"), &too_long)),
            ("listClients", 200, get("/clients?limit=1")),
            ("showClient", 200, get("/clients/new")),
            ("showClient", 404, get("/clients/nobody")),
            ("disableClient", 200, post("/clients/new/disable")),
            ("disableClient", 404, post("/clients/nobody/disable")),
            ("enableClient", 200, post("/clients/new/enable")),
            ("enableClient", 404, post("/clients/nobody/enable")),
            (
                "rotateClientSecret",
                200,
                post("/clients/new/rotate-secret"),
            ),
            (
                "rotateClientSecret",
                409,
                post("/clients/new/rotate-secret"),
            ),
            (
                "rotateClientSecret",
                404,
                post("/clients/nobody/rotate-secret"),
            ),
            (
                "rotateClientSecret",
                413,
                with(post("/clients/new/rotate-secret"), &too_long),
            ),
            ("deleteClient", 204, delete("/clients/new")),
            ("deleteClient", 404, delete("/clients/new")),
        ]
    }

    fn key_cases(&self) -> Vec<Case> {
        let post = |path: &str| self.admin(Method::POST, path);
        let revoke = format!("/keys/{}/revoke", self.kid);
        let import = json!({ "pem": PEM, "alg": "ES256" });
        let too_long = json!({ "pem": too_long() });
        vec![
            ("listKeys", 200, self.admin(Method::GET, "/keys")),
            ("importKey", 200, with(post("/keys/import"), &import)),
            ("importKey", 409, with(post("/keys/import"), &import)),
            ("importKey", 413, with(post("/keys/import"), &too_long)),
            ("rotateKeys", 200, post("/keys/rotate")),
            ("rotateKeys", 413, with(post("/keys/rotate"), &too_long)),
            (
                "revokeKey",
                404,
                post(&format!("/keys/{}/revoke", "A".repeat(43))),
            ),
            ("revokeKey", 200, post(&revoke)),
        ]
    }

    /// What every administrative operation answers to those who may not use it.
    async fn provoke_refusals(&self) -> BTreeSet<(String, u16)> {
        let outsider = self.app.access_token(&self.client).await;
        let mut provoked = BTreeSet::new();
        for operation in administrative() {
            let request = || {
                self.app
                    .request(operation.method.clone(), &example_path(&operation))
            };
            for (status, request) in [
                (400, request().bearer_auth("one").bearer_auth("another")),
                (401, request()),
                (403, request().bearer_auth(&outsider)),
            ] {
                provoked.insert(self.provoke(operation.id, status, request).await);
            }
        }
        provoked
    }

    /// What is answered while the database is away.
    async fn provoke_outage(&self) -> BTreeSet<(String, u16)> {
        let asked = administrative().map(|operation| {
            let request = self
                .app
                .request(operation.method.clone(), &example_path(&operation));
            let request = request.bearer_auth(&self.administrator);
            let request = match operation.id {
                "createClient" => with(request, &json!({ "grant_types": ["client_credentials"] })),
                "importKey" => with(request, &json!({ "pem": PEM, "alg": "ES256" })),
                _ => request,
            };
            async move { self.provoke(operation.id, 503, request).await }
        });
        let mut provoked: BTreeSet<_> = join_all(asked).await.into_iter().collect();
        let not_ready = wait::until("the service knows that the database is away", || async {
            let reply = self.app.get("/readyz").await;
            (reply.status == 503).then_some(reply)
        });
        provoked.extend(not_ready.await.documented);
        provoked
    }

    fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.app.request(method, &format!("/api/admin{path}"));
        request.bearer_auth(&self.administrator)
    }
}

/// PostgreSQL through a cable that can be cut.
async fn behind_a_cable(mut database: Database) -> (Database, Option<Cable>) {
    let mut url = url::Url::parse(&database.url).unwrap();
    let Some((host, port)) = url.host_str().zip(url.port()) else {
        return (database, None);
    };
    let cable = Cable::to(format!("{host}:{port}")).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(cable.port)).unwrap();
    database.url = url.to_string();
    (database, Some(cable))
}

fn administrative() -> impl Iterator<Item = Operation<'static>> {
    let operations = Contract::committed().operations();
    operations.filter(|operation| operation.definition["security"][0].get("bearer").is_some())
}

fn example_path(operation: &Operation<'_>) -> String {
    let path = operation.path.replace("{id}", "orders");
    path.replace("{kid}", &"A".repeat(43))
}

fn with(request: RequestBuilder, body: &Value) -> RequestBuilder {
    let request = request.header("content-type", "application/json");
    request.body(body.to_string())
}

/// More than any endpoint takes.
fn too_long() -> String {
    "x".repeat(16 * 1024)
}

#[tokio::test]
async fn the_claims_of_a_token_are_the_documented_ones() {
    use base64::Engine;
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let client = app.orders().await;
    let token = app.access_token(&client).await;
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let schema = json!({ "$ref": "#/components/schemas/AccessTokenClaims" });
    Contract::committed().check_value(&schema, &claims).unwrap();
    let documented = &Contract::committed().document["components"]["schemas"]["AccessTokenClaims"];
    for name in claims.as_object().unwrap().keys() {
        assert!(
            documented["properties"].get(name).is_some(),
            "{name} is not documented"
        );
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let contract = Contract::committed();
    for (place, target) in contract.references() {
        let pointer = target
            .strip_prefix('#')
            .unwrap_or_else(|| panic!("{place}: {target}"));
        assert!(
            contract.document.pointer(pointer).is_some(),
            "{place}: {target}"
        );
    }
}

#[test]
fn every_component_is_used() {
    let contract = Contract::committed();
    let used: BTreeSet<String> = contract.references().into_values().collect();
    let components = contract.document["components"].as_object().unwrap();
    for (kind, members) in components
        .iter()
        .filter(|(kind, _)| *kind != "securitySchemes")
    {
        for name in members.as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(used.contains(&reference), "{reference}");
        }
    }
}

#[test]
fn every_operation_says_what_it_is_and_how_it_succeeds() {
    let contract = Contract::committed();
    let tags: BTreeSet<&str> = contract.document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let mut ids = BTreeSet::new();
    for operation in contract.operations() {
        let (id, definition) = (operation.id, operation.definition);
        assert!(
            !id.is_empty() && ids.insert(id),
            "{} {}",
            operation.method,
            operation.path
        );
        assert!(definition["summary"].is_string(), "{id}");
        let own = definition["tags"].as_array().unwrap();
        assert!(!own.is_empty(), "{id}");
        assert!(
            own.iter().all(|tag| tags.contains(tag.as_str().unwrap())),
            "{id}"
        );
        let responses = definition["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{id}"
        );
        for response in responses.values() {
            assert!(
                contract.resolve(response)["description"].is_string(),
                "{id}"
            );
        }
    }
}

#[test]
fn every_example_fits_its_schema() {
    let contract = Contract::committed();
    let mut pairs = Vec::new();
    examples(&contract.document, "", &mut pairs);
    assert!(pairs.len() > 20, "{}", pairs.len());
    for (place, schema, example) in pairs {
        contract
            .check_value(schema, example)
            .unwrap_or_else(|error| panic!("{place}: {error}"));
    }
}

/// Places of examples, their schemas and the examples.
fn examples<'a>(value: &'a Value, place: &str, found: &mut Vec<(String, &'a Value, &'a Value)>) {
    if let Some(items) = value.as_array() {
        for (index, item) in items.iter().enumerate() {
            examples(item, &format!("{place}/{index}"), found);
        }
    }
    let Some(members) = value.as_object() else {
        return;
    };
    if let (Some(schema), Some(example)) = (members.get("schema"), members.get("example")) {
        found.push((place.to_owned(), schema, example));
    }
    for example in members
        .get("examples")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        found.push((place.to_owned(), value, example));
    }
    for (name, member) in members.iter().filter(|(name, _)| *name != "example") {
        examples(member, &format!("{place}/{name}"), found);
    }
}
