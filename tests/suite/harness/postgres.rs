//! A PostgreSQL server for the tests of this process: an existing one, or one started from the
//! installed programs in a temporary directory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sqlx::{Connection, Executor, PgConnection};

use super::{skip, variable, wait};

const HOW_TO_ENABLE: &str = "install PostgreSQL (Debian: apt-get install postgresql) or set \
    TOKENSMITH_TEST_POSTGRES_URL to a server whose user may create databases";

/// `postgres://…` without the name of a database.
pub(crate) async fn server_url() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    let url = SERVER
        .get_or_init(|| {
            let given = variable("TOKENSMITH_TEST_POSTGRES_URL");
            given
                .map(|url| url.trim_end_matches('/').to_owned())
                .or_else(start)
        })
        .as_deref();
    match url {
        None => skip("PostgreSQL", HOW_TO_ENABLE),
        Some(url) => {
            let url = format!("{url}/postgres");
            wait::until("PostgreSQL answers", || async {
                PgConnection::connect(&url).await.ok()
            })
            .await;
        }
    }
    url
}

/// Makes an empty database and answers its URL.
pub(crate) async fn new_database() -> Option<String> {
    let server = server_url().await?;
    let mut connection = PgConnection::connect(&format!("{server}/postgres"))
        .await
        .unwrap();
    let name = format!("t_{}", uuid::Uuid::new_v4().simple());
    let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    connection.execute(sqlx::query(statement)).await.unwrap();
    Some(format!("{server}/{name}"))
}

fn start() -> Option<String> {
    let programs = programs()?;
    let directory = tempfile::Builder::new()
        .prefix("tokensmith-postgres")
        .tempdir()
        .ok()?;
    let home = directory.keep();
    let port = super::app::free_port();
    let as_user = unprivileged_user(&home);
    let initdb = as_user(&programs.join("initdb"))
        .args([
            "--auth=trust",
            "--username=tokensmith",
            "--encoding=UTF8",
            "--no-sync",
            "-D",
        ])
        .arg(home.join("data"))
        .output()
        .ok()?;
    assert!(
        initdb.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&initdb.stderr)
    );
    // The shell ends the server when this process ends and its standard input with it.
    let script = format!(
        "'{}' -D '{}/data' -p {port} -k '{}' -c listen_addresses=127.0.0.1 -c fsync=off \
         -c max_connections=300 >'{}/log' 2>&1 & \
         cat >/dev/null; kill -INT $!; wait; rm -rf '{}'",
        programs.join("postgres").display(),
        home.display(),
        home.display(),
        home.display(),
        home.display(),
    );
    let mut shell = as_user(Path::new("sh"));
    shell
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = shell.spawn().ok()?;
    let mut input = child.stdin.take()?;
    input.write_all(b"\n").ok()?;
    // Open for as long as this process lives.
    std::mem::forget(input);
    Some(format!("postgres://tokensmith@127.0.0.1:{port}"))
}

/// Where `initdb` and `postgres` are: the newest of Debian's directories, or the search path.
pub(super) fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut places: Vec<PathBuf> = debian
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    places.sort();
    places.reverse();
    places.extend(variable("PATH")?.split(':').map(PathBuf::from));
    places
        .into_iter()
        .find(|place| place.join("initdb").is_file() && place.join("postgres").is_file())
}

/// PostgreSQL refuses to run as root; there, the user `postgres` of the package runs it.
pub(super) fn unprivileged_user(home: &Path) -> impl Fn(&Path) -> Command + use<> {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if is_root {
        let _owner = Command::new("chown").arg("postgres").arg(home).status();
    }
    move |program: &Path| {
        if is_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        }
    }
}
