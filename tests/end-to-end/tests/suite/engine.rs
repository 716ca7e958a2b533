//! The refresh engine under what happens to it in production: on tokio's paused clock, but for what needs sockets.

mod calls;
mod credentials;
mod derive;
mod dropped;
mod faults;
mod lower_layers;
mod outcomes;
mod past;
mod probe;
mod triggers;
mod windows;

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
