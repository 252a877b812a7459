//! The programs of `docs/guides/verify-elsewhere.md`, cut out of the page and run against the
//! service, so that what people copy is what was tested.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{AUDIENCE, installed, node_script, root};
use crate::harness::app::TestClient;
use crate::harness::command::run;
use crate::harness::login::{Tokens, VERIFIER};
use crate::harness::{Database, TestApp, skip, wait};

/// What the page has to offer.
const PROGRAMS: [&str; 6] = [
    "verify.mjs",
    "verify.py",
    "verify.go",
    "TokenVerifier.java",
    "follow.mjs",
    "follow.py",
];

#[test]
fn every_program_in_the_guide_is_run_by_a_test() {
    let blocks = blocks();
    let titles: Vec<&str> = blocks.iter().filter_map(|block| title(block)).collect();
    assert_eq!(titles, PROGRAMS);
}

#[tokio::test]
async fn the_program_for_node_verifies_our_tokens_and_honours_a_logout() {
    if let Some(program) = node("verify") {
        verifies_and_honours_a_logout(&program).await;
    }
}

#[tokio::test]
async fn the_program_for_python_verifies_our_tokens_and_honours_a_logout() {
    if let Some(program) = python("verify") {
        verifies_and_honours_a_logout(&program).await;
    }
}

#[tokio::test]
async fn the_program_for_go_verifies_our_tokens_and_honours_a_logout() {
    match &*GO {
        Some(program) => verifies_and_honours_a_logout(program).await,
        None => skip_optional("Go"),
    }
}

#[tokio::test]
async fn the_program_for_java_verifies_our_tokens_and_honours_a_logout() {
    match &*JAVA {
        Some(program) => verifies_and_honours_a_logout(program).await,
        None => skip_optional("Java"),
    }
}

#[tokio::test]
async fn the_program_for_node_hears_of_revocations_from_the_stream() {
    if let Some(program) = node("follow") {
        hears_of_revocations_from_the_stream(&program).await;
    }
}

#[tokio::test]
async fn the_program_for_python_hears_of_revocations_from_the_stream() {
    if let Some(program) = python("follow") {
        hears_of_revocations_from_the_stream(&program).await;
    }
}

#[tokio::test]
async fn a_library_for_status_lists_reads_ours() {
    let (node, script) = node_script("@sd-jwt/jwt-status-list", "status_list.mjs");
    let Some(node) = node else {
        skip("@sd-jwt/jwt-status-list", INSTALL);
        return;
    };
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let issued = Issued::by(&app).await;
    let read = || {
        let mut command = Command::new(&node);
        let tokens = [&*issued.tokens.access_token, &*issued.service];
        run(command.arg(&script).args(tokens)).json()
    };
    let expected =
        |statuses: [u8; 2]| serde_json::json!({ "statuses": statuses, "length": 1 << 20 });
    assert_eq!(read(), expected([0, 0]));
    issued.log_out(&app).await;
    wait::until("the list says it", || async {
        (read() == expected([1, 0])).then_some(())
    })
    .await;
}

async fn verifies_and_honours_a_logout(program: &Program) {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let issued = Issued::by(&app).await;
    let person = &*issued.tokens.access_token;
    let list = app.get("/status-lists/0").await.text;

    let mut api = program.start(&app.issuer, AUDIENCE);
    let claims = api.ask(person).claims();
    assert_eq!(claims["sub"], issued.person_id);
    assert_eq!(claims["sid"], issued.tokens.sid);
    let claims = api.ask(&issued.service).claims();
    assert_eq!(claims["sub"], "orders");
    assert_eq!(claims["client_id"], "orders");
    assert_eq!(claims["scope"], "orders:read orders:write");
    for bad in [
        &*issued.id_token,
        &list,
        &with_another_payload(person),
        &unsigned(person),
        "no token",
    ] {
        api.ask(bad).refusal();
    }
    let mut another_api = program.start(&app.issuer, "https://other.example.com");
    another_api.ask(person).refusal();

    issued.log_out(&app).await;
    wait::until("a new process rejects the token", || async {
        let mut api = program.start(&app.issuer, AUDIENCE);
        api.ask(&issued.service).claims();
        api.ask(person).is_refused().then_some(())
    })
    .await;
}

/// The program cannot poll here (see `guide_verify` in `tests/interop/`).
async fn hears_of_revocations_from_the_stream(program: &Program) {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let issued = Issued::by(&app).await;
    let person = &*issued.tokens.access_token;
    let mut api = program.start(&app.issuer, AUDIENCE);
    for token in [person, &issued.service] {
        let claims = wait_for(&mut api, token, Answer::into_claims).await;
        assert_eq!(claims["iss"], app.issuer);
    }

    issued.log_out(&app).await;
    wait_for(&mut api, person, Answer::into_refusal).await;
    wait_for(&mut api, &issued.service, Answer::into_claims).await;

    // No list says this one.
    app.run(&["client", "disable", "orders", "--json"]).json();
    wait_for(&mut api, &issued.service, Answer::into_refusal).await;
}

async fn wait_for<T>(api: &mut Running, token: &str, wanted: impl Fn(Answer) -> Option<T>) -> T {
    wait::until("the program answers as it should", || {
        let answer = wanted(api.ask(token));
        async { answer }
    })
    .await
}

/// A person and a service with a token each.
struct Issued {
    person_id: String,
    phone: TestClient,
    tokens: Tokens,
    id_token: String,
    service: String,
}

impl Issued {
    async fn by(app: &TestApp) -> Self {
        let orders = app.orders().await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let code = app.code(&phone, &ada).await;
        let reply = app.redeem(&phone, &code, VERIFIER).await;
        Self {
            person_id: ada.id,
            tokens: Tokens::of(&reply),
            id_token: reply.json()["id_token"].as_str().unwrap().to_owned(),
            service: app.access_token(&orders).await,
            phone,
        }
    }

    async fn log_out(&self, app: &TestApp) {
        let reply = app.revoke(&self.phone, &self.tokens.refresh_token).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
}

/// The same signature under another `scope`.
fn with_another_payload(token: &str) -> String {
    let [header, payload, signature] = parts(token);
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let changed = payload.replace("orders:read", "orders:sell");
    assert_ne!(payload, changed);
    let payload = URL_SAFE_NO_PAD.encode(changed);
    format!("{header}.{payload}.{signature}")
}

/// RFC 7519 §6: a token that says that nobody has to sign it.
fn unsigned(token: &str) -> String {
    let [_, payload, _] = parts(token);
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    format!("{header}.{payload}.")
}

fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().unwrap()
}

/// A program of the page, ready to run. It takes issuer and audience.
struct Program(Vec<PathBuf>);

impl Program {
    fn start(&self, issuer: &str, audience: &str) -> Running {
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]).args([issuer, audience]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        Running {
            tokens: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()).lines(),
            process,
        }
    }
}

/// A running program, killed when it is dropped.
struct Running {
    process: Child,
    tokens: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn ask(&mut self, token: &str) -> Answer {
        writeln!(self.tokens, "{token}").unwrap();
        let line = self.answers.next().expect("an answer").unwrap();
        Answer(serde_json::from_str(&line).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// `{"claims": …}`, `{"refused": why}` or `{"unavailable": why}`
#[derive(Debug)]
struct Answer(Value);

impl Answer {
    fn claims(self) -> Value {
        assert!(self.0["claims"].is_object(), "{self:?}");
        self.0["claims"].clone()
    }

    fn refusal(self) {
        assert!(self.is_refused(), "{self:?}");
    }

    fn is_refused(&self) -> bool {
        self.0["refused"].is_string()
    }

    fn into_claims(self) -> Option<Value> {
        Some(self.0["claims"].clone()).filter(Value::is_object)
    }

    fn into_refusal(self) -> Option<()> {
        self.is_refused().then_some(())
    }
}

const INSTALL: &str = "run tests/interop/install.sh";

static NODE: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    installed("node/node_modules/jose")?;
    // Node looks for packages in the folders above.
    let folder = installed("node")?.join("guide");
    place_programs(&folder, &["verify.mjs", "follow.mjs"]);
    Some(place_runner(&folder, "node/guide_verify.mjs"))
});

static PYTHON: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let folder = installed("python")?.join("guide");
    place_programs(&folder, &["verify.py", "follow.py"]);
    Some(place_runner(&folder, "python/guide_verify.py"))
});

static GO: LazyLock<Option<Program>> = LazyLock::new(|| {
    installed("go.stamp")?;
    let module = installed("go")?;
    place_programs(&module.join("tokensmith"), &["verify.go"]);
    place_runner(&module, "go/main.go");
    let program = module.join("verify");
    let mut build = Command::new("go");
    build.args(["build", "-mod=readonly", "-buildvcs=false", "-o"]);
    build.arg(&program).arg(".").current_dir(&module);
    let built = run(build.env("GOPROXY", "off").env("GOTOOLCHAIN", "local"));
    assert_eq!(built.code, 0, "{}{}", built.out, built.err);
    Some(Program(vec![program]))
});

static JAVA: LazyLock<Option<Program>> = LazyLock::new(|| {
    installed("java.stamp")?;
    let folder = installed("java")?.join("guide");
    place_programs(&folder, &["TokenVerifier.java"]);
    let runner = place_runner(&folder, "java/VerifyTokens.java");
    let classpath = format!("{0}:{0}/../*", folder.display());
    let mut build = Command::new("javac");
    build.args(["-Xlint:all", "-Werror", "--release", "17", "-classpath"]);
    build.arg(&classpath).arg("-d").arg(&folder);
    let built = run(build.arg(runner).arg(folder.join("TokenVerifier.java")));
    assert_eq!(built.code, 0, "{}{}", built.out, built.err);
    let command = ["java", "-XX:TieredStopAtLevel=1", "-classpath", &classpath];
    let command = command.into_iter().chain(["VerifyTokens"]);
    Some(Program(command.map(PathBuf::from).collect()))
});

fn node(how: &str) -> Option<Program> {
    let Some(runner) = &*NODE else {
        skip("jose for Node", INSTALL);
        return None;
    };
    Some(Program(vec!["node".into(), runner.clone(), how.into()]))
}

fn python(how: &str) -> Option<Program> {
    let Some(runner) = &*PYTHON else {
        skip("PyJWT", INSTALL);
        return None;
    };
    let python = installed("python/bin/python")?;
    Some(Program(vec![python, runner.clone(), how.into()]))
}

/// As [`skip`], for a language that need not be there in CI either.
fn skip_optional(language: &str) {
    let line =
        format!("SKIPPED: the guide's program for {language}; where {language} is, {INSTALL}\n");
    // Not eprintln: the test runner would swallow it.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn place_programs(folder: &Path, names: &[&str]) {
    std::fs::create_dir_all(folder).unwrap();
    let blocks = blocks();
    for name in names {
        let is_it = |block: &&String| title(block) == Some(*name);
        place(&folder.join(name), blocks.iter().find(is_it).unwrap());
    }
}

fn place_runner(folder: &Path, name: &str) -> PathBuf {
    let source = root().join("tests/interop").join(name);
    let runner = folder.join(source.file_name().unwrap());
    place(&runner, &std::fs::read_to_string(source).unwrap());
    runner
}

/// At once as a whole: another run of the tests may be reading it.
fn place(path: &Path, text: &str) {
    let draft = path.with_extension(std::process::id().to_string());
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(draft, path).unwrap();
}

/// The code blocks of the page.
fn blocks() -> Vec<String> {
    let page = root().join("docs/guides/verify-elsewhere.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in page.lines() {
        match (&mut block, line.starts_with("```")) {
            (None, true) => block = Some(String::new()),
            (None, false) => {}
            (Some(_), true) => blocks.extend(block.take()),
            (Some(text), false) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    assert!(block.is_none(), "a block has no end");
    blocks
}

/// The name of the file that a block is, which is the comment that it begins with.
fn title(block: &str) -> Option<&str> {
    let first = block.lines().next()?;
    let comment = first.strip_prefix("// ").or(first.strip_prefix("# "))?;
    let is_name = comment.contains('.') && !comment.contains(' ');
    is_name.then_some(comment)
}
