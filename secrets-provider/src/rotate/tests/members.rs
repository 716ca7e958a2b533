//! What a rotation changes in a secret, what it leaves, and what it refuses before it stores
//! anything.

use super::*;
use crate::error::ErrorKind;
use crate::extract::key::Key;

fn stored(text: &str) -> (Memory, SecretsManager) {
    let memory = Memory::new();
    memory.put(NAME, text);
    (memory.clone(), SecretsManager::prefix("app").backend(memory))
}

async fn current(memory: &Memory) -> Fetched {
    let writer = memory.writer().expect("a writer");
    let id = writer.labels(NAME).await.expect("labels").current;
    writer.version(NAME, &id).await.expect("a version").expect("a value")
}

#[derive(Deserialize)]
struct Full {
    username: String,
    password: SecretString,
}

fn url(login: &Full) -> String {
    format!("postgres://{}:{}@db/app", login.username, login.password.expose_secret())
}

const FULL: &str = "{ \"z\": 1.50e0, \"url\":\"postgres://app:the-first-one@db/app\",\n\
                    \"password\": \"the-first-one\",\"username\":\"app\", \"rotated_at\": null }";

#[tokio::test]
async fn members_that_follow_are_rebuilt_and_every_other_byte_stays() {
    let (memory, manager) = stored(FULL);
    let rotation = || {
        let rotation = manager.rotation("database").password("password");
        rotation.also("url", url).stamp("rotated_at").stamp("not_there")
    };
    let plan = rotation().plan().await.expect("a plan");
    assert_eq!((plan.members(), plan.resumes()), (&["password".to_owned()][..], None));
    assert_eq!(plan.follow(), ["url", "rotated_at"]);
    let shown = "- make new values for `password`\n- change `url`, `rotated_at` accordingly";
    assert!(plan.to_string().contains(shown), "{plan}");
    assert_eq!(current(&memory).await.expose_text(), Some(FULL), "a plan changes nothing");

    let rotated = rotation().run().await.expect("a rotation");
    let after = current(&memory).await;
    assert_eq!(after.version_id(), rotated.version_id());
    let text = after.expose_text().expect("text");
    let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let (password, stamp) = (value["password"].as_str(), value["rotated_at"].as_str());
    let (password, stamp) = (password.expect("a password"), stamp.expect("a stamp"));
    assert_eq!((password.len(), stamp.len()), (32, 20));
    let expected = FULL.replace("the-first-one", password).replace("null", &format!("\"{stamp}\""));
    assert_eq!(text, expected);
}

#[tokio::test]
async fn secrets_that_are_no_objects_rotate_as_a_whole() {
    let (memory, manager) = stored("the-first-token");
    manager.rotation("database").password("").run().await.expect("a rotation");
    assert_eq!(current(&memory).await.expose_text().map(str::len), Some(32));

    memory.put_binary(NAME, [7; 32]);
    manager.rotation("database").key::<32>("").run().await.expect("a rotation");
    let after = current(&memory).await;
    assert_eq!((after.expose_text(), after.expose_bytes().len()), (None, 32));

    #[derive(Deserialize)]
    struct Settings {
        database: Key<32>,
    }
    let settings: Settings = manager.fetch().await.expect("secrets").extract().expect("a key");
    assert_eq!(settings.database.as_bytes(), after.expose_bytes());

    let (memory, manager) = stored(r#"{"key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#);
    manager.rotation("database").key::<32>("key").run().await.expect("a rotation");
    let after = current(&memory).await;
    let value: serde_json::Value = serde_json::from_slice(after.expose_bytes()).expect("JSON");
    assert_eq!(value["key"].as_str().map(str::len), Some(44), "base64 in text");
}

#[tokio::test]
async fn an_old_value_left_anywhere_is_an_error_before_anything_is_stored() {
    for (text, rest) in [
        (FULL.to_owned(), "in a URL"),
        (TEXT.replace("app", "the-first-one"), "as a whole member"),
        (TEXT.replace("app", "dGhlLWZpcnN0LW9uZQ=="), "in base64"),
    ] {
        let (memory, manager) = stored(&text);
        let called = Arc::new(AtomicUsize::new(0));
        let calls = called.clone();
        let rotation = || manager.rotation("database").password("password");
        let set = rotation().set(move |_: RotationChange<Login>| {
            calls.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        });
        let error = set.run().await.expect_err(rest);
        assert_eq!(error.kind(), ErrorKind::Rejected, "{rest}: {error}");
        assert_eq!(error.key(), Some("password"), "{rest}");
        assert!(error.hint().is_some_and(|hint| hint.contains(".also(")), "{rest}: {error}");
        let labels = memory.writer().expect("a writer").labels(NAME).await.expect("labels");
        assert_eq!((labels.pending, called.load(Ordering::Relaxed)), (None, 0), "{rest}");
        // The program may say that it is meant.
        rotation().keep("url").keep("username").run().await.expect(rest);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_anything_is_made() {
    type Describe = fn(Rotation) -> Rotation;
    fn made(rotation: Rotation, member: &str) -> Rotation {
        rotation.generate(member, || async { Ok::<_, Rejected>("new") })
    }
    let table: [(&str, &str, Describe, ErrorKind); 12] = [
        ("nothing changes", TEXT, |rotation| rotation, ErrorKind::Config),
        ("no such member", TEXT, |rotation| made(rotation, "pass"), ErrorKind::Invalid),
        ("the whole of an object", TEXT, |rotation| made(rotation, ""), ErrorKind::Invalid),
        ("a table", r#"{"a": {"b": 1}}"#, |rotation| made(rotation, "a"), ErrorKind::Invalid),
        (
            "a member twice",
            TEXT,
            |rotation| made(made(rotation, "password"), "password"),
            ErrorKind::Malformed,
        ),
        (
            "a key twice",
            r#"{"a": "1", "a": "2"}"#,
            |rotation| made(rotation, "a"),
            ErrorKind::Malformed,
        ),
        ("two for one text", "x", |rotation| made(made(rotation, "a"), "b"), ErrorKind::Invalid),
        (
            "a derived member that is not there",
            TEXT,
            |rotation| made(rotation, "password").also("url", url),
            ErrorKind::Invalid,
        ),
        (
            "a type that does not fit",
            r#"{"password": "one", "url": "x"}"#,
            |rotation| made(rotation, "password").also("url", url),
            ErrorKind::Invalid,
        ),
        (
            "an empty value",
            TEXT,
            |rotation| rotation.generate("password", || async { Ok::<_, Rejected>("") }),
            ErrorKind::Rejected,
        ),
        (
            "the same value again",
            TEXT,
            |rotation| {
                rotation.generate("password", || async { Ok::<_, Rejected>("the-first-one") })
            },
            ErrorKind::Rejected,
        ),
        (
            "a user who takes no turns",
            TEXT,
            |rotation| made(rotation, "password").alternate("a", "b"),
            ErrorKind::Invalid,
        ),
    ];
    for (what, text, describe, kind) in table {
        let (memory, manager) = stored(text);
        let error = describe(manager.rotation("database")).run().await.expect_err(what);
        assert_eq!(error.kind(), kind, "{what}: {error}");
        let labels = memory.writer().expect("a writer").labels(NAME).await.expect("labels");
        assert_eq!(labels.pending, None, "{what}");
        assert_eq!(current(&memory).await.expose_text(), Some(text), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn closures_that_fail_panic_or_hang_leave_the_current_version() {
    let hang = || async { std::future::pending::<Result<(), Rejected>>().await };
    type Steps = Box<dyn Fn(Rotation) -> Rotation>;
    let table: [(&str, Steps, bool); 7] = [
        (
            "refused",
            Box::new(|rotation| {
                rotation.set(|_: RotationChange<Login>| async { Err(Rejected::new("refused")) })
            }),
            true,
        ),
        (
            "panicked",
            Box::new(|rotation| {
                rotation.set(|_: RotationChange<Login>| async { panic!("the-first-one") })
            }),
            true,
        ),
        (
            "panicked",
            Box::new(|rotation| {
                #[allow(unreachable_code, reason = "the closure needs a type")]
                rotation.set(|_: RotationChange<Login>| {
                    panic!("the-first-one");
                    async { Ok(()) }
                })
            }),
            true,
        ),
        (
            "longer than",
            Box::new(move |rotation| rotation.set(move |_: RotationChange<Login>| hang())),
            true,
        ),
        ("longer than", Box::new(move |rotation| rotation.test(move |_: Login| hang())), true),
        (
            "refused",
            Box::new(|rotation| rotation.test(|_: Login| async { Err(Rejected::new("refused")) })),
            true,
        ),
        (
            "refused",
            Box::new(|rotation| {
                rotation
                    .generate("username", || async { Err::<String, _>(Rejected::new("refused")) })
            }),
            false,
        ),
    ];
    for (at, (what, steps, is_pending)) in table.into_iter().enumerate() {
        let (memory, manager) = stored(TEXT);
        let error = steps(manager.rotation("database").password("password"));
        let error = error.run().await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Rejected, "{at}: {error}");
        assert!(error.to_string().contains(what), "{at}: {error}");
        assert!(!error.to_string().contains("first-one"), "{at}");
        assert_eq!(current(&memory).await.expose_text(), Some(TEXT), "{at}");
        let labels = memory.writer().expect("a writer").labels(NAME).await.expect("labels");
        assert_eq!(labels.pending.is_some(), is_pending, "{at}");
        // The next run takes it up.
        let rotated = manager.rotation("database").password("password").run().await;
        assert_eq!(rotated.expect("a rotation").resumed(), is_pending, "{at}");
    }
}

#[tokio::test]
async fn a_pending_version_of_another_rotation_is_not_thrown_away() {
    let (memory, manager) = stored(FULL);
    let refused = |_: RotationChange<Full>| async { Err(Rejected::new("refused")) };
    let user = manager.rotation("database").generate("z", || async { Ok::<_, Rejected>("x") });
    user.set(refused).run().await.expect_err("refused");
    let password = || manager.rotation("database").password("password").also("url", url);
    let error = password().run().await.expect_err("a conflict");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(!error.is_superseded(), "someone has to decide");
    assert!(error.hint().is_some_and(|hint| hint.contains("AWSPENDING")), "{error}");
    assert_eq!(password().plan().await.expect_err("a conflict").kind(), ErrorKind::Conflict);
    drop(memory);
}

/// Someone replaces the current version by hand between a death and the next run. The target may
/// have the pending password already, so it is kept.
#[tokio::test]
async fn a_pending_value_is_kept_if_the_current_version_was_replaced_meanwhile() {
    let (memory, manager) = stored(TEXT);
    let refused = |_: RotationChange<Login>| async { Err(Rejected::new("the answer is lost")) };
    let rotation = || manager.rotation("database").password("password");
    rotation().set(refused).run().await.expect_err("refused");
    let writer = memory.writer().expect("a writer");
    let pending = writer.labels(NAME).await.expect("labels").pending.expect("a version");
    let pending = writer.version(NAME, &pending).await.expect("a version").expect("a value");
    let pending: Login = serde_json::from_slice(pending.expose_bytes()).expect("a login");
    let by_hand = TEXT.replace("5432.0", "6432");
    memory.put(NAME, by_hand.clone());

    let plan = rotation().plan().await.expect("a plan");
    assert!(plan.to_string().contains("take the new values of `password`"), "{plan}");
    assert!(rotation().run().await.expect("a rotation").resumed());
    let expected = by_hand.replace("the-first-one", pending.password.expose_secret());
    assert_eq!(current(&memory).await.expose_text(), Some(expected.as_str()));
}
