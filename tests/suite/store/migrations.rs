//! Migrations only add. During a rolling upgrade replicas of the release before run on the new schema, and
//! on the way back all of them do: what they read must be there, and what they write must be taken. What has
//! to go goes one release later, when nobody is left who needs it (`CONTRIBUTING.md`).

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Up to here there was nothing to upgrade from.
const FREE_UP_TO: &str = "0005";

#[test]
fn a_migration_after_the_first_five_only_adds() {
    let mut looked_at = 0;
    for (name, text) in migrations() {
        if name.as_str() > FREE_UP_TO && !name.starts_with(FREE_UP_TO) {
            assert_eq!(offences(&text), [""; 0], "{name}");
            assert!(text.starts_with("-- "), "{name} says what it is for");
            looked_at += 1;
        }
    }
    assert!(looked_at >= 2, "one for each database");
}

#[test]
fn what_a_replica_of_the_release_before_could_not_live_with_is_found() {
    for bad in [
        "DROP TABLE clients",
        "DROP INDEX revocations_at",
        "DELETE FROM sessions",
        "ALTER TABLE users DROP COLUMN email",
        "ALTER TABLE users RENAME COLUMN email TO mail",
        "ALTER TABLE users RENAME TO people",
        "ALTER TABLE users ALTER COLUMN email SET NOT NULL",
        "ALTER TABLE users ADD CONSTRAINT adult CHECK (age > 17)",
        "ALTER TABLE users ADD COLUMN age BIGINT NOT NULL",
        "ALTER TABLE users ADD COLUMN age BIGINT UNIQUE",
        "ALTER TABLE users ADD COLUMN age BIGINT; ALTER TABLE clients ADD COLUMN age BIGINT",
        "CREATE UNIQUE INDEX one_name ON users (name)",
        "CREATE INDEX CONCURRENTLY by_age ON users (age)",
        "CREATE INDEX by_age ON users (age)",
        "UPDATE users SET email = 'x'",
        "INSERT INTO users (id) VALUES (1)",
        "DO $$ BEGIN IF (SELECT true) THEN DROP TABLE users; END IF; END $$",
        "ALTER TABLE users SET UNLOGGED",
    ] {
        assert_eq!(offences(bad).len(), 1, "{bad}");
    }
    for good in [
        "-- A table.\nCREATE TABLE t (id BIGINT); INSERT INTO t (id) VALUES (1);\n\
         CREATE UNIQUE INDEX t_id ON t (id)",
        "ALTER TABLE users ADD COLUMN age BIGINT; UPDATE users SET age = 1 WHERE age IS NULL;",
        "ALTER TABLE users ADD COLUMN age BIGINT NOT NULL DEFAULT 7",
        "CREATE INDEX IF NOT EXISTS by_age ON users (age);",
        "DO $$ BEGIN IF (SELECT true) THEN ALTER TABLE users SET (fillfactor = 90); END IF; END $$;",
    ] {
        assert_eq!(offences(good), [""; 0], "{good}");
    }
}

/// All of them, for both databases, by file name.
fn migrations() -> impl Iterator<Item = (String, String)> {
    let all = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("migrations");
    ["sqlite", "postgres"]
        .into_iter()
        .flat_map(move |database| {
            fs::read_dir(all.join(database)).unwrap().map(|entry| {
                let file = entry.unwrap().path();
                let name = file.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read_to_string(file).unwrap())
            })
        })
}

/// The statements that do more than add.
fn offences(migration: &str) -> Vec<String> {
    let code = migration
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let code = code.collect::<Vec<_>>().join(" ").to_uppercase();
    let mut tables = BTreeSet::new();
    let mut columns = BTreeSet::new();
    let mut altered = BTreeSet::new();
    let mut offences = Vec::new();
    for statement in code.split(';') {
        let words: Vec<&str> = statement.split_whitespace().collect();
        // What is done under a condition is looked at like the rest.
        let words = match &words[..] {
            ["DO", "$$", "BEGIN", "IF", conditional @ ..] => {
                let then = conditional.iter().position(|word| *word == "THEN");
                &conditional[then.unwrap() + 1..]
            }
            words => words,
        };
        let adds = match words {
            ["CREATE", "TABLE", table, ..] => {
                tables.insert(*table);
                true
            }
            // An index on rows that are there keeps writers waiting while it is built, so whoever has many
            // builds it before. Not here: a concurrent build waits for the replicas that wait for this.
            [] | ["END", "IF" | "$$"] | ["CREATE", "INDEX", "IF", "NOT", "EXISTS", _, "ON", ..] => {
                true
            }
            // How full pages are made changes no row, and keeps no statement of a replica waiting.
            ["ALTER", "TABLE", table, "SET", "(FILLFACTOR", "=", _] => {
                altered.insert(*table);
                altered.len() == 1
            }
            ["CREATE", "INDEX", _, "ON", table, ..]
            | ["CREATE", "UNIQUE", "INDEX", _, "ON", table, ..]
            | ["INSERT", "INTO", table, ..] => tables.contains(table),
            ["ALTER", "TABLE", table, "ADD", "COLUMN", column, kind @ ..] => {
                columns.insert((*table, *column));
                altered.insert(*table);
                let refuses_older_writers = kind.contains(&"NOT") && !kind.contains(&"DEFAULT");
                // A migration is a transaction: one that holds a table and waits for another meets
                // statements that hold the other and wait for the first.
                !refuses_older_writers && !kind.contains(&"UNIQUE") && altered.len() == 1
            }
            ["UPDATE", table, "SET", column, "=", rest @ ..] => {
                let is_one_column = !rest.iter().any(|word| word.ends_with(','));
                is_one_column && columns.contains(&(*table, *column))
            }
            _ => false,
        };
        if !adds {
            offences.push(statement.trim().to_owned());
        }
    }
    offences
}
