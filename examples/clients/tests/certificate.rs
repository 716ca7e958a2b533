//! A certificate that is renewed under handshakes: none fails, and none that begins after a swap
//! shows the certificate before it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pki;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{Router, routing};
use clients::axum_tls::TlsListener;
use clients::certificate::{Settings, certificate, check, server_config};
use clients::{actix_tls, mtls};
use fake_secrets_manager::FakeSecretsManager;
use pki::{Authority, secret};
use rotation_rig::Load;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, crypto::aws_lc_rs};
use secrets_provider::{Layers, Live, SecretsManager};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

const RENEWALS: usize = 200;

async fn live(fake: &FakeSecretsManager, prefix: &str) -> Live<Settings> {
    Live::builder(SecretsManager::prefix(prefix).client(fake.client()))
        .layers(|secrets| Layers::new().secrets(secrets))
        .validate(check)
        .start()
        .await
        .unwrap()
}

/// A client as they come: it resumes sessions if the server lets it.
fn client(authority: &Authority) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth()
}

/// One handshake and one request: the certificate that the server showed.
async fn get(to: SocketAddr, config: Arc<ClientConfig>) -> Result<CertificateDer<'static>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let tcp = TcpStream::connect(to).await.map_err(failed)?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(config).connect(name, tcp).await.map_err(failed)?;
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(failed)?;
    if !answer.starts_with(b"HTTP/1.1 200") {
        return Err("no 200".to_owned());
    }
    let (_, connection) = stream.get_ref();
    Ok(connection.peer_certificates().ok_or("no certificate")?[0].clone().into_owned())
}

/// Renews under handshakes. `serve` starts a server on a port of its own.
async fn renew(server: &str, serve: impl AsyncFnOnce(Live<CertifiedKey>) -> SocketAddr) {
    let (fake, authority) = (FakeSecretsManager::new(), Authority::new());
    fake.put("app/tls", authority.issue().secret());
    let settings = live(&fake, "app").await;
    let current = certificate(&settings).await.unwrap();
    let to = serve(current.clone()).await;

    let swapped = Arc::new(AtomicUsize::new(0));
    let config = Arc::new(client(&authority));
    let handshakes = Load::repeat(8, {
        let (swapped, authority) = (swapped.clone(), authority.clone());
        move |_| {
            let (swapped, authority, config) = (swapped.clone(), authority.clone(), config.clone());
            async move {
                let before = swapped.load(Ordering::SeqCst);
                let shown = authority.number(&get(to, config).await?);
                match shown >= before {
                    true => Ok(()),
                    false => Err(format!("certificate {shown} after the swap to {before}")),
                }
            }
        }
    });
    handshakes.answers(1).await;
    for renewal in 1..=RENEWALS {
        fake.put("app/tls", authority.issue().secret());
        assert!(current.refresh().await.unwrap().changed());
        swapped.store(renewal, Ordering::SeqCst);
        handshakes.answers(1).await;
    }
    handshakes.finish().await.report(server, RENEWALS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_shows_the_renewed_certificate() {
    renew("rustls with axum", async |current| {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = tcp.local_addr().unwrap();
        let listener = TlsListener::new(tcp, server_config(current).unwrap());
        let app = Router::new().route("/", routing::get(async || "hello"));
        tokio::spawn(axum::serve(listener, app).into_future());
        to
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actix_shows_the_renewed_certificate() {
    renew("rustls with actix-web", async |current| {
        let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = tcp.local_addr().unwrap();
        let config = server_config(current).unwrap();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(actix_tls::serve(tcp, config).unwrap())
        });
        to
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_shows_its_renewed_certificate() {
    let (fake, authority) = (FakeSecretsManager::new(), Authority::new());
    fake.put("server/tls", authority.issue().secret());
    fake.put("client/tls", authority.issue().secret());
    let (server, own) = (live(&fake, "server").await, live(&fake, "client").await);
    let (server, own) = (certificate(&server).await.unwrap(), certificate(&own).await.unwrap());

    let config = mtls::server_config(server.clone(), authority.roots()).unwrap();
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = tcp.local_addr().unwrap();
    // It answers with the number of the certificate that the client showed.
    let known = authority.clone();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            let (acceptor, known) = (acceptor.clone(), known.clone());
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let shown = known.number(&stream.get_ref().1.peer_certificates().unwrap()[0]);
                stream.write_all(shown.to_string().as_bytes()).await?;
                stream.shutdown().await
            });
        }
    });

    let config = Arc::new(mtls::client_config(own.clone(), authority.roots()).unwrap());
    let swapped = Arc::new(AtomicUsize::new(0));
    let calls = Load::repeat(8, {
        let swapped = swapped.clone();
        move |_| {
            let (swapped, config) = (swapped.clone(), config.clone());
            async move {
                let failed = |error: std::io::Error| error.to_string();
                let before = swapped.load(Ordering::SeqCst);
                let tcp = TcpStream::connect(to).await.map_err(failed)?;
                let name = ServerName::try_from("localhost").unwrap();
                let mut stream =
                    TlsConnector::from(config).connect(name, tcp).await.map_err(failed)?;
                let mut shown = String::new();
                stream.read_to_string(&mut shown).await.map_err(failed)?;
                match shown.parse::<usize>() {
                    Ok(shown) if shown >= before => Ok(()),
                    _ => Err(format!("certificate {shown} after the swap to {before}")),
                }
            }
        }
    });
    calls.answers(1).await;
    // Both ends renew, one after the other.
    for renewal in 1..=RENEWALS / 2 {
        fake.put("server/tls", authority.issue().secret());
        server.refresh().await.unwrap();
        fake.put("client/tls", authority.issue().secret());
        own.refresh().await.unwrap();
        // 0 and 1 are those of the start; then server and client take turns.
        swapped.store(2 * renewal + 1, Ordering::SeqCst);
        calls.answers(1).await;
    }
    calls.finish().await.report("rustls with a client certificate", RENEWALS);
}

#[tokio::test]
async fn a_silent_client_delays_no_other() {
    let (fake, authority) = (FakeSecretsManager::new(), Authority::new());
    fake.put("app/tls", authority.issue().secret());
    let current = certificate(&live(&fake, "app").await).await.unwrap();
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = tcp.local_addr().unwrap();
    let listener = TlsListener::new(tcp, server_config(current).unwrap());
    let app = Router::new().route("/", routing::get(async || "hello"));
    tokio::spawn(axum::serve(listener, app).into_future());
    let silent = TcpStream::connect(to).await.unwrap();
    get(to, Arc::new(client(&authority))).await.unwrap();
    drop(silent);
}

#[tokio::test]
async fn a_client_without_the_right_certificate_is_refused() {
    let (fake, authority, stranger) =
        (FakeSecretsManager::new(), Authority::new(), Authority::new());
    fake.put("server/tls", authority.issue().secret());
    fake.put("client/tls", stranger.issue().secret());
    let server = certificate(&live(&fake, "server").await).await.unwrap();
    let own = certificate(&live(&fake, "client").await).await.unwrap();
    let config = Arc::new(mtls::server_config(server, authority.roots()).unwrap());
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = tcp.local_addr().unwrap();
    let own = Arc::new(mtls::client_config(own, authority.roots()).unwrap());
    tokio::spawn(async move {
        let stream = TcpStream::connect(to).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(own).connect(name, stream).await?.read_u8().await
    });
    let (stream, _) = tcp.accept().await.unwrap();
    let error = tokio_rustls::TlsAcceptor::from(config).accept(stream).await.unwrap_err();
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    assert!(matches!(error, Some(rustls::Error::InvalidCertificate(_))), "{error:?}");
}

/// What a secret may hold, and what is said of it if it is refused.
#[tokio::test]
async fn what_no_handshake_could_use_is_refused_before_the_swap() {
    let (fake, authority) = (FakeSecretsManager::new(), Authority::new());
    let (first, second) = (authority.issue(), authority.issue());
    fake.put("app/tls", first.secret());
    let settings = live(&fake, "app").await;
    let current = certificate(&settings).await.unwrap();
    let shown = |current: &Live<CertifiedKey>| authority.number(&current.load().cert[0]);

    let whole = second.certificate.clone() + &first.certificate;
    let swapped = first.certificate.clone() + &second.certificate;
    let refused = [
        (secret(&second.certificate, &first.key), "does not fit"),
        (secret(&swapped, &second.key), "does not fit"),
        (secret("", &second.key), "no certificate in PEM"),
        (secret(&second.key, &second.key), "no certificate in PEM"),
        (secret(&second.certificate, &second.certificate), "no unencrypted key in PEM"),
        (
            secret(&second.certificate, &second.key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
            "no unencrypted key",
        ),
        (secret(&second.certificate[..200], &second.key), "no certificate in PEM"),
    ];
    for (text, reason) in refused {
        fake.put("app/tls", text);
        let error = settings.refresh().await.unwrap_err().to_string();
        assert!(error.contains(reason), "{reason}: {error}");
        let key: String = second.key.lines().nth(1).unwrap().chars().take(8).collect();
        assert!(!error.contains(&key), "no part of the key");
        assert_eq!(shown(&current), 0, "{reason}: the last good one stays");
        assert_eq!(settings.load().tls.certificate, first.certificate);
    }

    let taken = [
        second.secret(),
        secret(&whole, &second.key),
        secret(&second.certificate.replace('\n', "\\n"), &second.key.replace('\n', "\\n")),
        secret(&second.certificate.replace('\n', "\r\n"), &second.key.replace('\n', "\\r\\n")),
        secret(&second.certificate.replace('\n', " "), &second.key.replace('\n', " ")),
        secret(second.certificate.trim(), &format!("key of mine:\n{}", second.key)),
    ];
    for text in taken {
        fake.put("app/tls", first.secret());
        current.refresh().await.unwrap();
        assert_eq!(shown(&current), 0);
        fake.put("app/tls", text);
        current.refresh().await.unwrap();
        assert_eq!(shown(&current), 1);
    }
}
