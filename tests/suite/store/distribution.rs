//! Which statements touch one row, by its primary key. They stay as quick as they are when `sessions` is
//! cut into partitions or spread over machines; the others are listed, each with its reason.

mod not_by_key;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use sqlx::{Connection, PgConnection, Row};
use tokensmith::store::STATEMENTS;
use tokensmith_cluster::Postgres;

use self::not_by_key::{NOT_BY_KEY, Runs};
use crate::harness::login::{Tokens, VERIFIER};
use crate::harness::{Database, TestApp, own_postgres, wait};

#[tokio::test]
async fn a_statement_touches_one_row_by_its_key_or_is_listed_with_its_reason() {
    let Some(keys) = primary_keys().await else {
        return;
    };
    let listed: BTreeSet<&str> = NOT_BY_KEY.iter().map(|(name, ..)| *name).collect();
    assert_eq!(listed.len(), NOT_BY_KEY.len(), "each once");
    let by_key = |sql: &str| touches_one_row(sql, &keys);
    let others = STATEMENTS.iter().filter(|(_, sql)| !by_key(sql));
    let others: BTreeSet<&str> = others.map(|(name, _)| *name).collect();
    let unlisted: Vec<_> = others.difference(&listed).collect();
    let superfluous: Vec<_> = listed.difference(&others).collect();
    assert!(
        unlisted.is_empty() && superfluous.is_empty(),
        "NOT_BY_KEY lacks {unlisted:?}, and these are none: {superfluous:?}"
    );
    for (name, _, reason) in NOT_BY_KEY {
        assert!(!reason.is_empty(), "{name}");
    }
    assert!(
        STATEMENTS.len() - others.len() > 60,
        "the rule finds what it should"
    );
}

#[tokio::test]
async fn the_rule_knows_one_row_from_many() {
    let Some(keys) = primary_keys().await else {
        return;
    };
    for (sql, expected) in [
        ("SELECT id FROM sessions WHERE id = $1", true),
        (
            "SELECT s.id FROM sessions s LEFT JOIN users u ON u.id = s.user_id WHERE s.id = $1",
            true,
        ),
        (
            "SELECT s.id FROM users u JOIN sessions s ON s.user_id = u.id WHERE u.id = $1",
            false,
        ),
        ("SELECT id FROM sessions WHERE user_id = $1", false),
        ("SELECT id FROM sessions WHERE id > $1", false),
        ("SELECT id FROM sessions", false),
        (
            "SELECT id FROM sessions WHERE id IN (SELECT id FROM sessions WHERE id = $1)",
            false,
        ),
        (
            "SELECT id FROM sessions WHERE id = $1 OR user_id = $2",
            false,
        ),
        (
            "UPDATE sessions SET generation = 1 WHERE id = $1 AND EXISTS (SELECT 1)",
            true,
        ),
        (
            "UPDATE sessions SET generation = 1 WHERE sessions.id = $1",
            true,
        ),
        ("UPDATE sessions SET id = $1", false),
        (
            "DELETE FROM consents WHERE user_id = $1 AND client_id = $2",
            true,
        ),
        ("DELETE FROM consents WHERE user_id = $1", false),
        ("INSERT INTO sessions (id) VALUES ($1)", true),
        (
            "INSERT INTO sessions (id) SELECT id FROM logins WHERE user_id = $1",
            false,
        ),
    ] {
        assert_eq!(touches_one_row(sql, &keys), expected, "{sql}");
    }
}

/// The token endpoint, introspection and logout, with all their grants, on a server that notes every
/// statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_apps_and_services_ask_for_all_day_is_one_row_at_a_time() {
    if !Postgres::is_installed() {
        drop(own_postgres::start().await);
        return;
    }
    let notes = tempfile::tempdir().unwrap();
    let anybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(notes.path(), anybody).unwrap();
    let directory = format!("log_directory={}", notes.path().display());
    let settings = [
        "fsync=off",
        "log_statement=all",
        "logging_collector=on",
        "log_filename=notes",
        "log_file_mode=0644",
        &directory,
    ];
    let server = Postgres::start(&settings).await.unwrap();
    let noted = || std::fs::read_to_string(notes.path().join("notes")).unwrap();
    let database = Database::at(server.create_database("own").await.unwrap());
    let app = TestApp::start(&database).await;
    let (orders, phone, ada) = (app.orders().await, app.phone().await, app.user("ada").await);
    let resource = ["--resource-server", "https://api.example.com"];
    let api = app.client("api", &resource).await;
    let codes = [app.code(&phone, &ada).await, app.code(&phone, &ada).await];
    let before = noted().len();

    app.access_token(&orders).await;
    let first = Tokens::of(&app.redeem(&phone, &codes[0], VERIFIER).await);
    let other = Tokens::of(&app.redeem(&phone, &codes[1], VERIFIER).await);
    let second = Tokens::of(&app.refresh(&phone, &first.refresh_token, &[]).await);
    let repeated = Tokens::of(&app.refresh(&phone, &first.refresh_token, &[]).await);
    assert_eq!(repeated.refresh_token, second.refresh_token);
    let third = Tokens::of(&app.refresh(&phone, &second.refresh_token, &[]).await);
    assert!(app.is_good(&api, &third.access_token).await);
    app.revoke(&phone, &third.refresh_token).await;
    assert!(!app.is_good(&api, &third.access_token).await);
    let spent = app.redeem(&phone, &codes[1], VERIFIER).await;
    assert_eq!(
        spent.status, 400,
        "a code that comes again ends its session"
    );
    let ended = app.refresh(&phone, &other.refresh_token, &[]).await;
    assert_eq!(ended.status, 400);

    // The server writes its notes a moment later.
    let names = wait::until("all is noted", || async {
        let names = statements_in(&noted()[before..]);
        let last = ["END_SESSION", "ROTATE_SESSION", "REDEEM_CODE", "EXTEND_LOG"];
        last.iter()
            .all(|name| names.contains(name))
            .then_some(names)
    })
    .await;
    let by_key: BTreeSet<&str> = names
        .iter()
        .filter(|name| NOT_BY_KEY.iter().all(|(listed, ..)| listed != *name))
        .copied()
        .collect();
    for name in [
        "INSERT_SESSION",
        "FIND_CODE",
        "FIND_SESSION",
        "REVOKE_STATUS",
    ] {
        assert!(by_key.contains(name), "{name} has not run: {names:?}");
    }
    for (name, runs, reason) in NOT_BY_KEY {
        assert!(
            *runs == Runs::AsUpkeep || !names.contains(name),
            "{name} runs all day, and not by key: {reason}"
        );
    }
}

/// The statements that a server has noted, by name.
fn statements_in(notes: &str) -> BTreeSet<&'static str> {
    let executed = notes.lines().filter_map(|line| {
        let (_, rest) = line.split_once("LOG:  execute ")?;
        rest.split_once(": ").map(|(_, sql)| sql.trim_end())
    });
    let executed: BTreeSet<&str> = executed.collect();
    let known = STATEMENTS.iter().filter(|(_, sql)| executed.contains(sql));
    known.map(|(name, _)| *name).collect()
}

/// The guide's partitions, and on them what apps do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_runs_on_sessions_in_partitions_as_the_guide_makes_them() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let issuer = format!("http://127.0.0.1:{}", crate::harness::app::free_port());
    let settings = [("TOKENSMITH_ISSUER", issuer.as_str())];
    let mut app = TestApp::start_with(&database, &settings).await;
    let (phone, ada) = (app.phone().await, app.user("ada").await);
    let mut devices = Vec::new();
    for _ in 0..3 {
        devices.push(app.login(&phone, &ada).await);
    }
    app.signal("TERM");
    assert!(app.exit().await.success());
    let guide = include_str!("../../../docs/guides/operating.md");
    let section = guide
        .split("\n## At 100 million sessions\n")
        .nth(1)
        .unwrap();
    let block = section.split("```sql\n").nth(1).unwrap();
    database.execute(block.split("```").next().unwrap()).await;

    // A build that is newer migrates what it finds.
    let room = include_str!("../../../migrations/postgres/0007_room_to_rotate.sql");
    database.execute(room).await;
    let app = TestApp::start_with(&database, &settings).await;
    for _ in 0..9 {
        devices.push(app.login(&phone, &ada).await);
    }
    let used = rows_by_partition(&database).await;
    assert_eq!(used.values().sum::<i64>(), 12, "{used:?}");
    for table in used.keys() {
        assert_eq!(
            fillfactor(&database, table).await,
            ["fillfactor=90"],
            "{table}"
        );
    }
    assert!(used.len() > 1, "all are in one partition: {used:?}");
    for device in &mut devices {
        let next = Tokens::of(&app.refresh(&phone, &device.refresh_token, &[]).await);
        let again = Tokens::of(&app.refresh(&phone, &device.refresh_token, &[]).await);
        assert_eq!(next.refresh_token, again.refresh_token);
        *device = Tokens::of(&app.refresh(&phone, &next.refresh_token, &[]).await);
    }
    let listed = app.run(&["session", "list", "ada", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 12);
    let gone = devices.pop().unwrap();
    app.revoke(&phone, &gone.refresh_token).await;
    assert_eq!(
        app.refresh(&phone, &gone.refresh_token, &[]).await.status,
        400
    );
    let ended = app.run(&["session", "end", "--user", "ada"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    for device in &devices {
        assert_eq!(
            app.refresh(&phone, &device.refresh_token, &[]).await.status,
            400
        );
    }
}

#[tokio::test]
async fn a_page_of_sessions_keeps_room_for_what_a_refresh_changes() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    database.open().await;
    assert_eq!(fillfactor(&database, "sessions").await, ["fillfactor=90"]);
}

async fn fillfactor(database: &Database, table: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let sql = "SELECT reloptions FROM pg_class WHERE oid = $1::regclass";
    let row = sqlx::query(sql)
        .bind(table)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    row.get(0)
}

async fn rows_by_partition(database: &Database) -> BTreeMap<String, i64> {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let sql = "SELECT tableoid::regclass::text, COUNT(*) FROM sessions GROUP BY 1";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Table to the columns of its primary key, as PostgreSQL has them.
async fn primary_keys() -> Option<BTreeMap<String, Vec<String>>> {
    let database = Database::postgres().await?;
    database.open().await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let sql = "SELECT t.table_name::text, c.column_name::text \
               FROM information_schema.table_constraints t \
               JOIN information_schema.key_column_usage c USING (constraint_name, table_name) \
               WHERE t.constraint_type = 'PRIMARY KEY' AND t.table_schema = 'public'";
    let mut keys = BTreeMap::<String, Vec<String>>::new();
    for row in sqlx::query(sql).fetch_all(&mut connection).await.unwrap() {
        keys.entry(row.get(0)).or_default().push(row.get(1));
    }
    Some(keys)
}

/// Whether a statement names one row by its whole primary key, and joins others by theirs only. What is in
/// parentheses does not count: a guard, which reads a row of another table.
fn touches_one_row(sql: &str, keys: &BTreeMap<String, Vec<String>>) -> bool {
    let outside = without_parentheses(sql);
    let words: Vec<&str> = outside.split_whitespace().collect();
    if words[0] == "INSERT" && words.contains(&"VALUES") {
        return true;
    }
    let place = |wanted: &str| words.iter().position(|word| *word == wanted);
    let first = match words[0] {
        "UPDATE" => 1,
        _ => match place("FROM") {
            Some(place) => place + 1,
            None => return false,
        },
    };
    let Some(condition) = place("WHERE") else {
        return false;
    };
    if words[condition..].contains(&"OR") {
        return false;
    }
    let mut tables = vec![first];
    let joins = words
        .iter()
        .enumerate()
        .filter(|(_, word)| **word == "JOIN");
    tables.extend(joins.map(|(place, _)| place + 1));
    tables.into_iter().enumerate().all(|(number, at)| {
        let Some(key) = keys.get(words[at]) else {
            return false;
        };
        let alias = words[at + 1];
        let names = |column: &str| {
            words[first..].windows(3).enumerate().any(|(place, three)| {
                let is_column = [words[at], alias]
                    .iter()
                    .any(|table| three[0] == format!("{table}.{column}"))
                    || three[0] == column;
                let is_value = three[2].starts_with(['$', '\'', '1']);
                // The one that is begun with is named in the condition, the others perhaps where they
                // are joined.
                let counts = first + place > condition && is_value || number > 0;
                is_column && three[1] == "=" && counts
            })
        };
        key.iter().all(|column| names(column))
    })
}

fn without_parentheses(sql: &str) -> String {
    let mut depth = 0_u32;
    let mut outside = String::new();
    for character in sql.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 => outside.push(character),
            _ => {}
        }
        if character == '(' && depth == 1 {
            outside.push(' ');
        }
    }
    outside
}
