//! Clients that send requests all the time, and a tally of the answers: the load under which every
//! suite rotates, whatever its client speaks.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Far more than any request takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The shortest time between two requests of a client.
const PACE: Duration = Duration::from_millis(20);

/// What answers a request: a pool, or a connection to a service. Each one asks once at a time.
pub trait Client: Send + 'static {
    /// Sends one request. The error is shown, so it must have no value in it.
    fn ask(&mut self) -> impl Future<Output = Result<Answer, String>> + Send;
}

/// An answer, such as the name of the user that the server saw, and the number of attempts.
#[derive(Debug)]
pub struct Answer {
    /// The answer itself; the tally counts equal ones.
    pub text: String,
    /// One more than the number of retries.
    pub attempts: u32,
}

/// A request that is repeated, with the number of the client that sends it.
struct Repeated<F> {
    number: usize,
    request: Arc<F>,
}

impl<F, Fut> Client for Repeated<F>
where
    F: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), String>> + Send,
{
    async fn ask(&mut self) -> Result<Answer, String> {
        (self.request)(self.number).await?;
        Ok(Answer { text: String::new(), attempts: 1 })
    }
}

/// Running clients.
#[derive(Debug)]
pub struct Load {
    clients: JoinSet<Tally>,
    completed: Vec<watch::Receiver<u64>>,
    stop: watch::Sender<bool>,
    begun: Instant,
}

impl Load {
    /// Starts these clients on the current runtime. Each sends up to 50 requests a second.
    pub fn start(clients: impl IntoIterator<Item = impl Client>) -> Self {
        Self::paced(clients, PACE)
    }

    /// Starts clients that repeat this request without a pause; it is given the client's number.
    pub fn repeat<F, Fut>(clients: usize, request: F) -> Self
    where
        F: Fn(usize) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send,
    {
        let request = Arc::new(request);
        let client = |number| Repeated { number, request: request.clone() };
        Self::paced((0..clients).map(client), Duration::ZERO)
    }

    fn paced(clients: impl IntoIterator<Item = impl Client>, pace: Duration) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let completed = clients.into_iter().map(|client| {
            let (sender, receiver) = watch::channel(0);
            tasks.spawn(ask_on(client, pace, sender, stopped.clone()));
            receiver
        });
        let completed = completed.collect();
        Self { clients: tasks, completed, stop, begun: Instant::now() }
    }

    /// Returns when each client has the answer to a request that it sent after this call, and so to
    /// all earlier ones.
    ///
    /// # Panics
    /// If a client has none within a minute.
    pub async fn round(&self) {
        // One request may be under way.
        self.answers(2).await;
    }

    /// Returns when each client has this many answers more. With one, all requests are answered
    /// that were under way.
    ///
    /// # Panics
    /// If a client has too few after a minute.
    pub async fn answers(&self, number: u64) {
        let enough: Vec<u64> = self.completed.iter().map(|it| *it.borrow() + number).collect();
        for (completed, enough) in self.completed.iter().zip(enough) {
            let mut completed = completed.clone();
            let reached = timeout(PATIENCE, completed.wait_for(|number| *number >= enough)).await;
            reached.expect("an answer or a failure").expect("a running client");
        }
    }

    /// Ends the clients after their last request.
    pub async fn finish(self) -> Tally {
        self.stop.send_replace(true);
        let tallies = self.clients.join_all().await;
        let mut tally = tallies.into_iter().fold(Tally::default(), Tally::with);
        tally.took = self.begun.elapsed();
        tally.waits.sort_unstable();
        tally.durations.sort_unstable();
        tally
    }
}

/// The results of the requests.
#[derive(Debug, Default)]
pub struct Tally {
    took: Duration,
    /// The number of requests by answer.
    pub answers: BTreeMap<String, u64>,
    /// The number of failed requests by error.
    pub failures: BTreeMap<String, u64>,
    /// The durations of requests that needed more than one attempt. `finish` sorts them.
    pub waits: Vec<Duration>,
    /// How long each request took. `finish` sorts them.
    durations: Vec<Duration>,
}

impl Tally {
    /// The number of requests.
    pub fn requests(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.failed()
    }

    fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// How many requests took at least this long.
    pub fn waited(&self, at_least: Duration) -> usize {
        self.durations.iter().filter(|took| **took >= at_least).count()
    }

    /// Prints a line for the table of the guide: the client, rotations, requests, failed ones,
    /// those that took a quarter of a second or longer, and the longest.
    ///
    /// # Panics
    /// If a request failed, or there were fewer requests than rotations.
    pub fn report(&self, client: &str, rotations: usize) {
        let (requests, failed) = (self.requests(), self.failed());
        let waited = self.waited(Duration::from_millis(250));
        let longest = self.durations.last().copied().unwrap_or_default().as_secs_f64();
        let row = format!(
            "| {client} | {rotations} | {requests} | {failed} | {waited} | {longest:.2} s |\n"
        );
        // Not by `eprint!`, which the test harness would keep to itself.
        let printed = std::io::stderr().write_all(row.as_bytes());
        assert!(printed.is_ok() && failed == 0, "{client}: {self}");
        assert!(requests > rotations as u64, "{client}: {self}");
    }

    fn with(mut self, other: Self) -> Self {
        for (all, some) in
            [(&mut self.answers, other.answers), (&mut self.failures, other.failures)]
        {
            for (text, number) in some {
                *all.entry(text).or_default() += number;
            }
        }
        self.waits.extend(other.waits);
        self.durations.extend(other.durations);
        self
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, requests) = (self.failed(), self.requests());
        write!(f, "{:.1} s, {requests} requests, {failed} failed", self.took.as_secs_f64())?;
        if failed > 0 {
            write!(f, " {:?}", self.failures)?;
        }
        let Some(last) = self.waits.len().checked_sub(1) else {
            return f.write_str(", none retried");
        };
        let [median, late, longest] =
            [50, 99, 100].map(|percent| self.waits[last * percent / 100].as_secs_f64());
        let number = self.waits.len();
        write!(f, ", {number} retried: p50 {median:.2} s, p99 {late:.2} s, longest {longest:.2} s")
    }
}

async fn ask_on(
    mut client: impl Client,
    pace: Duration,
    completed: watch::Sender<u64>,
    stopped: watch::Receiver<bool>,
) -> Tally {
    let mut tally = Tally::default();
    let mut ticks = (!pace.is_zero()).then(|| interval(pace));
    if let Some(ticks) = &mut ticks {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    }
    while !*stopped.borrow() {
        match &mut ticks {
            Some(ticks) => drop(ticks.tick().await),
            // For requests that wait for nothing.
            None => tokio::task::yield_now().await,
        }
        let begun = Instant::now();
        let asked = timeout(PATIENCE, client.ask()).await;
        let took = begun.elapsed();
        tally.durations.push(took);
        match asked.unwrap_or_else(|_| Err("no answer".to_owned())) {
            Ok(answer) => {
                *tally.answers.entry(answer.text).or_default() += 1;
                if answer.attempts > 1 {
                    tally.waits.push(took);
                }
            }
            Err(failure) => *tally.failures.entry(failure).or_default() += 1,
        }
        completed.send_modify(|number| *number += 1);
    }
    tally
}
