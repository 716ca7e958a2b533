//! [`Harness`]: what the suite needs besides a store, and [`Capability`]: what may be left out.
//!
//! The suite puts, changes, deletes, denies and breaks secrets through it. A method that is neither
//! implemented nor declared as lacking fails the case that needs it.

use std::fmt;
use std::future::{self, Future};
use std::time::Duration;

use crate::backend::Backend;

/// Drives one store for the suite: the author of a [`Backend`] implements it in a test.
///
/// Only [`backend`](Self::backend) and [`put`](Self::put) are required. Most other methods belong
/// to a [`Capability`]: implement them, or name the capability in [`lacks`](Self::lacks), and the
/// suite reports its cases as skipped. Methods may be written as `async fn`.
///
/// A change must be visible to the store when the method returns. A method that cannot do its work
/// should panic: the test then fails with its message.
///
/// The suite does not clean up. Give it an empty store, or one whose names below
/// [`root`](Self::root) are free.
pub trait Harness {
    /// The store under test. The same one each time.
    fn backend(&self) -> &dyn Backend;

    /// Creates a secret that holds exactly this text, or gives it a new value.
    fn put(&self, name: &str, text: &str) -> impl Future<Output = ()>;

    /// What the store, or this harness, cannot do. Nothing by default, so each opt-out is explicit.
    fn lacks(&self) -> Vec<Capability> {
        Vec::new()
    }

    /// Where the names of the suite start: `conformance` by default. Each case uses names of its
    /// own below it. No slash at either end.
    fn root(&self) -> String {
        "conformance".to_owned()
    }

    /// How long one call of the store may take before the suite reports that it does not end: 30
    /// seconds by default, on tokio's clock.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Creates a secret that holds these bytes, or gives it a new value: [`Capability::Binary`].
    ///
    /// # Panics
    ///
    /// Unless implemented.
    fn put_binary(&self, name: &str, bytes: &[u8]) -> impl Future<Output = ()> {
        let _ = (name, bytes);
        not_implemented("put_binary", Capability::Binary)
    }

    /// Deletes a secret, so that it can be created again: [`Capability::Delete`].
    ///
    /// # Panics
    ///
    /// Unless implemented.
    fn delete(&self, name: &str) -> impl Future<Output = ()> {
        let _ = name;
        not_implemented("delete", Capability::Delete)
    }

    /// Denies the reading of one secret: [`Capability::Deny`].
    ///
    /// # Panics
    ///
    /// Unless implemented.
    fn deny(&self, name: &str) -> impl Future<Output = ()> {
        let _ = name;
        not_implemented("deny", Capability::Deny)
    }

    /// Denies the listing of names until [`allow_list`](Self::allow_list):
    /// [`Capability::DenyList`].
    ///
    /// # Panics
    ///
    /// Unless implemented.
    fn deny_list(&self) -> impl Future<Output = ()> {
        not_implemented("deny_list", Capability::DenyList)
    }

    /// Allows the listing of names again: [`Capability::DenyList`].
    ///
    /// # Panics
    ///
    /// Unless implemented.
    fn allow_list(&self) -> impl Future<Output = ()> {
        not_implemented("allow_list", Capability::DenyList)
    }

    /// Damages a secret so that the store cannot decode it, for example by cutting off its answer.
    /// Keep some of the value visible to the store, so that the suite notices an error that shows
    /// it: [`Capability::Corrupt`].
    ///
    /// # Panics
    ///
    /// Unless implemented.
    fn corrupt(&self, name: &str) -> impl Future<Output = ()> {
        let _ = name;
        not_implemented("corrupt", Capability::Corrupt)
    }

    /// Lets reads of one secret hang until [`resume`](Self::resume): [`Capability::Stall`].
    ///
    /// # Panics
    ///
    /// Unless implemented.
    fn stall(&self, name: &str) -> impl Future<Output = ()> {
        let _ = name;
        not_implemented("stall", Capability::Stall)
    }

    /// Lets reads of one secret end again: [`Capability::Stall`].
    ///
    /// # Panics
    ///
    /// Unless implemented.
    fn resume(&self, name: &str) -> impl Future<Output = ()> {
        let _ = name;
        not_implemented("resume", Capability::Stall)
    }

    /// Another id that the store knows an existing secret by, such as its ARN:
    /// [`Capability::OtherIds`].
    ///
    /// # Panics
    ///
    /// Unless implemented.
    fn other_id(&self, name: &str) -> impl Future<Output = String> {
        let _ = name;
        not_implemented("other_id", Capability::OtherIds)
    }
}

fn not_implemented<T>(method: &str, capability: Capability) -> future::Ready<T> {
    panic!(
        "the harness does not implement `{method}`: implement it, or return \
         `Capability::{capability:?}` from `Harness::lacks`"
    )
}

/// What a store may lack, or its harness be unable to cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// The store lists names.
    List,
    /// A name below a prefix may contain a slash.
    NestedNames,
    /// A value may have 65,536 bytes, the limit of AWS.
    LargeValues,
    /// A secret may hold bytes that are not text.
    Binary,
    /// Secrets can be deleted.
    Delete,
    /// The reading of one secret can be denied.
    Deny,
    /// The listing of names can be denied.
    DenyList,
    /// A secret can be damaged, so that it cannot be decoded.
    Corrupt,
    /// Reads of one secret can be made to hang.
    Stall,
    /// A secret has ids besides its name.
    OtherIds,
    /// The store keeps the previous value of a secret
    /// ([`fetch_previous`](crate::Backend::fetch_previous)).
    Previous,
    /// The store signals changes ([`changes`](crate::Backend::changes)).
    Changes,
}

impl Capability {
    /// The capability's name as reports show it: `nested_names`, `other_ids`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::NestedNames => "nested_names",
            Self::LargeValues => "large_values",
            Self::Binary => "binary",
            Self::Delete => "delete",
            Self::Deny => "deny",
            Self::DenyList => "deny_list",
            Self::Corrupt => "corrupt",
            Self::Stall => "stall",
            Self::OtherIds => "other_ids",
            Self::Previous => "previous",
            Self::Changes => "changes",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
