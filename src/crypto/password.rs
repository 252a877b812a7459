//! Password hashing on threads of its own, so that a flood of logins cannot delay signatures.

mod compute;

use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::compute::HashComputer;
use crate::domain::password::{Argon2Parameters, Password, PasswordHash};
use crate::domain::ports::{Entropy, NoEntropy, PasswordError, PasswordHasher, PasswordVerdict};

/// Threads that hash passwords, and a queue before them.
///
/// While there is work every thread keeps the memory that Argon2 fills, so the pool holds `threads`
/// times the memory of one hash; a stored hash of other parameters takes up to 256 MiB more while it is checked. On
/// Linux the threads have a lower priority than the rest of the process. They end when the pool is
/// dropped.
pub struct PasswordPool {
    jobs: SyncSender<Job>,
    waiting: Arc<AtomicUsize>,
    capacity: usize,
}

/// How long a thread without work keeps its memory.
const MEMORY_STAYS: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// Why the pool did not start.
#[derive(Debug, thiserror::Error)]
pub enum PasswordPoolError {
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The operating system gave no thread.
    #[error("cannot start a thread that hashes passwords: {0}")]
    NoThread(#[from] io::Error),
}

impl PasswordPool {
    /// Starts `threads` threads that make hashes with the parameters `today`. At most `queue`
    /// passwords wait until a thread takes them up; a further one is turned away at once.
    pub fn start(
        today: Argon2Parameters,
        threads: NonZeroUsize,
        queue: NonZeroUsize,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, PasswordPoolError> {
        let nobody = hash_of_nobody(today, entropy.as_ref())?;
        let capacity = queue.get();
        let (jobs, queue) = sync_channel(capacity);
        let queue = Arc::new(Mutex::new(queue));
        let waiting = Arc::new(AtomicUsize::new(0));
        for number in 0..threads.get() {
            let mut worker = Worker {
                computer: HashComputer::new(today),
                today,
                nobody: nobody.clone(),
                entropy: Arc::clone(entropy),
            };
            let (queue, waiting) = (Arc::clone(&queue), Arc::clone(&waiting));
            thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || {
                    lower_priority();
                    worker.run(&queue, &waiting);
                })?;
        }
        Ok(Self {
            jobs,
            waiting,
            capacity,
        })
    }

    async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            // Whoever hung up while waiting costs no hash.
            if !reply.is_closed() {
                let _ = reply.send(work(worker));
            }
        });
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.jobs.try_send(job) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(match error {
                TrySendError::Full(_) => PasswordError::Busy,
                TrySendError::Disconnected(_) => PasswordError::Failed("its threads have ended"),
            });
        }
        let gave_up = Err(PasswordError::Failed("the thread gave up"));
        answer.await.unwrap_or(gave_up)
    }
}

#[async_trait]
impl PasswordHasher for PasswordPool {
    async fn hash(&self, password: Password) -> Result<PasswordHash, PasswordError> {
        self.submit(move |worker| worker.hash(&password)).await
    }

    async fn verify(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<PasswordVerdict, PasswordError> {
        self.submit(move |worker| worker.verify(&password, stored.as_ref()))
            .await
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn is_busy(&self) -> bool {
        self.waiting() >= self.capacity
    }
}

/// One thread of the pool.
struct Worker {
    computer: HashComputer,
    today: Argon2Parameters,
    nobody: PasswordHash,
    entropy: Arc<dyn Entropy>,
}

impl Worker {
    fn run(&mut self, queue: &Mutex<Receiver<Job>>, waiting: &AtomicUsize) {
        loop {
            let next = {
                let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                queue.recv_timeout(MEMORY_STAYS)
            };
            let job = match next {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => {
                    self.computer.rest();
                    // Lets another thread have the queue, and rest in its turn.
                    thread::sleep(Duration::from_millis(10));
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            waiting.fetch_sub(1, Ordering::Relaxed);
            // A hash that trips a defect must not take a thread with it. The memory is written
            // before it is read, so nothing of the defect stays.
            let _ = catch_unwind(AssertUnwindSafe(|| job(self)));
        }
    }

    fn hash(&mut self, password: &Password) -> Result<PasswordHash, PasswordError> {
        let mut salt = [0; 16];
        self.entropy
            .fill(&mut salt)
            .map_err(|NoEntropy| PasswordError::Failed("there are no random bytes"))?;
        let output = self.computer.argon2id(password, self.today, &salt)?;
        Ok(PasswordHash::argon2id(self.today, &salt, &output))
    }

    fn verify(
        &mut self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<PasswordVerdict, PasswordError> {
        let hash = stored.unwrap_or(&self.nobody);
        let matches = self.computer.matches(password, hash.scheme())?;
        Ok(if matches && stored.is_some() {
            let needs_upgrade = !hash.is_up_to_date(self.today);
            PasswordVerdict::Right { needs_upgrade }
        } else {
            PasswordVerdict::Wrong
        })
    }
}

/// What is checked when nobody has the name: a hash of today that no password is known for.
fn hash_of_nobody(
    today: Argon2Parameters,
    entropy: &dyn Entropy,
) -> Result<PasswordHash, NoEntropy> {
    let (mut salt, mut output) = ([0; 16], [0; 32]);
    entropy.fill(&mut salt)?;
    entropy.fill(&mut output)?;
    Ok(PasswordHash::argon2id(today, &salt, &output))
}

/// Lowers the priority of this thread, not of the process: on Linux, unlike POSIX, `nice` is of the
/// thread that calls it (setpriority(2), "C library/kernel differences"). Where it is refused, the
/// thread is like any other.
#[cfg(target_os = "linux")]
fn lower_priority() {
    let _ = rustix::process::nice(10);
}

/// Elsewhere `nice` is of the whole process.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::super::SystemEntropy;
    use super::*;

    /// Lets the making of each hash begin only when a test says so.
    struct Gate {
        reached: Mutex<Sender<()>>,
        opened: Mutex<Receiver<()>>,
    }

    impl Entropy for Gate {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
            buffer.fill(7);
            self.reached
                .lock()
                .unwrap()
                .send(())
                .map_err(|_| NoEntropy)?;
            self.opened.lock().unwrap().recv().map_err(|_| NoEntropy)
        }
    }

    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    fn cheap() -> Argon2Parameters {
        Argon2Parameters::new(64, 1, 1).unwrap()
    }

    fn pool(threads: usize, queue: usize) -> Arc<PasswordPool> {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
        let (threads, queue) = (threads.try_into().unwrap(), queue.try_into().unwrap());
        Arc::new(PasswordPool::start(cheap(), threads, queue, &entropy).unwrap())
    }

    /// A pool of one thread and a queue of `queue`, with what opens its gate and what tells that
    /// the gate was reached.
    fn gated_pool(queue: usize) -> (Arc<PasswordPool>, Sender<()>, Receiver<()>) {
        let ((reached, was_reached), (open, opened)) = (channel(), channel());
        let entropy: Arc<dyn Entropy> = Arc::new(Gate {
            reached: Mutex::new(reached),
            opened: Mutex::new(opened),
        });
        // The hash of nobody takes two draws.
        open.send(()).unwrap();
        open.send(()).unwrap();
        let queue = queue.try_into().unwrap();
        let pool = PasswordPool::start(cheap(), ONE, queue, &entropy).unwrap();
        was_reached.recv().unwrap();
        was_reached.recv().unwrap();
        (Arc::new(pool), open, was_reached)
    }

    fn password(text: &str) -> Password {
        Password::presented(text).unwrap()
    }

    fn worker() -> Worker {
        let entropy = Arc::new(SystemEntropy::default());
        Worker {
            computer: HashComputer::new(cheap()),
            today: cheap(),
            nobody: hash_of_nobody(cheap(), entropy.as_ref()).unwrap(),
            entropy,
        }
    }

    #[tokio::test]
    async fn a_hash_is_of_one_password_and_never_twice_the_same() {
        let pool = pool(2, 8);
        let first = pool.hash(password("rhubarb")).await.unwrap();
        let second = pool.hash(password("rhubarb")).await.unwrap();
        assert_ne!(first.as_str(), second.as_str());
        let read_back = first.as_str().parse::<PasswordHash>().unwrap();
        let right = PasswordVerdict::Right {
            needs_upgrade: false,
        };
        for (text, verdict) in [("rhubarb", right), ("Rhubarb", PasswordVerdict::Wrong)] {
            let found = pool.verify(password(text), Some(read_back.clone())).await;
            assert_eq!(found, Ok(verdict));
        }
        assert_eq!(
            pool.verify(password("rhubarb"), None).await,
            Ok(PasswordVerdict::Wrong)
        );
        assert_eq!(pool.waiting(), 0);
    }

    #[tokio::test]
    async fn a_hash_of_yesterday_is_right_and_wants_to_be_replaced() {
        let bcrypt = "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG";
        let stored = Some(bcrypt.parse().unwrap());
        let found = pool(1, 1)
            .verify(password("correct horse battery staple"), stored)
            .await;
        let needs_upgrade = true;
        assert_eq!(found, Ok(PasswordVerdict::Right { needs_upgrade }));
    }

    #[test]
    fn nobody_and_a_wrong_password_take_the_same_work() {
        // The memory that Argon2 leaves behind shows what it did.
        let work = |known: bool| {
            let mut worker = worker();
            worker.nobody = PasswordHash::argon2id(cheap(), &[1; 16], &[2; 32]);
            let stored = worker.nobody.clone();
            let before = worker.computer.memory();
            let verdict = worker.verify(&password("rhubarb"), known.then_some(&stored));
            assert_eq!(verdict, Ok(PasswordVerdict::Wrong));
            assert_ne!(worker.computer.memory(), before);
            worker.computer.memory()
        };
        assert_eq!(work(true), work(false));
        let hash = worker().hash(&password("x")).unwrap();
        assert!(hash.is_up_to_date(cheap()) && worker().nobody.is_up_to_date(cheap()));
    }

    #[test]
    fn nobody_has_no_password_even_if_somebody_finds_it() {
        let mut worker = worker();
        worker.nobody = worker.hash(&password("found")).unwrap();
        let verdict = worker.verify(&password("found"), None);
        assert_eq!(verdict, Ok(PasswordVerdict::Wrong));
    }

    #[tokio::test]
    async fn when_the_queue_is_full_the_answer_is_busy_at_once() {
        let (pool, open, was_reached) = gated_pool(1);
        let hash = |text: &'static str| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.hash(password(text)).await })
        };
        let first = hash("first");
        tokio::task::yield_now().await;
        was_reached.recv().unwrap();
        let second = hash("second");
        tokio::task::yield_now().await;
        assert_eq!(pool.waiting(), 1);
        assert_eq!(
            pool.hash(password("third")).await.err(),
            Some(PasswordError::Busy)
        );
        let nobody = pool.verify(password("third"), None).await;
        assert_eq!(nobody, Err(PasswordError::Busy));
        open.send(()).unwrap();
        open.send(()).unwrap();
        assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
        assert_eq!(pool.waiting(), 0);
    }

    #[tokio::test]
    async fn whoever_hung_up_costs_no_hash() {
        let (pool, open, was_reached) = gated_pool(8);
        let hash = |text: &'static str| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.hash(password(text)).await })
        };
        let first = hash("first");
        tokio::task::yield_now().await;
        was_reached.recv().unwrap();
        let gone: Vec<_> = (0..3).map(|_| hash("gone")).collect();
        tokio::task::yield_now().await;
        assert_eq!(pool.waiting(), 3);
        for task in gone {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        let last = hash("last");
        tokio::task::yield_now().await;
        open.send(()).unwrap();
        open.send(()).unwrap();
        assert!(first.await.unwrap().is_ok() && last.await.unwrap().is_ok());
        // The first was reached before; since then only the last was.
        assert_eq!(was_reached.try_iter().count(), 1);
    }

    #[tokio::test]
    async fn a_failure_is_told_and_the_thread_goes_on() {
        let (pool, open, _was_reached) = gated_pool(1);
        drop(open);
        let failed = pool.hash(password("x")).await.err();
        assert_eq!(
            failed,
            Some(PasswordError::Failed("there are no random bytes"))
        );
        let defect = pool.submit::<()>(|_| panic!("a defect")).await;
        assert_eq!(defect, Err(PasswordError::Failed("the thread gave up")));
        let verdict = pool.verify(password("x"), None).await;
        assert_eq!(verdict, Ok(PasswordVerdict::Wrong));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_the_threads_of_the_pool_have_a_lower_priority() {
        use rustix::process::getpriority_process;
        let before = getpriority_process(None).unwrap();
        let lowered = thread::spawn(|| {
            lower_priority();
            getpriority_process(None).unwrap()
        });
        assert_eq!(lowered.join().unwrap(), (before + 10).min(19));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
