//! A login that rotates while mail is sent to a mail server of others: aiosmtpd, which
//! `.ci/external` installs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use clients::smtp::{Settings, Transport, connect, retry, send};
use end_to_end::external::Emulator;
use fake_secrets_manager::FakeSecretsManager;
use lettre::{AsyncTransport as _, Message};
use rotation_rig::Load;
use secrets_provider::{Layers, Live, Retry, SecretsManager};
use serde_json::json;

const ROTATIONS: usize = 50;

/// From now on, these are the user's passwords. The server reads them at each login.
fn allow(folder: &Path, passwords: &[String]) {
    let new = folder.join("new");
    fs::write(&new, json!({"app": passwords}).to_string()).unwrap();
    fs::rename(new, folder.join("logins.json")).unwrap();
}

fn password(number: usize) -> String {
    format!("p{number}")
}

fn message() -> Message {
    let (from, to) = ("app@test.example".parse().unwrap(), "you@test.example".parse().unwrap());
    Message::builder().from(from).to(to).subject("news").body("none".to_owned()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lettre_follows_on_a_real_server() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeSecretsManager::new());
    let folder = folder.path();
    allow(folder, &[password(0)]);
    let server = Emulator::mail(folder);
    let url = format!("smtp://{}", server.address());
    let put = |number| {
        let login = json!({"url": url, "username": "app", "password": password(number)});
        fake.put("app/smtp", login.to_string());
    };
    put(0);
    let settings: Live<Settings> =
        Live::builder(SecretsManager::prefix("app").client(fake.client()))
            .layers(|secrets| Layers::new().secrets(secrets))
            .start()
            .await
            .unwrap();
    let transport = settings.derive("smtp", connect).await.unwrap();

    let sender = transport.clone();
    let load = Load::repeat(4, move |_| {
        let sender = sender.clone();
        async move { send(&sender, &message()).await.map(drop).map_err(|error| error.to_string()) }
    });
    load.answers(1).await;
    for rotation in 1..=ROTATIONS {
        allow(folder, &[password(rotation - 1), password(rotation)]);
        put(rotation);
        assert!(transport.refresh().await.unwrap().changed());
        // What was begun with the old transport is sent.
        load.answers(1).await;
        allow(folder, &[password(rotation)]);
        load.round().await;
    }
    let tally = load.finish().await;
    tally.report("lettre to aiosmtpd", ROTATIONS);
    let taken = fs::read_to_string(folder.join("messages")).unwrap().lines().count();
    assert_eq!(taken as u64, tally.requests(), "each message is taken once");

    // What it answers to a login that it does not know, and to none.
    let unknown = format!("smtp://app:unknown@{}", server.address());
    let error = Transport::from_url(&unknown).unwrap().build().send(message()).await.unwrap_err();
    assert_eq!(retry(&error), Retry::Fresh, "{error}");
    let error = Transport::from_url(&url).unwrap().build().send(message()).await.unwrap_err();
    assert_eq!(retry(&error), Retry::Fresh, "{error}");
}
