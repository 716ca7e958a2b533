//! What one read covers, and what may be concluded from it (rules R3 to R5).
//!
//! The engine decides on a [`Scope`], the fetcher reads by it. Four questions hang on it and are
//! answered only here: which secrets are read, whether names are listed, whether secrets that were
//! denied a moment ago are asked for again, and whether the result is a complete refresh.

use std::collections::BTreeSet;
use std::future::pending;

use tokio::sync::watch;

use crate::backend::BoxFuture;

/// Which secrets one read covers. The variants are ordered: a later one includes what an earlier
/// one covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Only these secrets, by name or ARN: someone says that they changed. Nothing is listed, and
    /// names that are not selected are not read.
    Only(BTreeSet<String>),
    /// The secrets in use, and those that lower layers replace: a search for newer values. Nothing
    /// is listed.
    InUse,
    /// What is due at the interval: names are listed unless the last listing is still valid.
    Due,
    /// Everything, because someone asks for it: names are listed, and nothing rests.
    Everything,
}

impl Scope {
    pub(crate) fn everything() -> Self {
        Self::Everything
    }

    pub(crate) fn due() -> Self {
        Self::Due
    }

    pub(crate) fn in_use() -> Self {
        Self::InUse
    }

    pub(crate) fn only(ids: impl IntoIterator<Item = String>) -> Self {
        Self::Only(ids.into_iter().collect())
    }

    /// One scope that covers both, for requests that are served together.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(mut ids), Self::Only(others)) => {
                ids.extend(others);
                Self::Only(ids)
            }
            // A due read covers the secrets in use, but lets those rest that were denied.
            (one, other) if other.rank() > one.rank() => other,
            (one, _) => one,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Only(_) => 0,
            Self::InUse => 1,
            Self::Due => 2,
            Self::Everything => 3,
        }
    }

    /// Whether secrets are read that rest because they were denied: someone asks, or says that
    /// something changed.
    pub(crate) fn includes_resting(&self) -> bool {
        !matches!(self, Self::Due)
    }

    /// Whether values must not come from a cache between this process and the store: someone asks
    /// for the newest ones. At the interval, a cache may answer; that is what it is for.
    pub(crate) fn bypasses_caches(&self) -> bool {
        !matches!(self, Self::Due)
    }

    /// Whether the layers below the secrets are read again even if no secret is new. Someone asks
    /// for it: the periodic read stays cheap.
    pub(crate) fn reads_layers(&self) -> bool {
        matches!(self, Self::Everything)
    }

    /// Whether the read proves anything about secrets that it does not name. A partial read neither
    /// counts as a refresh nor postpones the next one.
    pub(crate) fn is_partial(&self) -> bool {
        matches!(self, Self::Only(_) | Self::InUse)
    }
}

/// What earlier reads found. Nothing, for a first one.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Ids in use: read even if a listing does not (or no longer) contain them.
    pub(crate) in_use: Vec<String>,
    /// Ids that were never read: tried again as long as names cannot be listed.
    pub(crate) awaited: Vec<String>,
    /// Ids that are left out for now.
    pub(crate) resting: BTreeSet<String>,
    /// Ids in use that were deleted, and are left out for now, unless a listing contains them
    /// again.
    pub(crate) deleted: BTreeSet<String>,
    /// What the last listing found, while it is valid.
    pub(crate) listed: Option<Vec<String>>,
    /// Whether values may not come from a cache between this process and the store.
    pub(crate) past_caches: bool,
    /// Becomes true once somebody waits for the read.
    pub(crate) wanted: Option<watch::Receiver<bool>>,
}

impl Known {
    /// Whether someone waits for a read: not if it is due, and there are values to go on with.
    pub(crate) fn is_waited_for(&self, scope: &Scope) -> bool {
        !matches!(scope, Scope::Due) || self.in_use.is_empty() || !self.awaited.is_empty()
    }

    /// Ready once somebody waits for a read that nobody waited for.
    pub(crate) fn wanted(&self) -> BoxFuture<'static, ()> {
        let wanted = self.wanted.clone();
        Box::pin(async move {
            if let Some(mut wanted) = wanted
                && wanted.wait_for(|wanted| *wanted).await.is_ok()
            {
                return;
            }
            pending().await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(ids: &[&str]) -> Scope {
        Scope::only(ids.iter().map(|id| (*id).to_owned()))
    }

    #[test]
    fn nobody_waits_for_what_is_due_while_there_are_values() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        for (scope, in_use, awaited, waits) in [
            (Scope::due(), &["a"][..], &[][..], false),
            (Scope::due(), &["a"], &["b"], true),
            (Scope::due(), &[], &[], true),
            (Scope::everything(), &["a"], &[], true),
            (Scope::in_use(), &["a"], &[], true),
            (only(&["a"]), &["a"], &[], true),
        ] {
            let known = Known { in_use: ids(in_use), awaited: ids(awaited), ..Known::default() };
            assert_eq!(known.is_waited_for(&scope), waits, "{scope:?} {in_use:?} {awaited:?}");
        }
    }

    #[test]
    fn requests_served_together_are_covered_by_one_scope() {
        let (everything, due, in_use) = (Scope::everything(), Scope::due(), Scope::in_use());
        for (one, other, both) in [
            (&everything, &due, &everything),
            (&everything, &in_use, &everything),
            (&everything, &only(&["a"]), &everything),
            (&due, &in_use, &due),
            (&due, &only(&["a"]), &due),
            (&in_use, &only(&["a"]), &in_use),
            (&only(&["a"]), &only(&["b"]), &only(&["a", "b"])),
        ] {
            assert_eq!(&one.clone().and(other.clone()), both, "{one:?} and {other:?}");
            assert_eq!(&other.clone().and(one.clone()), both, "{other:?} and {one:?}");
        }
    }

    #[test]
    fn each_scope_says_what_may_be_concluded() {
        struct Case {
            scope: Scope,
            includes_resting: bool,
            bypasses_caches: bool,
            is_partial: bool,
            reads_layers: bool,
        }
        for Case { scope, includes_resting, bypasses_caches, is_partial, reads_layers } in [
            Case {
                scope: Scope::everything(),
                includes_resting: true,
                bypasses_caches: true,
                is_partial: false,
                reads_layers: true,
            },
            Case {
                scope: Scope::due(),
                includes_resting: false,
                bypasses_caches: false,
                is_partial: false,
                reads_layers: false,
            },
            Case {
                scope: Scope::in_use(),
                includes_resting: true,
                bypasses_caches: true,
                is_partial: true,
                reads_layers: false,
            },
            Case {
                scope: only(&["a"]),
                includes_resting: true,
                bypasses_caches: true,
                is_partial: true,
                reads_layers: false,
            },
        ] {
            assert_eq!(scope.includes_resting(), includes_resting, "{scope:?}");
            assert_eq!(scope.bypasses_caches(), bypasses_caches, "{scope:?}");
            assert_eq!(scope.is_partial(), is_partial, "{scope:?}");
            assert_eq!(scope.reads_layers(), reads_layers, "{scope:?}");
        }
    }
}
