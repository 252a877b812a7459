//! A status list of a million sessions of which one in twenty was ended: made in this process, and
//! served by a service.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokensmith::clock::SystemClock;
use tokensmith::domain::Timestamp;
use tokensmith::domain::issuer::Issuer;
use tokensmith::domain::ports::Clock;
use tokensmith::domain::revocation::{Batch, LogEnd, LogTerms, Revocation, StatusIndex};
use tokensmith::revocation::{Document, Documents, RevocationState};
use tokensmith_verify::revocation::{LIST_SIZE, ListToken};

use super::in_process::{ISSUER, InProcessIssuer};
use super::under_load::Measured;
use super::{Plan, Scenario, USUAL_CLIENTS, under_load};
use crate::failure::{Doing, Failure, Outcome};
use crate::http::{self, Connection, Errand, Load};
use crate::measure::{Latencies, real};
use crate::people::{Database, Random};
use crate::report::{Limit, Report};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "status-list",
    about: "size of a status list of a million sessions, time to make it, CPU time to serve it",
    run: |plan| Box::pin(run(plan)),
};

/// One in twenty of a million.
const REVOKED: usize = 50_000;

const MOST_BYTES: f64 = 65_000.0;
const MOST_MS: f64 = 100.0;

/// The yardstick is only for comparing machines here.
const MESSAGE: [u8; 512] = [b'a'; 512];

async fn run(plan: &Plan) -> Outcome<Report> {
    let revoked = revoked();
    let issuer = InProcessIssuer::new().await?;
    let mut maker = Maker::new(&issuer, &revoked)?;
    let mut latencies = Latencies::new()?;
    let document = maker.make_for(plan.duration / 2, &mut latencies).await?;
    let sizes = Sizes::of(&document)?;
    let served = serve(plan, &revoked).await?;

    // The operation is the request; it is made once for very many of them.
    let mut report = served.report(SCENARIO.name);
    report.figure("lists_made", real(latencies.count()));
    report.figure("make_p50_ms", latencies.quantile_ms(0.5));
    report.figure("make_p99_ms", latencies.quantile_ms(0.99));
    report.figure("zlib_bytes", sizes.zlib);
    report.figure("jwt_bytes", sizes.jwt);
    report.figure("gzip_bytes", sizes.gzip);
    report.bar("gzip_bytes", sizes.gzip, Limit::AtMost(MOST_BYTES));
    let made_ms = latencies.quantile_ms(0.5);
    report.bar("make_p50_ms", made_ms, Limit::AtMost(MOST_MS));
    Ok(report)
}

/// Positions by chance, as the service spreads them over the list.
fn revoked() -> BTreeSet<u32> {
    let mut random = Random::new("revoked", 0);
    let mut positions = BTreeSet::new();
    while positions.len() < REVOKED {
        positions.insert(random.below(LIST_SIZE));
    }
    positions
}

/// Makes the same list anew, each time with one bit more.
struct Maker {
    state: Arc<RevocationState>,
    documents: Arc<Documents>,
    /// Moves on faster than time does, because no list is made anew within a second.
    now: Timestamp,
    random: Random,
}

impl Maker {
    fn new(issuer: &InProcessIssuer, revoked: &BTreeSet<u32>) -> Outcome<Self> {
        let now = SystemClock.now();
        let terms = LogTerms::of(&Issuer::parse(ISSUER).doing("parsing the issuer")?);
        let state = Arc::new(RevocationState::new(terms));
        let revoked = revoked.iter().map(|position| (now, of(*position)));
        state.replace(LogEnd::start_of(1), 1, revoked.collect());
        let documents = Arc::new(Documents::new(issuer.keys(), Arc::clone(&state)));
        Ok(Self {
            state,
            documents,
            now,
            random: Random::new("one more", 0),
        })
    }

    /// Answers the first one.
    async fn make_for(
        &mut self,
        duration: Duration,
        latencies: &mut Latencies,
    ) -> Outcome<Arc<Document>> {
        let first = self.make().await?;
        let start = Instant::now();
        while start.elapsed() < duration {
            let position = self.random.below(LIST_SIZE);
            self.revoke(position);
            self.now += Duration::from_secs(2);
            let began = Instant::now();
            let document = self.make().await?;
            latencies.record(began.elapsed());
            drop(std::hint::black_box(document));
        }
        Ok(first)
    }

    async fn make(&self) -> Outcome<Arc<Document>> {
        let document = self.documents.list(0, self.now).await;
        let document = document.doing("making a status list")?;
        document.ok_or_else(|| Failure::new("there is no status list"))
    }

    fn revoke(&self, position: u32) {
        let end = self.state.end();
        let batch = Batch {
            first: end.position.seq + 1,
            revocations: vec![(self.now, of(position))],
        };
        let (_, end) = batch.frames(&end, self.state.terms());
        self.state.apply(batch, end);
    }
}

fn of(position: u32) -> Revocation {
    Revocation::Status(StatusIndex::new(0, position))
}

/// In bytes.
struct Sizes {
    /// The bits, compressed.
    zlib: f64,
    jwt: f64,
    /// The JWT as it goes over the wire.
    gzip: f64,
}

impl Sizes {
    fn of(document: &Document) -> Outcome<Self> {
        let decode = |text: &[u8]| URL_SAFE_NO_PAD.decode(text).doing("reading a status list");
        let payload = document.body.split(|byte| *byte == b'.').nth(1);
        let payload = decode(payload.unwrap_or_default())?;
        let list: ListToken = serde_json::from_slice(&payload).doing("reading a status list")?;
        let zlib = decode(list.status_list.lst.as_bytes())?;
        let length = |bytes: &[u8]| f64::from(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        Ok(Self {
            zlib: length(&zlib),
            jwt: length(&document.body),
            gzip: length(&document.gzip),
        })
    }
}

/// Requests for the list, as it goes over the wire.
async fn serve(plan: &Plan, revoked: &BTreeSet<u32>) -> Outcome<Measured> {
    let installation = plan.install()?;
    let mut database = Database::connect(&installation.database()?).await?;
    let list = database.open_lists(1).await?;
    let at_ms = SystemClock.now().timestamp_millis();
    let positions = revoked.iter().copied();
    database.insert_revocations(list, positions, at_ms).await?;
    drop(database);
    let mut service = installation.launch()?;
    service.ready().await?;
    let path = format!("/status-lists/{list}");
    let request = http::get(service.address(), &path, &[("accept-encoding", "gzip")]);
    // The one that it is made for.
    let mut connection = Connection::open(service.address()).await?;
    let answer = connection.exchange(&request).await?;
    if answer.status != 200 || answer.body.len() < REVOKED / 8 {
        let (status, length) = (answer.status, answer.body.len());
        let reason = format!("asking for the list: status {status}, {length} bytes");
        return Err(Failure::new(reason));
    }
    let errand = Errand {
        request,
        status: 200,
        is_right: |body| body.starts_with(&[0x1f, 0x8b]),
    };
    let mut load = Load::connect(service.address(), plan.clients(USUAL_CLIENTS), errand).await?;
    let measured = under_load::measure(&service, &mut load, &MESSAGE, plan.duration / 2).await?;
    drop(load);
    service.stop().await?;
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use tokensmith_verify::revocation::{BitList, inflate};
    use tokensmith_verify::{KeySet, jws};

    use super::*;

    #[tokio::test]
    async fn the_list_that_is_made_says_what_was_revoked() {
        let issuer = InProcessIssuer::new().await.unwrap();
        let revoked = BTreeSet::from([0, 17, LIST_SIZE - 1]);
        let mut maker = Maker::new(&issuer, &revoked).unwrap();
        let mut latencies = Latencies::new().unwrap();
        let duration = Duration::from_millis(1);
        let document = maker.make_for(duration, &mut latencies).await.unwrap();
        assert!(latencies.count() > 0);
        let keys = KeySet::from_json(&issuer.jwks()).unwrap();
        let body = std::str::from_utf8(&document.body).unwrap();
        let payload = jws::verify_within(body, &keys, body.len()).unwrap();
        let list: ListToken = serde_json::from_slice(&payload.bytes).unwrap();
        let bits = BitList::from_bytes(&inflate(1, &list.status_list.lst).unwrap()).unwrap();
        assert_eq!(bits.count(), 3);
        assert!(revoked.iter().all(|idx| bits.is_set(*idx) == Some(true)));
        assert!(Sizes::of(&document).unwrap().zlib > 0.0);
        let later = maker.make().await.unwrap();
        assert_ne!(later.body, document.body);
    }

    #[test]
    fn one_in_twenty_is_revoked() {
        assert_eq!(revoked().len(), REVOKED);
        assert!(revoked().iter().all(|position| *position < LIST_SIZE));
    }
}
