//! Settings of three stores that rotate at once: AWS (the fake), OpenBao, and Parameter Store (moto
//! 5.2.5, which has `GetParametersByPath` with decryption). Every read is of one whole generation.

use std::collections::HashSet;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use end_to_end::external::{Aws, Emulator, OpenBao};
use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Layers, Live, ParameterStore, Rejected, SecretsManager, Sources, Vault};
use serde::Deserialize;
use serde_json::json;

const ROTATIONS: usize = 20;
const READERS: usize = 2;
const READS: usize = 1_000_000;

#[derive(Deserialize)]
struct Settings {
    aws: Pair,
    bao: Pair,
    ssm: Pair,
}

/// One secret: both members are the number of the rotation.
#[derive(Deserialize)]
struct Pair {
    a: usize,
    b: usize,
}

type Numbers = [usize; 3];

impl Settings {
    /// The rotation that each store is at, if no secret is torn.
    fn numbers(&self) -> Option<Numbers> {
        let pairs = [&self.aws, &self.bao, &self.ssm];
        pairs.iter().all(|pair| pair.a == pair.b).then(|| pairs.map(|pair| pair.a))
    }
}

/// The three stores.
struct Stores {
    fake: FakeSecretsManager,
    bao: OpenBao,
    moto: Emulator,
}

impl Stores {
    /// Puts the next version into all stores at once.
    async fn rotate(&self, number: usize) {
        let pair = json!({ "a": number, "b": number });
        let text = pair.to_string();
        let aws = Aws::new(self.moto.endpoint_url());
        let parameter = aws.run_in(
            "ssm",
            [
                "put-parameter",
                "--overwrite",
                "--type",
                "SecureString",
                "--name",
                "/app/ssm",
                "--value",
                &text,
            ],
        );
        let secret = async { self.fake.put("app/aws", text.clone()) };
        tokio::join!(parameter, self.bao.put("app/bao", pair), secret);
    }

    fn manager(&self) -> Sources {
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(self.moto.endpoint_url())
            .build();
        let app = || SecretsManager::prefix("app");
        let vault = Vault::new(self.bao.url()).token(self.bao.root_token());
        let parameters = ParameterStore::new().aws_config(&config);
        app().client(self.fake.client()).and(app().backend(vault)).and(app().backend(parameters))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_reads_of_three_stores_that_rotate_see_whole_generations() {
    let stores =
        Stores { fake: FakeSecretsManager::new(), bao: OpenBao::start(), moto: Emulator::moto() };
    stores.rotate(0).await;
    // What was made is known before it is served.
    let made: Arc<Mutex<HashSet<Numbers>>> = Arc::default();
    let making = made.clone();
    let settings: Live<Settings> = Live::builder(stores.manager())
        .layers(|secrets| Layers::new().secrets(secrets))
        .validate(move |settings: &Settings| {
            let numbers = settings.numbers().ok_or_else(|| Rejected::new("a torn secret"))?;
            making.lock().unwrap().insert(numbers);
            Ok(())
        })
        .start()
        .await
        .unwrap();

    let (reads, rotating) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let (settings, made) = (settings.clone(), made.clone());
            let (reads, rotating) = (reads.clone(), rotating.clone());
            std::thread::spawn(move || {
                let mut last = [0; 3];
                while rotating.load(Ordering::Relaxed) || reads.load(Ordering::Relaxed) < READS {
                    let numbers = settings.load().numbers().expect("a secret of one version");
                    if numbers != last {
                        assert!(made.lock().unwrap().contains(&numbers), "a mix: {numbers:?}");
                        assert!(
                            numbers.iter().zip(&last).all(|(now, before)| now >= before),
                            "{numbers:?} after {last:?}"
                        );
                        last = numbers;
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    // Refreshes and rotations do not wait for each other, so that a refresh meets half of one.
    let refreshing = async {
        while rotating.load(Ordering::Relaxed) {
            settings.refresh().await.unwrap();
        }
    };
    let rotations = async {
        for number in 1..=ROTATIONS {
            stores.rotate(number).await;
        }
        rotating.store(false, Ordering::Relaxed);
    };
    tokio::join!(refreshing, rotations);
    settings.refresh().await.unwrap();
    for reader in readers {
        tokio::task::spawn_blocking(move || reader.join()).await.unwrap().unwrap();
    }
    assert_eq!(settings.load().numbers(), Some([ROTATIONS; 3]));
    let (reads, made) = (reads.load(Ordering::Relaxed), made.lock().unwrap().len());
    assert!(reads >= READS && made > ROTATIONS, "{reads} reads, {made} generations");
    let said =
        format!("{reads} reads of {made} generations over {ROTATIONS} rotations of three stores\n");
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}
