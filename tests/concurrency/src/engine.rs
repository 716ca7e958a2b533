//! The engine's files under test.

#[path = "../../../secrets-provider/src/engine/cell.rs"]
pub(crate) mod cell;
#[path = "../../../secrets-provider/src/engine/change_log.rs"]
pub(crate) mod change_log;
#[path = "../../../secrets-provider/src/engine/followers.rs"]
pub(crate) mod followers;
#[path = "../../../secrets-provider/src/engine/handle.rs"]
pub(crate) mod handle;

pub(crate) mod hints {
    use std::time::SystemTime;

    #[derive(Debug)]
    pub(crate) struct Hint {
        pub(crate) secret: String,
        pub(crate) version: Option<String>,
        pub(crate) changed_at: Option<SystemTime>,
    }
}
