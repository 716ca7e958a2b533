//! What `Current<T>` costs a request beside `State<Arc<T>>`: `cargo bench --bench axum`. Prints one
//! table.
//!
//! A whole request through axum's router in process, without a socket, so that the extractor's
//! share is as large as it can be. The router matches one route and the handler returns one number
//! of the settings. An extractor that only adds an empty extension shows what pinning a generation
//! in the request costs at least.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::routing::get;
use benches::interleave::{Contender, pair};
use benches::settings::{self, Settings};
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{Request, StatusCode};
use secrets_provider::Live;
use secrets_provider_axum::Current;
use tower::Service as _;

/// Pairs of runs for each figure. `ROUNDS` in the environment changes it.
const ROUNDS: usize = 60;

fn status(settings: &Settings) -> StatusCode {
    StatusCode::from_u16(200 + settings.database.port % 2).expect("a status")
}

async fn shared(State(settings): State<Arc<Settings>>) -> StatusCode {
    status(&settings)
}

async fn current(settings: Current<Settings>) -> StatusCode {
    status(&settings)
}

async fn live(State(settings): State<Live<Settings>>) -> StatusCode {
    status(&settings.load())
}

async fn twice(first: Current<Settings>, second: Current<Settings>) -> StatusCode {
    assert!(Arc::ptr_eq(&first.0, &second.0));
    status(&second)
}

/// Adds an extension without content to the request.
struct Marker;

impl<S: Sync> FromRequestParts<S> for Marker {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        #[derive(Clone)]
        struct Empty;
        parts.extensions.insert(Empty);
        Ok(Self)
    }
}

async fn marked(_: Marker, State(settings): State<Arc<Settings>>) -> StatusCode {
    status(&settings)
}

/// One request per read.
fn requests(name: &'static str, router: Router) -> Contender {
    let router = std::sync::Mutex::new(router);
    let state = move || router.lock().expect("no panic").clone();
    Contender::new(name, state, |router| {
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let response = router.call(request).now_or_never().expect("no wait").expect("infallible");
        response.status().as_u16()
    })
}

fn main() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let rounds = rounds.unwrap_or(ROUNDS);
    let arc = || {
        let state = Arc::new(settings::settings(1));
        requests("State<Arc<T>>", Router::new().route("/", get(shared)).with_state(state))
    };
    let settings = Live::constant(settings::settings(1));
    let contenders = [
        requests("Current<T>", Router::new().route("/", get(current)).with_state(settings.clone())),
        requests(
            "Current<T>, twice",
            Router::new().route("/", get(twice)).with_state(settings.clone()),
        ),
        requests(
            "State<Arc<T>> and an empty extension",
            Router::new().route("/", get(marked)).with_state(Arc::new(settings::settings(1))),
        ),
        requests("State<Live<T>>", Router::new().route("/", get(live)).with_state(settings)),
        arc(),
    ];
    println!("| one request with | beside State<Arc<T>> | ns | ns |");
    println!("| --- | --- | ---: | ---: |");
    for contender in contenders {
        let other = arc();
        let found = pair(&contender, &other, 1, rounds);
        println!(
            "| `{}` | {:.2}× ({:.2} to {:.2}) | {:.0} | {:.0} |",
            contender.name,
            found.ratio,
            found.quartiles.0,
            found.quartiles.1,
            found.nanoseconds.0,
            found.nanoseconds.1
        );
    }
}
