//! Rotations: whatever goes wrong, neither the old nor the new value shows. The closures fail with
//! words that may be shown, or panic with words that may not.

use std::panic::panic_any;
use std::sync::{Arc, Mutex};

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{
    Error, Live, Memory, Rejected, Rotated, Rotation, RotationChange, SecretsManager,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::canaries::Canaries;
use crate::fixtures::secrets_only;
use crate::log::Log;
use crate::shown;

#[derive(Debug, Deserialize)]
struct Login {
    password: String,
}

/// A type that takes no password.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Number {
    password: u64,
}

/// Settings that take the old password, but no generated one.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Settings {
    database: Picky,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Picky {
    password: Awkward,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
#[allow(dead_code, reason = "only serde uses it")]
struct Awkward(String);

impl TryFrom<String> for Awkward {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.bytes().all(|c| c.is_ascii_alphanumeric()) {
            true => Err(format!("{text} is too plain")),
            false => Ok(Self(text)),
        }
    }
}

/// The new values that the closures have met.
type Met = Arc<Mutex<Vec<String>>>;

fn meet(met: &Met, login: &Login) {
    met.lock().unwrap().push(login.password.clone());
}

/// A way in which a rotation goes, by what is added to its description.
type Way = fn(Rotation, Met) -> Rotation;

const WAYS: [(&str, Way); 9] = [
    ("nothing fails", |rotation, _| rotation),
    ("set refuses", |rotation, met| {
        rotation.set(move |change: RotationChange<Login>| {
            meet(&met, change.pending());
            async { Err(Rejected::new("the database is away")) }
        })
    }),
    ("set panics", |rotation, met| {
        rotation.set(move |change: RotationChange<Login>| {
            meet(&met, change.pending());
            async move {
                panic!("{} after {}", change.pending().password, change.current().password);
            }
        })
    }),
    ("set panics at once", |rotation, met| {
        rotation.set(move |change: RotationChange<Login>| {
            meet(&met, change.pending());
            panic_any(change.pending().password.clone());
            #[allow(unreachable_code, reason = "the closure needs a type")]
            async {
                Ok(())
            }
        })
    }),
    ("test refuses", |rotation, met| {
        rotation.test(move |login: Login| {
            meet(&met, &login);
            async { Err(Rejected::new("the login is refused")) }
        })
    }),
    ("test takes another type", |rotation, _| rotation.test(|_: Number| async { Ok(()) })),
    ("the settings refuse it", |rotation, _| rotation.checked_by::<Settings>()),
    ("a derived member panics", |rotation, met| {
        rotation.also("url", move |login: &Login| -> String {
            meet(&met, login);
            panic!("{}", login.password)
        })
    }),
    ("the old value is left", |rotation, _| {
        rotation.generate("url", || async { Ok::<_, Rejected>(String::from("//new")) })
    }),
];

#[tokio::test(start_paused = true)]
async fn no_rotation_shows_a_value_however_it_ends() {
    let log = Log::start();
    let mut canaries = Canaries::of("rotations");
    for (what, way) in WAYS {
        let fake = FakeSecretsManager::new();
        let password = canaries.awkward(&format!("a password, {what}"));
        let also = (what == "the old value is left").then_some(&password);
        let secret = json!({
            "password": password, "url": canaries.plain(&format!("a URL, {what}")), "copy": also,
        });
        fake.put("app/database", secret.to_string());
        let manager = SecretsManager::prefix("app").client(fake.client());
        let live: Live<Value> = secrets_only(manager.clone()).start().await.unwrap();
        let met = Met::default();
        // The second run takes up what the first one left.
        for run in 1..=2 {
            let rotation = way(manager.rotation("database").password("password"), met.clone());
            let plan = rotation.plan().await;
            let mut all = shown::debug(&rotation) + &shown::debug(&plan);
            all += &plan.map_or_else(|error| shown::error(&error), |plan| plan.to_string());
            let outcome: Result<Rotated, Error> = rotation.run().await;
            assert_eq!(outcome.is_ok(), what == "nothing fails", "{what}");
            all += &outcome.map_or_else(|error| shown::error(&error), |done| shown::json(&done));
            all += &shown::live(&live).replace(&live_values(&live), "");
            let now = live.load()["database"]["password"].as_str().unwrap().to_owned();
            if now != password {
                canaries.plant_text(&format!("a new password, {what}, {run}"), now);
            }
            for (index, new) in met.lock().unwrap().drain(..).enumerate() {
                if new != password {
                    canaries.plant_text(&format!("met, {what}, {run}, {index}"), new);
                }
            }
            canaries.assert_absent(&format!("{what}, run {run}"), all);
        }
        live.shutdown().await;
    }
    log.assert_silent(&canaries, &["secrets_provider"]);
    for event in ["secret_rotated", "secret_rotation_failed", "secret_rotation_resumed"] {
        assert!(log.ours().contains(event), "{event} is not logged");
    }
}

/// `Debug` of the settings shows their values, as it is the program's own.
fn live_values(live: &Live<Value>) -> String {
    shown::debug(&live.load())
}

#[tokio::test(start_paused = true)]
async fn no_fault_of_aws_shows_a_value() {
    let log = Log::start();
    let mut canaries = Canaries::of("rotation faults");
    let operations =
        ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"];
    for operation in operations {
        let echo = canaries.plain(&format!("an answer of {operation}"));
        let faults: [Fault; 6] = [
            Fault::throttled(),
            Fault::truncated_body(),
            Fault::malformed_body(),
            Fault::drop_connection(),
            Fault::error("InvalidParameterException", 400, echo.clone()),
            Fault::answer(200, format!("{{\"VersionId\": \"{echo}\", \"SecretString\": 1}}")),
        ];
        for (index, fault) in faults.into_iter().enumerate() {
            let fake = FakeSecretsManager::new();
            let password = canaries.awkward(&format!("a password, {operation}, {index}"));
            fake.put("app/database", json!({ "password": password }).to_string());
            let manager = SecretsManager::prefix("app").client(fake.client());
            let new = canaries.awkward(&format!("a new password, {operation}, {index}"));
            let make = move || {
                let new = new.clone();
                async move { Ok::<_, Rejected>(new) }
            };
            fake.inject(fault.on(operation));
            let run = manager.rotation("database").generate("password", make).run().await;
            // A label that could not be taken off at the end fails no rotation.
            let shown = run.map_or_else(|error| shown::error(&error), |done| shown::json(&done));
            canaries.assert_absent(&format!("{operation}, fault {index}"), shown);
        }
    }
    // The SDK's own log at TRACE has servers' messages in it, as the guide says.
    log.assert_we_are_silent(&canaries);
}

#[tokio::test]
async fn a_rotation_that_came_second_shows_no_value() {
    let log = Log::start();
    let mut canaries = Canaries::of("superseded");
    let memory = Memory::new();
    memory.put("app/database", json!({ "password": canaries.awkward("old") }).to_string());
    let manager = SecretsManager::prefix("app").backend(memory);
    let (other, inner) = (canaries.plain("other"), manager.clone());
    let new = canaries.plain("new");
    let rotation = manager.rotation("database").generate("password", move || {
        let (new, other, inner) = (new.clone(), other.clone(), inner.clone());
        async move {
            let make = move || std::future::ready(Ok::<_, Rejected>(other.clone()));
            inner.rotation("database").generate("password", make).run().await.unwrap();
            Ok::<_, Rejected>(new)
        }
    });
    let error = rotation.run().await.unwrap_err();
    assert!(error.is_superseded(), "{error}");
    canaries.assert_absent("an error", shown::error(&error));
    log.assert_silent(&canaries, &["secrets_provider"]);
    assert!(log.ours().contains("secret_rotation_superseded"));
}
