//! An open loop: requests are due at instants that are fixed beforehand, however slow the answers to
//! earlier ones are. A latency counts from the instant that was due, so a service that stalls is
//! charged for everybody who came meanwhile, and not only for who happened to be asking (in a closed
//! loop nobody else comes: "coordinated omission").

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::{Client, Load, Slice};
use crate::failure::Outcome;
use crate::measure::{Latencies, Timer};

/// Requests at a steady rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrivals {
    count: u32,
    between: Duration,
}

impl Arrivals {
    /// So many in a second, for so long; at least one.
    pub(crate) fn at_rate(per_second: f64, duration: Duration) -> Self {
        let between = Duration::from_secs_f64(1.0 / per_second.clamp(0.1, 1e6));
        let count = duration.as_nanos() / between.as_nanos();
        Self {
            count: u32::try_from(count).unwrap_or(u32::MAX).max(1),
            between,
        }
    }

    /// How many there are in a second.
    pub(crate) fn rate(&self) -> f64 {
        1.0 / self.between.as_secs_f64()
    }

    /// When they are due, counted from the beginning.
    pub(crate) fn instants(&self) -> impl Iterator<Item = Duration> {
        let arrivals = *self;
        (0..self.count).map(move |number| arrivals.due(number))
    }

    /// When one is due, counted from the beginning.
    fn due(&self, number: u32) -> Duration {
        self.between * number
    }
}

impl<C: Client> Load<C> {
    /// Asks at those instants and waits for the last answers. At most as many requests are under way
    /// as there are clients; one that finds them all busy waits for the first that is not, and its
    /// clock runs.
    pub(crate) async fn run_open(
        &mut self,
        arrivals: Arrivals,
        latencies: &mut Latencies,
    ) -> Outcome<Slice> {
        let timer = Timer::new()?;
        let mut slice = Slice::default();
        // First in, first out: all connections are used alike, as those of many callers are.
        let mut idle: VecDeque<&mut C> = self.clients.iter_mut().collect();
        let mut under_way = FuturesUnordered::new();
        let mut next = 0;
        let start = Instant::now();
        while next < arrivals.count || !under_way.is_empty() {
            let due = arrivals.due(next);
            let wait = due.checked_sub(start.elapsed());
            if next < arrivals.count
                && wait.is_none()
                && let Some(client) = idle.pop_front()
            {
                under_way.push(async move {
                    let is_right = client.ask().await?;
                    Ok((client, is_right, start.elapsed().saturating_sub(due)))
                });
                next += 1;
                continue;
            }
            let is_to_come = next < arrivals.count && wait.is_some();
            tokio::select! {
                Some(answered) = under_way.next() => {
                    let (client, is_right, took) = answered?;
                    slice.ops += 1;
                    slice.errors += u64::from(!is_right);
                    latencies.record(took);
                    idle.push_back(client);
                }
                waited = timer.wait(wait.unwrap_or_default()), if is_to_come => waited?,
                // There is no client at all.
                else => break,
            }
        }
        slice.wall = start.elapsed();
        Ok(slice)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::SocketAddr;
    use std::rc::Rc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::http::{self, Errand, Repeater};

    const STALL: Duration = Duration::from_millis(300);
    const DURATION: Duration = Duration::from_secs(1);
    const CLIENTS: u16 = 4;

    /// Answers at once, but for one stall in the middle in which it answers nobody.
    struct StallingServer {
        address: SocketAddr,
        began: Rc<Cell<Option<Instant>>>,
    }

    impl StallingServer {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let began = Rc::new(Cell::new(None));
            let first = Rc::clone(&began);
            tokio::task::spawn_local(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::task::spawn_local(answer(stream, Rc::clone(&first)));
                }
            });
            Self { address, began }
        }

        async fn load(&self) -> Load<Repeater> {
            let errand = Errand {
                request: http::get(self.address, "/", &[]),
                status: 200,
                is_right: |body| body == b"x",
            };
            self.began.set(None);
            Load::connect(self.address, CLIENTS, errand).await.unwrap()
        }
    }

    async fn answer(mut stream: TcpStream, began: Rc<Cell<Option<Instant>>>) {
        let mut request = [0; 256];
        while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
            let start = began.get().unwrap_or_else(Instant::now);
            began.set(Some(start));
            let stall = DURATION / 3..DURATION / 3 + STALL;
            if stall.contains(&start.elapsed()) {
                tokio::time::sleep(stall.end.saturating_sub(start.elapsed())).await;
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_stall_shows_in_the_open_loop_and_hides_in_the_closed_one() {
        let measure = async {
            let server = StallingServer::start().await;
            let mut open = Latencies::new().unwrap();
            let arrivals = Arrivals::at_rate(500.0, DURATION);
            let load = &mut server.load().await;
            let slice = load.run_open(arrivals, &mut open).await.unwrap();
            assert_eq!((slice.ops, slice.errors), (500, 0));
            let mut closed = Latencies::new().unwrap();
            let load = &mut server.load().await;
            let slice = load.run(DURATION, &mut closed).await.unwrap();
            assert_eq!(slice.errors, 0);
            (open, closed)
        };
        let (open, closed) = tokio::task::LocalSet::new().run_until(measure).await;
        // Who came when it began waited for all of it, who came in its middle for half.
        assert!(open.quantile_ms(0.99) > 250.0, "{}", open.quantile_ms(0.99));
        assert!(open.quantile_ms(0.85) > 120.0, "{}", open.quantile_ms(0.85));
        assert!(closed.longest_ms() > 250.0, "{}", closed.longest_ms());
        assert!(
            closed.quantile_ms(0.99) < 50.0,
            "{}",
            closed.quantile_ms(0.99)
        );
    }

    #[test]
    fn arrivals_are_spread_evenly_over_the_time() {
        let arrivals = Arrivals::at_rate(200.0, Duration::from_secs(2));
        assert_eq!(arrivals.count, 400);
        assert_eq!(arrivals.due(0), Duration::ZERO);
        assert_eq!(arrivals.due(399), Duration::from_millis(1_995));
        assert_eq!(Arrivals::at_rate(0.0, Duration::ZERO).count, 1);
    }

    /// Takes its time, and says how many others were asking.
    struct Slow {
        asking: Rc<Cell<usize>>,
        most: Rc<Cell<usize>>,
    }

    impl Client for Slow {
        async fn ask(&mut self) -> Outcome<bool> {
            self.asking.set(self.asking.get() + 1);
            self.most.set(self.most.get().max(self.asking.get()));
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.asking.set(self.asking.get() - 1);
            Ok(true)
        }
    }

    #[tokio::test]
    async fn who_finds_all_connections_busy_waits_and_the_wait_counts() {
        let (asking, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let client = || Slow {
            asking: Rc::clone(&asking),
            most: Rc::clone(&most),
        };
        let mut load = Load::of(vec![client(), client()]);
        let mut latencies = Latencies::new().unwrap();
        // Twenty at once, two at a time, 20 ms each: the last waits for nine others.
        let arrivals = Arrivals::at_rate(1e6, Duration::from_micros(20));
        let slice = load.run_open(arrivals, &mut latencies).await.unwrap();
        assert_eq!((slice.ops, most.get()), (20, 2));
        assert!(
            latencies.longest_ms() >= 199.0,
            "{}",
            latencies.longest_ms()
        );
        assert!(latencies.quantile_ms(0.5) >= 99.0);
    }
}
