//! What a program does with the library: settings over the SDK and TLS, with a refresh for each
//! line.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Layers, Live, SecretsManager};

use crate::search::{Found, search};
use crate::{allocator, canary};

trait Settings: serde::de::DeserializeOwned + Send + Sync + 'static {
    fn values(&self) -> [&SecretString; 2];
}

/// Settings that serde's macros read without a buffer.
#[derive(serde::Deserialize)]
struct Plain {
    token: SecretString,
    database: Database,
}

#[derive(serde::Deserialize)]
struct Database {
    password: SecretString,
}

impl Settings for Plain {
    fn values(&self) -> [&SecretString; 2] {
        [&self.token, &self.database.password]
    }
}

/// The same, one of them by an untagged enum, which serde's macros read into a buffer first.
#[derive(serde::Deserialize)]
struct Buffered {
    token: SecretString,
    database: Untagged,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Untagged {
    Database(Database),
}

impl Settings for Buffered {
    fn values(&self) -> [&SecretString; 2] {
        let Untagged::Database(database) = &self.database;
        [&self.token, &database.password]
    }
}

fn number(value: &SecretString) -> usize {
    canary::values(value.expose_secret().as_bytes()).first().expect("a value").1
}

pub(crate) fn run() {
    canary::read();
    allocator::choose(&std::env::var("ALLOCATOR").expect("ALLOCATOR is set"));
    match std::env::var("SETTINGS").as_deref() {
        Ok("plain") => serve::<Plain>(),
        Ok("buffered") => serve::<Buffered>(),
        other => panic!("SETTINGS={other:?}"),
    }
}

fn serve<T: Settings>() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let long = Duration::from_secs(3600);
    let manager = SecretsManager::prefix("app").timeout(long);
    let builder = Live::<T>::builder(manager).refresh_every(24 * long);
    let builder = builder.layers(|secrets| Layers::new().secrets(secrets));
    let live = runtime.block_on(builder.start()).expect("settings");
    say("ready");
    let mut held = Vec::new();
    let mut lines = std::io::stdin().lock().lines();
    while let Some(Ok(_)) = lines.next() {
        let refreshed = runtime.block_on(live.refresh()).expect("a refresh");
        let [current, other] = live.load().values().map(number);
        assert!(refreshed.changed() && current == other, "{current} and {other}");
        let found = search(current);
        let of = |kind| found.get(&kind).map_or(0, Vec::len);
        say(&format!("{} {} {}", of(Found::Answer), of(Found::Payload), of(Found::Value)));
        held = found.into_values().flatten().collect();
    }
    let (holding, freed) = allocator::owners(&held);
    holding.iter().for_each(|owner| say(&format!("in use {owner}")));
    freed.iter().for_each(|owner| say(&format!("freed {owner}")));
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().expect("a pipe");
}
