//! Other people's libraries log people in through the browser, with nothing but the address of the
//! issuer, and out again. The scripts say where the browser goes; here somebody sits before it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use url::Url;

use super::{installed, node_script, root};
use crate::harness::app::TestClient;
use crate::harness::authorize::REDIRECT_URI;
use crate::harness::login::TestUser;
use crate::harness::person::Person;
use crate::harness::{Database, TestApp, skip};

const LOGGED_OUT: &str = "http://127.0.0.1/logged-out";

#[tokio::test]
async fn openid_client_logs_people_in_and_out() {
    let (node, script) = node_script("openid-client", "browser_openid_client.mjs");
    logs_people_in_and_out("openid-client", node, &script).await;
}

#[tokio::test]
async fn oauth4webapi_logs_people_in_and_out() {
    let (node, script) = node_script("oauth4webapi", "browser_oauth4webapi.mjs");
    logs_people_in_and_out("oauth4webapi", node, &script).await;
}

#[tokio::test]
async fn authlib_logs_people_in_and_out() {
    let python = installed("python/bin/python");
    let script = root().join("tests/interop/python/browser_authlib.py");
    logs_people_in_and_out("Authlib", python, &script).await;
}

/// The complete flow, as a public client and as a confidential one, by parameters and pushed.
async fn logs_people_in_and_out(name: &str, program: Option<PathBuf>, script: &Path) {
    let Some(program) = program else {
        skip(name, "run tests/interop/install.sh");
        return;
    };
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let ada = app.user("ada").await;
    let clients = [
        register(&app, "spa", &["--public"]).await,
        register(&app, "web", &["--rotate-refresh-tokens", "true"]).await,
    ];
    for client in &clients {
        for way in ["plain", "pushed"] {
            let seen = run(&app, &program, script, (client, way), &ada).await;
            let user = json!({ "sub": ada.id, "preferred_username": "ada" });
            let expected = json!({
                "sub": ada.id,
                "user": user,
                "same_after_refresh": true,
                "refused_after_revocation": "invalid_grant",
                "state_after_logout": true,
            });
            assert_eq!(seen, expected, "{name} as {}, {way}", client.id);
        }
    }
}

/// A client of somebody else, which has to ask for consent.
async fn register(app: &TestApp, id: &str, further: &[&str]) -> TestClient {
    let mut arguments = vec!["--grant", "authorization_code", "--grant", "refresh_token"];
    arguments.extend(["--scope", "openid profile offline_access"]);
    arguments.extend(["--redirect-uri", REDIRECT_URI]);
    arguments.extend(["--post-logout-redirect-uri", LOGGED_OUT]);
    arguments.extend(further);
    app.register(id, &arguments).await
}

/// Runs a script, goes where it says, and answers what it saw.
async fn run(
    app: &TestApp,
    program: &Path,
    script: &Path,
    (client, way): (&TestClient, &str),
    ada: &TestUser,
) -> Value {
    let own = [&*app.issuer, &*client.id, &*client.secret];
    let mut command = Command::new(program);
    command.arg(script).args(own);
    command.args([REDIRECT_URI, LOGGED_OUT, way]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let mut answers = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || {
        let Some(line) = lines.next() else {
            let mut said = String::new();
            errors.read_to_string(&mut said).unwrap();
            panic!("{} as {}, {way}: {said}", script.display(), client.id)
        };
        line.unwrap()
    };

    let mut person = Person::new(app);
    let page = person.cross_site_get(&line()).await;
    let callback = app.go_through(&mut person, ada, page, REDIRECT_URI).await;
    let callback = Url::parse_with_params(REDIRECT_URI, &callback.parameters).unwrap();
    writeln!(answers, "{callback}").unwrap();

    let page = person.cross_site_get(&line()).await;
    let back = page.location().unwrap_or_else(|| panic!("{}", page.text));
    assert!(back.as_str().starts_with(LOGGED_OUT), "{back}");
    writeln!(answers, "{back}").unwrap();

    let seen = serde_json::from_str(&line()).unwrap();
    assert!(child.wait().unwrap().success());
    seen
}
