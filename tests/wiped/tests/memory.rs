//! What is left of old values in the memory of a process, after each of 100 rotations over the SDK
//! and TLS. `--nocapture` prints what remains and who leaves it.
//! Linux only. In debug only, because functions that the optimiser has put into others have no name.
#![cfg(all(target_os = "linux", debug_assertions))]

use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use fake_secrets_manager::FakeSecretsManager;
use rustls::ServerConfig;
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

const ROTATIONS: usize = 100;

/// The fake of AWS behind TLS, with values that begin with what is drawn at random.
struct Store {
    fake: FakeSecretsManager,
    canary: String,
    endpoint: String,
    certificate: NamedTempFile,
    _runtime: Runtime,
}

impl Store {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let fake = runtime.block_on(FakeSecretsManager::start()).expect("a socket");
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let mut certificate = NamedTempFile::new().expect("a file");
        certificate.write_all(cert.pem().as_bytes()).expect("a file");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = signing_key.serialize_der().try_into().expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key)
            })
            .expect("a certificate and its key");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a socket");
        let port = listener.local_addr().expect("a socket").port();
        let plain = fake.endpoint_url().trim_start_matches("http://").to_owned();
        runtime.spawn(terminate(listener, TlsAcceptor::from(Arc::new(config)), plain));
        let canary = format!("{:016x}", RandomState::new().hash_one("canary"));
        let store = Self {
            fake,
            canary,
            endpoint: format!("https://localhost:{port}"),
            certificate,
            _runtime: runtime,
        };
        store.rotate(0);
        store
    }

    fn rotate(&self, number: usize) {
        // By what follows a value, `keeps` tells what it is in.
        let value = |kind: &str| format!("{}{number:05}-{kind}", self.canary);
        self.fake.put("app/token", value("token"));
        // Each second answer is shorter, and does not overwrite all of the one before.
        let note = "-".repeat(if number.is_multiple_of(2) { 10 } else { 3_000 });
        let database = format!(r#"{{"note":"{note}","password":"{}"}}"#, value("password"));
        self.fake.put("app/database", database);
    }
}

/// Passes on what comes over TLS.
async fn terminate(listener: TcpListener, acceptor: TlsAcceptor, plain: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, plain) = (acceptor.clone(), plain.clone());
        tokio::spawn(async move {
            let mut client = acceptor.accept(stream).await?;
            let mut server = TcpStream::connect(plain).await?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}

/// `keeps`, which is a process of its own: the fake has all versions in its memory.
struct Keeps {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Copies of old values: in bodies of answers, in whole secrets, by themselves. Freed blocks may be
/// half overwritten, so that a few of the first kind count as one of the others.
type Copies = [usize; 3];

impl Keeps {
    fn start(allocator: &str, settings: &str, store: &Store) -> Self {
        let disguised = store.canary.bytes().map(|byte| format!("{:02x}", byte ^ 0x5a));
        let mut child = Command::new(env!("CARGO_BIN_EXE_keeps"))
            .env_clear()
            .env("ALLOCATOR", allocator)
            .env("SETTINGS", settings)
            .env("CANARY", disguised.collect::<String>())
            .env("AWS_ENDPOINT_URL", &store.endpoint)
            .env("SSL_CERT_FILE", store.certificate.path())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let asks = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        answers.read_line(&mut line).expect("text");
        assert_eq!(line, "ready\n");
        Self { child, asks, answers }
    }

    /// Has it refresh, and count the copies.
    fn refresh(&mut self) -> Copies {
        self.asks.write_all(b"\n").expect("it runs");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        let counts = line.split_whitespace().map(|count| count.parse().expect("a number"));
        counts.collect::<Vec<_>>().try_into().expect("three counts")
    }

    /// Ends it. Returns what it says at its end.
    fn end(mut self) -> Vec<String> {
        drop(self.asks);
        let lines = self.answers.lines().map(|line| line.expect("text")).collect();
        assert!(self.child.wait().expect("it ends").success());
        lines
    }
}

/// What a run shows.
struct Run {
    /// After each rotation.
    copies: Vec<Copies>,
    /// Who allocated the blocks with values in them: those in use at the end, and those that were
    /// freed.
    blocks: Vec<String>,
}

impl Run {
    fn of(allocator: &str, settings: &str, rotations: usize) -> Self {
        let store = Store::start();
        let mut keeps = Keeps::start(allocator, settings, &store);
        let copies = (1..=rotations).map(|number| {
            store.rotate(number);
            keeps.refresh()
        });
        let run = Self { copies: copies.collect(), blocks: keeps.end() };
        println!(
            "{allocator}, {settings}: copies of old values after each of {rotations} rotations"
        );
        for (kind, place) in
            ["in bodies of answers", "in whole secrets", "by themselves"].iter().enumerate()
        {
            let (most, all) = (run.most()[kind], run.each(kind).iter().sum::<usize>());
            println!("  {place}: at most {most}, in all {all}");
        }
        run.blocks.iter().for_each(|block| println!("  {block}"));
        run
    }

    fn each(&self, kind: usize) -> Vec<usize> {
        self.copies.iter().map(|copies| copies[kind]).collect()
    }

    fn most(&self) -> Copies {
        [0, 1, 2].map(|kind| self.each(kind).into_iter().max().expect("a rotation"))
    }

    /// The crates of functions that allocated the blocks, with whether the blocks are in use.
    fn crates(&self) -> Vec<&str> {
        let mut crates: Vec<_> =
            self.blocks.iter().map(|block| block.split("::").next().expect("a name")).collect();
        crates.dedup();
        crates
    }
}

#[test]
fn what_an_attacker_finds_does_not_pile_up() {
    let most: usize = Run::of("system", "plain", ROTATIONS).most().iter().sum();
    // 200 values were replaced.
    assert!(most <= 40, "{most}");
}

#[test]
fn only_rustls_and_hyper_leave_values() {
    let run = Run::of("tracing", "plain", ROTATIONS);
    // In use is at most the last answer, where a shorter one has not overwritten it.
    let [answers, secrets, values] = run.most();
    assert_eq!([secrets, values], [0, 0]);
    assert!(answers <= 2, "{answers}");
    assert_eq!(run.crates(), ["in use rustls", "freed hyper", "freed rustls"]);
}

#[test]
fn serde_leaves_values_that_it_buffers() {
    let run = Run::of("tracing", "buffered", 4);
    assert_eq!(run.crates(), ["in use rustls", "freed hyper", "freed rustls", "freed serde"]);
}
