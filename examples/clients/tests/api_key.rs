//! API keys that rotate under calls, while caller and service take turns in learning of them first.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;

use axum::http::{HeaderMap, HeaderValue, header};
use clients::{api_key, reqwest as by_reqwest, tonic as by_tonic};
use fake_secrets_manager::FakeSecretsManager;
use rotation_rig::Load;
use secrets_provider::{Layers, Live, Retry, SecretsManager};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;

const ROTATIONS: usize = 50;
const WORKERS: usize = 8;

fn put(fake: &FakeSecretsManager, number: usize) {
    fake.put("app/api-key", format!("key-{number}"));
    let login = json!({"username": "app", "password": format!("password-{number}")});
    fake.put("app/login", login.to_string());
}

async fn live<T: DeserializeOwned + Send + Sync + 'static>(fake: &FakeSecretsManager) -> Live<T> {
    let secrets = SecretsManager::prefix("app").client(fake.client());
    Live::builder(secrets.with_previous(["api-key", "login"]))
        .layers(|secrets| Layers::new().secrets(secrets))
        .start()
        .await
        .unwrap()
}

/// Rotates, and one of them learns of it first, in turns.
async fn rotate<C, S>(
    fake: &FakeSecretsManager,
    load: &Load,
    (caller, service): (&Live<C>, &Live<S>),
) {
    load.answers(1).await;
    for rotation in 1..=ROTATIONS {
        put(fake, rotation);
        if rotation % 2 == 0 {
            assert!(caller.refresh().await.unwrap().changed());
            load.round().await;
            assert!(service.refresh().await.unwrap().changed());
        } else {
            assert!(service.refresh().await.unwrap().changed());
            load.round().await;
            assert!(caller.refresh().await.unwrap().changed());
        }
        load.round().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reqwest_is_let_in_by_key_and_by_login() {
    let fake = FakeSecretsManager::new();
    put(&fake, 0);
    let service: Live<api_key::Settings> = live(&fake).await;
    let caller: Live<by_reqwest::Settings> = live(&fake).await;
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", tcp.local_addr().unwrap());
    tokio::spawn(axum::serve(tcp, api_key::app(service.clone())).into_future());
    let client = by_reqwest::client().unwrap();
    let load = Load::repeat(WORKERS, {
        let (caller, client, url) = (caller.clone(), client.clone(), url.clone());
        move |worker| {
            let (caller, client, url) = (caller.clone(), client.clone(), url.clone());
            async move {
                let request = || client.get(&url);
                let answer = if worker % 2 == 0 {
                    by_reqwest::by_key(&caller, request).await
                } else {
                    by_reqwest::by_login(&caller, request).await
                };
                answer.map(drop).map_err(|error| error.to_string())
            }
        }
    });
    rotate(&fake, &load, (&caller, &service)).await;
    load.finish().await.report("reqwest, bearer and basic", ROTATIONS);

    // The key of two rotations ago is refused, and so is none; no server is another thing.
    let refused = client.get(&url).bearer_auth(format!("key-{}", ROTATIONS - 2)).send();
    let error = refused.await.unwrap().error_for_status().unwrap_err();
    assert_eq!(by_reqwest::retry(&error), Retry::Fresh);
    assert_eq!(client.get(&url).send().await.unwrap().status(), 401);
    let lost = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let error = client.get(format!("http://{lost}")).send().await.unwrap_err();
    assert_eq!(by_reqwest::retry(&error), Retry::Now);
    let missing = client.get(format!("{url}/no")).bearer_auth(format!("key-{ROTATIONS}"));
    let error = missing.send().await.unwrap().error_for_status().unwrap_err();
    assert_eq!(by_reqwest::retry(&error), Retry::No);
}

/// A service that accepts one key only, and gets the new one before the secret has it.
#[tokio::test]
async fn a_refused_caller_waits_for_the_new_key() {
    let (ours, theirs) = (FakeSecretsManager::new(), FakeSecretsManager::new());
    put(&ours, 0);
    put(&theirs, 1);
    let service: Live<api_key::Settings> = live(&theirs).await;
    let caller: Live<by_reqwest::Settings> = live(&ours).await;
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", tcp.local_addr().unwrap());
    tokio::spawn(axum::serve(tcp, api_key::app(service)).into_future());
    put(&ours, 1);
    let client = by_reqwest::client().unwrap();
    by_reqwest::by_key(&caller, || client.get(&url)).await.unwrap();
    by_reqwest::by_login(&caller, || client.get(&url)).await.unwrap();
    assert_eq!(caller.status().generation(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tonic_is_let_in() {
    let fake = FakeSecretsManager::new();
    put(&fake, 0);
    let service: Live<by_tonic::Settings> = live(&fake).await;
    let caller: Live<by_tonic::Settings> = live(&fake).await;
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = tcp.local_addr().unwrap();
    let health = tonic_health::server::HealthService::from_health_reporter(
        tonic_health::server::HealthReporter::new(),
    );
    let served = by_tonic::service(health, service.clone());
    let server = Server::builder().add_service(served);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(tcp)));
    let channel = Endpoint::from_shared(format!("http://{to}")).unwrap().connect_lazy();

    let client = by_tonic::client(channel.clone(), caller.clone());
    let load = Load::repeat(WORKERS, move |_| {
        let mut client = client.clone();
        async move {
            let call = client.check(HealthCheckRequest::default());
            call.await.map(drop).map_err(|status| status.to_string())
        }
    });
    rotate(&fake, &load, (&caller, &service)).await;
    load.finish().await.report("tonic", ROTATIONS);

    let stranger = FakeSecretsManager::new();
    stranger.put("app/api-key", "of someone else");
    stranger.put("app/login", "{}");
    let mut client = by_tonic::client(channel, live(&stranger).await);
    let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), by_tonic::retry(&status)), (Code::Unauthenticated, Retry::Fresh));
    assert_eq!(by_tonic::retry(&Status::not_found("it")), Retry::No);
    let lost = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let nowhere = Endpoint::from_shared(format!("http://{lost}")).unwrap().connect_lazy();
    let mut client = by_tonic::client(nowhere, caller);
    let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(by_tonic::retry(&status), Retry::Now, "{status}");
}

/// What may come in, as a table.
#[test]
fn two_of_each_are_accepted() {
    let settings = |text: serde_json::Value| serde_json::from_value::<api_key::Settings>(text);
    let mut settings = settings(json!({
        "api_key": "new", "login": {"username": "app", "password": "new"}
    }))
    .unwrap();
    settings.api_key.previous = Some("old".into());
    // `printf app:new | base64`
    let cases: [(&[&str], bool); 9] = [
        (&["Bearer new"], true),
        (&["Bearer old"], true),
        (&["Bearer older"], false),
        (&["Bearer "], false),
        (&["new"], false),
        (&["Basic YXBwOm5ldw=="], true),
        (&["Basic YXBwOm9sZA=="], false),
        (&["Bearer older", "Bearer old"], true),
        (&[], false),
    ];
    for (offered, accepted) in cases {
        let mut headers = HeaderMap::new();
        for offered in offered {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(offered));
        }
        assert_eq!(settings.accept(&headers), accepted, "{offered:?}");
    }
}
