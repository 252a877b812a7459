//! The master key has leaked: what `keys renew-master` ends, what lives on, and how it is interrupted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith::accounts::trail::{Break, Trail};
use tokensmith::crypto::{
    HmacChainSealer, MasterKey, MasterKeySource, MasterKeyedTokens, SealedKeyVault, SystemEntropy,
};
use tokensmith::domain::audit::{AuditKind, AuditRecord, Origin};
use tokensmith::domain::ports::{Entropy, KeyVault, SessionTokens, Store};
use tokensmith_verify::Verifier;
use tokensmith_verify::revocation::Freshness;

use crate::harness::app::{TestClient, free_port};
use crate::harness::command::{Said, run};
use crate::harness::login::{Tokens, VERIFIER, claims};
use crate::harness::person::Person;
use crate::harness::{Database, TestApp, now, on_every_database, tokensmith, wait};

const AUDIENCE: &str = "https://api.example.com";

/// An installation whose servers come and go at one address.
struct Installation {
    database: Database,
    address: String,
}

impl Installation {
    fn on(database: Database) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        Self { database, address }
    }

    fn settings(&self) -> [(&'static str, String); 2] {
        [
            ("TOKENSMITH_LISTEN", self.address.clone()),
            ("TOKENSMITH_ISSUER", format!("http://{}", self.address)),
        ]
    }

    async fn start(&self) -> TestApp {
        let [listen, issuer] = self.settings();
        let settings = [(listen.0, &*listen.1), (issuer.0, &*issuer.1)];
        TestApp::start_with(&self.database, &settings).await
    }

    /// A command, given while the test goes on.
    async fn command(&self, arguments: &[&str]) -> Said {
        let mut command = tokensmith(arguments);
        command
            .envs(self.database.variables())
            .envs(self.settings());
        let said = tokio::task::spawn_blocking(move || run(&mut command));
        said.await.unwrap()
    }

    async fn renew(&self) -> Value {
        self.command(&["keys", "renew-master", "--yes", "--json"])
            .await
            .json()
    }

    fn key_file(&self, name: &str) -> PathBuf {
        self.database.home.path().join("keys").join(name)
    }

    fn key_files(&self) -> BTreeSet<String> {
        let files = std::fs::read_dir(self.key_file("")).unwrap();
        files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            // Empty; only there to be locked.
            .filter(|name| name != "master.key.new.lock")
            .collect()
    }

    /// A copy of the master key, as somebody has made it.
    fn steal_key(&self) -> PathBuf {
        let copy = self.database.home.path().join("stolen");
        std::fs::copy(self.key_file("master.key"), &copy).unwrap();
        copy
    }
}

fn key(file: &Path) -> MasterKey {
    let source = MasterKeySource::File(file.to_owned());
    MasterKey::load(&source).unwrap().unwrap()
}

/// A file with a new master key.
fn new_key(file: &Path) -> MasterKey {
    let key = MasterKey::generate(&*entropy()).unwrap();
    key.save(file, &*entropy()).unwrap();
    key
}

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy::default())
}

async fn stop(mut app: TestApp) {
    app.signal("TERM");
    assert!(app.exit().await.success(), "{}", app.log());
}

async fn follower(app: &TestApp) -> Verifier {
    Verifier::discover(&app.issuer)
        .jwks_uri(format!("{}/.well-known/jwks.json", app.address))
        .refetch_cooldown(Duration::from_secs(1))
        .audience(AUDIENCE)
        .revocation(Freshness::UntilExpiry)
        .revocation_from(&app.address)
        .connect()
        .await
        .unwrap()
}

async fn is_signed_in(person: &mut Person) -> bool {
    person.get("/account").await.status == 200
}

/// The claims of a token, as if it were issued now, signed with a key of before.
async fn signed_by_the_thief(store: &dyn Store, stolen: &Path, token: &str) -> Vec<String> {
    let vault = SealedKeyVault::new(&key(stolen), entropy()).unwrap();
    let mut claims = claims(token);
    claims["iat"] = json!(now());
    claims["exp"] = json!(now() + 300);
    let payload = serde_json::to_vec(&claims).unwrap();
    let keys = store.signing_keys().await.unwrap().0;
    let signers = keys.iter().map(|key| vault.open(key).unwrap());
    signers
        .map(|signer| signer.sign_access_token(&payload).unwrap())
        .collect()
}

on_every_database! {
    async fn whoever_has_stolen_the_master_key_can_forge_nothing_after_its_renewal(database) {
        let installation = Installation::on(database);
        let app = installation.start().await;
        let (orders, phone, ada) = (app.orders().await, app.phone().await, app.user("ada").await);
        let api = app.client("api", &["--resource-server", AUDIENCE]).await;
        let admin = app.admin_token().await;
        let (service, tokens) = (app.access_token(&orders).await, app.login(&phone, &ada).await);
        let code = app.code(&phone, &ada).await;
        let mut desk = Person::new(&app);
        let page = desk.get("/login").await;
        app.sign_in(&mut desk, &page, &ada).await;
        assert!(is_signed_in(&mut desk).await);
        let mut visitor = Person::new(&app);
        let page_of_before = visitor.get("/login").await;
        let verifier = follower(&app).await;
        assert!(verifier.verify(&service).is_ok() && verifier.verify(&tokens.access_token).is_ok());
        stop(app).await;

        let stolen = installation.steal_key();
        let store = installation.database.open().await;
        let forged = signed_by_the_thief(&*store, &stolen, &tokens.access_token).await;
        assert_eq!(forged.len(), 1);
        assert!(verifier.verify(&forged[0]).is_ok(), "before the renewal it is as good as any");
        store.close().await;
        drop(store);
        let done = installation.renew().await;
        assert_eq!(done["ended_sessions"], 1, "{done}");
        assert_ne!(key(&stolen).fingerprint(), key(&installation.key_file("master.key")).fingerprint());
        assert_eq!(installation.key_files(), ["master.key".to_owned()].into());

        let app = installation.start().await;
        for token in [&service, &tokens.access_token, &forged[0]] {
            wait::until("the verifier hears of it", || async {
                verifier.verify(token).is_err().then_some(())
            })
            .await;
            assert!(follower(&app).await.verify(token).is_err(), "and one that comes later");
            assert!(!app.is_good(&api, token).await);
        }
        let clients = app.admin(&admin, reqwest::Method::GET, "/clients", None).await;
        assert_eq!(clients.status, 401, "{}", clients.text);
        let invalid_grant = (400, "invalid_grant".to_owned());
        assert_eq!(app.refresh(&phone, &tokens.refresh_token, &[]).await.error(), invalid_grant);
        assert_eq!(app.redeem(&phone, &code, VERIFIER).await.error(), invalid_grant);
        assert!(!is_signed_in(&mut desk).await, "the cookie is worth nothing");
        app.sign_in(&mut visitor, &page_of_before, &ada).await;
        assert!(!is_signed_in(&mut visitor).await, "nor is a form that was sealed before");

        // Even for a thief who goes on reading the database.
        let again = app.login(&phone, &ada).await;
        let store = installation.database.open().await;
        let stored = store.find_session(again.sid.parse().unwrap()).await.unwrap().unwrap();
        let (terms, chain) = (stored.session.terms, stored.session.chain);
        let thief = MasterKeyedTokens::new(&key(&stolen), entropy()).unwrap();
        let forged = thief.refresh_token(terms.id, chain.generation, &terms.secret);
        assert_eq!(app.refresh(&phone, &forged, &[]).await.error(), invalid_grant);
        let vault = SealedKeyVault::new(&key(&stolen), entropy()).unwrap();
        for signing_key in store.signing_keys().await.unwrap().0 {
            assert!(vault.open(&signing_key).is_err(), "{}", signing_key.kid);
        }
        Tokens::of(&app.refresh(&phone, &again.refresh_token, &[]).await);
        assert!(verifier.verify(&app.access_token(&orders).await).is_ok());
    }
}

on_every_database! {
    async fn what_the_master_key_did_not_make_lives_through_two_renewals(database) {
        let installation = Installation::on(database);
        let mut clients: Vec<TestClient> = Vec::new();
        let mut bits = BTreeSet::new();
        let mut ada = None;
        for id in ["first", "second", "third"] {
            let app = installation.start().await;
            clients.push(app.client(id, &["--audience", AUDIENCE]).await);
            if ada.is_none() {
                ada = Some((app.phone().await, app.user("ada").await));
            }
            let (phone, ada) = ada.as_ref().unwrap();
            for client in &clients {
                app.access_token(client).await;
            }
            for _ in 0..3 {
                let bit = crate::harness::revocation::bit(&app.login(phone, ada).await.access_token);
                assert!(bits.insert(bit), "each session has a bit that none has had before");
            }
            let verified = app.run(&["audit", "verify"]);
            assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
            stop(app).await;
            if id != "third" {
                installation.renew().await;
            }
        }
        let listed = installation.command(&["audit", "list", "--json", "--event", "master_key_renewed"]);
        let listed = listed.await.json();
        let records = listed.as_array().unwrap();
        assert_eq!(records.len(), 2);
        assert!(records.iter().all(|record| record["actor"] == "command_line"), "{listed}");
        assert!(records.iter().all(|record| record["sequence"].is_i64()), "{listed}");
    }
}

/// A record that says what never happened.
fn lie() -> AuditRecord {
    let at = chrono::DateTime::from_timestamp(now(), 0).unwrap();
    AuditRecord::new(AuditKind::UserEnabled, &Origin::SYSTEM, at, &*entropy()).unwrap()
}

on_every_database! {
    async fn an_audit_record_that_is_forged_with_the_former_master_key_is_found(database) {
        let installation = Installation::on(database);
        let app = installation.start().await;
        app.user("ada").await;
        stop(app).await;
        let stolen = installation.steal_key();
        installation.renew().await;
        let whole = installation.command(&["audit", "verify", "--json"]).await.json();
        assert_eq!(whole["whole"], true, "{whole}");

        // With the key of before, and the whole database to write to.
        let store = installation.database.open().await;
        let sealer = Arc::new(HmacChainSealer::new(&key(&stolen)));
        store.prove_records_with(Arc::clone(&sealer) as _);
        store.record(&lie()).await.unwrap();
        let said = installation.command(&["audit", "verify"]).await;
        assert_eq!(said.code, 1, "{}", said.out);
        assert!(said.err.contains("was put in or changed"), "{}", said.err);

        // Chained as well.
        let thief = Trail::new(Arc::clone(&store), sealer, entropy());
        thief.seal().await.unwrap();
        let said = installation.command(&["audit", "verify"]).await;
        assert_eq!(said.code, 1, "{}", said.out);
        let number = whole["records"].as_i64().unwrap() + 1;
        let expected = format!("record {number} (");
        assert!(said.err.contains(&expected), "{}", said.err);
        assert!(said.err.contains("does not fit its hash"), "{}", said.err);
    }
}

on_every_database! {
    async fn a_log_that_is_written_anew_with_the_former_master_key_is_found(database) {
        let installation = Installation::on(database);
        let app = installation.start().await;
        app.user("ada").await;
        stop(app).await;
        let stolen = installation.steal_key();
        let whole = installation.command(&["audit", "verify", "--json"]).await.json();
        let until = whole["records"].as_i64().unwrap();
        installation.renew().await;
        // All is taken out of the chain, what came since goes, and so does one record from before.
        let database = &installation.database;
        database
            .execute(
                "DELETE FROM audit_records WHERE kind IN ('user_created', 'master_key_renewed', \
                 'tokens_cut_off')",
            )
            .await;
        database
            .execute(
                "DELETE FROM audit_records WHERE kind = 'signing_keys_changed' AND detail LIKE '%revoked%'",
            )
            .await;
        database.execute("UPDATE audit_records SET sequence = NULL, hash = NULL").await;
        database.execute("DELETE FROM audit_chain").await;
        database.execute(EMPTY_CHAIN[usize::from(!database.url.starts_with("sqlite:"))]).await;
        let store = database.open().await;
        let former = Arc::new(HmacChainSealer::new(&key(&stolen)));
        store.prove_records_with(Arc::clone(&former) as _);
        let thief = Trail::new(Arc::clone(&store), former, entropy());
        let inheritance = store.inheritance().await.unwrap().unwrap();
        let present = key(&installation.key_file("master.key")).inherit(&inheritance).unwrap();
        let ours = Trail::new(Arc::clone(&store), Arc::new(HmacChainSealer::new(&present)), entropy());

        thief.seal().await.unwrap();
        let broken = ours.verify().await.unwrap().broken;
        assert!(
            matches!(broken, Some(Break::CutOff(end)) if end.sequence == until),
            "{broken:?}"
        );
        // Another record in its place, so that the log is as long as it was.
        store.record(&lie()).await.unwrap();
        thief.seal().await.unwrap();
        let broken = ours.verify().await.unwrap().broken;
        assert!(matches!(broken, Some(Break::Changed(number, _)) if number == until), "{broken:?}");
        let said = installation.command(&["audit", "verify"]).await;
        assert_eq!(said.code, 1, "{}", said.out);
        assert!(said.err.contains("tampered with"), "{}", said.err);
    }
}

/// The chain as it is before the first record, in both databases.
const EMPTY_CHAIN: [&str; 2] = [
    "INSERT INTO audit_chain (singleton, sequence, hash) VALUES (1, 0, zeroblob(32))",
    "INSERT INTO audit_chain (singleton, sequence, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'))",
];

on_every_database! {
    async fn a_renewal_goes_on_wherever_it_was_interrupted(database) {
        let installation = Installation::on(database);
        let app = installation.start().await;
        let orders = app.orders().await;
        stop(app).await;
        let (present, next) = (installation.key_file("master.key"), installation.key_file("master.key.new"));
        let old = installation.steal_key();

        // The file is there, and the database does not know of it: all is as before, and stays so until
        // somebody has removed it. Whoever can write a file there must not choose the next key.
        let planted = new_key(&next).fingerprint();
        let app = installation.start().await;
        app.access_token(&orders).await;
        stop(app).await;
        let refused = installation.command(&["keys", "renew-master", "--yes"]).await;
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{}", refused.err);
        assert!(refused.err.contains("the database does not belong to the master key in it"), "{}", refused.err);
        assert!(refused.err.contains("remove it and try again"), "{}", refused.err);
        assert_eq!(key(&next).fingerprint(), planted);
        assert_eq!(key(&present).fingerprint(), key(&old).fingerprint());
        let app = installation.start().await;
        app.access_token(&orders).await;
        stop(app).await;
        std::fs::remove_file(&next).unwrap();
        let done = installation.renew().await;
        assert_eq!(done["is_in_place"], true);
        let renewed = key(&present).fingerprint();
        assert_eq!(done["master_key"], renewed.to_string());
        assert_ne!(renewed, planted);

        // The database belongs to the new key, and the file is not in its place.
        std::fs::rename(&present, &next).unwrap();
        std::fs::copy(&old, &present).unwrap();
        for file_of_before_is_there in [true, false] {
            if !file_of_before_is_there {
                std::fs::remove_file(&present).unwrap();
            }
            let refused = installation.command(&["serve"]).await;
            assert_eq!(refused.code, 1);
            assert!(refused.err.contains("run `tokensmith keys renew-master --yes`"), "{}", refused.err);
        }
        std::fs::copy(&old, &present).unwrap();
        let finished = installation.renew().await;
        assert_eq!((&finished["ended_sessions"], &finished["kid"]), (&Value::Null, &done["kid"]));
        assert_eq!(installation.key_files(), ["master.key".to_owned()].into());
        assert_eq!(key(&present).fingerprint(), renewed);
        let app = installation.start().await;
        app.access_token(&orders).await;
        stop(app).await;

        // With the key of before nothing starts.
        std::fs::copy(&old, &present).unwrap();
        let refused = installation.command(&["serve"]).await;
        assert_eq!(refused.code, 1);
        assert!(refused.err.starts_with("error: wrong master key: "), "{}", refused.err);
        let refused = installation.command(&["keys", "renew-master", "--yes"]).await;
        assert_eq!(refused.code, 1);
        assert!(refused.err.starts_with("error: wrong master key: "), "{}", refused.err);
    }
}

on_every_database! {
    async fn renewals_that_meet_do_not_take_each_others_key(database) {
        let installation = Installation::on(database);
        let app = installation.start().await;
        let orders = app.orders().await;
        stop(app).await;
        let present = installation.key_file("master.key");
        // As long as the first one takes.
        let first = MasterKey::reserve(&installation.key_file("master.key.new")).unwrap().unwrap();
        let before = key(&present).fingerprint();
        let refused = installation.command(&["keys", "renew-master", "--yes"]).await;
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{}", refused.err);
        assert!(refused.err.contains("another renewal of the master key is under way"), "{}", refused.err);
        assert_eq!(key(&present).fingerprint(), before);
        drop(first);

        let renew = || installation.command(&["keys", "renew-master", "--yes", "--json"]);
        let (one, two) = tokio::join!(renew(), renew());
        let mut made = Vec::new();
        for said in [one, two] {
            if said.code == 0 {
                made.push(said.json()["master_key"].clone());
            } else {
                assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
            }
        }
        let renewed = key(&present).fingerprint();
        assert!(made.contains(&json!(renewed.to_string())), "{made:?}");
        assert_eq!(installation.key_files(), ["master.key".to_owned()].into());
        let app = installation.start().await;
        app.access_token(&orders).await;
    }
}

on_every_database! {
    async fn nothing_is_renewed_under_the_feet_of_a_server(database) {
        let installation = Installation::on(database);
        let app = installation.start().await;
        let (orders, before) = (app.orders().await, key(&installation.key_file("master.key")));
        let refused = installation.command(&["keys", "renew-master", "--yes"]).await;
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{}", refused.err);
        assert!(refused.err.contains("and try again"), "{}", refused.err);
        assert_eq!(installation.key_files(), ["master.key".to_owned()].into());
        app.access_token(&orders).await;
        assert_eq!(app.get("/readyz").await.status, 200);
        stop(app).await;
        let app = installation.start().await;
        app.access_token(&orders).await;
        assert_eq!(key(&installation.key_file("master.key")).fingerprint(), before.fingerprint());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_slept_through_the_renewal_stops() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let installation = Installation::on(database);
    let mut app = installation.start().await;
    let orders = app.orders().await;
    app.access_token(&orders).await;
    // As a machine that is moved: after six seconds nobody knows of it.
    app.signal("STOP");
    installation.renew().await;
    app.signal("CONT");
    assert_eq!(app.exit().await.code(), Some(1));
    let log = app.log();
    assert!(
        log.contains("was renewed, and this server has the one from before"),
        "{log}"
    );
    drop(app);
    let app = installation.start().await;
    app.access_token(&orders).await;
    let verified = app.run(&["audit", "verify"]);
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
}

#[tokio::test]
async fn a_master_key_from_elsewhere_is_written_where_the_operator_says() {
    let database = Database::sqlite();
    let text = |file: &Path| std::fs::read_to_string(file).unwrap().trim().to_owned();
    let home = database.home.path().to_owned();
    let (first, new) = (home.join("first"), home.join("new"));
    new_key(&first);
    let with = |master_key: &Path, arguments: &[&str]| {
        let mut command = tokensmith(arguments);
        command.envs(database.variables());
        run(command.env("TOKENSMITH_MASTER_KEY", text(master_key)))
    };
    let create = [
        "client",
        "create",
        "--id",
        "orders",
        "--grant",
        "client_credentials",
    ];
    let created = with(&first, &create);
    assert_eq!(created.code, 0, "{}", created.err);

    let renew = ["keys", "renew-master", "--yes"];
    let refused = with(&first, &renew);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("--write FILE"), "{}", refused.err);
    let write = [&renew[..], &["--write", new.to_str().unwrap()]].concat();
    let done = with(&first, &write);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains(new.to_str().unwrap()), "{}", done.out);

    let list = ["client", "list", "--json"];
    let refused = with(&first, &list);
    assert!(
        refused.err.starts_with("error: wrong master key: "),
        "{}",
        refused.err
    );
    assert_eq!(with(&new, &list).json()[0]["client_id"], "orders");
    // Again, because the answer was lost; and again by mistake, with the new key in place.
    assert_eq!(with(&first, &write).code, 0);
    let refused = with(&new, &write);
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("holds the present master key"),
        "{}",
        refused.err
    );
    // Nor does a key come back that has leaked.
    let back = [&renew[..], &["--write", first.to_str().unwrap()]].concat();
    let refused = with(&new, &back);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("has had before"), "{}", refused.err);
}

#[test]
fn a_renewal_that_was_not_meant_is_refused() {
    let database = Database::sqlite();
    let said = |arguments: &[&str]| {
        let all = [&["keys", "renew-master"], arguments].concat();
        run(tokensmith(&all).envs(database.variables()))
    };
    assert_eq!(said(&[]).code, 2, "not without --yes");
    let nothing = said(&["--yes"]);
    assert_eq!(nothing.code, 1);
    assert!(
        nothing.err.contains("there is no installation"),
        "{}",
        nothing.err
    );
    let place = said(&["--yes", "--write", "new.key"]);
    assert_eq!(place.code, 1);
    assert!(
        place.err.contains("--write is for a master key"),
        "{}",
        place.err
    );
}

/// What `tokensmith dev` says that can be tried.
async fn dev_secret(database: &Database) -> (String, u16) {
    let home = database.home.path();
    let output = std::fs::File::create(home.join("out")).unwrap();
    let mut command = tokensmith(&["dev", "--listen", "127.0.0.1:0"]);
    command.current_dir(home).stdout(output);
    let mut process = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let text = wait::until("it says what to try", || async {
        let text = std::fs::read_to_string(home.join("out")).unwrap();
        text.contains("Stop with").then_some(text)
    })
    .await;
    let word = |start: &str| {
        let at = text.find(start).unwrap();
        text[at..].split_whitespace().next().unwrap().to_owned()
    };
    let (credential, url) = (word("demo:tss1_"), word("http://127"));
    let secret = credential.strip_prefix("demo:").unwrap();
    let token = reqwest::Client::new()
        .post(format!("{url}/oauth/token"))
        .basic_auth("demo", Some(secret))
        .form(&[("grant_type", "client_credentials")])
        .send()
        .await
        .unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    (secret.to_owned(), token.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_were_made_of_the_former_master_key_are_made_anew() {
    let database = Database::sqlite();
    let (before, status) = dev_secret(&database).await;
    assert_eq!(status, 200);
    let home = database.home.path();
    let renewed = run(tokensmith(&["keys", "renew-master", "--yes"]).current_dir(home));
    assert_eq!(renewed.code, 0, "{}", renewed.err);
    let (after, status) = dev_secret(&database).await;
    assert_eq!(status, 200, "there is something to try again");
    assert_ne!(before, after);

    let issuer = format!("http://127.0.0.1:{}", free_port());
    let here = home.join("data/tokensmith.db").display().to_string();
    let keys = home.join("keys").display().to_string();
    let url = format!("sqlite:{here}");
    let settings = [
        ("TOKENSMITH_ISSUER", &*issuer),
        ("TOKENSMITH_DATABASE_URL", &*url),
        ("TOKENSMITH_KEYS_DIR", &*keys),
    ];
    let app = TestApp::start_with(&database, &settings).await;
    let demo = |secret: &str| TestClient {
        id: "demo".to_owned(),
        secret: secret.to_owned(),
    };
    assert_eq!(app.token(&demo(&before), &[]).await.status, 401);
    assert_eq!(app.token(&demo(&after), &[]).await.status, 200);
}
