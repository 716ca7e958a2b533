//! Credentials that expire: those of a role last an hour, and the provider that renews them may be
//! down.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_secretsmanager::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_secretsmanager::error::BoxError;
use aws_smithy_async::time::TimeSource;
use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{ErrorKind, Health, Live, SecretsManager};
use tokio::time::{Instant, sleep};

use super::{Settings, fake, put_password, secrets_only};

/// How long the credentials of a role last by default.
const LIFE: Duration = Duration::from_secs(3600);

/// Dates on tokio's clock.
#[derive(Debug, Clone, Copy)]
struct Clock {
    begun: Instant,
    date: SystemTime,
}

impl Clock {
    fn start() -> Self {
        Self { begun: Instant::now(), date: SystemTime::now() }
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.date + self.begun.elapsed()
    }
}

/// The provider of a role. Each access key is new, and its name holds the second in which it
/// expires.
#[derive(Debug, Clone)]
struct Role {
    clock: Clock,
    down: Arc<AtomicBool>,
}

impl ProvideCredentials for Role {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        if self.down.load(Ordering::Relaxed) {
            return future::ProvideCredentials::ready(Err(CredentialsError::provider_error(
                "down",
            )));
        }
        let expiry = self.clock.now() + LIFE;
        let key =
            format!("T{}", expiry.duration_since(UNIX_EPOCH).expect("a date of today").as_secs());
        let session = Some("session".to_owned());
        future::ProvideCredentials::ready(Ok(Credentials::new(
            key,
            "key",
            session,
            Some(expiry),
            "Role",
        )))
    }
}

/// The access keys that requests were signed with, and how many requests used an expired one.
#[derive(Debug, Default)]
struct Seen {
    keys: BTreeSet<String>,
    too_late: usize,
}

/// Reads the access key of each request as it leaves the SDK, as the service would.
#[derive(Debug)]
struct Witness {
    clock: Clock,
    seen: Arc<Mutex<Seen>>,
}

impl Intercept for Witness {
    fn name(&self) -> &'static str {
        "Witness"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let signature = context.request().headers().get("authorization").expect("a signed request");
        let (_, key) = signature.split_once("Credential=").expect("a signature of version 4");
        let (key, _) = key.split_once('/').expect("a credential's scope");
        let (_, expiry) = key.split_once('T').expect("a key of the role");
        let expiry = UNIX_EPOCH + Duration::from_secs(expiry.parse()?);
        let mut seen = self.seen.lock().unwrap();
        seen.keys.insert(key.to_owned());
        seen.too_late += usize::from(expiry < self.clock.now());
        Ok(())
    }
}

/// Settings that a client with that role refreshes each minute.
async fn start(fake: &FakeSecretsManager) -> (Live<Settings>, Role, Arc<Mutex<Seen>>) {
    let clock = Clock::start();
    let role = Role { clock, down: Arc::default() };
    let seen = Arc::new(Mutex::new(Seen::default()));
    let config = aws_sdk_secretsmanager::config::Builder::from(&fake.sdk_config())
        .time_source(clock)
        .credentials_provider(SharedCredentialsProvider::new(role.clone()))
        .interceptor(Witness { clock, seen: seen.clone() })
        .build();
    let settings = secrets_only(SecretsManager::prefix("app").client(Client::from_conf(config)))
        .refresh_every(Duration::from_secs(60))
        .start()
        .await
        .unwrap();
    (settings, role, seen)
}

#[tokio::test(start_paused = true)]
async fn credentials_are_renewed_before_they_expire() {
    let fake = fake();
    let (settings, _, seen) = start(&fake).await;
    for n in 2..=12 {
        put_password(&fake, n);
        sleep(LIFE / 2).await;
        assert_eq!(settings.load().database.password, format!("password-{n}"));
    }
    let status = settings.status();
    assert_eq!((status.health(), status.last_error().is_none()), (Health::Fresh, true));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.too_late, 0);
    assert!((6..=7).contains(&seen.keys.len()), "one key per hour: {:?}", seen.keys);
}

/// A rotation in the meantime is seen once the provider works again.
#[tokio::test(start_paused = true)]
async fn the_last_good_settings_are_served_while_credentials_cannot_be_renewed() {
    let fake = fake();
    let (settings, role, seen) = start(&fake).await;
    role.down.store(true, Ordering::Relaxed);
    sleep(LIFE / 2).await;
    assert_eq!(settings.status().health(), Health::Fresh, "the credentials in use are still valid");

    sleep(LIFE).await;
    put_password(&fake, 2);
    sleep(LIFE).await;
    let status = settings.status();
    assert_eq!(settings.load().database.password, "password-1");
    assert_eq!((status.health(), status.is_ready()), (Health::Failing, false));
    let error = status.last_error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("AWS credentials could not be loaded"), "{}", error.message());

    role.down.store(false, Ordering::Relaxed);
    let healing = Instant::now();
    assert_eq!(settings.changes().next().await.unwrap().generation(), 2);
    assert!(healing.elapsed() <= Duration::from_secs(66), "{:?}", healing.elapsed());
    assert_eq!(settings.load().database.password, "password-2");
    assert_eq!(settings.status().health(), Health::Fresh);
    assert_eq!(seen.lock().unwrap().too_late, 0);
}
