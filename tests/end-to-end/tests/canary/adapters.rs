//! figment and config-rs: their own errors quote values, and the errors that we make of them do
//! not.

use std::fmt;
use std::io;
use std::sync::Arc;

use config::{AsyncSource, Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};
use fake_secrets_manager::{FakeSecretsManager, Fault};
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::Dict;
use figment::{Figment, Metadata, Profile, Provider};
use secrets_provider::{Error, ErrorKind, FigmentExt as _, Live, Memory, SecretsManager, Snapshot};
use serde::Deserialize;

use crate::canaries::Canaries;
use crate::log::Log;
use crate::shown;

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Settings {
    port: u16,
}

/// URLs with a password, encoded and not, as people write them.
fn urls(canaries: &mut Canaries) -> Vec<String> {
    let plain = canaries.plain("a password in a URL");
    let [awkward, line] = [canaries.awkward("an awkward password"), canaries.line("one in a line")];
    let mut encoded = url::Url::parse("postgres://me@host/db").unwrap();
    encoded.set_password(Some(&awkward)).unwrap();
    let mut urls = vec![encoded.to_string()];
    for password in [plain, awkward, line] {
        for url in [
            "postgres://me:PASSWORD@host/db",
            "redis://:PASSWORD@host:6379",
            "https://host/path?token=PASSWORD",
            "https://host/path?mail=me@home&token=PASSWORD",
            "https://host/path?token=PASSWORD@home",
            "https://host/path?token=me@PASSWORD",
            "https://host/path#me@PASSWORD",
            "https://me:a?b@PASSWORD@host",
            "https://me:PASSWORD?@host/#",
            "https://PASSWORD?b#c@host",
        ] {
            urls.push(url.replace("PASSWORD", &password));
        }
    }
    urls
}

/// A store without any secret, and settings that start without them.
fn no_secrets() -> SecretsManager {
    SecretsManager::prefix("app").backend(Memory::new()).fallback_to_env()
}

/// The error of a start on these layers. A refresh fails in the same way.
async fn configured<F>(build: F) -> Error
where
    F: Fn(&Snapshot) -> Result<Config, ConfigError> + Send + Sync + 'static,
{
    Live::<Settings>::builder(no_secrets()).layers(build).start().await.unwrap_err()
}

/// A source whose `port` is this value, or that fails with this error.
#[derive(Clone)]
struct PortSource(Arc<dyn Fn() -> Result<Value, ConfigError> + Send + Sync>);

impl fmt::Debug for PortSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortSource")
    }
}

impl Source for PortSource {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(Map::from_iter([("port".to_owned(), (self.0)()?)]))
    }
}

#[tokio::test]
async fn errors_from_config_rs_show_no_value() {
    let log = Log::start();
    let mut canaries = Canaries::of("config-rs");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.json");
    for canary in
        [canaries.plain("a value"), canaries.awkward("an awkward value"), canaries.line("a line")]
    {
        for content in [
            format!("{{\"port\": {canary}}}"),
            format!("{{\"port\": \"{canary}"),
            canary.clone(),
            format!("[{canary:?}]"),
        ] {
            std::fs::write(&file, &content).unwrap();
            let text = configured(move |_| {
                Config::builder().add_source(File::from_str(&content, FileFormat::Json)).build()
            });
            let file = file.clone();
            let file =
                configured(move |_| Config::builder().add_source(File::from(file.clone())).build());
            for error in [text.await, file.await] {
                canaries.assert_absent("a file of config-rs", shown::error(&error));
            }
        }
        type Fail = fn(String) -> Result<Value, ConfigError>;
        let failures: [Fail; 12] = [
            |text| Err(ConfigError::Message(text)),
            |text| Err(ConfigError::Message(format!("env variable: {text}"))),
            |text| Err(ConfigError::Foreign(text.into())),
            |text| Err(ConfigError::Foreign(Box::new(io::Error::other(text)))),
            |text| {
                Err(ConfigError::Foreign(Box::new(io::Error::new(io::ErrorKind::NotFound, text))))
            },
            |text| Err(ConfigError::FileParse { uri: None, cause: text.into() }),
            |text| {
                Err(ConfigError::FileParse { uri: Some("a.toml".to_owned()), cause: text.into() })
            },
            |text| Value::new(None, text).into_int().map(Value::from),
            |text| Value::new(None, text).into_table().map(Value::from),
            |text| {
                let error = Box::new(Value::new(None, text).into_bool().unwrap_err());
                Err(ConfigError::At { error, origin: None, key: Some("port".to_owned()) })
            },
            |text| Ok(Value::new(None, text)),
            |text| Ok(Value::new(None, ValueKind::Array(vec![Value::new(None, text)]))),
        ];
        for fail in failures {
            let canary = canary.clone();
            let source = PortSource(Arc::new(move || fail(canary.clone())));
            let error =
                configured(move |_| Config::builder().add_source(source.clone()).build()).await;
            canaries.assert_absent("a source of config-rs", shown::error(&error));
        }
    }
    log.assert_silent(&canaries, &[]);
}

#[tokio::test]
async fn sources_of_config_rs_are_named_without_their_passwords() {
    let log = Log::start();
    let mut canaries = Canaries::of("origins");
    for url in urls(&mut canaries) {
        let placed = |kind: ValueKind| Value::new(Some(&url), kind);
        let table =
            placed(ValueKind::Table(Map::from_iter([("a".to_owned(), placed("b".into()))])));
        let uri = Some(url.clone());
        let parse = PortSource(Arc::new(move || {
            Err(ConfigError::FileParse { uri: uri.clone(), cause: "no format".into() })
        }));
        let error = configured(move |_| Config::builder().add_source(parse.clone()).build()).await;
        canaries.assert_absent("a file that config-rs fetched", shown::error(&error));
        for value in [placed("text".into()), placed(70_000.into()), table] {
            let source = PortSource(Arc::new(move || Ok(value.clone())));
            let build = move |_: &Snapshot| Config::builder().add_source(source.clone()).build();
            let error = configured(build.clone()).await;
            assert!(error.to_string().contains("://"), "names the source");
            canaries.assert_absent("a source of config-rs", shown::error(&error));
            let live: Live<serde_json::Value> =
                Live::builder(no_secrets()).layers(build).start().await.unwrap();
            canaries.assert_absent("an explanation", shown::live(&live));
        }
    }
    log.assert_silent(&canaries, &[]);
}

#[tokio::test]
async fn a_failed_fetch_inside_config_rs_or_figment_shows_no_value() {
    let log = Log::start();
    let mut canaries = Canaries::of("fetches");
    let fake = FakeSecretsManager::start().await.unwrap();
    fake.put("app/port", canaries.plain("a value"));
    fake.put("app", canaries.awkward("no object"));
    let manager = SecretsManager::prefix("app").client(end_to_end::client(&fake));
    for fault in [Fault::malformed_body(), Fault::truncated_body(), Fault::throttled().times(0)] {
        let id = fake.inject(fault.on("BatchGetSecretValue"));
        let error = Config::builder().add_async_source(manager.clone()).build().await.unwrap_err();
        canaries.assert_absent("config-rs", shown::foreign(&error));
        let error = manager.collect().await.unwrap_err();
        canaries.assert_absent("a source", shown::foreign(&error));
        let manager = manager.clone();
        let (error, settings) = tokio::task::spawn_blocking(move || {
            let figment = Figment::from(manager);
            (
                figment.extract::<Settings>().unwrap_err(),
                figment.settings::<Settings>().unwrap_err(),
            )
        })
        .await
        .unwrap();
        canaries.assert_absent("figment", shown::foreign(&error) + &shown::error(&settings));
        fake.remove_fault(id);
    }
    log.assert_silent(&canaries, &["aws_smithy_runtime", "secrets_provider"]);
}

/// A figment provider whose `port` is this value, or that fails with this error.
struct Provided {
    metadata: Metadata,
    data: Result<figment::value::Value, figment::Error>,
}

impl Provider for Provided {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<figment::value::Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(Dict::from([("port".to_owned(), self.data.clone()?)])))
    }
}

#[test]
fn errors_from_figment_show_no_value() {
    let log = Log::start();
    let mut canaries = Canaries::of("figment");
    let folder = tempfile::tempdir().unwrap();
    for (index, canary) in
        [canaries.plain("a value"), canaries.awkward("an awkward value")].into_iter().enumerate()
    {
        let file = folder.path().join(format!("{index}.toml"));
        std::fs::write(&file, format!("port = {canary}")).unwrap();
        let failing = |error| Provided { metadata: Metadata::named("A Store"), data: Err(error) };
        let quoting = || figment::Error::from(format!("bad {canary}"));
        let of_type = figment::error::Kind::InvalidType(
            figment::error::Actual::Str(canary.clone()),
            canary.clone(),
        );
        for figment in [
            Figment::from(Toml::string(&format!("port = {canary}"))),
            Figment::from(Toml::string(&format!("port = \"{canary}"))),
            Figment::from(Toml::file(file)),
            Figment::from(failing(quoting())),
            Figment::from(failing(quoting().with_path("port").chain(quoting()))),
            Figment::from(failing(of_type.into())),
            Figment::from(Serialized::default("port", &canary)),
            Figment::from(Serialized::default("port", [&canary])),
            Figment::from(Serialized::default("port.a", &canary)),
            Figment::from(Serialized::global("port", &canary)).select(Profile::Global),
        ] {
            let error = figment.settings::<Settings>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            canaries.assert_absent("settings of a figment", shown::error(&error));
        }
    }
    log.assert_silent(&canaries, &[]);
}

#[tokio::test]
async fn providers_of_figment_are_named_without_their_passwords() {
    let log = Log::start();
    let mut canaries = Canaries::of("providers");
    for url in urls(&mut canaries) {
        for metadata in [Metadata::from("A Store", url.as_str()), Metadata::named(url.clone())] {
            let holding = Provided { metadata: metadata.clone(), data: Ok("text".into()) };
            let failing = Provided { metadata, data: Err("gone".to_owned().into()) };
            for figment in [Figment::from(&holding), Figment::from(failing)] {
                let error = figment.settings::<Settings>().unwrap_err();
                assert!(error.to_string().contains("://"), "names the provider: {error}");
                canaries.assert_absent("settings of a figment", shown::error(&error));
            }
            let figment = Figment::from(holding);
            let builder = Live::<serde_json::Value>::builder(no_secrets());
            let live = builder.layers(move |_| figment.clone()).start().await.unwrap();
            canaries.assert_absent("an explanation", shown::live(&live));
        }
    }
    log.assert_silent(&canaries, &[]);
}
