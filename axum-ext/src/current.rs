//! [`Current`]: the settings as an extractor, pinned to one generation per request.
//!
//! axum finds the `Live` in the router's state by its type, so a missing one does not compile;
//! [`LiveState`] exists for the compiler's message. The pin itself is the core's [`Pins`], kept in
//! the request's extensions.

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use axum_core::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use secrets_provider::{Live, Pins};

/// The settings, as they were when this request first asked for them.
///
/// Every `Current<T>` of one request is of the same generation, in the handler and in the
/// middleware before it (`axum::middleware::from_fn_with_state`, or
/// [`extract_parts`](https://docs.rs/axum/0.8/axum/trait.RequestExt.html)), even if a swap happens
/// between them: the first one pins the generation in the request's extensions. The next request
/// sees the new one. Two [`Live`]s of one type, in the states of two nested routers, are pinned
/// each for itself.
///
/// It holds an [`Arc`], which may be kept across `.await`, and derefs to `T`. `Debug` shows no
/// value.
///
/// `State<Live<T>>` works too. Take it in a handler that outlives many generations (a websocket, a
/// stream of events) and must see each of them.
///
/// ```
/// use axum::{Router, routing::get};
/// use secrets_provider::Live;
/// use secrets_provider_axum::Current;
///
/// struct Settings { greeting: String }
///
/// // Destructured: an `Arc<Settings>`.
/// async fn shared(Current(settings): Current<Settings>) -> String { settings.greeting.clone() }
/// // Or whole: it derefs to `Settings`.
/// async fn whole(settings: Current<Settings>) -> String { settings.greeting.clone() }
///
/// let settings = Live::constant(Settings { greeting: "hello".to_owned() });
/// let app: Router = Router::new().route("/shared", get(shared)).route("/whole", get(whole)).with_state(settings);
/// ```
///
/// If the state has no `Live<Settings>`, the same does not compile:
///
/// ```compile_fail,E0277
/// # use axum::{Router, routing::get};
/// # use secrets_provider::Live;
/// # use secrets_provider_axum::Current;
/// # struct Settings { greeting: String }
/// # async fn shared(Current(settings): Current<Settings>) -> String { settings.greeting.clone() }
/// let app: Router = Router::new().route("/shared", get(shared)).with_state(7);
/// ```
pub struct Current<T>(pub Arc<T>);

impl<T> Deref for Current<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

impl<T, S> FromRequestParts<S> for Current<T>
where
    T: Send + Sync + 'static,
    S: LiveState<T> + Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let pins = parts.extensions.get_or_insert_default::<Pins<T>>();
        Ok(Self(pins.pin(state.live())))
    }
}

/// A router state from which [`Current<T>`](Current) can be extracted: every state that has a
/// [`Live<T>`](Live) by [`FromRef`], and an [`Arc`] of such a state. It is implemented for all of
/// them; use it as a bound.
///
/// ```
/// use axum::{Router, routing::get};
/// use secrets_provider_axum::{Current, LiveState};
///
/// struct Settings { greeting: String }
///
/// async fn index(settings: Current<Settings>) -> String { settings.greeting.clone() }
///
/// fn routes<S: LiveState<Settings> + Clone + Send + Sync + 'static>() -> Router<S> {
///     Router::new().route("/", get(index))
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the state `{Self}` has no `Live<{T}>`",
    label = "`Current<{T}>` cannot be extracted with this state",
    note = "make it the router's state: `.with_state(live)`, where `live` is a `Live<{T}>`",
    note = "or a field of the state: `#[derive(Clone, FromRef)] struct AppState {{ settings: Live<{T}> }}`",
    note = "for a state `Arc<AppState>`, derive `FromRef` for `AppState`; `#[from_ref(skip)]` leaves a field out",
    note = "`#[debug_handler]` takes the state to be `()` by default: `#[debug_handler(state = Live<{T}>)]`"
)]
pub trait LiveState<T> {
    /// The settings that this state holds.
    fn live(&self) -> Live<T>;
}

// Without this, rustc explains the bound on `FromRef`, and not what to do about it.
#[diagnostic::do_not_recommend]
impl<T, S> LiveState<T> for S
where
    Live<T>: FromRef<S>,
{
    fn live(&self) -> Live<T> {
        Live::from_ref(self)
    }
}
