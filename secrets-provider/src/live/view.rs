//! [`View`]: a part of the settings that is refreshed with them.
//!
//! For code that should see only that part. A view holds the whole `Live` and finds the part at
//! each read, so it has no state of its own.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::{Guard, Live};

/// Finds the part in the whole.
type Project<T, U> = Arc<dyn Fn(&T) -> &U + Send + Sync>;

/// A part of a [`Live`]: what [`Live::map`] returns. It reads the current generation of the whole
/// each time, and keeps the refresher alive. Cheap to clone. Give it to code that should see only
/// that part.
pub struct View<T, U: ?Sized> {
    live: Live<T>,
    project: Project<T, U>,
}

impl<T, U: ?Sized> View<T, U> {
    /// The part's current value, borrowed: lock-free and without an allocation, like
    /// [`Live::load`]. Short-lived.
    pub fn load(&self) -> Mapped<'_, T, U> {
        Mapped { whole: self.live.load(), project: &self.project }
    }

    /// The part's current value, shared, to hold across `.await`, like [`Live::current`]. It keeps
    /// the whole generation in memory.
    pub fn current(&self) -> Part<T, U> {
        Part { whole: self.live.current(), project: self.project.clone() }
    }

    /// The settings that this is a part of.
    pub fn live(&self) -> &Live<T> {
        &self.live
    }

    /// A part of the part.
    pub fn map<V>(&self, project: impl Fn(&U) -> &V + Send + Sync + 'static) -> View<T, V>
    where
        T: 'static,
        U: 'static,
        V: ?Sized + 'static,
    {
        let outer = self.project.clone();
        View { live: self.live.clone(), project: Arc::new(move |whole| project(outer(whole))) }
    }
}

impl<T> Live<T> {
    /// A part of the settings that stays current with them, for code that needs only that part.
    ///
    /// ```
    /// use secrets_provider::{Live, View};
    ///
    /// struct Database { host: String }
    /// struct Settings { database: Database }
    ///
    /// let settings = Live::constant(Settings { database: Database { host: "db.internal".to_owned() } });
    /// let database: View<Settings, Database> = settings.map(|settings| &settings.database);
    /// assert_eq!(database.load().host, "db.internal");
    /// ```
    pub fn map<U: ?Sized>(&self, project: impl Fn(&T) -> &U + Send + Sync + 'static) -> View<T, U> {
        View { live: self.clone(), project: Arc::new(project) }
    }
}

/// A part of one generation, borrowed: what [`View::load`] returns. Short-lived: do not hold it
/// across `.await` or in a struct.
pub struct Mapped<'a, T, U: ?Sized> {
    whole: Guard<T>,
    project: &'a Project<T, U>,
}

impl<T, U: ?Sized> Deref for Mapped<'_, T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        (self.project)(&self.whole)
    }
}

/// A part of one generation, shared: what [`View::current`] returns.
pub struct Part<T, U: ?Sized> {
    whole: Arc<T>,
    project: Project<T, U>,
}

impl<T, U: ?Sized> Deref for Part<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        (self.project)(&self.whole)
    }
}

impl<T, U: ?Sized> Clone for Part<T, U> {
    fn clone(&self) -> Self {
        Self { whole: self.whole.clone(), project: self.project.clone() }
    }
}

impl<T, U: ?Sized> Clone for View<T, U> {
    fn clone(&self) -> Self {
        Self { live: self.live.clone(), project: self.project.clone() }
    }
}

impl<T, U: ?Sized> fmt::Debug for View<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("live", &self.live).finish_non_exhaustive()
    }
}

impl<T, U: ?Sized> fmt::Debug for Mapped<'_, T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").finish_non_exhaustive()
    }
}

impl<T, U: ?Sized> fmt::Debug for Part<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").finish_non_exhaustive()
    }
}
