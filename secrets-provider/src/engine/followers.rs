//! Who follows which keys of the settings, besides the derived values: for explanations.
//!
//! Each follower owns its entry, and the list has weak references, so that an entry ends with its
//! follower. Entries are the program's own text. `live` adds them and asks for them.

use std::sync::{Arc, Mutex, Weak};

use crate::unwind::lock;

/// What a follower of the settings is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Changes,
    OnChange,
    RestartOn,
}

/// One follower, and the path that it follows; the empty path is every key.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    pub(crate) how: How,
    pub(crate) path: String,
}

impl Follower {
    /// The follower in words: what it is, and which path it follows.
    pub(crate) fn in_words(&self) -> String {
        let how = match self.how {
            How::Changes => "changes",
            How::OnChange => "on_change",
            How::RestartOn => "restart_on",
        };
        if self.path.is_empty() { how.to_owned() } else { format!("{how} {}", self.path) }
    }
}

/// The followers of one `Live`.
#[derive(Debug, Default)]
pub(crate) struct Followers(Mutex<Vec<Weak<Follower>>>);

impl Followers {
    pub(crate) fn add(&self, follower: Follower) -> Arc<Follower> {
        let follower = Arc::new(follower);
        let mut all = lock(&self.0);
        // Only before it would grow, so that adding one takes constant time on average.
        if all.len() == all.capacity() {
            all.retain(|follower| follower.strong_count() > 0);
        }
        all.push(Arc::downgrade(&follower));
        follower
    }

    /// The same, unless there are `limit` followers of this kind.
    pub(crate) fn add_below(&self, limit: usize, follower: Follower) -> Option<Arc<Follower>> {
        let same = self.all().iter().filter(|other| other.how == follower.how).count();
        (same < limit).then(|| self.add(follower))
    }

    pub(crate) fn all(&self) -> Vec<Arc<Follower>> {
        lock(&self.0).iter().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_ends_with_its_follower_and_the_list_stays_short() {
        let followers = Followers::default();
        let follower = |how| Follower { how, path: "a".to_owned() };
        let kept = followers.add(follower(How::RestartOn));
        for _ in 0..10_000 {
            drop(followers.add(follower(How::Changes)));
        }
        assert_eq!(followers.all().len(), 1);
        assert!(lock(&followers.0).capacity() < 20);

        let _closures: Vec<_> =
            (0..3).map(|_| followers.add_below(3, follower(How::OnChange))).collect();
        assert!(followers.add_below(3, follower(How::OnChange)).is_none());
        drop(kept);
        assert_eq!(followers.all().len(), 3);
    }
}
