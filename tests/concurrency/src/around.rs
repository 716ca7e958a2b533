//! What surrounds the files under test, as small as they let it be. Each lock and each swap is a
//! place where shuttle may let another thread go on.

pub(crate) mod unwind {
    use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

    /// Waits by trying: a lock that stays taken uses up the steps of a schedule, which fails it.
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        loop {
            shuttle::thread::yield_now();
            match mutex.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return PoisonError::into_inner(poisoned),
                Err(TryLockError::WouldBlock) => {}
            }
        }
    }

    #[derive(Debug)]
    pub(crate) struct Panicked;

    impl Panicked {
        pub(crate) fn rejection(self, what: &str) -> crate::error::Error {
            crate::error::Error::new(crate::error::ErrorKind::Rejected, what)
        }
    }

    /// Panics fail a schedule.
    pub(crate) async fn catch_future<F: Future>(future: F) -> Result<F::Output, Panicked> {
        Ok(future.await)
    }
}

pub(crate) mod arc_swap {
    use std::sync::{Arc, Mutex};

    use crate::unwind::lock;

    /// One step for each load and swap.
    #[derive(Debug, Default)]
    pub(crate) struct ArcSwap<T>(Mutex<Arc<T>>);

    impl<T> ArcSwap<T> {
        pub(crate) fn new(value: Arc<T>) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn load_full(&self) -> Arc<T> {
            lock(&self.0).clone()
        }

        pub(crate) fn swap(&self, value: Arc<T>) -> Arc<T> {
            std::mem::replace(&mut *lock(&self.0), value)
        }

        pub(crate) fn store(&self, value: Arc<T>) {
            drop(self.swap(value));
        }
    }
}

pub(crate) mod error {
    use std::borrow::Cow;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum ErrorKind {
        Rejected,
        Unavailable,
    }

    #[derive(Debug, Clone)]
    pub(crate) struct Error(ErrorKind);

    impl Error {
        pub(crate) fn new(kind: ErrorKind, _: impl Into<String>) -> Self {
            Self(kind)
        }

        pub(crate) fn with_hint(self, _: impl Into<String>) -> Self {
            self
        }

        pub(crate) fn with_secret(self, _: &str) -> Self {
            self
        }

        pub(crate) fn kind(&self) -> ErrorKind {
            self.0
        }
    }

    pub(crate) fn escape(text: &str) -> Cow<'_, str> {
        text.into()
    }
}

pub(crate) mod tree {
    /// A tree in which no key is ever gone.
    pub(crate) struct Table;

    impl Table {
        pub(crate) fn has<'a>(&self, _: &mut impl Iterator<Item = &'a str>) -> bool {
            true
        }
    }

    pub(crate) mod spelling {
        pub(crate) fn relaxed(name: &str) -> String {
            name.to_owned()
        }

        pub(crate) fn same_name(one: &str, other: &str) -> bool {
            one == other
        }
    }

    pub(crate) mod names {
        use std::fmt;

        use serde::Serialize;

        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        pub(crate) struct Shown(String);

        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    }
}

pub(crate) mod layers {
    pub(crate) mod explain {
        /// Knows only which generation it explains.
        #[derive(Debug, Default)]
        pub(crate) struct Sources(pub(crate) u64);

        impl Sources {
            pub(crate) fn overlooked(&self) -> &[Overlooked] {
                &[]
            }
        }

        pub(crate) struct Overlooked {
            pub(crate) key: String,
            pub(crate) variable: Named,
            pub(crate) secret: Named,
        }

        impl Overlooked {
            pub(crate) fn identity(&self) -> &str {
                &self.key
            }
        }

        pub(crate) struct Named;

        impl Named {
            pub(crate) fn name(&self) -> &str {
                ""
            }
        }
    }
}

pub(crate) mod observe {
    pub(crate) mod events {
        pub(crate) fn variables_over_secrets(_: &[&str], _: &[&str], _: &[&str]) {}
    }

    pub(crate) mod status {
        pub(crate) struct Status(u64);

        impl Status {
            pub(crate) fn started() -> Self {
                Self(1)
            }

            pub(crate) fn generation(&self) -> u64 {
                self.0
            }

            pub(crate) fn record_swap(&mut self) {
                self.0 += 1;
            }
        }

        #[derive(Debug, Clone)]
        pub(crate) struct DerivedStatus;
    }
}
