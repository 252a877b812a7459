//! What hostile clients can make the service hold in memory, and what others notice of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::{LocalBoxFuture, join3};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{Plan, Scenario, token};
use crate::failure::{Doing, Outcome};
use crate::http::{self, Client, Connection, Load};
use crate::measure::{Latencies, resident_mib};
use crate::report::{Limit, Report};
use crate::service::{Installation, Service};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "siege",
    about: "memory and latency of tokens while hostile clients do their worst, one kind after another",
    run: |plan| Box::pin(run(plan)),
};

/// Clients that ask for tokens meanwhile.
const USUAL_CLIENTS: u16 = 4;
/// What a kind of hostile client did before has been let go by then.
const PAUSE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);

/// A kind of hostile clients.
struct Siege {
    /// Names of the figures: memory, memory for one, latency.
    peak_mib: &'static str,
    p99_ms: &'static str,
    /// How much memory all of them may take.
    most_mib: f64,
    lay: fn(SocketAddr) -> LocalBoxFuture<'static, Outcome<Besiegers>>,
}

/// Who besieges the service.
enum Besiegers {
    /// They hold connections.
    Holding(Vec<TcpStream>),
    /// They ask again and again.
    Asking(Load<Stranger>),
}

const SIEGES: &[Siege] = &[
    Siege {
        peak_mib: "idle_connections_peak_mib",
        p99_ms: "idle_connections_p99_ms",
        most_mib: 120.0,
        lay: |address| Box::pin(holding(address, 4_000, Vec::new())),
    },
    Siege {
        peak_mib: "unfinished_heads_peak_mib",
        p99_ms: "unfinished_heads_p99_ms",
        most_mib: 160.0,
        lay: |address| {
            let head = format!("GET /healthz HTTP/1.1\r\nx: {}", "x".repeat(100 * 1_024));
            Box::pin(holding(address, 500, head.into_bytes()))
        },
    },
    Siege {
        peak_mib: "unfinished_bodies_peak_mib",
        p99_ms: "unfinished_bodies_p99_ms",
        most_mib: 160.0,
        lay: |address| {
            let mut request =
                http::post_form(address, "/oauth/token", &[], &"x".repeat(16 * 1_024));
            request.pop();
            Box::pin(holding(address, 1_000, request))
        },
    },
    Siege {
        peak_mib: "unread_answers_peak_mib",
        p99_ms: "unread_answers_p99_ms",
        most_mib: 160.0,
        lay: |address| {
            let requests = http::get(address, "/healthz", &[]).repeat(20_000);
            Box::pin(holding(address, 200, requests))
        },
    },
    Siege {
        peak_mib: "unread_streams_peak_mib",
        p99_ms: "unread_streams_p99_ms",
        most_mib: 60.0,
        lay: |address| {
            let request = http::get(address, "/revocation/stream", &[]);
            Box::pin(holding(address, 2_000, request))
        },
    },
    Siege {
        peak_mib: "guesses_from_one_address_peak_mib",
        p99_ms: "guesses_from_one_address_p99_ms",
        most_mib: 30.0,
        lay: |address| Box::pin(strangers(address, false)),
    },
    Siege {
        peak_mib: "guesses_from_everywhere_peak_mib",
        p99_ms: "guesses_from_everywhere_p99_ms",
        most_mib: 60.0,
        lay: |address| Box::pin(strangers(address, true)),
    },
];

async fn run(plan: &Plan) -> Outcome<Report> {
    let mut installation = plan.install()?;
    installation.register_phone()?;
    // So that strangers can come from many addresses.
    installation.set("TOKENSMITH_TRUSTED_PROXIES", "127.0.0.1".to_owned());
    let clients = plan.clients(USUAL_CLIENTS);
    let mut report = Report::new(SCENARIO.name);
    let mut all = Latencies::new()?;
    let mut quiet = Latencies::new()?;
    for siege in SIEGES {
        let outcome = siege.measure(&installation, clients, plan.duration).await?;
        report.ops += outcome.ops;
        report.errors += outcome.errors;
        report.figure(siege.peak_mib, outcome.peak_mib);
        report.figure(siege.p99_ms, outcome.besieged.quantile_ms(0.99));
        report.bar(
            siege.peak_mib,
            outcome.peak_mib,
            Limit::AtMost(siege.most_mib),
        );
        all.add(&outcome.besieged)?;
        quiet.add(&outcome.quiet)?;
    }
    report.latencies(&all);
    report.figure("quiet_p99_ms", quiet.quantile_ms(0.99));
    Ok(report)
}

/// What a siege came to.
struct Outcomes {
    /// Answers that honest clients got, and how many of them were wrong.
    ops: u64,
    errors: u64,
    quiet: Latencies,
    besieged: Latencies,
    /// Memory above that of the service before the siege.
    peak_mib: f64,
}

impl Siege {
    async fn measure(
        &self,
        installation: &Installation,
        clients: u16,
        duration: Duration,
    ) -> Outcome<Outcomes> {
        let mut service = installation.launch()?;
        service.ready().await?;
        let mut tokens = token::load(installation, &service, clients).await?;
        let (mut quiet, mut besieged) = (Latencies::new()?, Latencies::new()?);
        let before = tokens.run(PAUSE, &mut quiet).await?;
        let (resident, _) = resident_mib(service.pid())?;

        let mut besiegers = (self.lay)(service.address()).await?;
        let (slice, peak, ()) = join3(
            tokens.run(duration, &mut besieged),
            peak_mib(&service, duration),
            besiegers.press_on(duration),
        )
        .await;
        let slice = slice?;
        drop(besiegers);
        service.stop().await?;
        Ok(Outcomes {
            ops: slice.ops,
            errors: before.errors + slice.errors,
            quiet,
            besieged,
            peak_mib: peak? - resident,
        })
    }
}

impl Besiegers {
    async fn press_on(&mut self, duration: Duration) {
        match self {
            // Being there is all they do.
            Self::Holding(held) => debug_assert!(!held.is_empty()),
            Self::Asking(load) => {
                if let Ok(mut latencies) = Latencies::new() {
                    // What they are told does not matter.
                    let _answers = load.run(duration, &mut latencies).await;
                }
            }
        }
    }
}

async fn peak_mib(service: &Service, duration: Duration) -> Outcome<f64> {
    let start = Instant::now();
    let mut peak: f64 = 0.0;
    while start.elapsed() < duration {
        peak = peak.max(resident_mib(service.pid())?.0);
        tokio::time::sleep(LOOK).await;
    }
    Ok(peak)
}

/// Connections on which something is sent, as far as it is taken, and nothing is read.
async fn holding(address: SocketAddr, count: usize, request: Vec<u8>) -> Outcome<Besiegers> {
    /// The service takes no more.
    const TAKEN: Duration = Duration::from_millis(20);
    const NARROW: u32 = 4_096;
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = TcpSocket::new_v4().doing("making a connection")?;
        socket
            .set_recv_buffer_size(NARROW)
            .doing("making a connection")?;
        let mut stream = socket.connect(address).await.doing("connecting")?;
        // It may be refused, or not be taken as a whole: that is for the service to decide.
        let _sent = timeout(TAKEN, stream.write_all(&request)).await;
        held.push(stream);
    }
    Ok(Besiegers::Holding(held))
}

/// Somebody who tries refresh tokens that were never good.
struct Stranger {
    connection: Connection,
    number: u32,
    /// Whether each guess comes from another address.
    moves: bool,
}

async fn strangers(address: SocketAddr, moves: bool) -> Outcome<Besiegers> {
    const COUNT: u32 = 32;
    let mut strangers = Vec::new();
    for number in 0..COUNT {
        strangers.push(Stranger {
            connection: Connection::open(address).await?,
            number: number << 20,
            moves,
        });
    }
    Ok(Besiegers::Asking(Load::of(strangers)))
}

impl Client for Stranger {
    async fn ask(&mut self) -> Outcome<bool> {
        self.number += 1;
        let subscriber = if self.moves { self.number } else { 7 };
        let from = format!(
            "2001:db8:{:x}:{:x}::1",
            subscriber >> 16,
            subscriber & 0xffff
        );
        // A session id, a generation and a MAC, as far as anybody can tell.
        let guess = format!("tsr1_{:08}{}", self.number, "A".repeat(51));
        let form = format!("grant_type=refresh_token&client_id=phone&refresh_token={guess}");
        let host = self.connection.address();
        let headers = [("x-forwarded-for", from.as_str())];
        let request = http::post_form(host, "/oauth/token", &headers, &form);
        if let Ok(answer) = self.connection.exchange(&request).await {
            return Ok(matches!(answer.status, 400 | 429));
        }
        self.connection.reopen().await?;
        Ok(false)
    }
}
