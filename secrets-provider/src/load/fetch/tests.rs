//! A read ends: at its deadline, even if a store's stream is always ready, and as soon as every
//! secret is answered.
//!
//! The calls that a read makes are in the suite of `end-to-end`, where the fake counts them.

use futures_util::stream;

use super::*;
use crate::backend::BoxFuture;
use crate::load::plan::{Choice, Selection};

/// A store whose stream is always ready, and answers for secrets that no one asked for.
#[derive(Debug)]
struct Endless {
    /// Whether it ever answers for those that were asked for.
    answers: bool,
}

impl Endless {
    fn outcomes<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let strangers = (0..).map(|n| format!("stranger-{n}"));
        let asked = ids.iter().filter(|_| self.answers).cloned();
        let ids = strangers.clone().take(5).chain(asked).chain(strangers);
        Box::pin(stream::iter(ids.map(|id| {
            let secret = Fetched::text(&id, "v1", "x");
            (id, Ok(secret))
        })))
    }
}

impl Backend for Endless {
    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.outcomes(ids)
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let error = |id: String| {
            (id.clone(), Err(Error::new(ErrorKind::Unavailable, "none").with_secret(id)))
        };
        Box::pin(self.outcomes(ids).map(move |(id, _)| error(id)))
    }
}

fn fetcher(backend: impl Backend, timeout: Duration) -> Fetcher {
    let names = ["a", "b"].map(str::to_owned).into();
    let choice = Choice::new(Selection::Names { names, only: false });
    let mut plan = choice.plan().expect("a plan");
    plan.previous = plan.ids.iter().flatten().cloned().collect();
    Fetcher::new(Arc::new(backend), plan, timeout, Arc::default())
}

#[tokio::test]
async fn a_stream_that_is_always_ready_meets_the_deadline() {
    let fetcher = fetcher(Endless { answers: false }, Duration::from_millis(200));
    let other = tokio::spawn(tokio::task::yield_now());
    let result = fetcher.read(&Scope::everything(), &Known::default()).await.expect("no panic");
    assert!(other.is_finished(), "the thread's other tasks did not run");
    let asked: Vec<_> = result.outcomes.keys().map(String::as_str).collect();
    assert_eq!(asked, ["a", "b"], "outcomes that no one asked for are dropped");
    for (id, unread) in result.unread() {
        assert_eq!(unread.error.kind(), ErrorKind::Unavailable, "{id}");
    }
    assert_eq!(result.unread().count(), 2);
}

#[tokio::test]
async fn a_read_ends_when_everything_is_answered() {
    let fetcher = fetcher(Endless { answers: true }, Duration::from_secs(3600));
    let result = fetcher.read(&Scope::everything(), &Known::default()).await.expect("no panic");
    let asked: Vec<_> = result.unread().map(|(id, _)| id.as_str()).collect();
    assert_eq!((result.outcomes.len(), asked), (2, vec!["a", "b"]), "no previous version");
}
