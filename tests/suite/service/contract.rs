//! `openapi.yaml` says what the service does: no more, and no less. Beyond these tests, every
//! answer that any test reads is held against it.

mod browser;
mod people;
mod readers;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokensmith::domain::audit::AuditKind;

use crate::harness::app::TestClient;
use crate::harness::cable::behind_a_cable;
use crate::harness::contract::{Contract, Documented, Operation};
use crate::harness::login::claims;
use crate::harness::{Database, TestApp, on_every_database, wait};

use browser::Visitors;
use people::People;
use readers::FOR_READERS;

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
        provoked.extend(scene.provoke_pages(&database).await);
        provoked.extend(scene.provoke_waits().await);
        provoked.extend(readers::provoke_crowd(&database).await);
        provoked.extend(scene.provoke_refusals().await);
        provoked.insert(scene.provoke_full_key_set().await);
        match cable {
            Some(cable) => {
                cable.cut();
                provoked.extend(scene.provoke_outage().await);
            }
            // An embedded database does not go away.
            None => documented.retain(|(operation, status)| {
                *status != 503 || FOR_READERS.contains(&operation.as_str())
            }),
        }
        assert_eq!(provoked, documented);
    }
}

/// The service with a client, people, a signing key to revoke, and tokens with and without the scope.
/// People may make accounts, and addresses of clients are known.
struct Scene {
    app: TestApp,
    client: TestClient,
    administrator: String,
    kid: String,
    people: People,
    visitors: Visitors,
}

impl Scene {
    async fn set(database: &Database) -> Self {
        let settings = [
            ("TOKENSMITH_SIGNUP", "true"),
            ("TOKENSMITH_TRUSTED_PROXIES", "127.0.0.1"),
        ];
        let app = TestApp::start_with(database, &settings).await;
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
        let people = People::set(&app, database).await;
        Self {
            visitors: Visitors::set(&app, &people).await,
            people,
            app,
            client,
            administrator,
            kid,
        }
    }

    /// Sends the request and checks that the answer is the documented one.
    async fn provoke(&self, operation: &str, status: u16, request: RequestBuilder) -> Documented {
        let expected = (operation.to_owned(), status);
        let reply = self.app.send(request).await;
        let given = reply.documented.as_ref();
        assert_eq!(given, Some(&expected), "{}", reply.text);
        expected
    }

    /// What each operation answers, in an order in which one prepares the next.
    fn cases(&self) -> Vec<Case> {
        let mut cases = self.public_cases();
        cases.extend(self.revocation_cases());
        cases.extend(self.browser_cases());
        cases.extend(self.people_cases());
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
            (
                "readProviderMetadata",
                200,
                get("/.well-known/openid-configuration"),
            ),
            (
                "readProviderMetadata",
                304,
                known("/.well-known/openid-configuration"),
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
            (
                "revokeTokens",
                200,
                with(post("/revocations"), &json!({ "client_id": "new" })),
            ),
            ("revokeTokens", 400, with(post("/revocations"), &json!({}))),
            (
                "revokeTokens",
                404,
                with(post("/revocations"), &json!({ "client_id": "nobody" })),
            ),
            ("revokeTokens", 413, with(post("/revocations"), &too_long)),
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

    /// What every operation with a bearer answers to those who may not use it.
    async fn provoke_full_key_set(&self) -> Documented {
        let refused = wait::until("as many keys are published as may be", || async {
            let body = Some(json!({ "alg": "Ed25519", "now": true }));
            let path = "/keys/rotate";
            let reply = self
                .app
                .admin(&self.administrator, Method::POST, path, body);
            Some(reply.await).filter(|reply| reply.status == 409)
        });
        refused.await.documented.unwrap()
    }

    async fn provoke_refusals(&self) -> BTreeSet<Documented> {
        let outsider = self.app.access_token(&self.client).await;
        let people = &self.people;
        let mut provoked = BTreeSet::new();
        for operation in with_bearer() {
            let request = || self.example(&operation);
            let unentitled = match scope(&operation) {
                // A person's token does not administer, whatever its scope.
                "tokensmith:admin" => [&outsider, &people.tokens.access_token],
                "openid" => [&people.without_openid; 2],
                _ => [&people.of_a_third_party; 2],
            };
            let of_others = match scope(&operation) {
                // Any API's will do, but no service's.
                "openid" => &outsider,
                _ => &people.for_an_api,
            };
            for (status, request) in [
                (400, request().bearer_auth("one").bearer_auth("another")),
                (401, request()),
                (401, request().bearer_auth(of_others)),
                (403, request().bearer_auth(unentitled[0])),
                (403, request().bearer_auth(unentitled[1])),
            ] {
                provoked.insert(self.provoke(operation.id, status, request).await);
            }
        }
        provoked
    }

    /// What is answered while the database is away.
    async fn provoke_outage(&self) -> BTreeSet<Documented> {
        let operations: Vec<Operation<'_>> = with_bearer().collect();
        let mut cases = self.outage_cases();
        cases.extend(self.browser_outage_cases());
        cases.extend(operations.iter().map(|operation| {
            let token = match scope(operation) {
                "tokensmith:admin" => &self.administrator,
                _ => &self.people.tokens.access_token,
            };
            (
                operation.id,
                503,
                self.example(operation).bearer_auth(token),
            )
        }));
        let asked = cases.into_iter();
        let asked = asked.map(|(id, status, request)| self.provoke(id, status, request));
        let mut provoked: BTreeSet<_> = join_all(asked).await.into_iter().collect();
        let not_ready = wait::until("the service knows that the database is away", || async {
            let reply = self.app.get("/readyz").await;
            (reply.status == 503).then_some(reply)
        });
        provoked.extend(not_ready.await.documented);
        provoked
    }

    /// The request that the contract shows, without its bearer.
    fn example(&self, operation: &Operation<'_>) -> RequestBuilder {
        let contract = Contract::committed();
        let mut path = operation.path.to_owned();
        let parameters = &contract.document["paths"][operation.path]["parameters"];
        for parameter in parameters.as_array().into_iter().flatten() {
            let parameter = contract.resolve(parameter);
            let placeholder = format!("{{{}}}", parameter["name"].as_str().unwrap());
            path = path.replace(&placeholder, parameter["example"].as_str().unwrap());
        }
        let request = self.app.request(operation.method.clone(), &path);
        let body = &operation.definition["requestBody"]["content"]["application/json"]["example"];
        match (operation.id, body) {
            (_, Value::Null) => request,
            // The key that the contract shows is none.
            ("importKey", _) => with(request, &json!({ "pem": PEM, "alg": "ES256" })),
            (_, body) => with(request, body),
        }
    }

    fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.app.request(method, &format!("/api/admin{path}"));
        request.bearer_auth(&self.administrator)
    }
}

fn with_bearer() -> impl Iterator<Item = Operation<'static>> {
    let operations = Contract::committed().operations();
    operations.filter(|operation| operation.definition["security"][0].get("bearer").is_some())
}

/// The scope that the operation needs.
fn scope<'a>(operation: &Operation<'a>) -> &'a str {
    let scope = operation.definition["security"][0]["bearer"][0].as_str();
    scope.unwrap_or_else(|| panic!("{} does not say which scope it needs", operation.id))
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
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let service = app.access_token(&app.orders().await).await;
    let person = app.login(&app.phone().await, &app.user("ada").await).await;
    let schema = json!({ "$ref": "#/components/schemas/AccessTokenClaims" });
    let documented = &Contract::committed().document["components"]["schemas"]["AccessTokenClaims"];
    for (token, is_of_a_person) in [(service, false), (person.access_token, true)] {
        let claims = claims(&token);
        Contract::committed().check_value(&schema, &claims).unwrap();
        for name in claims.as_object().unwrap().keys() {
            let known = documented["properties"].get(name);
            assert!(known.is_some(), "{name} is not documented");
        }
        assert!(claims.get("status").is_some(), "{claims}");
        for name in ["sid", "auth_time", "amr", "acr"] {
            assert_eq!(claims.get(name).is_some(), is_of_a_person, "{name}");
        }
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
        // Whoever posts a form is sent on.
        let succeeds = |status: &String| status.starts_with('2') || status == "303";
        assert!(responses.keys().any(succeeds), "{id}");
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
    match (members.get("schema"), members.get("examples")) {
        // Of a body: by name.
        (Some(schema), Some(Value::Object(named))) => found.extend(
            named
                .iter()
                .map(|(name, example)| (format!("{place}/{name}"), schema, &example["value"])),
        ),
        // Of a schema: a list.
        (_, Some(Value::Array(list))) => {
            found.extend(
                list.iter()
                    .map(|example| (place.to_owned(), value, example)),
            );
        }
        _ => {}
    }
    let inner = members
        .iter()
        .filter(|(name, _)| !["example", "examples"].contains(&name.as_str()));
    for (name, member) in inner {
        examples(member, &format!("{place}/{name}"), found);
    }
}

#[test]
fn every_kind_of_audit_record_is_documented() {
    let text = include_str!("../../../openapi.yaml");
    let list = text.split_once("    AuditEvent:\n").unwrap().1;
    let list = list.split_once("description:").unwrap().0;
    let documented: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .collect();
    let kinds = AuditKind::ALL.iter().map(|kind| kind.as_str());
    assert_eq!(documented, kinds.collect());
}
