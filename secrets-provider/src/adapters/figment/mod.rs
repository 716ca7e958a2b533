//! figment: the secrets as a provider, and a `Figment` as a tree of ours.

mod dotenv;
mod tree;

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use figment::value::{Dict, Empty, Map, Num, Tag};
use figment::{Metadata, Profile, Provider};

pub use dotenv::Dotenv;
pub use tree::FigmentExt;

use crate::error::Error;
use crate::layers::stack::{LayerStack, Merged, Sealed};
use crate::load::manager::SecretsManager;
use crate::load::snapshot::Snapshot;
use crate::observe::events::WarnOnce;
use crate::tree::{Node, Table, Value, base64};
use crate::unwind;

/// The result of a fetch: figment itself would keep only an error's text.
type Fetch = Result<Snapshot, Error>;

impl SecretsManager {
    /// The figment profile that the secrets are in: `default` unless set. figment lays a selected profile over
    /// `default` and `global` over both, whatever the order of the merges.
    ///
    /// ```
    /// # use figment::Figment;
    /// # use figment::providers::{Format, Toml};
    /// # use secrets_provider::{Memory, SecretsManager};
    /// # let memory = Memory::new();
    /// # memory.put("app/port", "2");
    /// let file = Toml::string("[prod]\nport = 1").nested();
    /// let secrets = SecretsManager::prefix("app").backend(memory);
    ///
    /// let figment = Figment::new().merge(&file).merge(&secrets).select("prod");
    /// assert_eq!(figment.extract_inner::<u16>("port")?, 1); // the selected profile's file is on top
    ///
    /// let figment = Figment::new().merge(&file).merge(secrets.profile("prod")).select("prod");
    /// assert_eq!(figment.extract_inner_lossy::<u16>("port")?, 2);
    /// # Ok::<(), figment::Error>(())
    /// ```
    pub fn profile(self, profile: impl Into<Profile>) -> Self {
        self.change(|what| what.choice.profile = profile.into())
    }
}

thread_local! {
    /// The metadata that a manager has handed out on this thread and that waits for its data.
    static ANNOUNCED: RefCell<Option<Announced>> = const { RefCell::new(None) };
}

/// Metadata waiting for data.
struct Announced {
    /// Whose metadata: another provider may be asked in between.
    manager: Arc<WarnOnce>,
    fetch: Arc<OnceLock<Fetch>>,
}

/// figment asks a provider for its metadata first and for its data right after, on one thread, and keeps no link
/// between the two. The metadata's interpolater needs the fetch that the data come from, to name secrets in errors, so
/// `metadata` leaves an empty cell behind and `data` fills it.
impl Provider for SecretsManager {
    fn metadata(&self) -> Metadata {
        let fetch = Arc::new(OnceLock::new());
        ANNOUNCED.set(Some(Announced { manager: self.warn_once().clone(), fetch: fetch.clone() }));
        named(self.store_name(), move |keys| {
            fetch.get().map_or_else(|| keys.join("."), |fetch| answer(fetch, keys))
        })
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let fetch = self.fetch_blocking();
        let announced = ANNOUNCED.take();
        let announced = announced.filter(|other| Arc::ptr_eq(&other.manager, self.warn_once()));
        if let Some(announced) = announced {
            // Fresh from `metadata`, so never filled before.
            let _ = announced.fetch.set(fetch.clone());
        }
        fetch.map_err(|error| figment::Error::from(error.to_string()))?.data()
    }
}

impl Provider for Snapshot {
    fn metadata(&self) -> Metadata {
        let fetch = Ok(self.clone());
        named(self.store_name(), move |keys| answer(&fetch, keys))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(self.figment_profile().collect(dict(self.tree())))
    }
}

impl LayerStack for figment::Figment {}

impl Sealed for figment::Figment {
    fn merged(self, _: &Snapshot) -> Result<Merged, Error> {
        tree::tree_of(&self).map(Merged)
    }
}

fn named(
    store: &str,
    locate: impl Fn(&[&str]) -> String + Clone + Send + Sync + 'static,
) -> Metadata {
    Metadata::named(store.to_owned()).interpolater(move |_, keys| locate(keys))
}

thread_local! {
    /// Where an interpolater leaves its fetch when it is asked for [`FETCH`].
    static LEFT: RefCell<Option<Fetch>> = const { RefCell::new(None) };
}

/// No key of figment's: a figment keeps metadata and values apart from the provider, so this asks the metadata for
/// the snapshot that its values are of, or for the error that there are none for.
const FETCH: &str = "\0secrets-provider fetch\0";

fn answer(fetch: &Fetch, keys: &[&str]) -> String {
    if keys == [FETCH] {
        LEFT.set(Some(fetch.clone()));
        return String::new();
    }
    match fetch {
        Ok(snapshot) => locate(snapshot, keys),
        Err(_) => keys.join("."),
    }
}

/// The result of a provider's fetch, if the provider is ours. Another provider's interpolater finds nothing at the key.
fn fetch_of(metadata: &Metadata) -> Option<Fetch> {
    LEFT.take();
    // It is foreign code, which may not expect such a key.
    let _ = unwind::catch(|| metadata.interpolate(&Profile::Default, &[FETCH]));
    LEFT.take()
}

/// A key and the secret it comes from; of a key that is not there, the secret that its table comes from.
fn locate(snapshot: &Snapshot, keys: &[&str]) -> String {
    let found = (1..=keys.len()).rev().find_map(|length| snapshot.tree().find(&keys[..length]));
    match found {
        Some(node) => format!("{} ({})", keys.join("."), node.origin),
        None => keys.join("."),
    }
}

fn dict(table: &Table) -> Dict {
    table.entries.iter().map(|(name, node)| (name.clone(), value(node))).collect()
}

fn value(node: &Node) -> figment::value::Value {
    use figment::value::Value as F;
    match &node.value {
        Value::Null => F::Empty(Tag::Default, Empty::None),
        Value::Bool(value) => F::Bool(Tag::Default, *value),
        Value::Text(text) => F::String(Tag::Default, text.as_str().to_owned()),
        Value::Bytes(bytes) => F::String(Tag::Default, base64(bytes).to_string()),
        Value::Number(number) => F::Num(Tag::Default, num(number.as_str())),
        Value::Array(items) => F::Array(Tag::Default, items.iter().map(value).collect()),
        Value::Table(table) => F::Dict(Tag::Default, dict(table)),
    }
}

fn num(text: &str) -> Num {
    if let Ok(number) = text.parse::<u64>() {
        Num::U64(number)
    } else if let Ok(number) = text.parse::<i64>() {
        Num::I64(number)
    } else if let Ok(number) = text.parse::<u128>() {
        Num::U128(number)
    } else if let Ok(number) = text.parse::<i128>() {
        Num::I128(number)
    } else {
        Num::F64(text.parse().unwrap_or(f64::NAN))
    }
}
