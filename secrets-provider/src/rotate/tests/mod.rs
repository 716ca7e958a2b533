//! Rotations in a small model of what they change: a database with one password for each user, and
//! a store whose every call can be stopped before and after its effect.

mod crashes;
mod managed;
mod members;
mod races;
mod readers;
mod schedules;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use fake_secrets_manager::FakeSecretsManager;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Notify;

use super::*;
use crate::backend::store::{Options, Store as _};
use crate::backend::{Backend, BoxFuture, BoxStream, Labels, Memory, Outcome, Writer, aws};
use crate::error::Error;
use crate::load::manager::SecretsManager;
use crate::load::rejected::Rejected;
use crate::secret::Fetched;
use crate::unwind::lock;

const NAME: &str = "app/database";
const TEXT: &str =
    "{ \"port\": 5432.0,\n  \"username\":\"app\" , \"password\": \"the-first-one\" }";

#[derive(Deserialize)]
struct Login {
    username: String,
    password: SecretString,
}

/// Who may log in.
#[derive(Clone, Default)]
struct Database {
    passwords: Arc<Mutex<BTreeMap<String, String>>>,
    /// Whether a user may only be changed by itself.
    by_itself: bool,
}

impl Database {
    fn with(users: &[(&str, &str)], by_itself: bool) -> Self {
        let users =
            users.iter().map(|(user, password)| ((*user).to_owned(), (*password).to_owned()));
        Self { passwords: Arc::new(Mutex::new(users.collect())), by_itself }
    }

    fn takes(&self, login: &Login) -> bool {
        let passwords = lock(&self.passwords);
        passwords.get(&login.username).is_some_and(|known| known == login.password.expose_secret())
    }

    fn alter(&self, change: &RotationChange<Login>) -> Result<(), Rejected> {
        let logins = [Some(change.current()), Some(change.pending()), change.previous()];
        if self.by_itself && !logins.into_iter().flatten().any(|login| self.takes(login)) {
            return Err(Rejected::new("no login is valid"));
        }
        let Login { username, password } = change.pending();
        lock(&self.passwords).insert(username.clone(), password.expose_secret().to_owned());
        Ok(())
    }
}

/// Where a program can be stopped: before and after every effect.
#[derive(Clone, Default)]
struct Gates(Arc<Counts>);

struct Counts {
    passed: AtomicUsize,
    /// The gate that never opens.
    last: AtomicUsize,
    stopped: Notify,
}

impl Default for Counts {
    fn default() -> Self {
        let last = AtomicUsize::new(usize::MAX);
        Self { passed: AtomicUsize::new(0), last, stopped: Notify::new() }
    }
}

impl Gates {
    fn closing_at(last: usize) -> Self {
        let gates = Self::default();
        gates.0.last.store(last, Ordering::Relaxed);
        gates
    }

    async fn pass(&self) {
        let gate = self.0.passed.fetch_add(1, Ordering::Relaxed);
        if gate >= self.0.last.load(Ordering::Relaxed) {
            self.0.stopped.notify_one();
            return std::future::pending().await;
        }
        // Others may go first.
        let mut waited = false;
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    async fn around<F: Future>(&self, effect: F) -> F::Output {
        self.pass().await;
        let result = effect.await;
        self.pass().await;
        result
    }

    /// Runs a program until it ends or meets the closed gate, where it dies.
    async fn until_stopped<R>(&self, program: impl Future<Output = R>) -> Option<R> {
        tokio::select! {
            result = program => Some(result),
            () = self.0.stopped.notified() => None,
        }
    }
}

/// A store behind gates.
#[derive(Debug, Clone)]
struct Gated {
    store: Arc<dyn Backend>,
    gates: Gates,
}

impl std::fmt::Debug for Gates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gates")
    }
}

impl Gated {
    fn writer(&self) -> &dyn Writer {
        self.store.writer().expect("a store that rotates")
    }
}

impl Backend for Gated {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.store.list(prefix)
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.store.fetch(ids)
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(self)
    }
}

impl Writer for Gated {
    fn labels<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Labels, Error>> {
        Box::pin(self.gates.around(Gated::writer(self).labels(id)))
    }

    fn version<'a>(
        &'a self,
        id: &'a str,
        version_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Fetched>, Error>> {
        Box::pin(self.gates.around(Gated::writer(self).version(id, version_id)))
    }

    // Called inside of the gates: the store in memory acts at the call.
    fn put_pending<'a>(
        &'a self,
        id: &'a str,
        pending: &'a Fetched,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(
            self.gates.around(async move { Gated::writer(self).put_pending(id, pending).await }),
        )
    }

    fn make_current<'a>(
        &'a self,
        id: &'a str,
        from: &'a str,
        to: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(
            self.gates.around(async move { Gated::writer(self).make_current(id, from, to).await }),
        )
    }

    fn remove_pending<'a>(
        &'a self,
        id: &'a str,
        version_id: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(
            self.gates
                .around(async move { Gated::writer(self).remove_pending(id, version_id).await }),
        )
    }
}

/// Makes a store that holds one secret, by name and text.
type NewStore = fn(&str, &str) -> Arc<dyn Backend>;

/// The two stores that are rotated in.
fn stores() -> [(&'static str, NewStore); 2] {
    [
        ("memory", |name, text| {
            let memory = Memory::new();
            memory.put(name, text);
            Arc::new(memory)
        }),
        ("AWS", |name, text| {
            let fake = FakeSecretsManager::new();
            fake.put(name, text);
            connected(&fake)
        }),
    ]
}

fn connected(fake: &FakeSecretsManager) -> Arc<dyn Backend> {
    let timeout = Duration::from_secs(30);
    let options = Options {
        batch: true,
        describe: false,
        timeout,
        awaits_quota: true,
        stage: None,
        replica: None,
    };
    let access = aws::Access::Client(fake.client());
    access.connect(options).expect("a connection")
}

/// A manager of a program of its own.
fn manager(store: &Arc<dyn Backend>, gates: &Gates) -> SecretsManager {
    SecretsManager::prefix("app").backend(Gated { store: store.clone(), gates: gates.clone() })
}

/// The rotation of a database's password.
fn rotation(store: &Arc<dyn Backend>, gates: &Gates, database: &Database) -> Rotation {
    let (at_set, at_test) = (gates.clone(), gates.clone());
    let (to_set, to_test) = (database.clone(), database.clone());
    manager(store, gates)
        .rotation("database")
        .password("password")
        .set(move |change: RotationChange<Login>| {
            let (gates, database) = (at_set.clone(), to_set.clone());
            async move { gates.around(async { database.alter(&change) }).await }
        })
        .test(move |login: Login| {
            let (gates, database) = (at_test.clone(), to_test.clone());
            async move {
                gates.pass().await;
                match database.takes(&login) {
                    true => Ok(()),
                    false => Err(Rejected::new("the login is refused")),
                }
            }
        })
}

/// A version's login, and the whole text.
async fn version(store: &Arc<dyn Backend>, id: Option<&str>) -> Option<(Login, String)> {
    let writer = store.writer().expect("a writer");
    let fetched = writer.version(NAME, id?).await.expect("a version")?;
    let text = fetched.expose_text().expect("text").to_owned();
    Some((serde_json::from_str(&text).expect("a login"), text))
}

async fn labels(store: &Arc<dyn Backend>) -> Labels {
    store.writer().expect("a writer").labels(NAME).await.expect("labels")
}

/// Whether the login of the version with this id is valid.
async fn works(store: &Arc<dyn Backend>, database: &Database, id: Option<&str>) -> bool {
    version(store, id).await.is_some_and(|(login, _)| database.takes(&login))
}
