//! How a fetch gets through figment, which keeps only metadata and plain values of a provider.
//!
//! Extraction needs more than that: the numbers' source text, the bytes of a binary secret, the
//! secret and version to name in an error, and our own error if the fetch failed. All of these are
//! in the `Snapshot` or `Error` that the provider got. Two steps carry it:
//!
//! 1. [`announce`] and [`deliver`]. figment calls a provider's `metadata` first and its `data`
//!    right after, on one thread, and keeps no link between the two. So `metadata` leaves an empty
//!    cell in a thread-local, and `data` fills it.
//! 2. [`metadata`] and [`fetch_of`]. Metadata hold an *interpolater*, a closure that turns a key
//!    into text for an error message. Ours holds the cell. Asked for the reserved key [`FETCH`], it
//!    puts the fetch into a second thread-local, from which the caller takes it.
//!
//! `provider` writes and `tree` reads. If figment calls in another order, the cell stays empty:
//! errors then name the key without the secret, and values are figment's. The tests below fail if
//! that happens.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use figment::{Metadata, Profile};

use crate::error::Error;
use crate::load::snapshot::Snapshot;
use crate::observe::events::WarnOnce;
use crate::unwind;

/// The result of a fetch: figment itself would keep only an error's text.
pub(super) type Fetch = Result<Snapshot, Error>;

/// A key that no settings have.
const FETCH: &str = "\0secrets-provider fetch\0";

/// Metadata whose data have not been asked for yet.
struct Announced {
    /// Identifies the manager: another provider may be asked in between.
    manager: Arc<WarnOnce>,
    fetch: Arc<OnceLock<Fetch>>,
}

thread_local! {
    /// The metadata that a manager made last on this thread.
    static ANNOUNCED: RefCell<Option<Announced>> = const { RefCell::new(None) };

    /// The fetch that an interpolater was just asked for.
    static ASKED: RefCell<Option<Fetch>> = const { RefCell::new(None) };
}

/// A cell for the fetch that this manager's `data` will make.
pub(super) fn announce(manager: &Arc<WarnOnce>) -> Arc<OnceLock<Fetch>> {
    let fetch = Arc::new(OnceLock::new());
    ANNOUNCED.set(Some(Announced { manager: manager.clone(), fetch: fetch.clone() }));
    fetch
}

/// Fills the cell that [`announce`] made for this manager on this thread.
pub(super) fn deliver(manager: &Arc<WarnOnce>, fetch: &Fetch) {
    let announced = ANNOUNCED.take().filter(|other| Arc::ptr_eq(&other.manager, manager));
    if let Some(announced) = announced {
        // `announce` made the cell, and each cell is delivered to once.
        let _ = announced.fetch.set(fetch.clone());
    }
}

/// Metadata named after the store. They name a key's secret and version, and give [`fetch_of`] the
/// fetch.
pub(super) fn metadata(store: &str, fetch: Arc<OnceLock<Fetch>>) -> Metadata {
    Metadata::named(store.to_owned()).interpolater(move |_, keys| match fetch.get() {
        Some(fetch) if keys == [FETCH] => {
            ASKED.set(Some(fetch.clone()));
            String::new()
        }
        Some(Ok(snapshot)) => with_secret(snapshot, keys),
        Some(Err(_)) | None => keys.join("."),
    })
}

/// The fetch behind a provider's metadata; `None` if the provider is not ours.
pub(super) fn fetch_of(metadata: &Metadata) -> Option<Fetch> {
    ASKED.take();
    // Another provider's interpolater may panic on such a key.
    let _ = unwind::catch(|| metadata.interpolate(&Profile::Default, &[FETCH]));
    ASKED.take()
}

/// A key, with the secret that it comes from. For a key that does not exist, the secret of its
/// table.
fn with_secret(snapshot: &Snapshot, keys: &[&str]) -> String {
    let found = (1..=keys.len()).rev().find_map(|length| snapshot.tree().find(&keys[..length]));
    match found {
        Some(node) => format!("{} ({})", keys.join("."), node.origin),
        None => keys.join("."),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread::{self, ThreadId};

    use figment::value::{Dict, Map};
    use figment::{Figment, Provider};

    use super::*;
    use crate::{Memory, SecretsManager};

    fn manager() -> SecretsManager {
        let memory = Memory::new();
        memory.put("app/port", "1");
        SecretsManager::prefix("app").backend(memory)
    }

    #[test]
    fn figment_asks_for_metadata_and_then_for_data_on_one_thread() {
        #[derive(Default)]
        struct Recorder(Mutex<Vec<(&'static str, ThreadId)>>);

        impl Provider for Recorder {
            fn metadata(&self) -> Metadata {
                self.0.lock().expect("a lock").push(("metadata", thread::current().id()));
                Metadata::named("recorder")
            }

            fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
                self.0.lock().expect("a lock").push(("data", thread::current().id()));
                Ok(Map::new())
            }
        }

        let here = thread::current().id();
        let recorder = Recorder::default();
        let figment = Figment::new().merge(&recorder).join(&recorder);
        let _ = figment.admerge(&recorder).adjoin(&recorder);
        let calls = recorder.0.into_inner().expect("a lock");
        assert_eq!(calls, [("metadata", here), ("data", here)].repeat(4));
    }

    #[test]
    fn figment_keeps_the_interpolater_of_each_provider() {
        let figment = Figment::from(("x", 1)).merge(manager());
        let fetches: Vec<_> = figment
            .metadata()
            .map(|metadata| fetch_of(metadata).map(|fetch| fetch.is_ok()))
            .collect();
        assert_eq!(fetches, [None, Some(true)]);
    }

    #[test]
    fn a_fetch_is_delivered_only_to_the_metadata_of_its_own_thread() {
        let manager = manager();
        let ours = manager.metadata();
        let theirs =
            thread::scope(|scope| scope.spawn(|| manager.metadata()).join().expect("a thread"));
        manager.data().expect("data");
        assert!(fetch_of(&ours).is_some() && fetch_of(&theirs).is_none());
    }

    #[test]
    fn a_fetch_is_not_delivered_to_another_managers_metadata() {
        let (first, second) = (manager(), manager());
        let metadata = first.metadata();
        second.data().expect("data");
        assert!(fetch_of(&metadata).is_none());
    }

    #[test]
    fn an_interpolater_that_panics_is_not_ours() {
        let metadata = Metadata::named("other").interpolater(|_, _| panic!("an odd key"));
        assert!(fetch_of(&metadata).is_none());
    }
}
