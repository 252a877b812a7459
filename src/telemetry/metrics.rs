//! Metrics in the Prometheus text format. Durations are seconds, as Prometheus wants them.
//!
//! Labels never hold what a stranger sends: endpoints are route names, outcomes are error codes of
//! ours, clients are registered ones.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds in seconds: a token takes a quarter of a millisecond, a stuck database seconds.
const LATENCY_BUCKETS: [f64; 12] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0,
];
/// RSA-2048 takes about 0.2 ms, RSA-4096 about 1.5 ms.
const SIGNING_BUCKETS: [f64; 8] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_3, 0.000_5, 0.001, 0.002, 0.01,
];

type LatencyFamily = Family<OutcomeLabels, Histogram, fn() -> Histogram>;

/// Every metric of one process.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<OutcomeLabels, Counter>,
    latency: LatencyFamily,
    tokens: Family<TokenLabels, Counter>,
    rejections: Family<ReasonLabels, Counter>,
    refreshes: Family<EventLabels, Counter>,
    logins: Family<EventLabels, Counter>,
    password_queue: Gauge,
    /// Time that one signature takes.
    pub signing: Histogram,
    /// Keys and their ages.
    pub keys: KeyMetrics,
    /// Work of the database.
    pub store: StoreMetrics,
    /// Words to clients that sessions are over.
    pub deliveries: DeliveryMetrics,
    /// The log of revocations and its readers.
    pub feed: FeedMetrics,
    /// Requests of callers that ask too much.
    pub rate_limits: RateLimitMetrics,
}

/// Which request, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    endpoint: Cow<'static, str>,
    method: Method,
    outcome: &'static str,
}

/// The methods that are told apart; a stranger may send any text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Method {
    /// `GET`
    GET,
    /// `HEAD`
    HEAD,
    /// `POST`
    POST,
    /// `PUT`
    PUT,
    /// `PATCH`
    PATCH,
    /// `DELETE`
    DELETE,
    /// `OPTIONS`
    OPTIONS,
    /// Any other text.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    grant: &'static str,
    client_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    kid: String,
    algorithm: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
}

/// Keys by state, with the age of each.
#[derive(Clone, Default)]
pub struct KeyMetrics(Family<KeyLabels, Gauge>);

impl KeyMetrics {
    /// Forgets all keys, before they are listed anew.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// Lists a key.
    pub fn set(&self, kid: String, algorithm: &'static str, state: &'static str, age: i64) {
        self.0
            .get_or_create(&KeyLabels {
                kid,
                algorithm,
                state,
            })
            .set(age);
    }
}

/// Tries to tell a client that a session is over.
#[derive(Clone, Default)]
pub struct DeliveryMetrics(Family<EventLabels, Counter>);

impl DeliveryMetrics {
    /// Counts one try.
    pub fn tried(&self, outcome: &'static str) {
        self.0.get_or_create(&EventLabels { outcome }).inc();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    by: &'static str,
}

/// Requests that were turned away because their caller asks too much.
#[derive(Clone, Default)]
pub struct RateLimitMetrics(Family<LimitLabels, Counter>);

impl RateLimitMetrics {
    /// Counts one; `by` is what it was counted by, `address` or `client`.
    pub fn turned_away(&self, by: &'static str) {
        self.0.get_or_create(&LimitLabels { by }).inc();
    }
}

/// The log of revocations and its readers.
#[derive(Clone, Default)]
pub struct FeedMetrics {
    streams: Gauge,
    resets: Family<ReasonLabels, Counter>,
    events: Counter,
    heartbeats: Counter,
    epoch: Gauge,
    seq: Gauge,
}

impl FeedMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "revocation_streams",
            "Open streams and waiting polls of the revocation log",
            self.streams.clone(),
        );
        registry.register(
            "revocation_resets",
            "Readers that had to take a new snapshot, by reason",
            self.resets.clone(),
        );
        registry.register(
            "revocation_events",
            "Events of the revocation log that were handed to readers",
            self.events.clone(),
        );
        registry.register(
            "revocation_heartbeats",
            "Signed heartbeats of the revocation log that were handed to readers",
            self.heartbeats.clone(),
        );
        registry.register(
            "revocation_epoch",
            "Epoch of the revocation log",
            self.epoch.clone(),
        );
        registry.register(
            "revocation_seq",
            "Number of the last event of the revocation log",
            self.seq.clone(),
        );
    }

    /// A reader came.
    pub fn opened(&self) {
        self.streams.inc();
    }

    /// A reader went.
    pub fn closed(&self) {
        self.streams.dec();
    }

    /// Counts a reader that has to begin again.
    pub fn reset(&self, reason: &'static str) {
        self.resets.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts events.
    pub fn published(&self, events: u64) {
        self.events.inc_by(events);
    }

    /// Counts a heartbeat.
    pub fn beaten(&self) {
        self.heartbeats.inc();
    }

    /// Notes where the log stands.
    pub fn reached(&self, epoch: u64, seq: u64) {
        self.epoch.set(i64::try_from(epoch).unwrap_or(i64::MAX));
        self.seq.set(i64::try_from(seq).unwrap_or(i64::MAX));
    }
}

/// Transitions by name, and the connections.
#[derive(Clone, Default)]
pub struct StoreMetrics {
    operations: Family<OperationLabels, Counter>,
    commits: Counter,
    transitions: Counter,
    open: Gauge,
    idle: Gauge,
    most: Gauge,
}

impl StoreMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "store_operations",
            "Database transitions and reads by name",
            self.operations.clone(),
        );
        registry.register(
            "store_commits",
            "Commits of the SQLite writer",
            self.commits.clone(),
        );
        registry.register(
            "store_transitions",
            "Transitions that the SQLite writer has committed",
            self.transitions.clone(),
        );
        registry.register(
            "store_connections_open",
            "Open connections",
            self.open.clone(),
        );
        registry.register(
            "store_connections_idle",
            "Idle connections",
            self.idle.clone(),
        );
        registry.register(
            "store_connections_max",
            "Most connections",
            self.most.clone(),
        );
    }

    /// Counts one operation.
    pub fn count(&self, operation: &'static str) {
        self.operations
            .get_or_create(&OperationLabels { operation })
            .inc();
    }

    /// Counts one commit that made so many transitions durable together.
    pub fn committed(&self, transitions: u64) {
        self.commits.inc();
        self.transitions.inc_by(transitions);
    }

    /// Notes how busy the connections are.
    pub fn set_pool(&self, open: u32, idle: u32, most: u32) {
        self.open.set(open.into());
        self.idle.set(idle.into());
        self.most.set(most.into());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tokensmith");
        let requests = Family::<OutcomeLabels, Counter>::default();
        let latency = LatencyFamily::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS));
        let tokens = Family::<TokenLabels, Counter>::default();
        let rejections = Family::<ReasonLabels, Counter>::default();
        let refreshes = Family::<EventLabels, Counter>::default();
        let logins = Family::<EventLabels, Counter>::default();
        let deliveries = DeliveryMetrics::default();
        let feed = FeedMetrics::default();
        let rate_limits = RateLimitMetrics::default();
        let password_queue = Gauge::default();
        let signing = Histogram::new(SIGNING_BUCKETS);
        let keys = KeyMetrics::default();
        let store = StoreMetrics::default();
        registry.register(
            "http_requests",
            "Requests by endpoint, method and outcome (ok, or the error code)",
            requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from the parsed request head to the complete answer",
            Unit::Seconds,
            latency.clone(),
        );
        registry.register(
            "tokens_issued",
            "Access tokens by grant and client",
            tokens.clone(),
        );
        registry.register(
            "token_rejections",
            "Bearer tokens that this server's own APIs did not accept, by reason",
            rejections.clone(),
        );
        registry.register(
            "refreshes",
            "Uses of refresh tokens by outcome: rotated, kept, repeated, caught_up, reused, refused",
            refreshes.clone(),
        );
        registry.register(
            "logins",
            "Logins by outcome: succeeded, blocked, busy, or the error code",
            logins.clone(),
        );
        registry.register(
            "logout_deliveries",
            "Tries to tell a client that a session is over, by outcome",
            deliveries.0.clone(),
        );
        registry.register(
            "rate_limited",
            "Requests that were turned away because an address or a client sends too many",
            rate_limits.0.clone(),
        );
        registry.register(
            "password_queue",
            "Passwords that wait to be hashed",
            password_queue.clone(),
        );
        registry.register_with_unit(
            "token_signing_duration",
            "Time that one signature takes",
            Unit::Seconds,
            signing.clone(),
        );
        registry.register_with_unit(
            "signing_key_age",
            "Age of each published key since it was made, by state",
            Unit::Seconds,
            keys.0.clone(),
        );
        store.register(&mut registry);
        feed.register(&mut registry);
        registry.register(
            "build_info",
            "The running release",
            prometheus_client::metrics::info::Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self {
            registry: Arc::new(registry),
            requests,
            latency,
            tokens,
            rejections,
            refreshes,
            logins,
            deliveries,
            feed,
            rate_limits,
            password_queue,
            signing,
            keys,
            store,
        }
    }
}

impl Metrics {
    /// Counts an answered request. `endpoint` is the pattern of a route, `outcome` a code of ours.
    pub fn request(
        &self,
        endpoint: Cow<'static, str>,
        method: Method,
        outcome: &'static str,
        took: Duration,
    ) {
        let labels = OutcomeLabels {
            endpoint,
            method,
            outcome,
        };
        self.requests.get_or_create(&labels).inc();
        self.latency
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// Counts an issued token.
    pub fn token_issued(&self, grant: &'static str, client_id: &str) {
        let labels = TokenLabels {
            grant,
            client_id: client_id.to_owned(),
        };
        self.tokens.get_or_create(&labels).inc();
    }

    /// Counts a bearer token that was not accepted. `reason` is a name of ours.
    pub fn token_rejected(&self, reason: &'static str) {
        self.rejections
            .get_or_create(&ReasonLabels { reason })
            .inc();
    }

    /// Counts a use of a refresh token.
    pub fn refreshed(&self, outcome: &'static str) {
        self.refreshes.get_or_create(&EventLabels { outcome }).inc();
    }

    /// Counts a login.
    pub fn login(&self, outcome: &'static str) {
        self.logins.get_or_create(&EventLabels { outcome }).inc();
    }

    /// Notes how many passwords wait to be hashed.
    pub fn set_password_queue(&self, waiting: usize) {
        self.password_queue
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// All metrics as text.
    ///
    /// # Errors
    /// When the text cannot be written to memory.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl From<&str> for Method {
    fn from(name: &str) -> Self {
        match name {
            "GET" => Self::GET,
            "HEAD" => Self::HEAD,
            "POST" => Self::POST,
            "PUT" => Self::PUT,
            "PATCH" => Self::PATCH,
            "DELETE" => Self::DELETE,
            "OPTIONS" => Self::OPTIONS,
            _ => Self::Other,
        }
    }
}

impl Method {
    /// The name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GET => "GET",
            Self::HEAD => "HEAD",
            Self::POST => "POST",
            Self::PUT => "PUT",
            Self::PATCH => "PATCH",
            Self::DELETE => "DELETE",
            Self::OPTIONS => "OPTIONS",
            Self::Other => "Other",
        }
    }
}
