//! A database, a master key and a registered client, in a directory that is removed at the end.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use tempfile::TempDir;

use super::{Binary, Service};
use crate::failure::{Doing, Failure, Outcome};

/// The audience of the client's tokens.
pub(crate) const AUDIENCE: &str = "https://api.example.com";
/// The scope of the client.
pub(crate) const SCOPE: &str = "orders:read orders:write";

/// Everything that the service needs to start.
pub(crate) struct Installation {
    binary: Binary,
    directory: TempDir,
    address: SocketAddr,
    database_url: Option<String>,
    client: Client,
}

/// A client of the installation. Its secret dies with the directory, so it needs no protection.
#[derive(Deserialize)]
struct Client {
    client_id: String,
    client_secret: String,
}

impl Installation {
    /// Makes a database and registers a client. `database_url` must name an empty database; by
    /// default it is SQLite in the directory.
    pub(crate) fn prepare(binary: Binary, database_url: Option<&str>) -> Outcome<Self> {
        let directory = tempfile::tempdir().doing("making a directory")?;
        let mut installation = Self {
            binary,
            directory,
            address: free_address()?,
            database_url: database_url.map(ToOwned::to_owned),
            client: Client {
                client_id: String::new(),
                client_secret: String::new(),
            },
        };
        installation.client = installation.register_client()?;
        Ok(installation)
    }

    /// Starts the service. It is not ready yet.
    pub(crate) fn launch(&self) -> Outcome<Service> {
        let log = self.log();
        // The log must not fill a pipe that nobody reads.
        let file = File::create(&log).doing("making the log file")?;
        let child = self
            .command()
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .doing("starting the service")?;
        Ok(Service::new(child, self.address, log))
    }

    /// Id and secret of the registered client.
    pub(crate) fn credentials(&self) -> (&str, &str) {
        (&self.client.client_id, &self.client.client_secret)
    }

    /// The issuer of the service's tokens.
    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn binary(&self) -> &Binary {
        &self.binary
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("service.log")
    }

    fn register_client(&self) -> Outcome<Client> {
        let output = self
            .command()
            .args(["client", "create", "--id", "bench"])
            .args(["--grant", "client_credentials"])
            .args(["--scope", SCOPE, "--audience", AUDIENCE, "--json"])
            .stdin(Stdio::null())
            .output()
            .doing("registering a client")?;
        if !output.status.success() {
            let (status, reason) = (output.status, String::from_utf8_lossy(&output.stderr));
            let reason = format!("registering a client: {status}: {}", reason.trim_end());
            return Err(Failure::new(reason));
        }
        serde_json::from_slice(&output.stdout).doing("reading the registered client")
    }

    /// The program with nothing but these settings: neither the caller's environment nor a
    /// `tokensmith.toml` in the caller's directory changes the figures.
    fn command(&self) -> Command {
        let home: &Path = self.directory.path();
        let mut command = Command::new(self.binary.path());
        command
            .env_clear()
            .current_dir(home)
            .env("TOKENSMITH_LISTEN", self.address.to_string())
            .env("TOKENSMITH_ISSUER", self.issuer())
            .env("TOKENSMITH_DATA_DIR", home.join("data"))
            .env("TOKENSMITH_KEYS_DIR", home.join("keys"));
        if let Some(url) = &self.database_url {
            command.env("TOKENSMITH_DATABASE_URL", url);
        }
        command
    }
}

/// A port that is free now. Another process may take it before the service does; then the service
/// says so and there are no figures.
fn free_address() -> Outcome<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .doing("finding a free port")
}
