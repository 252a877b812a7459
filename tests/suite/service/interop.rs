//! Other people's libraries verify our tokens, with nothing but the address of the key set, and log
//! people in, with nothing but the address of the issuer. `tests/interop/install.sh` installs them.

mod guide;
mod in_a_browser;

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::harness::command::{Said, run};
use crate::harness::{Database, TestApp, skip};

const AUDIENCE: &str = "https://api.example.com";

#[tokio::test]
async fn pyjwt_verifies_our_tokens() {
    let python = installed("python/bin/python");
    let script = root().join("tests/interop/python/verify_pyjwt.py");
    let Some(verified) = verify_with("PyJWT", python, script).await else {
        return;
    };
    verified.for_us.assert_claims();
    assert_eq!(verified.for_another.refusal(), "InvalidAudienceError");
    assert_eq!(verified.of_another_issuer.refusal(), "InvalidIssuerError");
}

#[tokio::test]
async fn jose_for_node_verifies_our_tokens() {
    let (node, script) = node_script("jose", "verify_jose.mjs");
    let Some(verified) = verify_with("jose for Node", node, script).await else {
        return;
    };
    verified.for_us.assert_claims();
    let refused = "ERR_JWT_CLAIM_VALIDATION_FAILED";
    assert_eq!(verified.for_another.refusal(), format!("{refused} aud"));
    assert_eq!(
        verified.of_another_issuer.refusal(),
        format!("{refused} iss")
    );
}

#[tokio::test]
async fn oauth4webapi_logs_people_in() {
    let (node, script) = node_script("oauth4webapi", "login_oauth4webapi.mjs");
    logs_people_in("oauth4webapi", node, script).await;
}

#[tokio::test]
async fn authlib_logs_people_in() {
    let python = installed("python/bin/python");
    let script = root().join("tests/interop/python/login_authlib.py");
    logs_people_in("Authlib", python, script).await;
}

/// The complete flow, as a public client and as a confidential one.
async fn logs_people_in(name: &str, program: Option<PathBuf>, script: PathBuf) {
    let Some(program) = program else {
        skip(name, "run tests/interop/install.sh");
        return;
    };
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let ada = app.user("ada").await;
    let phone = app.phone().await;
    let arguments = ["--first-party", "--rotate-refresh-tokens", "true"];
    let backend = app.app_for_people("backend", &arguments).await;
    for client in [&phone, &backend] {
        let mut command = Command::new(&program);
        let own = [&*app.issuer, &*client.id, &*client.secret];
        command.arg(&script).args(own);
        let said = run(command.args([&*ada.name, &*ada.password]));
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        let mut expected = serde_json::json!({
            "token_type": "bearer",
            "scope": "openid offline_access orders:read",
            "same_after_retry": true,
            "refused": "invalid_grant",
        });
        if !client.secret.is_empty() {
            expected["active_before"] = true.into();
            expected["active_after"] = false.into();
        }
        let mut seen: Value = said.json();
        // RFC 6749 §5.1: the type is compared without regard to case.
        let kind = seen["token_type"].as_str().unwrap().to_lowercase();
        seen["token_type"] = kind.into();
        assert_eq!(seen, expected, "{name} as {}", client.id);
    }
}

/// A script for Node, with the library that it needs beside it.
fn node_script(library: &str, name: &str) -> (Option<PathBuf>, PathBuf) {
    let library = installed(&format!("node/node_modules/{library}"));
    let script = root().join("tests/interop/node").join(name);
    // Node looks for packages beside the script.
    let script = library.as_ref().map_or(script.clone(), |library| {
        let beside = library.join("../..").join(name);
        std::fs::copy(&script, &beside).unwrap();
        beside
    });
    (library.map(|_| PathBuf::from("node")), script)
}

/// What a library says to one token.
struct Verified {
    for_us: Said,
    for_another: Said,
    of_another_issuer: Said,
}

/// Lets a library verify a token as three APIs would: the right one, one that the token is not
/// for, and one that trusts another issuer. `None` where the library is not installed.
async fn verify_with(name: &str, program: Option<PathBuf>, script: PathBuf) -> Option<Verified> {
    let Some(program) = program else {
        skip(name, "run tests/interop/install.sh");
        return None;
    };
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let client = app.orders().await;
    let token = app.access_token(&client).await;
    let jwks = app
        .get("/.well-known/oauth-authorization-server")
        .await
        .json();
    let jwks = jwks["jwks_uri"].as_str().unwrap().to_owned();
    let verify = |issuer: &str, audience: &str| {
        let mut command = Command::new(&program);
        run(command.arg(&script).args([&jwks, issuer, audience, &token]))
    };
    Some(Verified {
        for_us: verify(&app.issuer, AUDIENCE),
        for_another: verify(&app.issuer, "https://other.example.com"),
        of_another_issuer: verify("https://login.example.com", AUDIENCE),
    })
}

impl Said {
    fn assert_claims(&self) {
        let claims: Value = self.json();
        assert_eq!(claims["sub"], "orders");
        assert_eq!(claims["aud"], AUDIENCE);
        assert_eq!(claims["scope"], "orders:read orders:write");
    }

    fn refusal(&self) -> &str {
        assert_eq!(self.code, 1, "{}{}", self.out, self.err);
        self.out.trim_end()
    }
}

/// A file that `tests/interop/install.sh` has installed.
fn installed(path: &str) -> Option<PathBuf> {
    Some(root().join("target/interop").join(path)).filter(|path| path.exists())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
