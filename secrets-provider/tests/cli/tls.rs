//! The way of `doctor` to an endpoint with TLS: the certificate, the tunnel through a proxy, and what
//! is excepted from it. The server is the fake behind TLS, with a certificate of an authority of its
//! own, so that a handshake is completed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::harness::{Cli, Ran, words};
use crate::prompt::Terminal;

const LINE: &str = "doctor --check --prefix gaara/prod";
const ENDPOINT: &str = "AWS_ENDPOINT_URL_SECRETS_MANAGER";

/// The fake behind TLS, and the file with the certificate of who vouches for it.
struct Server {
    port: u16,
    authority: PathBuf,
}

impl Server {
    /// With a certificate for `localhost`, which is valid until this year.
    async fn start(cli: &Cli, until: i32) -> Self {
        let mut authority = CertificateParams::new([]).expect("an authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(authority, key).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a certificate");
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        cli.write("authority.pem", &authority.pem());
        let key = key.serialize_der().try_into().expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)
            });
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("a server's configuration")));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let plain = cli.fake.endpoint_url().trim_start_matches("http://").to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, plain) = (acceptor.clone(), plain.clone());
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut server = TcpStream::connect(plain).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self { port, authority: cli.path().join("authority.pem") }
    }
}

/// A proxy that answers each CONNECT with this status, and with 200 makes the tunnel. Returns its
/// address, and how many tunnels it made.
async fn proxy(status: u16) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let tunnels = Arc::new(AtomicUsize::new(0));
    let made = Arc::clone(&tunnels);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let made = Arc::clone(&made);
            tokio::spawn(async move {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    head.push(char::from(client.read_u8().await?));
                }
                let answer = format!("HTTP/1.1 {status} canary\r\ncontent-length: 0\r\n\r\n");
                let target = head.strip_prefix("CONNECT ").and_then(|it| it.split(' ').next());
                match target.filter(|_| status == 200) {
                    Some(target) => {
                        let mut server = TcpStream::connect(target).await?;
                        client.write_all(answer.as_bytes()).await?;
                        made.fetch_add(1, Ordering::Relaxed);
                        copy_bidirectional(&mut client, &mut server).await.map(|_| ())
                    }
                    None => client.write_all(answer.as_bytes()).await,
                }
            });
        }
    });
    (format!("http://canary-user:canary-password@{address}"), tunnels)
}

/// What the doctor sees in an environment with these variables, too.
async fn seen(cli: &Cli, variables: &[(&str, &str)]) -> Ran {
    let mut command = cli.command(&words(LINE));
    command.env("NO_COLOR", "1").envs(variables.iter().copied());
    let ran = Terminal::run(command).await;
    assert!(!ran.out.contains("canary") && !ran.err.contains("canary"), "{}", ran.out);
    ran
}

/// The line about the endpoint, with what to do.
fn endpoint(ran: &Ran) -> String {
    let mut lines = ran.out.lines().skip_while(|line| !line.contains(" endpoint "));
    let line = lines.next().unwrap_or_else(|| panic!("no endpoint: {}{}", ran.out, ran.err));
    let todo = lines.next().filter(|line| line.trim_start().starts_with('→'));
    format!("{line} {}", todo.unwrap_or_default().trim_start())
}

#[tokio::test]
async fn a_certificate_is_checked_as_the_client_checks_it() {
    let cli = Cli::with_secrets().await;
    let server = Server::start(&cli, 2100).await;
    let old = Cli::with_secrets().await;
    let expired = Server::start(&old, 2000).await;
    let by_name = |server: &Server| format!("https://localhost:{}", server.port);
    let (url, of_expired) = (by_name(&server), by_name(&expired));
    let by_address = format!("https://127.0.0.1:{}", server.port);
    let trusted = |server: &Server| server.authority.to_string_lossy().into_owned();
    let (authority, of_old) = (trusted(&server), trusted(&expired));

    let well = seen(&cli, &[(ENDPOINT, &url), ("SSL_CERT_FILE", &authority)]).await;
    assert_eq!(well.code, 0, "{}", well.out);
    assert!(endpoint(&well).contains(&format!("localhost:{} answers by TLS", server.port)));
    assert!(well.out.contains("2 secrets read"), "{}", well.out);

    for (variables, parts) in [
        (&[(ENDPOINT, url.as_str())][..], &["is not trusted", "SSL_CERT_FILE"][..]),
        (
            &[(ENDPOINT, &by_address), ("SSL_CERT_FILE", &authority)],
            &["is for another name", ENDPOINT],
        ),
        (&[(ENDPOINT, &of_expired), ("SSL_CERT_FILE", &of_old)], &["has expired", "clock"]),
    ] {
        let ran = seen(&cli, variables).await;
        let line = endpoint(&ran);
        assert!(ran.code == 1 && line.starts_with('✗') && line.contains('→'), "{}", ran.out);
        for part in parts {
            assert!(line.contains(part), "`{part}` is not in {line}");
        }
    }
}

#[tokio::test]
async fn tls_goes_through_the_proxy_that_calls_go_through() {
    let cli = Cli::with_secrets().await;
    let server = Server::start(&cli, 2100).await;
    let url = format!("https://localhost:{}", server.port);
    let authority = server.authority.to_string_lossy().into_owned();
    let there = [(ENDPOINT, url.as_str()), ("SSL_CERT_FILE", &authority)];
    let (well, tunnels) = proxy(200).await;
    let ((asks, _), (refuses, _)) = (proxy(407).await, proxy(403).await);
    // Nothing listens there.
    let gone = "http://127.0.0.1:9";

    let ran = seen(&cli, &[&there[..], &[("HTTPS_PROXY", &well)]].concat()).await;
    assert_eq!(ran.code, 0, "{}", ran.out);
    let line = endpoint(&ran);
    assert!(line.contains("answers by TLS, through a proxy"), "{line}");
    assert!(tunnels.load(Ordering::Relaxed) > 0);

    let excepted = [("ALL_PROXY", gone), ("NO_PROXY", "localhost")];
    let ran = seen(&cli, &[&there[..], &excepted].concat()).await;
    assert_eq!(ran.code, 0, "{}", ran.out);
    let line = endpoint(&ran);
    assert!(line.contains("answers by TLS") && !line.contains("proxy"), "{line}");

    for (proxy, parts) in [
        (gone, &["the proxy of `HTTPS_PROXY` refuses connections", "NO_PROXY"][..]),
        (&asks, &["the proxy of `HTTPS_PROXY` asks for credentials"]),
        (&refuses, &["the proxy of `HTTPS_PROXY` does not connect to the endpoint"]),
    ] {
        let ran = seen(&cli, &[&there[..], &[("HTTPS_PROXY", proxy)]].concat()).await;
        let line = endpoint(&ran);
        assert!(ran.code == 1 && line.starts_with('✗') && line.contains('→'), "{}", ran.out);
        for part in parts {
            assert!(line.contains(part), "`{part}` is not in {line}");
        }
    }
    // The certificate is met behind the proxy.
    let ran = seen(&cli, &[(ENDPOINT, &url), ("HTTPS_PROXY", &well)]).await;
    let line = endpoint(&ran);
    assert!(line.starts_with('✗') && line.contains("is not trusted"), "{line}");
}
