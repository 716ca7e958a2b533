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
use secrets_provider::{Layers, Live, LiveBuilder, SecretsManager};
use serde::Deserialize;

/// What most of these suites are about.
#[derive(Debug, Deserialize)]
struct Settings {
    database: Database,
    #[allow(dead_code, reason = "changes beside the database")]
    jwt_secret: String,
}

#[derive(Debug, Deserialize)]
struct Database {
    username: String,
    password: String,
}

fn fake() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    put_password(&fake, 1);
    fake.put("app/jwt-secret", "jwt-1");
    fake
}

fn put_password(fake: &FakeSecretsManager, n: u32) {
    fake.put("app/database", format!(r#"{{"username": "app", "password": "password-{n}"}}"#));
}

fn manager(fake: &FakeSecretsManager) -> SecretsManager {
    SecretsManager::prefix("app").client(fake.client())
}

/// Secrets alone: nothing of the process environment counts. No refresh comes by itself.
fn quiet<T>(fake: &FakeSecretsManager) -> LiveBuilder<T> {
    Live::builder(manager(fake))
        .layers(|secrets| Layers::new().secrets(secrets))
        .refresh_every(NEVER)
}

async fn start(fake: &FakeSecretsManager) -> Live<Settings> {
    quiet(fake).start().await.unwrap()
}
