//! Load: workers that repeat one request until they are stopped, and what became of all of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

/// Far more than any request takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the requests of a run came to.
#[derive(Default, Clone)]
pub(crate) struct Figures {
    pub(crate) requests: usize,
    /// Why those failed that did.
    pub(crate) failures: Vec<String>,
    pub(crate) longest: Duration,
    /// How many each worker has done.
    of_workers: Vec<usize>,
}

/// Workers that run.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    workers: JoinSet<()>,
    figures: watch::Receiver<Figures>,
}

impl Load {
    /// Starts this many workers, each with a number.
    pub(crate) fn start<F, Fut>(workers: usize, request: F) -> Self
    where
        F: Fn(usize) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send,
    {
        let (request, stop) = (Arc::new(request), Arc::new(AtomicBool::new(false)));
        let none = Figures { of_workers: vec![0; workers], ..Figures::default() };
        let (sender, figures) = watch::channel(none);
        let sender = Arc::new(sender);
        let mut set = JoinSet::new();
        for number in 0..workers {
            let (request, stop, sender) = (request.clone(), stop.clone(), sender.clone());
            set.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let result = request(number).await;
                    let took = begun.elapsed();
                    sender.send_modify(|figures| {
                        figures.requests += 1;
                        figures.of_workers[number] += 1;
                        figures.failures.extend(result.err());
                        figures.longest = figures.longest.max(took);
                    });
                    // For requests that wait for nothing.
                    tokio::task::yield_now().await;
                }
            });
        }
        Self { stop, workers: set, figures }
    }

    /// Waits until each worker has done this many requests more. After one, those that are under
    /// way now are done; after two, each worker has begun one since.
    pub(crate) async fn rounds(&mut self, rounds: usize) {
        let before = self.figures.borrow().of_workers.clone();
        let done = self.figures.wait_for(|figures| {
            figures.of_workers.iter().zip(&before).all(|(now, before)| *now >= before + rounds)
        });
        tokio::time::timeout(PATIENCE, done).await.expect("requests go on").expect("workers run");
    }

    /// Ends the workers after their last request.
    pub(crate) async fn stop(mut self) -> Figures {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.workers.join_next().await {
            ended.expect("a worker ends");
        }
        self.figures.borrow().clone()
    }
}

impl Figures {
    /// Prints the line for the page, and fails if a request did.
    #[allow(clippy::print_stdout, reason = "the figures of the page, by `-- --nocapture`")]
    pub(crate) fn report(&self, client: &str, rotations: usize) {
        println!("| {client} | {rotations} | {self} |");
        assert!(self.failures.is_empty(), "{client}: {self}: {:?}", self.failures.first());
        assert!(self.requests > rotations, "{client}: {self}");
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, failures, longest, .. } = self;
        write!(f, "{requests} | {} | {} ms", failures.len(), longest.as_millis())
    }
}
