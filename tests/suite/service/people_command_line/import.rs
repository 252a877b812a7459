//! `tokensmith user import`

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use super::on;
use crate::harness::command::{run, run_with_input};
use crate::harness::login::TestUser;
use crate::harness::{TestApp, on_every_database, wait};

/// Made by other implementations from one password.
const PASSWORD: &str = "correct horse battery staple";
const HASHES: &[(&str, &str)] = &[
    (
        "argon2id",
        "$argon2id$v=19$m=64,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$\
         50WlLMTS62Tm0boTX6gj9/Twg9JqLCOkn3nUFhfCpHs",
    ),
    (
        "bcrypt",
        "$2b$04$4EySwkZvkB3KkbmZJwg5..WTZhBWt2MtvCfYsbZhHx1dZrtqjzC/a",
    ),
    (
        "pbkdf2",
        "$pbkdf2-sha256$i=1000,l=32$8PHy8/T19vf4+fr7/P3+/w$\
         0A35jjZ8X+jm/Nj9sc4uzmU/RqA2wljSyf5enbVFSOY",
    ),
    (
        "passlib",
        "$pbkdf2-sha512$1000$8PHy8/T19vf4.fr7/P3./w$\
         7Ny4dUakS7JIZAfjYpLQGSZsWvUihs7A6xXDgyqRrc3BkpXb3nL1/MvPpT3VxDAwU6FzpGn1KkCfA3fC7/680Q",
    ),
    (
        "django",
        "pbkdf2_sha256$1000$gWXUqSjGUYLo5bGpbgmeJH$VOammIPVutYyR05B05DpeenbQvQkdTg8Bj8jupMKnno=",
    ),
];

on_every_database! {
    async fn people_log_in_with_the_hashes_that_they_brought_along(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let lines: String = HASHES.iter().fold(String::new(), |mut lines, (name, hash)| {
            let line = serde_json::json!({ "username": name, "password_hash": hash });
            writeln!(lines, "{line}").unwrap();
            lines
        });
        let said = run_with_input(&mut app.command(&["user", "import", "-"]), &lines);
        assert_eq!((said.code, said.out.as_str()), (0, "imported 5, already there 0, refused 0\n"));
        for (name, _) in HASHES {
            let shown = app.run(&["user", "show", name, "--json"]).json();
            let user = |password: &str| TestUser {
                id: shown["user_id"].as_str().unwrap().to_owned(),
                name: (*name).to_owned(),
                password: password.to_owned(),
            };
            app.login(&phone, &user(PASSWORD)).await;
            app.login(&phone, &user(PASSWORD)).await;
            let wrong = app.challenge(&phone, &user("correct horse battery stapler"), &[]).await;
            assert_eq!(wrong.status, 400, "{name}");
        }
        assert_eq!(app.run(&["audit", "verify"]).code, 0);
    }
}

on_every_database! {
    async fn refused_lines_are_named_and_the_others_imported(database) {
        let hash = HASHES[1].1;
        let long = format!("{{\"username\":\"{}\"}}", "x".repeat(64 * 1024));
        let lines = [
            r#"{"username":"ada","email":"ada@example.com","email_verified":true,"name":"Ada"}"#,
            "not JSON",
            "",
            r#"{"username":"ada","email":"ada@example.com"}"#,
            r#"{"username":"eve","email":"ADA@example.com"}"#,
            &format!(r#"{{"username":"bob","password_hash":"{hash}x"}}"#),
            &format!(r#"{{"username":"carol","email_verified":"{hash}"}}"#),
            r#"{"username":"dave","admin":true}"#,
            &long,
            r#"{"email":"nobody@example.com"}"#,
            r#"{"username":" frank"}"#,
            &format!(r#"{{"username":"grace","password_hash":"{hash}"}}"#),
            r#"{"username":"heidi""#,
        ];
        let file = database.home.path().join("people.jsonl");
        std::fs::write(&file, lines.join("\n")).unwrap();
        let arguments = ["user", "import", file.to_str().unwrap(), "--json"];
        let said = run(&mut on(&database, &arguments));
        assert_eq!(said.code, 1);
        let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let expected = serde_json::json!({ "imported": 2, "already_there": 0, "refused": 10 });
        assert_eq!(summary, expected, "{}", said.err);
        assert!(!said.err.contains("4EySwkZv"), "{}", said.err);
        let expected = [
            "line 2: not a JSON object",
            "line 4: another account has that username or e-mail address",
            "line 5: another account has that username or e-mail address",
            "line 6: the password hash is malformed: ",
            "line 7: email_verified is true or false",
            "line 8: there is no member admin; the members are username, email, ",
            "line 9: the line is longer than 64 KiB",
            "line 10: missing field `username`",
            "line 11: a username has no space at its ends",
            "line 13: malformed JSON: ",
        ];
        let said: Vec<&str> = said.err.lines().collect();
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for (line, expected) in said.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}");
        }
        let listed = run(&mut on(&database, &["user", "list", "--json"])).json();
        let names: BTreeSet<_> = listed.as_array().unwrap().iter().map(|user| user["username"].as_str()).collect();
        assert_eq!(names, BTreeSet::from([Some("ada"), Some("grace")]));
        let ada = run(&mut on(&database, &["user", "show", "ada", "--json"])).json();
        assert_eq!((&ada["email_verified"], &ada["name"]), (&true.into(), &"Ada".into()));
        assert_eq!(ada["has_password"], false);
        let log = run(&mut on(&database, &["audit", "list", "--json"])).json();
        assert_eq!((&log[0]["event"], &log[0]["actor"]), (&"users_imported".into(), &"command_line".into()));
    }
}

/// So many that an import takes a while.
const MANY: usize = 12_000;

on_every_database! {
    async fn an_import_that_was_killed_is_resumed_and_nobody_is_there_twice(database) {
        let lines: String = (0..MANY).fold(String::new(), |mut lines, number| {
            let (name, email) = (format!("person-{number}"), format!("{number}@example.com"));
            let line = serde_json::json!({ "username": name, "email": email });
            writeln!(lines, "{line}").unwrap();
            lines
        });
        let file = database.home.path().join("people.jsonl");
        std::fs::write(&file, &lines).unwrap();
        let file = file.to_str().unwrap();
        let names = || -> Vec<String> {
            let listed = run(&mut on(&database, &["user", "list"]));
            let rows = listed.out.lines().skip(1);
            rows.map(|row| row.split_whitespace().nth(2).unwrap().to_owned()).collect()
        };
        let mut there = 0;
        let half = lines.len() / 2;
        for (arguments, fed) in [
            (&["user", "import", "-"][..], half),
            (&["user", "import", "-", "--resume"], lines.len()),
        ] {
            let mut command = on(&database, arguments);
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut import = command.spawn().unwrap();
            let (mut pipe, lines) = (import.stdin.take().unwrap(), lines.clone());
            // The rest, or at least the last line, does not come while the import lives, so it is never
            // done too early, however fast the machine is.
            let feeder = std::thread::spawn(move || {
                let last = lines[..fed].trim_end().rfind('\n').unwrap();
                let fed = pipe.write_all(&lines.as_bytes()[..last]);
                (pipe, fed)
            });
            there = wait::until("a further part is imported", || async {
                Some(names().len()).filter(|now| *now > there + 1_000)
            })
            .await;
            import.kill().unwrap();
            assert!(!import.wait().unwrap().success(), "it was not done before");
            let _pipe = feeder.join();
        }
        let resume = || run(&mut on(&database, &["user", "import", file, "--resume", "--json"]));
        let resumed = resume();
        assert!(resumed.err.starts_with("10000 lines, "), "{}", resumed.err);
        let resumed = resumed.json();
        let number = |name: &str| usize::try_from(resumed[name].as_u64().unwrap()).unwrap();
        assert_eq!(number("imported") + number("already_there"), MANY, "{resumed}");
        assert!(number("imported") > 0 && number("already_there") >= there, "{resumed}");
        let names = names();
        assert_eq!((names.len(), names.iter().collect::<BTreeSet<_>>().len()), (MANY, MANY));
        let done = resume().json();
        assert_eq!(done, serde_json::json!({ "imported": 0, "already_there": MANY, "refused": 0 }));
    }
}

on_every_database! {
    async fn only_the_same_account_is_passed_over_when_an_import_is_resumed(database) {
        let import = |lines: &str| {
            run_with_input(&mut on(&database, &["user", "import", "-", "--resume"]), lines)
        };
        let ada = "{\"username\":\"ada\",\"email\":\"ada@example.com\"}\n";
        assert_eq!(import(ada).out, "imported 1, already there 0, refused 0\n");
        assert_eq!(import(ada).out, "imported 0, already there 1, refused 0\n");
        for other in [
            "{\"username\":\"ada\"}",
            "{\"username\":\"Ada\",\"email\":\"ada@example.com\"}",
            "{\"username\":\"ada\",\"email\":\"lovelace@example.com\"}",
            "{\"username\":\"ada@example.com\"}",
        ] {
            let said = import(other);
            assert_eq!((said.code, said.out.as_str()), (1, "imported 0, already there 0, refused 1\n"));
            assert!(said.err.contains("line 1: another account has that"), "{}", said.err);
        }
    }
}
