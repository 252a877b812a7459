//! Replicas over one database, in two kinds: to be asked one by one, and to be used all together.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use tokensmith_cluster::load::{Clients, Counts, Load};
use tokensmith_cluster::{Balancer, Cable, Replica, ReplicaSettings};
use tokensmith_verify::{Freshness, Verifier};

use crate::harness::app::free_port;
use crate::harness::cable::behind_a_cable;
use crate::harness::{Database, TestApp, wait};

/// The promise: so soon after it was answered, a change is true everywhere.
pub(super) const EVERYWHERE_WITHIN: Duration = Duration::from_secs(1);
pub(super) const AUDIENCE: &str = "https://api.example.com";
/// What is tested here is not how slowly passwords are checked.
const CHEAP_PASSWORDS: [(&str, &str); 2] = [
    ("TOKENSMITH_PASSWORDS_MEMORY_KIB", "8192"),
    ("TOKENSMITH_PASSWORDS_ITERATIONS", "1"),
];

/// Replicas of one issuer, each behind a cable of its own to the database.
pub(super) struct Fleet {
    pub(super) apps: Vec<TestApp>,
    pub(super) cables: Vec<Cable>,
    pub(super) database: Database,
}

impl Fleet {
    /// `None` where there is no PostgreSQL.
    pub(super) async fn of(count: usize, settings: &[(&str, &str)]) -> Option<Self> {
        let mut database = Database::postgres().await?;
        let issuer = format!("http://127.0.0.1:{}", free_port());
        let (mut apps, mut cables) = (Vec::new(), Vec::new());
        let direct = database.url.clone();
        for _ in 0..count {
            database.url.clone_from(&direct);
            let (behind, cable) = behind_a_cable(database).await;
            let mut all = vec![("TOKENSMITH_ISSUER", issuer.as_str())];
            all.extend(CHEAP_PASSWORDS.iter().chain(settings));
            apps.push(TestApp::spawn(&behind, &all));
            cables.push(cable.unwrap());
            database = behind;
        }
        database.url = direct;
        join_all(apps.iter().map(TestApp::wait_until_ready)).await;
        Some(Self {
            apps,
            cables,
            database,
        })
    }

    /// Something is true at every replica within a second from now.
    pub(super) async fn everywhere(&self, what: &str, is_true: impl AsyncFn(&TestApp) -> bool) {
        let asked = self.apps.iter().enumerate().map(|(number, app)| {
            let (what, is_true) = (format!("{what} at replica {number}"), &is_true);
            async move {
                wait::within(EVERYWHERE_WITHIN, &what, || async {
                    is_true(app).await.then_some(())
                })
                .await;
            }
        });
        join_all(asked).await;
    }

    /// A verifier of the downstream service next to a replica.
    pub(super) async fn verifier(&self, at: &TestApp, freshness: Freshness) -> Verifier {
        Verifier::discover(&at.issuer)
            .jwks_uri(format!("{}/.well-known/jwks.json", at.address))
            .audience(AUDIENCE)
            .revocation(freshness)
            .revocation_from(&at.address)
            .connect()
            .await
            .unwrap()
    }
}

/// Replicas behind a balancer, and clients that use them all the time.
pub(super) struct BusyFleet {
    pub(super) replicas: Vec<Replica>,
    pub(super) database: Database,
    pub(super) load: Load,
    clients: Clients,
    balancer: Balancer,
}

impl BusyFleet {
    /// `None` where there is no PostgreSQL.
    pub(super) async fn of(count: usize, settings: &[(&str, &str)]) -> Option<Self> {
        let database = Database::postgres().await?;
        let port = free_port();
        let environment = CHEAP_PASSWORDS.iter().chain(settings);
        let settings = ReplicaSettings {
            binary: PathBuf::from(env!("CARGO_BIN_EXE_tokensmith")),
            home: database.home.path().to_owned(),
            database_url: database.url.clone(),
            issuer: format!("http://127.0.0.1:{port}"),
            environment: environment
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let replicas: Vec<Replica> = (0..count)
            .map(|_| Replica::start(settings.clone(), free_port()).unwrap())
            .collect();
        for replica in &replicas {
            replica.until_ready().await.unwrap();
        }
        let addresses = replicas.iter().map(Replica::address).collect();
        let balancer = Balancer::listen(port, addresses).await.unwrap();
        let clients = Clients::register(&settings, 3).await.unwrap();
        // Or the load would count what one does not know yet.
        clients.until_known_to(&replicas).await.unwrap();
        let load = Load::begin(&balancer.url(), &clients).await.unwrap();
        Some(Self {
            replicas,
            database,
            load,
            clients,
            balancer,
        })
    }

    /// Everything that clients do was done often enough to say something about this moment, and sessions
    /// go to and fro.
    pub(super) async fn goes_on(&self) {
        self.load.until_done_again(3).await.unwrap();
        let next = self.replicas.iter().cycle().skip(1);
        for (one, other) in self.replicas.iter().zip(next) {
            let across = self.clients.session_across(one.address(), other.address());
            across.await.unwrap();
        }
    }

    /// Takes a replica out, as an orchestrator does, stops it, and starts it again.
    pub(super) async fn restart(&mut self, number: usize) {
        let replica = &mut self.replicas[number];
        self.balancer.take_out(replica.address()).await.unwrap();
        replica.stop().await.unwrap();
        replica.start_again().unwrap();
        replica.until_ready().await.unwrap();
        self.balancer.put_back(replica.address());
    }

    /// Nobody has noticed anything; no log has a panic in it.
    pub(super) async fn end_without_a_failure(self) -> Counts {
        let counts = self.load.end().await;
        for replica in &self.replicas {
            assert!(!replica.log().contains("panicked at"), "{}", replica.log());
        }
        assert_eq!(counts.objection(), None, "{counts}");
        counts
    }
}
