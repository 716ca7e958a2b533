//! What readers see of a rotation: nothing that their settings refuse, and a new value at once.

use super::*;
use crate::error::ErrorKind;
use crate::live::Live;

#[derive(Deserialize)]
struct Settings {
    database: Login,
}

/// Fails while the password is as long as a new one is.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Short {
    database: ShortLogin,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct ShortLogin {
    password: ShortText,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct WithLimits {
    database: Login,
    limits: Limits,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Limits {
    connections: u16,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
#[allow(dead_code, reason = "only serde uses it")]
struct ShortText(String);

impl TryFrom<String> for ShortText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() > 20 { Err(format!("{text} is too long")) } else { Ok(Self(text)) }
    }
}

#[tokio::test(start_paused = true)]
async fn what_serves_secrets_of_the_manager_sees_a_rotation_at_once_and_others_later() {
    for (name, store) in stores() {
        let store = store(NAME, TEXT);
        let first = manager(&store, &Gates::default());
        let other = manager(&store, &Gates::default());
        let by_name = first.clone().only(["database"]).timeout(Duration::from_secs(9));
        let live = |manager: SecretsManager| async {
            let hour = Duration::from_secs(3600 * 24);
            let live: Live<Settings> =
                Live::builder(manager).refresh_every(hour).start().await.expect("settings");
            live
        };
        let (whole, single) = (live(first.clone()).await, live(by_name).await);
        let stranger = live(other).await;
        let lookup = first.lookup();
        let password = async || -> SecretString {
            lookup.get("database").key("password").await.expect("a password")
        };
        assert_eq!(password().await.expose_secret(), "the-first-one", "{name}");
        let rotated = first.rotation("database").password("password").run().await;
        let version_id = rotated.expect("a rotation").version_id().to_owned();
        for (what, live) in [("a clone", &whole), ("another description", &single)] {
            let status = live.status();
            let versions = status.secrets();
            assert_eq!(versions[0].version_id(), version_id, "{name}: {what}");
            assert_ne!(live.load().database.password.expose_secret(), "the-first-one");
        }
        let looked_up = password().await;
        let served = whole.load();
        assert_eq!(looked_up.expose_secret(), served.database.password.expose_secret(), "{name}");
        assert_eq!(stranger.load().database.password.expose_secret(), "the-first-one", "{name}");
    }
}

#[tokio::test]
async fn a_value_that_the_settings_refuse_never_becomes_current() {
    let memory = Memory::new();
    memory.put(NAME, TEXT);
    let manager = SecretsManager::prefix("app").backend(memory.clone());
    let rotation = || manager.rotation("database").password("password");
    let error = rotation().checked_by::<Short>().run().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(error.errors()[1].key(), Some("database.password"), "{error}");
    assert!(!error.to_string().contains("too long"), "{error}");
    let labels = memory.writer().expect("a writer").labels(NAME).await.expect("labels");
    assert_eq!(labels, Labels::new("v1"), "nothing was stored");

    // Even if the current value is refused as well.
    memory.put(NAME, TEXT.replace("the-first-one", "longer than twenty characters"));
    rotation().checked_by::<Short>().run().await.expect_err("refused");
    rotation().checked_by::<Settings>().run().await.expect("a rotation");

    // What is wrong in another secret is not the new value's fault.
    memory.put("app/limits", r#"{"connections": "many"}"#);
    rotation().checked_by::<WithLimits>().run().await.expect("a rotation");
}

/// A pending version that another program has made is checked before it is taken up.
#[tokio::test]
async fn a_pending_value_that_the_settings_refuse_is_not_taken_up() {
    let memory = Memory::new();
    memory.put(NAME, TEXT);
    let manager = SecretsManager::prefix("app").backend(memory.clone());
    let refused = |_: RotationChange<Login>| async { Err(Rejected::new("refused")) };
    let rotation = || manager.rotation("database").password("password");
    rotation().set(refused).run().await.expect_err("refused");
    rotation().checked_by::<Short>().run().await.expect_err("refused");
    let labels = memory.writer().expect("a writer").labels(NAME).await.expect("labels");
    assert_eq!(labels.current, "v1");
}
