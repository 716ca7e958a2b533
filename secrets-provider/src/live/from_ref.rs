//! axum's [`FromRef`] for [`Live`], in both directions: a `Live` out of the shared state that holds
//! it, and the settings out of a `Live` that is the state.
//!
//! Rust allows an implementation only in the crate of the trait or of one of its types, so it can't
//! be in `secrets-provider-axum`. That crate turns the feature `axum` on, and explains the use.

use std::sync::Arc;

use axum_core::extract::FromRef;

use super::Live;

/// A state that is shared by an `Arc` gives out its [`Live`] as the state itself does.
impl<T, S> FromRef<Arc<S>> for Live<T>
where
    Self: FromRef<S>,
{
    fn from_ref(state: &Arc<S>) -> Self {
        Self::from_ref(&**state)
    }
}

/// A handler that takes `State<Arc<T>>` gets the current settings if the state is a `Live<T>`. Each
/// `State` reads them by itself: two of one request may be of two generations.
impl<T> FromRef<Live<T>> for Arc<T> {
    fn from_ref(live: &Live<T>) -> Self {
        live.current()
    }
}
