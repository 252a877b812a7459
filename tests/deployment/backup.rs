//! The drill of `docs/guides/operating.md#backup`: its commands as they stand there, on both databases, with
//! a client at work.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use sqlx::{Connection, PgConnection, Row};
use tokensmith_verify::Verifier;
use tokensmith_verify::revocation::Freshness;

use crate::harness::app::{TestClient, free_port};
use crate::harness::command::{Said, run};
use crate::harness::login::{TestUser, Tokens};
use crate::harness::{Database, TestApp, now, on_every_database, skip, tokensmith, variable, wait};

const GUIDE: &str = include_str!("../../docs/guides/operating.md");
const AUDIENCE: &str = "https://api.example.com";

/// A place where the guide is followed.
struct Drill {
    database: Database,
    address: String,
}

/// What people held when the disaster came.
struct Held {
    phone: TestClient,
    ada: TestUser,
    /// Signed in before the backup, and refreshing ever since.
    busy: Tokens,
    /// Signed in before the backup, and silent since.
    quiet: Tokens,
    /// Signed in before the backup, and logged out after it.
    ended: Tokens,
    /// Signed in after the backup.
    new: Tokens,
    /// When the backup began.
    backed_up_at: String,
    /// The key that came after the backup.
    new_key: String,
    verifier: Verifier,
}

on_every_database! {
    async fn after_a_restore_and_a_cut_off_everybody_of_before_signs_in_again(database) {
        let Some(drill) = Drill::on(database) else {
            return;
        };
        let held = drill.until_the_disaster().await;
        drill.restore().await;
        drill.run_command("tokensmith session cut-off --before 2026-11-22T03:00:00Z",
            &["session", "cut-off", "--before", &held.backed_up_at]);
        let app = drill.start().await;
        for (who, tokens) in [
            ("busy", &held.busy),
            ("quiet", &held.quiet),
            ("ended", &held.ended),
            ("new", &held.new),
        ] {
            let refused = app.refresh(&held.phone, &tokens.refresh_token, &[]).await;
            assert_eq!(refused.error(), (400, "invalid_grant".to_owned()), "{who}");
        }
        drill.holds_together(&app, &held).await;
        for tokens in [&held.busy, &held.quiet, &held.ended] {
            assert!(held.verifier.verify(&tokens.access_token).is_err());
        }
    }
}

on_every_database! {
    async fn where_nobody_must_be_signed_out_only_what_was_ended_comes_back(database) {
        let Some(drill) = Drill::on(database) else {
            return;
        };
        let held = drill.until_the_disaster().await;
        drill.restore().await;
        let longer = "UPDATE sessions SET idle_expires_at = idle_expires_at + 86400000";
        assert!(GUIDE.contains(&format!("`{longer}`")));
        drill.database.execute(longer).await;
        let app = drill.start().await;
        let caught_up = app.run(&["audit", "list", "--event", "refresh_caught_up", "--json"]).json();
        assert_eq!(caught_up.as_array().unwrap().len(), 0);
        for tokens in [&held.busy, &held.quiet] {
            let next = Tokens::of(&app.refresh(&held.phone, &tokens.refresh_token, &[]).await);
            Tokens::of(&app.refresh(&held.phone, &next.refresh_token, &[]).await);
        }
        let caught_up = app.run(&["audit", "list", "--event", "refresh_caught_up", "--json"]).json();
        assert_eq!(caught_up.as_array().unwrap().len(), 1, "only one had gone on");
        // The price, and how to pay less.
        let back = Tokens::of(&app.refresh(&held.phone, &held.ended.refresh_token, &[]).await);
        let end = ["session", "end", back.sid.as_str()];
        assert_eq!(app.run(&end).code, 0);
        let refused = app.refresh(&held.phone, &back.refresh_token, &[]).await;
        assert_eq!(refused.status, 400);
        let unknown = app.refresh(&held.phone, &held.new.refresh_token, &[]).await;
        assert_eq!(unknown.status, 400);
        drill.holds_together(&app, &held).await;
    }
}

impl Drill {
    /// `None` where the database's own tools are missing.
    fn on(database: Database) -> Option<Self> {
        let tool = if database.url.starts_with("sqlite:") {
            "sqlite3"
        } else {
            "pg_restore"
        };
        let answers = Command::new(tool).arg("--version").output().is_ok();
        if !answers {
            skip(tool, "install sqlite3 and postgresql-client (Debian)");
            return None;
        }
        Some(Self {
            database,
            address: format!("127.0.0.1:{}", free_port()),
        })
    }

    fn is_sqlite(&self) -> bool {
        self.database.url.starts_with("sqlite:")
    }

    fn settings(&self) -> [(&'static str, String); 2] {
        [
            ("TOKENSMITH_LISTEN", self.address.clone()),
            ("TOKENSMITH_ISSUER", format!("http://{}", self.address)),
        ]
    }

    async fn start(&self) -> TestApp {
        let [listen, issuer] = self.settings();
        let settings = [
            (listen.0, listen.1.as_str()),
            (issuer.0, &issuer.1),
            // Longer than the drill takes, so that what repeats is no theft.
            ("TOKENSMITH_SESSIONS_RETRY_WINDOW", "5m"),
        ];
        TestApp::start_with(&self.database, &settings).await
    }

    /// A working day with a backup in it, and its end.
    async fn until_the_disaster(&self) -> Held {
        let mut app = self.start().await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let verifier = Verifier::discover(&app.issuer)
            .audience(AUDIENCE)
            .revocation(Freshness::UntilExpiry)
            .refetch_cooldown(std::time::Duration::from_millis(10))
            .connect()
            .await
            .unwrap();
        let mut busy = app.login(&phone, &ada).await;
        let quiet = app.login(&phone, &ada).await;
        let ended = app.login(&phone, &ada).await;
        let signed_in_at = now();
        wait::until("the second of the login is over", || async {
            (now() > signed_in_at).then_some(())
        })
        .await;
        let backed_up_at = chrono::DateTime::from_timestamp(now(), 0)
            .unwrap()
            .to_rfc3339();

        let command = Self::line_with(if self.is_sqlite() {
            ".backup"
        } else {
            "pg_dump"
        });
        let mut shell = self.shell(&command);
        let backup = tokio::task::spawn_blocking(move || run(&mut shell));
        let mut rounds = 0;
        while !backup.is_finished() || rounds < 5 {
            busy = Tokens::of(&app.refresh(&phone, &busy.refresh_token, &[]).await);
            rounds += 1;
        }
        succeeded(&command, &backup.await.unwrap());
        let backup = if self.is_sqlite() {
            "backup.db"
        } else {
            "backup.dump"
        };
        self.is_private(backup);

        for _ in 0..5 {
            busy = Tokens::of(&app.refresh(&phone, &busy.refresh_token, &[]).await);
        }
        assert_eq!(app.revoke(&phone, &ended.refresh_token).await.status, 200);
        let new = app.login(&phone, &ada).await;
        let rotated = app.run(&["keys", "rotate", "--now"]);
        assert_eq!(rotated.code, 0, "{}", rotated.err);
        busy = Tokens::of(&app.refresh(&phone, &busy.refresh_token, &[]).await);
        let new_key = wait::until("the new key signs", || async {
            let repeated = Tokens::of(&app.refresh(&phone, &busy.refresh_token, &[]).await);
            let signed_by = kid(&repeated.access_token);
            (signed_by != kid(&new.access_token)).then_some(signed_by)
        })
        .await;
        app.signal("KILL");
        app.exit().await;
        Held {
            phone,
            ada,
            busy,
            quiet,
            ended,
            new,
            backed_up_at,
            new_key,
            verifier,
        }
    }

    /// The database is gone, and comes back from the backup.
    async fn restore(&self) {
        if self.is_sqlite() {
            let file = self.database.home.path().join("test.db");
            std::fs::write(file, "no database any more").unwrap();
            for line in ["rm -f data/tokensmith.db", "install -m 600"] {
                self.run_line(line);
            }
            self.is_private("test.db");
        } else {
            self.database
                .execute("DROP TABLE sessions, users, installation")
                .await;
            self.run_line("pg_restore");
            self.wait_until_nobody_is_there().await;
        }
    }

    /// Nobody but the owner of the directory may read the file.
    fn is_private(&self, name: &str) {
        let directory = std::fs::metadata(self.database.home.path()).unwrap();
        let file = std::fs::metadata(self.database.home.path().join(name)).unwrap();
        assert_eq!(file.mode() & 0o777, 0o600, "{name}");
        assert_eq!((file.uid(), file.gid()), (directory.uid(), directory.gid()));
    }

    /// Replicas that were there when the backup was taken count as there for six seconds more. Nobody
    /// restores as quickly as this test.
    async fn wait_until_nobody_is_there(&self) {
        wait::until("no replica counts as there", || async {
            let mut connection = PgConnection::connect(&self.database.url).await.unwrap();
            let sql = "SELECT alive_until FROM revocation_log";
            let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
            (row.get::<i64, _>(0) < now() * 1_000).then_some(())
        })
        .await;
    }

    /// What the guide promises in either case.
    async fn holds_together(&self, app: &TestApp, held: &Held) {
        let began = "began a new epoch of the log of revocations";
        assert!(app.log().contains(began), "{}", app.log());
        let keys = app.get("/.well-known/jwks.json").await.text;
        assert!(!keys.contains(&held.new_key), "keys made since are gone");
        let fresh = app.login(&held.phone, &held.ada).await;
        wait::until("the verifier has a new snapshot and the keys", || async {
            held.verifier.verify(&fresh.access_token).ok().map(drop)
        })
        .await;
        let proof = app.run(&["audit", "verify"]);
        assert_eq!(proof.code, 0, "{}{}", proof.out, proof.err);
        app.revoke(&held.phone, &fresh.refresh_token).await;
        wait::until("the verifier follows the new log", || async {
            held.verifier.verify(&fresh.access_token).err().map(drop)
        })
        .await;
    }

    fn run_line(&self, start: &str) {
        let command = Self::line_with(start);
        succeeded(&command, &run(&mut self.shell(&command)));
    }

    /// The one line of the guide's section that has this, with the file of this test in place of its.
    fn line_with(part: &str) -> String {
        let section = GUIDE.split("\n## Backup\n").nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let blocks = section.split("```console\n").skip(1);
        let mut lines = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
        let line = lines.find(|line| line.contains(part)).unwrap();
        let line = line.trim().replace("data/tokensmith.db", "test.db");
        line.replace(" data)", " .)")
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).env_clear();
        shell.env("PATH", variable("PATH").unwrap());
        shell.current_dir(self.database.home.path());
        shell.env("DATABASE_URL", &self.database.url);
        if let Some((server, _)) = self.database.url.rsplit_once('/') {
            shell.env("MAINTENANCE_URL", format!("{server}/postgres"));
        }
        shell
    }

    /// A command of the program that is in the guide, with values of this test.
    fn run_command(&self, in_guide: &str, arguments: &[&str]) {
        assert!(GUIDE.contains(in_guide), "{in_guide}");
        let mut command = tokensmith(arguments);
        command
            .envs(self.database.variables())
            .envs(self.settings());
        succeeded(in_guide, &run(&mut command));
    }
}

fn succeeded(command: &str, said: &Said) {
    assert_eq!(said.code, 0, "{command}: {}{}", said.out, said.err);
}

/// The key that has signed a token.
fn kid(token: &str) -> String {
    let header = jsonwebtoken::decode_header(token).unwrap();
    header.kid.unwrap()
}
