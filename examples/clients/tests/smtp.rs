//! A login of a mail server that rotates while mail is sent. The server is this file's own: it asks
//! for a login (AUTH PLAIN), ends connections when it is asked to, and counts the messages.
//! `smtp_server.rs` has a real one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clients::smtp::{Settings, Transport, connect, retry, send};
use fake_secrets_manager::FakeSecretsManager;
use lettre::{AsyncTransport as _, Message};
use rotation_rig::Load;
use secrets_provider::{Layers, Live, Retry, SecretsManager};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const ROTATIONS: usize = 50;

/// Rotations in which the old login is refused before the new one is in the secret.
const REFUSED: usize = 5;

const WORKERS: usize = 4;

#[derive(Default)]
struct State {
    /// `user\0password`, of those who may send.
    logins: BTreeSet<String>,
    messages: usize,
    refusals: usize,
    /// Connections of an earlier era end before their next message.
    era: usize,
}

type Shared = Arc<watch::Sender<State>>;

/// One connection.
async fn serve(mut stream: TcpStream, state: Shared) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    let era = state.borrow().era;
    let (mut known, mut mail) = (false, false);
    write.write_all(b"220 test\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        let ended = !mail && state.borrow().era > era;
        let answer = match verb {
            _ if ended => "421 closing",
            "EHLO" => "250-test\r\n250 AUTH PLAIN",
            "AUTH" => {
                let login = STANDARD.decode(line.split(' ').nth(2).unwrap_or_default());
                let login = String::from_utf8(login.unwrap_or_default()).unwrap_or_default();
                known = state.borrow().logins.contains(login.trim_start_matches('\0'));
                if known {
                    "235 welcome"
                } else {
                    state.send_modify(|state| state.refusals += 1);
                    "535 no such login"
                }
            }
            "MAIL" if !known => "530 log in first",
            "MAIL" => {
                mail = true;
                "250 ok"
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                while lines.next_line().await?.is_some_and(|line| line != ".") {}
                state.send_modify(|state| state.messages += 1);
                mail = false;
                "250 taken"
            }
            _ => "250 ok",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
        if ended || verb == "QUIT" {
            break;
        }
    }
    Ok(())
}

/// The server's address, and what it knows.
async fn server() -> (String, Shared) {
    let state: Shared = Arc::new(watch::channel(State::default()).0);
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("smtp://{}", tcp.local_addr().unwrap());
    let shared = state.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            tokio::spawn(serve(stream, shared.clone()));
        }
    });
    (url, state)
}

fn put(fake: &FakeSecretsManager, url: &str, number: usize) {
    let login = json!({"url": url, "username": "app", "password": format!("p{number}")});
    fake.put("app/smtp", login.to_string());
}

fn login(number: usize) -> String {
    format!("app\0p{number}")
}

fn allow(server: &Shared, number: usize) {
    server.send_modify(|state| {
        state.logins.insert(login(number));
    });
}

fn message() -> Message {
    let (from, to) = ("app@test".parse().unwrap(), "you@test".parse().unwrap());
    Message::builder().from(from).to(to).subject("news").body("none".to_owned()).unwrap()
}

async fn transport(fake: &FakeSecretsManager) -> Live<Transport> {
    let settings: Live<Settings> =
        Live::builder(SecretsManager::prefix("app").client(fake.client()))
            .layers(|secrets| Layers::new().secrets(secrets))
            .refresh_past_budget(8, Duration::from_secs(30))
            .start()
            .await
            .unwrap();
    settings.derive("smtp", connect).await.unwrap()
}

fn sending(transport: &Live<Transport>) -> Load {
    let transport = transport.clone();
    Load::repeat(WORKERS, move |_| {
        let transport = transport.clone();
        async move {
            let sent = send(&transport, &message()).await;
            sent.map(drop).map_err(|error| error.to_string())
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_sent_once() {
    let ((url, server), fake) = (server().await, FakeSecretsManager::new());
    allow(&server, 0);
    put(&fake, &url, 0);
    let transport = transport(&fake).await;

    // Two passwords are valid for a while, then the connections of the old one end.
    let load = sending(&transport);
    load.answers(1).await;
    for rotation in 1..=ROTATIONS {
        allow(&server, rotation);
        put(&fake, &url, rotation);
        assert!(transport.refresh().await.unwrap().changed());
        // What was begun with the old transport is sent.
        load.answers(1).await;
        server.send_modify(|state| {
            state.logins.remove(&login(rotation - 1));
            state.era += 1;
        });
        load.round().await;
    }
    let figures = load.finish().await;
    figures.report("lettre", ROTATIONS);
    assert_eq!(server.borrow().messages as u64, figures.requests());
    assert_eq!(server.borrow().refusals, 0);

    // The server learns of the new password first.
    let load = sending(&transport);
    for rotation in ROTATIONS + 1..=ROTATIONS + REFUSED {
        let before = server.borrow().refusals;
        server.send_modify(|state| {
            state.logins = [login(rotation)].into();
            state.era += 1;
        });
        server.subscribe().wait_for(|state| state.refusals > before).await.unwrap();
        put(&fake, &url, rotation);
        load.round().await;
    }
    let more = load.finish().await;
    more.report("lettre, one password", REFUSED);
    let sent = figures.requests() + more.requests();
    assert_eq!(server.borrow().messages as u64, sent);
}

#[tokio::test]
async fn only_a_refused_login_is_tried_again() {
    let ((url, server), fake) = (server().await, FakeSecretsManager::new());
    allow(&server, 0);
    put(&fake, &url, 0);
    let good = transport(&fake).await;
    let without_login = Transport::from_url(&url).unwrap().build();
    let error = without_login.send(message()).await.unwrap_err();
    assert_eq!(retry(&error), Retry::Fresh, "{error}");
    // A login that the server refuses is never served.
    put(&fake, &url, 1);
    let error = good.refresh().await.unwrap_err().to_string();
    assert!(error.contains("answered 535"), "{error}");
    send(&good, &message()).await.unwrap();
    let lost = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let nowhere = Transport::from_url(&format!("smtp://{lost}")).unwrap().build();
    assert_eq!(retry(&nowhere.send(message()).await.unwrap_err()), Retry::No);
}
