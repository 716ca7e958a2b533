//! The refresh engine under the conditions of production. The clock is paused, except where a test
//! needs sockets.

mod blocked_layers;
mod calls;
mod credentials;
mod days;
mod deleted;
mod derive;
mod dropped_futures;
mod faults;
mod follow;
mod hints;
mod logged;
mod lower_layers;
mod outcomes;
mod probe;
mod push;
mod refresh_past;
mod rotation_windows;
mod signals;
mod topic;
mod triggers;

use end_to_end::NEVER;
use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Live, LiveBuilder};

use crate::fixtures::{Database, Settings, manager, secrets_only};

fn fake() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    put_password(&fake, 1);
    fake.put("app/jwt-secret", "jwt-1");
    fake
}

fn put_password(fake: &FakeSecretsManager, n: u32) {
    fake.put("app/database", format!(r#"{{"username": "app", "password": "password-{n}"}}"#));
}

/// Live settings that refresh only on request.
fn quiet<T>(fake: &FakeSecretsManager) -> LiveBuilder<T> {
    secrets_only(manager(fake)).refresh_every(NEVER)
}

async fn start(fake: &FakeSecretsManager) -> Live<Settings> {
    quiet(fake).start().await.unwrap()
}
