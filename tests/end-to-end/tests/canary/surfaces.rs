//! Every public type, every kind of error, and the stores that need no AWS.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fake_secrets_manager::{FakeSecretsManager, Fault};
use figment::Figment;
use secrets_provider::backend::conformance;
use secrets_provider::{
    Agent, DatabaseRole, Directory, Dotenv, Error, ErrorKind, Failover, Fetched, Key, Labels,
    Layers, Lease, Live, Memory, NewValue, ParameterStore, Pins, Push, Rejected, Retry, Rotating,
    RotationChange, SecretsManager, Snapshot, StatusPage, Trigger, Vault, endpoints,
};
use serde::Deserialize;
use serde_json::Value;

use crate::canaries::Canaries;
use crate::fixtures::secrets_only;
use crate::log::Log;
use crate::shown;

/// Settings whose own `Debug` shows everything.
#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Settings {
    token: Rotating<String>,
    key: Key<32>,
    pin: u64,
    database: Value,
}

/// The parts of a live value, with canaries in every layer and in both versions.
struct Planted {
    canaries: Canaries,
    memory: Memory,
    manager: SecretsManager,
    layers: Layers,
    dotenv: Dotenv,
    _folder: tempfile::TempDir,
}

fn planted(test: &'static str) -> Planted {
    let mut canaries = Canaries::of(test);
    let memory = Memory::new();
    memory.put("app/token", canaries.plain("the version before"));
    memory.put("app/token", canaries.plain("the current version"));
    memory.put_binary("app/key", canaries.bytes("a key", 32));
    memory.put("app/pin", canaries.number("a number"));
    let password = canaries.awkward("a password");
    memory.put("app/database", serde_json::json!({ "password": password }).to_string());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    let [in_file, in_file_too] = [canaries.plain("in .env"), canaries.plain("in .env, hidden")];
    fs::write(&file, format!("DATABASE__USER={in_file}\nTOKEN={in_file_too}\n")).unwrap();
    let variables = [
        ("DATABASE__HOST", canaries.awkward("a variable")),
        ("DATABASE__PASSWORD", canaries.awkward("a hidden variable")),
        ("CLERK_SECRET_KEY", canaries.plain("a placed variable")),
        ("UNRELATED", canaries.plain("an unrelated variable")),
    ];
    let manager = SecretsManager::prefix("app").with_previous(["token"]).backend(memory.clone());
    let layers = Layers::new().dotenv(&file).environment_from(variables);
    let layers = layers.variable("CLERK_SECRET_KEY", "database.clerk");
    Planted { canaries, memory, manager, layers, dotenv: Dotenv::file(&file), _folder: folder }
}

impl Planted {
    async fn live(&self) -> Live<Settings> {
        let layers = self.layers.clone();
        let builder = Live::builder(self.manager.clone());
        builder.layers(move |secrets| layers.clone().secrets(secrets)).start().await.unwrap()
    }
}

/// `Debug` by type.
#[derive(Default)]
struct Shown(BTreeMap<&'static str, String>);

impl Shown {
    fn add(&mut self, name: &'static str, shown: &impl Debug) {
        *self.0.entry(name).or_default() += &shown::debug(shown);
    }
}

#[tokio::test]
async fn debug_of_no_public_type_shows_a_value() {
    let log = Log::start();
    let mut planted = planted("types");
    let live = planted.live().await;
    let mut changes = live.changes();
    let mut shown = Shown::default();

    let derived = live
        .derive("token", async |settings: std::sync::Arc<Settings>| Ok(settings.clone()))
        .await
        .unwrap();
    shown.add("Live", &derived);
    let view = live.map(|settings| &settings.token.current);
    shown.add("View", &view);
    shown.add("Mapped", &view.load());
    shown.add("Part", &view.current());
    shown.add("Reader", &live.reader());
    shown.add("Retry", &Retry::Fresh);
    let mut pins = Pins::default();
    pins.pin(live.clone());
    shown.add("Pins", &pins);
    let (trigger, triggers) = Trigger::channel();
    shown.add("TriggerSender", &trigger);
    shown.add("Trigger", &Trigger::new("a queue"));
    shown.add(
        "LiveBuilder",
        &Live::<Settings>::builder(planted.manager.clone()).refresh_on(triggers),
    );

    let push = Push::queue("https://sqs.us-east-1.amazonaws.com/123456789012/changes");
    shown.add("Push", &push);
    let topic = Push::topic("arn:aws:sns:us-east-1:123456789012:changes");
    planted.canaries.assert_absent("Push of a topic", shown::debug(&topic));
    let layers = planted.layers.clone();
    let builder = Live::<Settings>::builder(planted.manager.clone()).push(push);
    let pushed = builder.layers(move |secrets| layers.clone().secrets(secrets)).start().await;
    let status = pushed.unwrap().status().push().unwrap();
    shown.add("PushStatus", &status);
    shown.add("PushState", &status.state());
    let token = planted.canaries.plain("the token of peers");
    let peers = Push::peers("127.0.0.1:1", token);
    planted.canaries.assert_absent("Push of peers", shown::debug(&peers));
    let builder = Live::<Settings>::builder(planted.manager.clone()).push(peers);
    let layers = planted.layers.clone();
    let passing = builder.layers(move |secrets| layers.clone().secrets(secrets)).start().await;
    shown.add("PeersStatus", &passing.unwrap().status().peers().unwrap());

    planted.memory.put("app/token", planted.canaries.plain("a new version"));
    let refreshed = live.refresh().await.unwrap();
    shown.add("Refreshed", &refreshed);
    shown.add("Changes", &changes);
    let change = changes.next().await.unwrap();
    shown.add("Change", &change);
    planted.memory.put("app/pin", planted.canaries.plain("no number"));
    let error = live.refresh().await.unwrap_err();
    shown.add("Error", &error);
    shown.add("ErrorKind", &error.kind());
    let status = live.status();
    shown.add("Status", &status);
    shown.add("DerivedStatus", &status.derived()[0]);
    shown.add("Health", &status.health());
    shown.add("LastError", &status.last_error().unwrap());
    shown.add("SecretStatus", &status.secrets());
    shown.add("SecretState", &status.secrets()[0].state());
    let page = StatusPage::of(&live);
    shown.add("StatusPage", &page);
    let token =
        endpoints::RefreshToken::new(planted.canaries.plain("the token of the refresh route"))
            .unwrap();
    shown.add("RefreshToken", &token);
    let mut answers = vec![endpoints::live(), endpoints::ready(&live)];
    answers.extend([None, Some("text/html")].map(|accept| endpoints::status(&live, accept, None)));
    for authorization in [None, Some(planted.canaries.plain("a wrong token"))] {
        let authorization = authorization.map(|token| format!("Bearer {token}"));
        let authorization = authorization.as_ref().map(|text| text.as_bytes());
        answers.push(endpoints::refresh(&live, &token, authorization).await);
    }
    shown.add("Answer", &answers);
    let bodies = answers.into_iter().map(endpoints::Answer::into_body);
    planted.canaries.assert_absent("answers", bodies.collect::<String>() + &page.to_string());
    shown.add("Live", &live);
    shown.add("Guard", &live.load());
    let explanation = live.explain();
    shown.add("Explanation", &explanation);
    let keys = explanation.keys();
    assert!(keys.iter().any(|key| !key.hides().is_empty()), "nothing hides anything");
    shown.add("ExplainedKey", &keys);
    shown.add("Provenance", &keys[0].source());
    shown.add("Layer", &keys[0].source().layer());

    let lookup = planted.manager.lookup();
    lookup.get::<Rotating<String>>("token").await.unwrap();
    shown.add("Lookup", &lookup);
    shown.add("LookupStats", &lookup.stats());
    shown.add("Get", &lookup.get::<String>("token").key("a"));
    shown.add("Getting", &lookup.get::<String>("token").into_future());

    shown.add("SecretsManager", &planted.manager);
    let sources = planted.manager.clone().and(planted.manager.clone());
    shown.add("Sources", &sources);
    let layers = planted.layers.clone();
    let several = Live::<serde_json::Value>::builder(sources);
    let several = several.layers(move |secrets| layers.clone().secrets(secrets)).start().await;
    shown.add("Failover", &Failover::standby("eu-west-1").read_since(tokio::time::Instant::now()));
    shown.add("SourceStatus", &several.unwrap().status().sources());
    shown.add("LiveBuilder", &Live::<Settings>::builder(planted.manager.clone()));
    let snapshot: Snapshot = planted.manager.fetch().await.unwrap();
    shown.add("Snapshot", &snapshot);
    shown.add("SecretVersion", &snapshot.secrets());
    shown.add("Layers", &planted.layers.clone().secrets(&snapshot));
    shown.add("Dotenv", &planted.dotenv);
    shown.add("Memory", &planted.memory);
    shown.add("Directory", &Directory::new("secrets").alias("file", "app/x").binary("app/y"));
    // Nothing listens there: what the error says is shown, too.
    let vault = Vault::new("http://127.0.0.1:1");
    let (token, secret_id) =
        (planted.canaries.plain("vault token"), planted.canaries.plain("vault secret id"));
    for vault in [vault.clone().token(token), vault.app_role("app", secret_id)] {
        let vault = vault.database("creds/app");
        shown.add("Vault", &vault);
        let error = SecretsManager::names(["app/x"]).backend(vault).fetch().await.unwrap_err();
        shown.add("Error", &error);
    }
    shown.add("ParameterStore", &ParameterStore::new());
    let token = planted.canaries.plain("the agent's token");
    let agent = Agent::local().address("http://127.0.0.1:1").token(token);
    shown.add("Agent", &agent);
    let error = SecretsManager::names(["app/x"]).backend(agent).fetch().await.unwrap_err();
    shown.add("Error", &error);
    let fetched =
        Fetched::text("app/x", "v1", planted.canaries.plain("fetched text")).with_arn("arn");
    shown.add("Fetched", &fetched);
    shown.add(
        "Fetched",
        &Fetched::binary("app/x", "v1", planted.canaries.bytes("fetched binary", 32)),
    );
    let lease = Lease::new(Some(std::time::Duration::from_secs(60)), None);
    shown.add("Fetched", &fetched.clone().with_lease(&lease));
    shown.add("Lease", &lease);
    shown.add("DatabaseRole", &DatabaseRole::new("creds/app").named("app/database"));
    let report = conformance::check(&Unwritable(planted.memory.clone())).await;
    shown.add("Report", &report);
    let (case, result) = report.results().next().unwrap();
    shown.add("Case", &case);
    shown.add("CaseResult", &result);
    shown.add("Failure", &report.failures().next().expect("a store that cannot be written fails"));
    shown.add("Capability", &report.skipped().next().unwrap().1);
    shown.add("Rejected", &Rejected::new("the token is too short"));
    shown.add("Rotating", &live.load().token);
    shown.add("Key", &live.load().key);
    shown.add("Current", &secrets_provider_axum::Current(live.current()));
    shown.add("Current", &secrets_provider_actix::Current(live.current()));
    let request =
        actix_web::test::TestRequest::default().app_data(live.current()).to_http_request();
    let extracted =
        <secrets_provider_actix::Current<Settings> as actix_web::FromRequest>::extract(&request);
    shown.add("MissingLive", &extracted.await.unwrap_err());

    shown.add("NewValue", &NewValue::from(planted.canaries.plain("a new value")));
    shown.add("NewValue", &NewValue::from(planted.canaries.bytes("new bytes", 32)));
    shown.add("Labels", &Labels::new("v1").with_pending(Some("v2".to_owned())));
    let of_change = Arc::new(Mutex::new(String::new()));
    let into = of_change.clone();
    let rotation = planted.manager.rotation("database").password("password").set(
        move |change: RotationChange<Value>| {
            *into.lock().unwrap() = shown::debug(&change);
            async { Ok(()) }
        },
    );
    shown.add("Rotation", &rotation);
    shown.add("StoreRotation", &planted.manager.rotate("database"));
    let plan = rotation.plan().await.unwrap();
    shown.add("RotationPlan", &plan);
    planted.canaries.assert_absent("a plan", plan.to_string() + &shown::json(&plan));
    planted.canaries.assert_absent("a rotation's policy", rotation.iam_policy());
    let rotated = rotation.run().await.unwrap();
    let now: Value = planted.manager.fetch().await.unwrap().extract().unwrap();
    let password = now["database"]["password"].as_str().unwrap().to_owned();
    planted.canaries.plant_text("a new password", password);
    shown.add("Rotated", &rotated);
    planted.canaries.assert_absent("a rotation's result", shown::json(&rotated));
    shown.0.insert("RotationChange", of_change.lock().unwrap().clone());
    assert!(!shown.0["RotationChange"].is_empty(), "`set` was not called");

    for (name, shown) in &shown.0 {
        planted.canaries.assert_absent(name, shown);
    }
    let all =
        [change_and(&refreshed), change_and(&change), shown::live(&live), shown::error(&error)];
    planted.canaries.assert_absent("all views of a live value", all.concat());
    planted.canaries.assert_absent("all of an explanation", explanation.all().to_string());
    planted.canaries.assert_absent("a policy", planted.manager.iam_policy());
    let figment = Figment::from(snapshot);
    let metadata = figment.find_metadata("database.password").unwrap();
    let place = metadata.interpolate(figment.profile(), &["database", "password"]);
    planted.canaries.assert_absent("figment's metadata", shown::debug(metadata) + &place);
    log.assert_silent(&planted.canaries, &["secrets_provider"]);

    // `Merged` has no `Debug`, and cannot be named outside its crate.
    let known: BTreeSet<String> =
        shown.0.keys().map(|name| (*name).to_owned()).chain(["Merged".into()]).collect();
    assert_eq!(public_types(), known, "the public types, and those that this test shows");
}

fn change_and(shown: &(impl Debug + serde::Serialize)) -> String {
    shown::debug(shown) + &shown::json(shown)
}

/// A harness that writes nothing, so that most cases fail.
struct Unwritable(Memory);

impl conformance::Harness for Unwritable {
    fn backend(&self) -> &dyn secrets_provider::Backend {
        &self.0
    }

    async fn put(&self, _: &str, _: &str) {}

    fn lacks(&self) -> Vec<conformance::Capability> {
        use conformance::Capability::*;
        vec![Binary, Delete, Deny, DenyList, Corrupt, Stall, OtherIds, Changes]
    }
}

/// The names of all public types in the sources.
fn public_types() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut names = BTreeSet::new();
    for package in ["secrets-provider", "axum-ext", "actix-ext"] {
        for source in sources(&root.join(package).join("src")) {
            let text = fs::read_to_string(source).unwrap();
            let declared = text.lines().filter_map(|line| {
                let line = line.trim_start();
                let name = ["pub struct ", "pub enum ", "pub union "]
                    .iter()
                    .find_map(|item| line.strip_prefix(item))?;
                name.split(|c: char| !c.is_alphanumeric()).next()
            });
            names.extend(declared.map(str::to_owned));
        }
    }
    names
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The kinds of errors in the source.
fn kinds() -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../secrets-provider/src/error.rs");
    let text = fs::read_to_string(file).unwrap();
    let (_, body) = text.split_once("pub enum ErrorKind {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    body.lines().filter_map(|line| line.trim().strip_suffix(',')).map(str::to_owned).collect()
}

#[tokio::test]
async fn no_kind_of_error_shows_a_value() {
    type Arrange = fn(&FakeSecretsManager, String);
    type Manage = fn(SecretsManager) -> SecretsManager;
    const AS_IT_IS: Manage = |manager| manager;
    let deny: Arrange = |fake, _| fake.deny_secret("app/token");
    let table: [(ErrorKind, Manage, Arrange); 11] = [
        (ErrorKind::Config, |manager| manager.rename("{a", "b"), |_, _| {}),
        (ErrorKind::Malformed, AS_IT_IS, |fake, canary| {
            fake.put("app", canary);
        }),
        (ErrorKind::Conflict, AS_IT_IS, |fake, canary| {
            fake.put("app/database", serde_json::json!({ "url": canary }).to_string());
            fake.put("app/database/url", canary);
        }),
        (ErrorKind::Invalid, AS_IT_IS, |fake, canary| {
            fake.put("app/pin", canary);
        }),
        (ErrorKind::Rejected, AS_IT_IS, |fake, canary| {
            fake.put("app/refused", canary);
        }),
        (ErrorKind::Kms, AS_IT_IS, |fake, _| {
            fake.use_kms_key("app/token", "arn:aws:kms:us-east-1:123456789012:key/1");
            fake.disable_kms_key("arn:aws:kms:us-east-1:123456789012:key/1");
        }),
        (ErrorKind::AccessDenied, AS_IT_IS, deny),
        (ErrorKind::NotFound, |manager| manager.only(["token", "tokens"]), |_, _| {}),
        (
            ErrorKind::PendingDeletion,
            |manager| manager.only(["token"]),
            |fake, _| {
                let client = fake.client();
                let deletion = async move {
                    client.delete_secret().secret_id("app/token").send().await.unwrap()
                };
                futures_util::FutureExt::now_or_never(deletion).unwrap();
            },
        ),
        (ErrorKind::Throttled, AS_IT_IS, |fake, _| {
            fake.inject(Fault::throttled());
        }),
        (ErrorKind::Unavailable, AS_IT_IS, |fake, _| {
            fake.inject(Fault::truncated_body());
        }),
    ];
    let provoked: BTreeSet<String> = table.iter().map(|(kind, ..)| format!("{kind:?}")).collect();
    assert_eq!(provoked, kinds(), "the kinds of errors, and those that this test causes");

    #[derive(Debug, Deserialize)]
    struct Settings {
        #[allow(dead_code, reason = "only serde uses it")]
        pin: Option<u8>,
        refused: Option<String>,
    }
    let log = Log::start();
    let mut canaries = Canaries::of("kinds");
    for (kind, manage, arrange) in table {
        let fake = FakeSecretsManager::new();
        fake.put("app/token", canaries.awkward(&format!("a secret, {kind}")));
        arrange(&fake, canaries.plain(&format!("{kind}")));
        let config = fake.sdk_config().to_builder();
        let retries = aws_sdk_secretsmanager::config::retry::RetryConfig::disabled();
        let manager =
            manage(SecretsManager::prefix("app").aws_config(&config.retry_config(retries).build()));
        let start = secrets_only::<Settings>(manager).validate(|settings| match settings.refused {
            Some(_) => Err(Rejected::new("there is one secret too many")),
            None => Ok(()),
        });
        let error: Error = start.start().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        canaries.assert_absent(kind.as_str(), shown::error(&error));
    }
    log.assert_silent(&canaries, &["aws_smithy_runtime", "secrets_provider"]);
}

#[tokio::test]
async fn no_file_shows_what_it_holds() {
    let log = Log::start();
    let mut canaries = Canaries::of("files");
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    fs::create_dir(&app).unwrap();
    let canary = canaries.awkward("text");
    let write = |name: &str, content: &[u8]| fs::write(app.join(name), content).unwrap();
    write("token", format!("{}\n", canaries.plain("a token")).as_bytes());
    write("json", serde_json::json!({ "password": canary }).to_string().as_bytes());
    write("binary", &canaries.bytes("binary", 32));
    fs::set_permissions(app.join("token"), fs::Permissions::from_mode(0o644)).unwrap();
    let outside = folder.path().join("outside");
    fs::write(&outside, canaries.plain("outside")).unwrap();

    type Arrange<'a> = &'a dyn Fn(&Path);
    let large = canaries.plain("large");
    let arrangements: [Arrange<'_>; 9] = [
        &|_| {},
        &|path| fs::write(path, large.repeat(2000)).unwrap(),
        &|path| fs::write(path, format!("{{\"a\": {canary}")).unwrap(),
        &|path| fs::write(path, format!("{{\"a\": \"{large}\", \"a\": \"{large}\"}}")).unwrap(),
        &|path| fs::create_dir(path).unwrap(),
        &|path| symlink("nowhere", path).unwrap(),
        &|path| symlink(&outside, path).unwrap(),
        &|path| symlink(path, path).unwrap(),
        &|path| {
            fs::write(path, &large).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        },
    ];
    #[derive(Debug, Deserialize)]
    struct Settings {
        #[allow(dead_code, reason = "only serde uses it")]
        odd: Option<BTreeMap<String, u8>>,
    }
    let mut refusals = 0;
    for (index, arrange) in arrangements.into_iter().enumerate() {
        for name in ["odd", "odd/below", ".self"] {
            let path = app.join(name);
            let _ = fs::create_dir(path.parent().unwrap());
            arrange(&path);
            for directory in
                [Directory::new(folder.path()), Directory::mounted(&app).alias("odd", "app/odd")]
            {
                for manager in
                    [SecretsManager::prefix("app"), SecretsManager::names(["app/odd", "app/token"])]
                {
                    let manager = manager.backend(directory.clone());
                    canaries.assert_absent(
                        "a directory",
                        shown::debug(&directory) + &shown::debug(&manager),
                    );
                    let live = secrets_only::<Settings>(manager).start().await;
                    let shown = match &live {
                        Err(error) => shown::error(error),
                        Ok(live) => shown::live(live),
                    };
                    refusals += usize::from(live.is_err());
                    canaries.assert_absent(&format!("arrangement {index} at `{name}`"), shown);
                }
            }
            for name in ["odd", ".self"] {
                let path = app.join(name);
                let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(path));
            }
        }
    }
    assert!(refusals > 30, "{refusals}");
    log.assert_silent(&canaries, &["secrets_provider"]);
    assert!(log.ours().contains("secret_file_readable_by_others"));
}
