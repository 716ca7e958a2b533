//! One replica as a process: the test binary itself, which runs only its test `process`. It says its
//! address, takes the addresses of all, and then says which password is live; each further line
//! that it takes is a hint, or asks how many requests came.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Builder, Region};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use futures_util::stream;
use secrets_provider::{Layers, Live, Push, SecretsManager, Trigger};
use secrets_provider_axum::{RefreshToken, refresh_route};
use tokio::sync::mpsc::unbounded_channel;

use super::{Settings, TOKEN};

/// Where the store is, and which of the loopback addresses is the process's own.
const ENDPOINT: &str = "PEERS_TEST_ENDPOINT";
const NUMBER: &str = "PEERS_TEST_NUMBER";

/// Marks the lines that are not of the test harness.
const MARK: &str = "peer: ";

/// A process that ends with this.
pub(super) struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub(super) fn start(endpoint: &str, n: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process", "--nocapture"])
            .env(ENDPOINT, endpoint)
            .env(NUMBER, n.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    pub(super) fn address(&mut self) -> String {
        self.next()
    }

    pub(super) fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    pub(super) fn next(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the process has ended");
            // The harness may have begun the line.
            if let Some((_, said)) = line.trim_end().split_once(MARK) {
                return said.to_owned();
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(line: &str) {
    println!("{MARK}{line}");
}

/// What the process does, until its input ends.
pub(super) async fn run() {
    let Ok(n) = std::env::var(NUMBER) else { return };
    let n: u8 = n.parse().unwrap();
    let listener =
        tokio::net::TcpListener::bind((Ipv4Addr::new(127, 0, 0, loopback(n)), 0)).await.unwrap();
    say(&listener.local_addr().unwrap().to_string());

    let (lines_sender, mut lines) = unbounded_channel();
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| lines_sender.send(line))
    });
    let peers = lines.recv().await.unwrap();
    let (hints, hinted) = unbounded_channel::<Trigger>();
    let hinted = stream::unfold(hinted, async |mut hinted| {
        let hint = tokio::sync::mpsc::UnboundedReceiver::recv(&mut hinted).await?;
        Some((hint, hinted))
    });
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::for_tests())
        .endpoint_url(std::env::var(ENDPOINT).unwrap());
    let settings: Live<Settings> =
        Live::builder(SecretsManager::prefix("app").client(Client::from_conf(config.build())))
            .layers(|secrets| Layers::new().secrets(secrets))
            .refresh_every(Duration::from_secs(3600))
            .refresh_on(hinted)
            .push(Push::peers(peers, TOKEN))
            .start()
            .await
            .unwrap();

    let posts = Arc::new(AtomicUsize::new(0));
    let counted = posts.clone();
    let count = from_fn(move |request: Request, next: Next| {
        counted.fetch_add(1, Ordering::Relaxed);
        next.run(request)
    });
    let routes: Router = refresh_route(settings.clone(), RefreshToken::new(TOKEN).unwrap());
    tokio::spawn(async { axum::serve(listener, routes.layer(count)).await });

    let mut changes = settings.changes();
    say(&format!("live {}", settings.load().password));
    loop {
        tokio::select! {
            change = futures_util::StreamExt::next(&mut changes) => match change {
                Some(_) => say(&format!("live {}", settings.load().password)),
                None => return,
            },
            line = lines.recv() => match line.as_deref() {
                None => return,
                Some("posts") => say(&format!("posts {}", posts.load(Ordering::Relaxed))),
                Some(hint) => {
                    let (name, version) = hint.split_once(' ').unwrap();
                    let hint = Trigger::secret(name).version(version);
                    // A repeat is read and passed on no second time.
                    hints.send(hint.clone()).unwrap();
                    hints.send(hint).unwrap();
                }
            },
        }
    }
}

/// On Linux, each process has an address of its own; elsewhere only one is there.
fn loopback(n: u8) -> u8 {
    if cfg!(target_os = "linux") { n + 2 } else { 1 }
}
