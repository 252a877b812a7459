//! SQLite on a disk that is full, and behind a lock that another process holds.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sqlx::{Connection, Executor, Row, SqliteConnection};
use tempfile::TempDir;
use tokensmith::crypto::SystemEntropy;
use tokensmith::domain::audit::{AuditKind, AuditRecord, Origin};
use tokensmith::domain::ports::AuditFilter;
use tokio::time::timeout;

use super::{IMPATIENT, Scene};
use crate::harness::{Database, skip, wait};

/// A small disk in memory.
struct SmallDisk {
    place: TempDir,
}

impl SmallDisk {
    /// `None` where nobody may mount one.
    fn of(size: &str) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=0777");
        let mounted = as_root("mount", |command| {
            command.args(["-t", "tmpfs", "-o", &options, "tmpfs"]);
            command.arg(place.path());
        });
        if !mounted {
            skip("a small disk", "run them as root, or allow `sudo -n mount`");
            return None;
        }
        Some(Self { place })
    }

    fn filler(&self) -> PathBuf {
        self.place.path().join("filler")
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    /// Makes room again.
    fn empty(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        as_root("umount", |command| {
            command.arg("-l").arg(self.place.path());
        });
    }
}

/// Whether a command succeeds, as who we are or with `sudo`.
fn as_root(program: &str, arguments: impl Fn(&mut Command)) -> bool {
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", program]);
    [Command::new(program), sudo]
        .into_iter()
        .any(|mut command| {
            arguments(&mut command);
            command.output().is_ok_and(|output| output.status.success())
        })
}

async fn connect(file: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full() {
    let Some(disk) = SmallDisk::of("16m") else {
        return;
    };
    let file = disk.place.path().join("test.db");
    let database = Database::at(format!("sqlite:{}", file.display()));
    let mut scene = Scene::on(&database, &[IMPATIENT]).await;
    disk.fill();
    scene.turns_writers_away().await;
    scene.goes_on().await;
    // What only reads goes on, and so do heartbeats: no revocation can have been missed.
    let heartbeats = || {
        scene
            .app
            .metric("tokensmith_revocation_heartbeats_total", "")
    };
    let heard = heartbeats().await;
    wait::within(super::SLACK * 3, "verifiers hear of it", || async {
        (heartbeats().await > heard).then_some(())
    })
    .await;
    assert_eq!(scene.app.get("/readyz").await.status, 200);
    assert!(
        scene
            .app
            .is_good(&scene.api, &scene.tokens.access_token)
            .await
    );
    disk.empty();
    scene.recovers().await;
    scene.app.signal("TERM");
    scene.app.exit().await;
    let mut connection = connect(&file).await;
    let check = connection
        .fetch_one("PRAGMA integrity_check")
        .await
        .unwrap();
    assert_eq!(check.get::<String, _>(0), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_another_process_does_not_give_back() {
    let database = Database::sqlite();
    let mut scene = Scene::on(&database, &[IMPATIENT]).await;
    let mut other = connect(&database.home.path().join("test.db")).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    scene.turns_writers_away().await;
    scene.goes_on().await;
    assert!(
        scene
            .app
            .is_good(&scene.api, &scene.tokens.access_token)
            .await
    );
    // More than the writer's queue has room for; those who gave up keep no place in it.
    super::allow_many_connections();
    let flood = (0..1_500).map(|_| scene.app.send(scene.refresh()));
    let replies = futures_util::future::join_all(flood).await;
    assert!(replies.iter().all(super::is_told_to_come_back));
    other.execute("ROLLBACK").await.unwrap();
    scene.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_before_it_began_is_not_done_later() {
    let database = Database::sqlite();
    let store = database.open().await;
    let mut other = connect(&database.home.path().join("test.db")).await;
    let entropy = SystemEntropy::default();
    let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let record =
        || AuditRecord::new(AuditKind::ClientCreated, &Origin::SYSTEM, now, &entropy).unwrap();
    let (given_up, wanted) = (record(), record());
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let tried = timeout(Duration::from_millis(50), store.record(&given_up));
    assert!(tried.await.is_err());
    other.execute("ROLLBACK").await.unwrap();
    store.record(&wanted).await.unwrap();
    let everything = AuditFilter::default();
    let listed = store.list_audit(&everything, None, 10).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|it| it.record.id).collect();
    assert_eq!(listed, [wanted.id]);
}
