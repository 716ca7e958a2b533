//! A file with one test, so that no other thread frees memory at the same time.

use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Directory, Fetched, Key, Layers, Memory, SecretsManager};
use wiped::Watching;

#[global_allocator]
static ALLOCATOR: Watching = Watching::new();

const NEEDLE: &[u8] = b"c4n4ry-0f-w1p1ng-5ecr3t";

fn needle() -> String {
    String::from_utf8(NEEDLE.to_vec()).expect("text")
}

#[derive(serde::Deserialize)]
struct Settings {
    text: SecretString,
    object: Object,
    binary: SecretString,
}

#[derive(serde::Deserialize)]
struct Object {
    password: SecretString,
}

fn load() -> Settings {
    let memory = Memory::new();
    memory.put("app/text", needle());
    memory.put_binary("app/binary", NEEDLE);
    // Both the JSON text and the parsed values must be wiped.
    memory.put(
        "app/object",
        ["{\"password\":\"", std::str::from_utf8(NEEDLE).expect("text"), "\"}"].concat(),
    );
    let snapshot =
        SecretsManager::prefix("app").backend(memory).fetch_blocking().expect("a snapshot");
    let layers = Layers::new().environment_from([("TEXT", needle())]).secrets(&snapshot);
    layers.extract().expect("settings")
}

#[test]
fn our_own_buffers_are_wiped_before_they_are_freed() {
    // The first fetch starts the thread for blocking fetches, before anything is watched.
    drop(load());

    assert_eq!(ALLOCATOR.unwiped(NEEDLE, || drop(needle())), 1, "the allocator finds a needle");
    assert_eq!(ALLOCATOR.unwiped(NEEDLE, || drop(Fetched::text("a", "v1", needle()))), 0);
    assert_eq!(ALLOCATOR.unwiped(NEEDLE, || drop(Fetched::binary("a", "v1", NEEDLE))), 0);
    assert_eq!(ALLOCATOR.unwiped(NEEDLE, || drop(Key::<23>::new(*b"c4n4ry-0f-w1p1ng-5ecr3t"))), 0);
    let unwiped = ALLOCATOR.unwiped(NEEDLE, || {
        let settings = load();
        assert_eq!(settings.text.expose_secret().as_bytes(), NEEDLE);
        assert_eq!(settings.object.password.expose_secret().as_bytes(), NEEDLE);
        assert_eq!(settings.binary.expose_secret().len(), NEEDLE.len().div_ceil(3) * 4);
        drop(settings);
    });
    assert_eq!(unwiped, 0, "load, merge, extract, drop");

    let unwiped = ALLOCATOR.unwiped(NEEDLE, || {
        let memory = Memory::new();
        for name in ["app/a", "app/b", "app/c"] {
            memory.put(name, needle());
        }
        let secrets = SecretsManager::prefix("app").backend(memory).lookup().capacity(2);
        for name in ["a", "b", "c", "a", "a"] {
            let text: SecretString = secrets.get(name).blocking().expect("a value");
            assert_eq!(text.expose_secret().as_bytes(), NEEDLE);
            drop(secrets.get::<SecretString>(name).shared().blocking().expect("a value"));
        }
        secrets.forget("a");
        secrets.clear();
    });
    assert_eq!(unwiped, 0, "looked up");

    // Beside an escape, a string is decoded into a buffer.
    let unwiped = ALLOCATOR.unwiped(NEEDLE, || {
        let memory = Memory::new();
        let needle = std::str::from_utf8(NEEDLE).expect("text");
        memory.put("app/a", [r#"{"password": ""#, needle, r#"\n"}"#].concat());
        memory.put("app/b", [r#""{\"password\": \""#, needle, r#"\"}""#].concat());
        let manager = SecretsManager::prefix("app").backend(memory);
        drop(manager.fetch_blocking().expect("a snapshot"));
    });
    assert_eq!(unwiped, 0, "with escapes");

    let folder = tempfile::tempdir().expect("a folder");
    for (file, after) in [("text", &b"\n"[..]), ("binary", b"\xff")] {
        std::fs::write(folder.path().join(file), [NEEDLE, after].concat()).expect("a file");
    }
    let unwiped = ALLOCATOR.unwiped(NEEDLE, || {
        let manager =
            SecretsManager::names(["text", "binary"]).backend(Directory::new(folder.path()));
        drop(manager.fetch_blocking().expect("a snapshot"));
    });
    assert_eq!(unwiped, 0, "files");
}
