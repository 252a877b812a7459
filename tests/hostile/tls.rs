//! TLS where the service does it itself: what it speaks, what it does not, and what cookies say then.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Error, ProtocolVersion, RootCertStore,
    StreamOwned, SupportedProtocolVersion, version,
};

use crate::harness::app::free_port;
use crate::harness::command::run;
use crate::harness::{Database, TestApp, tokensmith, wait};

/// The service with a certificate of its own.
struct Tls {
    _app: TestApp,
    database: Database,
    address: String,
    roots: RootCertStore,
}

/// Writes a certificate and its key to the home of a database; answers the certificate.
fn write_certificate(database: &Database) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let home = database.home.path();
    std::fs::write(home.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(home.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()
}

fn variables(database: &Database, port: u16) -> Vec<(&'static str, String)> {
    let file = |name: &str| database.home.path().join(name).display().to_string();
    vec![
        ("TOKENSMITH_LISTEN", format!("127.0.0.1:{port}")),
        ("TOKENSMITH_ISSUER", format!("https://localhost:{port}")),
        ("TOKENSMITH_TLS_CERT", file("cert.pem")),
        ("TOKENSMITH_TLS_KEY", file("key.pem")),
    ]
}

impl Tls {
    async fn start() -> Self {
        let database = Database::sqlite();
        let mut roots = RootCertStore::empty();
        roots.add(write_certificate(&database)).unwrap();
        let port = free_port();
        let variables = variables(&database, port);
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let tls = Self {
            _app: TestApp::spawn(&database, &variables),
            database,
            address: format!("127.0.0.1:{port}"),
            roots,
        };
        wait::until("the service answers over TLS", || async {
            let ready = tls.get(&[&version::TLS13], "/readyz").ok()?;
            ready.starts_with("HTTP/1.1 200").then_some(())
        })
        .await;
        tls
    }

    fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(&self.address).unwrap();
        let patience = Some(Duration::from_secs(20));
        connection.set_read_timeout(patience).unwrap();
        connection
    }

    /// A connection with these versions that offers these protocols, once hands are shaken.
    fn handshake(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Result<StreamOwned<ClientConnection, TcpStream>, std::io::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_protocol_versions(versions).unwrap();
        let mut config = config
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        config.alpn_protocols = protocols.collect();
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut connection = TcpStream::connect(&self.address)?;
        connection.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut client = client;
        while client.is_handshaking() {
            client.complete_io(&mut connection)?;
        }
        Ok(StreamOwned::new(client, connection))
    }

    fn get(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        path: &str,
    ) -> Result<String, std::io::Error> {
        let mut stream = self.handshake(versions, &[])?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        Ok(read_all(&mut stream))
    }
}

/// What comes until the end, whether that was said or not.
fn read_all(stream: &mut impl Read) -> String {
    let mut answer = Vec::new();
    let _without_goodbye = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A greeting of a client (RFC 5246 §7.4.1.2): the newest version that it speaks, and its suites.
fn client_hello(version: [u8; 2], suites: &[u16]) -> Vec<u8> {
    let with_length = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length, bytes].concat()
    };
    let suites: Vec<u8> = suites
        .iter()
        .flat_map(|suite| suite.to_be_bytes())
        .collect();
    // The curve P-256, points that are not compressed, ECDSA with SHA-256.
    let extensions = [
        &[0, 10, 0, 4, 0, 2, 0, 23][..],
        &[0, 11, 0, 2, 1, 0],
        &[0, 13, 0, 4, 0, 2, 4, 3],
    ];
    let random_and_no_session = [&[7; 32][..], &[0]].concat();
    let no_compression = [1, 0];
    let body = [
        &version[..],
        &random_and_no_session,
        &with_length(&suites),
        &no_compression,
        &with_length(&extensions.concat()),
    ];
    let hello = [&[1, 0][..], &with_length(&body.concat())].concat();
    [&[22, 3, 1][..], &with_length(&hello)].concat()
}

#[tokio::test]
async fn attack_42_tls_is_1_2_or_1_3_with_suites_of_today() {
    let tls = Tls::start().await;
    for (version, name) in [
        (&version::TLS12, ProtocolVersion::TLSv1_2),
        (&version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let stream = tls.handshake(&[version], &[]).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(name));
        let answer = tls.get(&[version], "/healthz").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let said = |version, suites: &[u16]| {
        let mut connection = tls.connect();
        connection
            .write_all(&client_hello(version, suites))
            .unwrap();
        let mut start = [0; 7];
        connection.read_exact(&mut start).unwrap();
        start
    };
    // AES-GCM with ECDHE, which is fine; RC4, 3DES and CBC, and RSA key exchange, which are not.
    let good = [0xc02b];
    let weak = [0x0005, 0x000a, 0x002f, 0x0035, 0x009c, 0xc009, 0xc013];
    let [kind, .., message, _] = said([3, 3], &good);
    assert_eq!(
        (kind, message),
        (22, 2),
        "a handshake goes on with a ServerHello"
    );
    for (version, suites, alert) in [
        ([3, 0], &good[..], AlertDescription::ProtocolVersion),
        ([3, 1], &good, AlertDescription::ProtocolVersion),
        ([3, 2], &good, AlertDescription::ProtocolVersion),
        ([3, 3], &weak, AlertDescription::HandshakeFailure),
    ] {
        let [kind, .., level, why] = said(version, suites);
        assert_eq!(
            (kind, level, why),
            (21, 2, alert.into()),
            "{version:?}: a fatal alert"
        );
    }
    let mut plain = tls.connect();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let answer = read_all(&mut plain);
    assert!(
        !answer.contains("HTTP/1.1"),
        "nothing is said in the clear: {answer}"
    );
}

#[tokio::test]
async fn attack_42_http_2_is_not_offered_over_tls() {
    let tls = Tls::start().await;
    let both = tls
        .handshake(&[&version::TLS13], &["h2", "http/1.1"])
        .unwrap();
    assert_eq!(both.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    for versions in [&[&version::TLS12], &[&version::TLS13]] {
        let only_h2 = tls.handshake(versions, &["h2"]).err().unwrap();
        let why = only_h2
            .get_ref()
            .and_then(|error| error.downcast_ref::<Error>());
        let refused = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
        assert_eq!(why, Some(&refused));
    }
    let mut without = tls.handshake(&[&version::TLS13], &[]).unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    without.write_all(preface).unwrap();
    let answer = read_all(&mut without);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn attack_42_a_handshake_that_does_not_come_is_not_waited_for() {
    let tls = Tls::start().await;
    let hello = client_hello([3, 3], &[0xc02b]);
    for begun in [&hello[..0], &hello[..1], &hello[..hello.len() - 1]] {
        let mut connection = tls.connect();
        connection.write_all(begun).unwrap();
        let start = Instant::now();
        let answer = read_all(&mut connection);
        assert_eq!(answer, "", "it hangs up");
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "{:?}",
            start.elapsed()
        );
    }
    let answer = tls.get(&[&version::TLS13], "/healthz").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn attack_30_over_tls_every_cookie_is_secure_and_of_this_host() {
    let tls = Tls::start().await;
    let page = tls.get(&[&version::TLS13], "/login").unwrap();
    let cookies: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("set-cookie: "))
        .collect();
    assert!(!cookies.is_empty(), "{page}");
    for cookie in cookies {
        assert!(cookie.starts_with("__Host-"), "{cookie}");
        for attribute in ["; Secure", "; HttpOnly", "; Path=/", "; SameSite=Lax"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    let metadata = tls
        .get(&[&version::TLS12], "/.well-known/openid-configuration")
        .unwrap();
    assert!(!metadata.contains("http://"), "{metadata}");
    assert!(tls.database.home.path().exists());
}

#[tokio::test]
async fn attack_42_with_half_a_certificate_nothing_is_served() {
    let (database, other) = (Database::sqlite(), Database::sqlite());
    write_certificate(&database);
    write_certificate(&other);
    let swapped = other.home.path().join("key.pem").display().to_string();
    let certificate = database.home.path().join("cert.pem").display().to_string();
    let missing = database.home.path().join("none.pem").display().to_string();
    for (name, value) in [
        ("TOKENSMITH_TLS_KEY", &*swapped),
        ("TOKENSMITH_TLS_KEY", &certificate),
        ("TOKENSMITH_TLS_KEY", &missing),
        ("TOKENSMITH_TLS_KEY", ""),
        ("TOKENSMITH_TLS_CERT", ""),
        ("TOKENSMITH_TLS_CERT", &missing),
    ] {
        let port = free_port();
        let mut command = tokensmith(&["serve"]);
        command.envs(database.variables());
        command.envs(variables(&database, port));
        if value.is_empty() {
            command.env_remove(name);
        } else {
            command.env(name, value);
        }
        let said = run(&mut command);
        assert_ne!(said.code, 0, "{name}={value}");
        assert!(
            said.err.contains("tls") || said.err.contains("TLS"),
            "{name}: {}",
            said.err
        );
    }
}
