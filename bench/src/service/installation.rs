//! A database, a master key and a registered client, in a directory that is removed at the end.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use tempfile::TempDir;
use tokensmith::crypto::{MasterKey, MasterKeySource};
use tokensmith::store::DatabaseLocation;

use super::{Binary, Relay, Service};
use crate::failure::{Doing, Failure, Outcome};

/// The audience of the client's tokens.
pub(crate) const AUDIENCE: &str = "https://api.example.com";
/// The scope of the client.
pub(crate) const SCOPE: &str = "orders:read orders:write";

/// The app on people's phones.
pub(crate) const PHONE: &str = "phone";
/// The scope of its sessions.
pub(crate) const PHONE_SCOPE: &str = "openid offline_access orders:read";

/// Everything that the service needs to start.
pub(crate) struct Installation {
    binary: Binary,
    directory: TempDir,
    address: SocketAddr,
    database_url: Option<String>,
    /// Further settings, as variables.
    settings: Vec<(&'static str, String)>,
    client: Client,
}

/// A client of the installation. Its secret dies with the directory, so it needs no protection.
#[derive(Deserialize)]
pub(crate) struct Client {
    client_id: String,
    client_secret: String,
}

impl Client {
    /// Id and secret.
    pub(crate) fn credentials(&self) -> (&str, &str) {
        (&self.client_id, &self.client_secret)
    }
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
            settings: Vec::new(),
            client: Client {
                client_id: String::new(),
                client_secret: String::new(),
            },
        };
        installation.client = installation.register_client()?;
        Ok(installation)
    }

    /// Changes a setting of the services that are started from now on.
    pub(crate) fn set(&mut self, variable: &'static str, value: String) {
        self.settings.push((variable, value));
    }

    /// Starts the service. It is not ready yet.
    pub(crate) fn launch(&self) -> Outcome<Service> {
        self.start(self.command(), self.address)
    }

    /// Starts a second replica of the service, with the same issuer, keys and database, and an address
    /// of its own.
    pub(crate) fn launch_replica(&self) -> Outcome<Service> {
        let address = free_address()?;
        let mut command = self.command();
        command
            .env("TOKENSMITH_LISTEN", address.to_string())
            .env("TOKENSMITH_DATA_DIR", self.directory.path().join("replica"));
        self.start(command, address)
    }

    /// Starts the service with a relay between it and its database.
    pub(crate) fn launch_through(&self, relay: &Relay) -> Outcome<Service> {
        let mut command = self.command();
        command.env("TOKENSMITH_DATABASE_URL", relay.url());
        self.start(command, self.address)
    }

    fn start(&self, mut command: Command, address: SocketAddr) -> Outcome<Service> {
        let log = self.log(address);
        // The log must not fill a pipe that nobody reads.
        let file = File::create(&log).doing("making the log file")?;
        let child = command
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .doing("starting the service")?;
        Ok(Service::new(child, address, log))
    }

    /// Id and secret of the registered client.
    pub(crate) fn credentials(&self) -> (&str, &str) {
        self.client.credentials()
    }

    /// The issuer of the service's tokens.
    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn binary(&self) -> &Binary {
        &self.binary
    }

    /// Where its database is.
    pub(crate) fn database(&self) -> Outcome<DatabaseLocation> {
        let Some(url) = &self.database_url else {
            let path = self.directory.path().join("data/tokensmith.db");
            return Ok(DatabaseLocation::Sqlite(path));
        };
        url.parse().doing("reading the database URL")
    }

    /// The URL of its database, when it is not SQLite in the directory.
    pub(crate) fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref()
    }

    /// Its master key, with which this program can make tokens of its sessions.
    pub(crate) fn master_key(&self) -> Outcome<MasterKey> {
        MasterKey::load(&MasterKeySource::KeysDirectory(self.keys_directory()))
            .doing("reading the master key")?
            .ok_or_else(|| Failure::new("there is no master key"))
    }

    /// Registers the app that is on people's phones.
    pub(crate) fn register_phone(&self) -> Outcome<()> {
        let grants = ["--grant", "authorization_code", "--grant", "refresh_token"];
        let redirect_uri = ["--redirect-uri", "http://127.0.0.1/callback"];
        let mut arguments = vec!["--id", PHONE, "--public", "--first-party"];
        arguments.extend(grants.iter().chain(&redirect_uri));
        arguments.extend(["--scope", PHONE_SCOPE, "--audience", AUDIENCE]);
        self.register(&arguments).map(drop)
    }

    /// Registers an API that may ask about the tokens that are for it.
    pub(crate) fn register_api(&self) -> Outcome<Client> {
        let arguments = ["--id", "api", "--grant", "client_credentials"];
        let client = self.register(&[&arguments[..], &["--resource-server", AUDIENCE]].concat())?;
        serde_json::from_slice(&client).doing("reading the registered client")
    }

    fn log(&self, of: SocketAddr) -> PathBuf {
        let name = format!("service-{}.log", of.port());
        self.directory.path().join(name)
    }

    fn keys_directory(&self) -> PathBuf {
        self.directory.path().join("keys")
    }

    fn register_client(&self) -> Outcome<Client> {
        let arguments = ["--id", "bench", "--grant", "client_credentials"];
        let entitlement = ["--scope", SCOPE, "--audience", AUDIENCE];
        let client = self.register(&[arguments, entitlement].concat())?;
        serde_json::from_slice(&client).doing("reading the registered client")
    }

    /// Registers a client and answers what the program says about it in JSON.
    fn register(&self, arguments: &[&str]) -> Outcome<Vec<u8>> {
        let output = self
            .command()
            .args(["client", "create", "--json"])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .doing("registering a client")?;
        if !output.status.success() {
            let (status, reason) = (output.status, String::from_utf8_lossy(&output.stderr));
            let reason = format!("registering a client: {status}: {}", reason.trim_end());
            return Err(Failure::new(reason));
        }
        Ok(output.stdout)
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
            .env("TOKENSMITH_KEYS_DIR", self.keys_directory());
        if let Some(url) = &self.database_url {
            command.env("TOKENSMITH_DATABASE_URL", url);
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A port that is free now. Another process may take it before the service does; then the service
/// says so and there are no figures.
pub(super) fn free_address() -> Outcome<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .doing("finding a free port")
}
