//! Accounts, sessions and the audit log on the command line, beside a running server and without
//! one.

mod cut_off;
mod import;

use std::process::Command;

use serde_json::Value;

use crate::harness::app::TestClient;
use crate::harness::command::{run, run_with_input};
use crate::harness::login::{TestUser, Tokens};
use crate::harness::{Database, TestApp, on_every_database, tokensmith, wait};

const PASSWORD: &str = "seven herons at dawn";

/// A command on a database without a server.
fn on(database: &Database, arguments: &[&str]) -> Command {
    let mut command = tokensmith(arguments);
    command.envs(database.variables());
    command
}

/// Makes an account with [`PASSWORD`], with exactly this line.
fn create_ada(database: &Database) -> Value {
    let line =
        "user create --username ada --email ada@example.com --password-stdin --json".split(' ');
    let mut command = on(database, &line.collect::<Vec<_>>());
    run_with_input(&mut command, &format!("{PASSWORD}\n")).json()
}

fn ada(id: &str, password: &str) -> TestUser {
    TestUser {
        id: id.to_owned(),
        name: "ada".to_owned(),
        password: password.to_owned(),
    }
}

on_every_database! {
    async fn an_account_is_made_listed_disabled_enabled_and_deleted(database) {
        let said = |arguments: &[&str]| run(&mut on(&database, arguments));
        let created = create_ada(&database);
        let id = created["user_id"].as_str().unwrap();
        assert_eq!(created["username"], "ada");
        assert_eq!(created["email"], "ada@example.com");
        assert_eq!(created["has_password"], true);
        assert!(!created.to_string().contains("argon2"), "{created}");

        let without = said(&["user", "create", "--username", "-Bob ", "--json"]);
        assert_eq!(without.code, 2, "space at the end");
        let without = said(&["user", "create", "--username", "-Bob", "--name", "Bob B.", "--phone", "+44",
            "--address", "1 Street\nTown"]);
        assert_eq!(without.code, 0, "{}", without.err);
        assert!(without.err.contains("The account has no password"), "{}", without.err);
        for fact in ["username    -Bob", "name        Bob B.", "phone       +44",
            "address     1 Street, Town", "state       enabled", "password    none"] {
            assert!(without.out.lines().any(|line| line == fact), "{fact}:\n{}", without.out);
        }

        let listed = said(&["user", "list", "--json"]).json();
        let names: Vec<_> = listed.as_array().unwrap().iter().map(|user| &user["username"]).collect();
        assert_eq!(names, ["ada", "-Bob"]);
        let table = said(&["user", "list"]).out;
        let line = format!("{id}  enabled   ada                       ada@example.com");
        assert!(table.starts_with("USER ") && table.lines().any(|row| row == line), "{table}");

        for name in [id, "ada", "ADA", "Ada@Example.com"] {
            assert_eq!(said(&["user", "show", name, "--json"]).json()["user_id"], id, "{name}");
        }
        assert_eq!(said(&["user", "show", "-bob", "--json"]).json()["username"], "-Bob");
        let disabled = said(&["user", "disable", "ada", "--json"]).json();
        assert_eq!(disabled["enabled"], false);
        assert!(said(&["user", "show", "ada"]).out.contains("disabled since "));
        assert_eq!(said(&["user", "enable", id, "--json"]).json()["enabled"], true);
        let deleted = said(&["user", "delete", "ada@example.com", "--json"]).json();
        assert_eq!((&deleted["user_id"], &deleted["deleted"]), (&created["user_id"], &Value::Bool(true)));

        for (name, act) in [("ada", "show"), (id, "show"), ("ada", "disable"), (id, "delete")] {
            let gone = said(&["user", act, name]);
            assert_eq!((gone.code, gone.err), (1, format!("error: there is no user {name}\n")));
        }
        let log = said(&["audit", "list", "--user", id, "--json"]).json();
        let log = log.as_array().unwrap();
        let events: Vec<_> = log.iter().map(|record| &record["event"]).collect();
        assert_eq!(events, ["user_deleted", "user_enabled", "user_disabled", "user_created"]);
        for record in log {
            assert_eq!(record["actor"], "command_line");
            assert!(record["sequence"].is_i64(), "sealed at once: {record}");
        }
    }
}

on_every_database! {
    async fn a_name_is_unique_without_regard_to_case(database) {
        create_ada(&database);
        for flags in [
            &["--username", "ADA"][..],
            &["--username", "ａｄａ"],
            &["--username", "Ada@Example.COM"],
            &["--username", "eve", "--email", "ADA@example.com"],
        ] {
            let said = run(on(&database, &["user", "create"]).args(flags));
            let words = "error: another account has that username or e-mail address\n";
            assert_eq!((said.code, said.err.as_str()), (1, words), "{flags:?}");
        }
        let listed = run(&mut on(&database, &["user", "list", "--json"])).json();
        assert_eq!(listed.as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_password_that_is_not_good_enough_is_refused_in_words_and_nothing_is_created() {
    let database = Database::sqlite();
    let create = |input: &str| {
        let arguments = ["user", "create", "--username", "ada lovelace"];
        run_with_input(
            &mut on(&database, &[&arguments[..], &["--password-stdin"]].concat()),
            input,
        )
    };
    for (password, words) in [
        ("", "no password on standard input: it is empty"),
        ("\n", "no password on standard input: it is empty"),
        ("short\n", "a password has at least 10 characters"),
        ("password123\n", "that very many people have"),
        ("Ada Lovelace 1\n", "made of your name"),
        (
            "seven herons\nat dawn\n",
            "a password has no control characters",
        ),
        (&"long ".repeat(100), "a password has at most 256 bytes"),
        (
            &"long ".repeat(10_000),
            "no password on standard input: it is too long",
        ),
    ] {
        let said = create(password);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{password:?}");
        assert!(said.err.contains(words), "{password:?}: {}", said.err);
        let secret = password.trim();
        assert!(
            secret.is_empty() || !said.err.contains(secret),
            "{}",
            said.err
        );
    }
    let listed = run(&mut on(&database, &["user", "list", "--json"]));
    assert_eq!(listed.out, "[]\n");
    assert_eq!(create(&format!("{PASSWORD}\r\n")).code, 0);
    let set = |input: &str| {
        let arguments = ["user", "set-password", "ada lovelace", "--password-stdin"];
        run_with_input(&mut on(&database, &arguments), input)
    };
    assert!(set("short").err.contains("at least 10 characters"));
    assert_eq!(set("a rather different one").code, 0);
    let without = run(&mut on(
        &database,
        &["user", "set-password", "ada lovelace"],
    ));
    assert_eq!(without.code, 2, "the password never comes in an argument");
}

#[test]
fn commands_that_only_look_at_people_make_no_installation() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["user", "list"][..],
        &["user", "delete", "ada"],
        &["session", "list", "ada"],
        &["audit", "list"],
        &["audit", "verify"],
    ] {
        let said = run(tokensmith(arguments).current_dir(home.path()));
        assert_eq!(said.code, 1);
        assert!(
            said.err.contains("there is no installation"),
            "{}",
            said.err
        );
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

on_every_database! {
    async fn what_the_command_line_does_to_a_person_is_seen_by_the_running_server(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let created = create_ada(&database);
        let user = ada(created["user_id"].as_str().unwrap(), PASSWORD);
        let tokens = app.login(&phone, &user).await;
        assert_eq!(app.run(&["user", "disable", "ada"]).code, 0);
        assert_refused(&app, &phone, &tokens).await;
        assert_eq!(app.challenge(&phone, &user, &[]).await.status, 400);
        assert_eq!(app.run(&["user", "enable", "ada"]).code, 0);
        let tokens = app.login(&phone, &user).await;

        let mut command = app.command(&["user", "set-password", "ada", "--password-stdin", "--json"]);
        let set = run_with_input(&mut command, "a rather different one\n").json();
        assert!(set["password_changed_at"].is_string(), "{set}");
        assert_refused(&app, &phone, &tokens).await;
        assert_eq!(app.challenge(&phone, &user, &[]).await.status, 400);
        let user = ada(&user.id, "a rather different one");
        let tokens = app.login(&phone, &user).await;
        assert_eq!(app.run(&["user", "delete", "ada"]).code, 0);
        assert_refused(&app, &phone, &tokens).await;
        assert_eq!(app.challenge(&phone, &user, &[]).await.status, 400);
    }
}

on_every_database! {
    async fn sessions_are_listed_and_ended_on_the_command_line(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let created = create_ada(&database);
        let user = ada(created["user_id"].as_str().unwrap(), PASSWORD);
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(app.login(&phone, &user).await);
        }
        let sids = || -> Vec<String> {
            let listed = app.run(&["session", "list", "ada", "--json"]).json();
            let listed = listed.as_array().unwrap().iter();
            listed.map(|session| session["sid"].as_str().unwrap().to_owned()).collect()
        };
        let newest_first: Vec<_> = sessions.iter().rev().map(|tokens| tokens.sid.clone()).collect();
        assert_eq!(sids(), newest_first);
        let table = app.run(&["session", "list", &user.id]).out;
        assert!(table.starts_with("SESSION ") && table.contains("  phone "), "{table}");
        assert!(table.contains("127.0.0.1"), "{table}");

        let sid = sessions[1].sid.as_str();
        let ended = app.run(&["session", "end", sid, "--json"]).json();
        assert_eq!((&ended["sid"], &ended["ended"]), (&Value::from(sid), &Value::Bool(true)));
        assert_refused(&app, &phone, &sessions[1]).await;
        assert_eq!(sids(), [newest_first[0].as_str(), &newest_first[2]]);
        let again = app.run(&["session", "end", sid]);
        assert_eq!((again.code, again.err), (1, format!("error: there is no live session {sid}\n")));
        Tokens::of(&app.refresh(&phone, &sessions[2].refresh_token, &[]).await);

        let ended = app.run(&["session", "end", "--user", "ada", "--json"]).json();
        assert_eq!((&ended["user_id"], &ended["sessions_ended"]), (&created["user_id"], &Value::from(2)));
        assert_refused(&app, &phone, &sessions[0]).await;
        assert_eq!(sids(), [""; 0]);
        for usage in [&["session", "end"][..], &["session", "end", sid, "--user", "ada"]] {
            assert_eq!(app.run(usage).code, 2);
        }
        let log = app.run(&["audit", "list", "--event", "session_ended", "--session", sid, "--json"]);
        let log = log.json();
        assert_eq!(log.as_array().unwrap().len(), 1, "{log}");
        assert_eq!((&log[0]["actor"], &log[0]["client_id"]), (&"command_line".into(), &"phone".into()));
    }
}

/// The session is over for the running server as well.
async fn assert_refused(app: &TestApp, phone: &TestClient, tokens: &Tokens) {
    wait::until("the refresh token is refused", || async {
        let reply = app.refresh(phone, &tokens.refresh_token, &[]).await;
        (reply.status == 400).then(|| assert_eq!(reply.json()["error"], "invalid_grant"))
    })
    .await;
}

on_every_database! {
    async fn the_audit_log_is_read_with_filters(database) {
        create_ada(&database);
        let said = |arguments: &[&str]| run(on(&database, &["audit", "list"]).args(arguments));
        for act in ["disable", "enable", "disable"] {
            assert_eq!(run(&mut on(&database, &["user", act, "ada"])).code, 0);
        }
        run(&mut on(&database, &["user", "create", "--username", "bob"]));
        let count = |arguments: &[&str]| {
            said(&[arguments, &["--json"]].concat()).json().as_array().unwrap().len()
        };
        assert_eq!(count(&["--user", "ada"]), 4);
        assert_eq!(count(&["--user", "ada", "--event", "user_disabled"]), 2);
        assert_eq!(count(&["--limit", "2"]), 2);
        assert_eq!(count(&["--limit", "0"]), 0);
        assert_eq!(count(&["--client", "nobody"]), 0);
        let table = said(&["--user", "ada"]).out;
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("TIME (UTC) ") && lines.len() == 5, "{table}");
        assert!(lines[1].contains("  user_disabled  command_line  user:"), "{table}");
        assert!(lines[4].contains("  user_created "), "{table}");
        assert_eq!(said(&["--event", "nonsense"]).code, 2);
        assert_eq!(said(&["--user", "nobody"]).err, "error: there is no user nobody\n");
    }
}

on_every_database! {
    async fn what_was_done_to_clients_and_keys_is_sealed_at_once_as_well(database) {
        let create = ["client", "create", "--id", "orders", "--grant", "client_credentials"];
        for act in [&create[..], &["client", "disable", "orders"], &["keys", "rotate"]] {
            let said = run(&mut on(&database, act));
            assert_eq!(said.code, 0, "{}", said.err);
        }
        let log = run(&mut on(&database, &["audit", "list", "--json"])).json();
        let log = log.as_array().unwrap();
        assert!(log.len() >= 3 && log.iter().all(|record| record["sequence"].is_i64()), "{log:?}");
        assert_eq!(log[0]["event"], "signing_keys_changed");
    }
}

/// A database with a log of five records, and the end of its chain as printed.
fn five_records(database: &Database) -> String {
    create_ada(database);
    for act in ["disable", "enable", "disable", "enable"] {
        assert_eq!(run(&mut on(database, &["user", act, "ada"])).code, 0);
    }
    let verified = run(&mut on(database, &["audit", "verify", "--json"])).json();
    assert_eq!(
        (&verified["whole"], &verified["records"]),
        (&true.into(), &5.into())
    );
    verified["end"].as_str().unwrap().to_owned()
}

/// What verification says about a broken log, in words and in JSON.
fn problem(database: &Database, further: &[&str]) -> String {
    let said = run(on(database, &["audit", "verify"]).args(further));
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let json = run(on(database, &["audit", "verify", "--json"]).args(further));
    assert_eq!((json.code, json.err.as_str()), (1, ""));
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["whole"], false);
    let problem = json["problem"].as_str().unwrap().to_owned();
    assert_eq!(
        said.err,
        format!("error: the audit log is broken: {problem}\n")
    );
    problem
}

on_every_database! {
    async fn a_whole_log_is_found_whole_and_ends_where_it_was_noted(database) {
        let note = five_records(&database);
        let verify = |note: &str| run(&mut on(&database, &["audit", "verify", "--expect", note]));
        let said = verify(&note);
        assert_eq!((said.code, said.err.as_str()), (0, ""));
        assert_eq!(said.out, format!("The audit log is whole: 5 records.\nIt ends with {note}\n"));
        run(&mut on(&database, &["user", "disable", "ada"]));
        assert_eq!(verify(&note).code, 0, "it has only grown");
        assert_eq!(verify(&format!("0:{}", "0".repeat(64))).code, 0, "noted before there was any");
        let other = note.replacen("5:", "4:", 1);
        assert!(verify(&other).err.contains("record 4 is not the one that was noted"));
        assert_eq!(verify("5").code, 2);
    }
}

on_every_database! {
    async fn a_changed_record_is_named(database) {
        five_records(&database);
        database.execute("UPDATE audit_records SET detail = 'nothing to see' WHERE sequence = 3").await;
        let problem = problem(&database, &[]);
        assert!(problem.starts_with("record 3 (") && problem.contains("was changed"), "{problem}");
    }
}

on_every_database! {
    async fn a_removed_record_is_missed(database) {
        five_records(&database);
        database.execute("DELETE FROM audit_records WHERE sequence = 2").await;
        assert_eq!(problem(&database, &[]), "record 2 is missing: it was removed");
    }
}

on_every_database! {
    async fn a_log_that_was_cut_off_is_missed_at_its_end(database) {
        five_records(&database);
        database.execute("DELETE FROM audit_records WHERE sequence > 3").await;
        let problem = problem(&database, &[]);
        assert!(problem.starts_with("the end is cut off"), "{problem}");
        assert!(problem.ends_with("the chain should end with record 5"), "{problem}");
    }
}

on_every_database! {
    async fn a_log_that_was_cut_off_and_has_grown_again_contradicts_a_note(database) {
        let note = five_records(&database);
        database.execute("DELETE FROM audit_records WHERE sequence > 3").await;
        database
            .execute(
                "UPDATE audit_chain SET sequence = 3, \
                 hash = (SELECT hash FROM audit_records WHERE sequence = 3)",
            )
            .await;
        assert_eq!(run(&mut on(&database, &["audit", "verify"])).code, 0, "nothing is wrong in itself");
        let expect = ["--expect", note.as_str()];
        let shorter = problem(&database, &expect);
        assert!(shorter.contains("the log ends with record 3, and record 5 was noted"), "{shorter}");
        for act in ["disable", "enable", "disable"] {
            run(&mut on(&database, &["user", act, "ada"]));
        }
        let regrown = problem(&database, &expect);
        assert!(regrown.starts_with("record 5 is not the one that was noted"), "{regrown}");
    }
}
