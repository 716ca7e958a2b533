//! A file with one test, so that no other thread frees memory at the same time.

use std::future::ready;

use secrecy::SecretString;
use secrets_provider::{Memory, Rejected, SecretsManager};
use wiped::Watching;

#[global_allocator]
static ALLOCATOR: Watching = Watching::new();

const NEEDLE: &[u8] = b"c4n4ry-0f-w1p1ng-5ecr3t";

fn needle() -> &'static str {
    std::str::from_utf8(NEEDLE).expect("text")
}

/// Rotates to a value that needs escapes in JSON, or away from this content.
async fn rotate(content: String, to: &'static str) {
    let memory = Memory::new();
    memory.put("app/database", content);
    let manager = SecretsManager::prefix("app").backend(memory.clone());
    let rotation = manager.rotation("database").generate("password", move || {
        let value = SecretString::from(to);
        ready(Ok::<_, Rejected>(value))
    });
    rotation.run().await.expect("a rotation");
}

#[test]
fn a_rotation_leaves_no_value_and_no_key_in_freed_memory() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let rotate = |content: String, to| runtime.block_on(rotate(content, to));
    let plain = || r#"{"password": "old"}"#.to_owned();
    rotate(plain(), "new");

    const NEW: &str = "\"c4n4ry-0f-w1p1ng-5ecr3t\"\u{1}";
    for (what, content, to) in [
        ("the new value", plain(), NEW),
        ("the old value", [r#"{"password": "a\n"#, needle(), r#""}"#].concat(), "new"),
        (
            "a key and a value beside it",
            [
                r#"{"password": "old", "owners": {"\"#,
                "\"",
                needle(),
                r#"": 1}, "note": ["\t"#,
                needle(),
                r#""]}"#,
            ]
            .concat(),
            "new",
        ),
        (
            "base64 of it",
            r#"{"password": "old", "note": "YzRuNHJ5LTBmLXcxcDFuZy01ZWNyM3Q="}"#.to_owned(),
            "new",
        ),
    ] {
        let unwiped = ALLOCATOR.unwiped(NEEDLE, || rotate(content, to));
        assert_eq!(unwiped, 0, "{what}");
    }
}
