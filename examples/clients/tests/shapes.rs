//! The shapes of settings as their programs test them: a unit with `Live::constant`, which needs
//! neither AWS nor a runtime, and the whole with a fake of AWS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use clients::shapes::modules::{Mail, Mailer};
use clients::shapes::worker::Worker;
use clients::shapes::{Settings, rocket as by_rocket, statics, tower as by_tower, worker};
use fake_secrets_manager::FakeSecretsManager;
use http::Request;
use rocket::figment::Figment;
use rocket::figment::providers::{Format as _, Serialized, Toml};
use rocket::local::asynchronous::Client;
use secrets_provider::{Layers, Live, Memory, SecretsManager};
use serde_json::json;
use tokio::sync::mpsc;
use tonic::transport::server::TcpIncoming;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tower::{Layer as _, ServiceExt as _, service_fn};

/// Settings of a test: each test changes what it is about.
fn settings() -> Settings {
    Settings {
        mail: Mail { from: "post@test".to_owned(), password: "p".into() },
        worker: Worker { key: "k".into(), report_every: 60 },
        api_token: "t".into(),
    }
}

/// The same in a fake of AWS, which a test rotates.
fn fake() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    fake.put("app/mail", json!({"from": "first@test", "password": "p"}).to_string());
    fake.put("app/worker", json!({"key": "first", "report_every": 60}).to_string());
    fake.put("app/api-token", "t");
    fake
}

async fn live(fake: &FakeSecretsManager) -> Live<Settings> {
    Live::builder(SecretsManager::prefix("app").client(fake.client()))
        .layers(|secrets| Layers::new().secrets(secrets))
        .start()
        .await
        .unwrap()
}

fn rotate(fake: &FakeSecretsManager) {
    fake.put("app/mail", json!({"from": "second@test", "password": "q"}).to_string());
    fake.put("app/worker", json!({"key": "second", "report_every": 1}).to_string());
}

#[test]
fn a_module_is_tested_with_a_constant() {
    let mailer = Mailer::new(Live::constant(settings()).map(|settings| &settings.mail));
    assert_eq!(mailer.login(), "post@test p");
}

#[tokio::test]
async fn a_module_follows() {
    let fake = fake();
    let settings = live(&fake).await;
    let mailer = Mailer::new(settings.map(|settings| &settings.mail));
    assert_eq!(mailer.login(), "first@test p");
    rotate(&fake);
    settings.refresh().await.unwrap();
    assert_eq!(mailer.login(), "second@test q");
}

/// The only test of this process that sets the static: all tests of a process share it.
#[tokio::test]
async fn a_static_follows() {
    let fake = fake();
    statics::set(live(&fake).await);
    assert_eq!(statics::greeting(&statics::settings().load()), "hello from first@test");
    rotate(&fake);
    statics::settings().refresh().await.unwrap();
    assert_eq!(statics::greeting(&statics::settings().load()), "hello from second@test");
}

#[test]
fn what_reads_no_static_is_tested_with_a_value() {
    assert_eq!(statics::greeting(&settings()), "hello from post@test");
}

/// Not asynchronous, as its programs are.
#[test]
fn settings_of_a_thread_follow() {
    let secrets = Memory::new();
    secrets.put("app/mail", r#"{"from": "first@test", "password": "p"}"#);
    secrets.put("app/worker", r#"{"key": "k", "report_every": 60}"#);
    secrets.put("app/api-token", "t");
    let manager = SecretsManager::prefix("app").backend(secrets.clone());
    let settings = statics::start_on_a_thread(manager).unwrap();
    assert_eq!(settings.load().mail.from, "first@test");
    secrets.put("app/mail", r#"{"from": "second@test", "password": "p"}"#);
    // As a program does that has no runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(settings.refresh()).unwrap();
    assert_eq!(settings.load().mail.from, "second@test");
    let missing = SecretsManager::prefix("app").backend(Memory::new());
    assert!(statics::start_on_a_thread(missing).is_err());
}

#[test]
fn a_signature_is_tested_with_a_value() {
    assert_eq!(worker::sign(&settings().worker, "job"), "job, signed by k");
}

#[tokio::test(start_paused = true)]
async fn a_worker_follows() {
    let fake = fake();
    let settings = live(&fake).await;
    let ((jobs, received), (sent, mut done)) = (mpsc::channel(1), mpsc::channel(1));
    let worker = tokio::spawn(worker::run(settings.clone(), received, sent));
    jobs.send("one".to_owned()).await.unwrap();
    assert_eq!(done.recv().await.unwrap(), "one, signed by first");
    rotate(&fake);
    settings.refresh().await.unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(done.recv().await.unwrap(), "1 jobs done");
    assert!(begun.elapsed() < Duration::from_secs(2), "the interval is the new one");
    jobs.send("two".to_owned()).await.unwrap();
    assert_eq!(done.recv().await.unwrap(), "two, signed by second");
    drop(jobs);
    worker.await.unwrap();
}

#[tokio::test]
async fn a_layer_pins_one_generation() {
    let fake = fake();
    let settings = live(&fake).await;
    let sender = |request: Request<()>| {
        let pinned = request.extensions().get::<Arc<Settings>>().unwrap();
        std::future::ready(Ok::<_, Infallible>(pinned.mail.from.clone()))
    };
    let service = by_tower::pin(settings.clone()).layer(service_fn(sender));
    assert_eq!(service.clone().oneshot(Request::new(())).await.unwrap(), "first@test");
    rotate(&fake);
    settings.refresh().await.unwrap();
    assert_eq!(service.oneshot(Request::new(())).await.unwrap(), "second@test");
}

async fn get(client: &Client, path: &str) -> String {
    client.get(path).dispatch().await.into_string().await.unwrap()
}

#[tokio::test]
async fn rocket_is_tested_with_a_constant() {
    let configuration = Figment::from(rocket::Config {
        log_level: rocket::config::LogLevel::Off,
        ..Default::default()
    });
    let app = by_rocket::app(configuration, Live::constant(settings()));
    let client = Client::untracked(app).await.unwrap();
    assert_eq!(get(&client, "/").await, "post@test");
}

#[tokio::test]
async fn rocket_follows_and_has_its_own_configuration_in_the_secrets() {
    let fake = fake();
    fake.put("app", json!({"port": 4321, "log_level": "off"}).to_string());
    let manager = SecretsManager::prefix("app").client(fake.client());
    let client = Client::untracked(by_rocket::service(manager).await.unwrap()).await.unwrap();
    assert_eq!(client.rocket().config().port, 4321);
    assert_eq!([get(&client, "/").await, get(&client, "/sender").await], ["first@test"; 2]);
    rotate(&fake);
    client.rocket().state::<Live<Settings>>().unwrap().refresh().await.unwrap();
    assert_eq!([get(&client, "/").await, get(&client, "/sender").await], ["second@test"; 2]);
}

/// What `Rocket.toml` and the variables say is below the secrets, in every profile.
#[tokio::test]
async fn the_secrets_are_over_the_profiles_of_rocket() {
    let fake = fake();
    fake.put("app", json!({"port": 4321}).to_string());
    let secrets = SecretsManager::prefix("app").client(fake.client()).fetch().await.unwrap();
    let toml = "[default]\nport = 1\n[debug]\nport = 2\nident = \"d\"\n[global]\nport = 3";
    let configuration = rocket::Config::figment()
        .merge(Toml::string(toml).nested())
        .merge(Serialized::global("port", 4))
        .select("debug");
    let configuration = by_rocket::over(configuration, &secrets);
    assert_eq!(configuration.extract_inner::<u16>("port").unwrap(), 4321);
    assert_eq!(configuration.extract_inner::<String>("ident").unwrap(), "d");
}

#[tokio::test]
async fn a_tonic_service_reads_what_the_layer_pinned() {
    let settings = Live::constant(settings());
    let check = |request: tonic::Request<()>| match request.extensions().get::<Arc<Settings>>() {
        Some(settings) if settings.mail.from == "post@test" => Ok(request),
        _ => Err(tonic::Status::internal("no settings")),
    };
    let reporter = tonic_health::server::HealthReporter::new();
    let service = tonic_health::server::HealthService::from_health_reporter(reporter);
    let tcp = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", tcp.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .layer(by_tower::pin(settings))
        .add_service(HealthServer::with_interceptor(service, check));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(tcp)));
    let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect_lazy();
    let mut client = HealthClient::new(channel);
    client.check(HealthCheckRequest::default()).await.unwrap();
}
