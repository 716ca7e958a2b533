use std::sync::Arc;

use axum::extract::{FromRef, State};
use secrets_provider::Live;
use secrets_provider_axum::Current;

struct Settings;

#[derive(FromRef)]
struct AppState {
    settings: Live<Settings>,
}

#[axum::debug_handler]
async fn index(_: State<Arc<AppState>>, _: Current<Settings>) {}

fn main() {
    let state = Arc::new(AppState { settings: Live::constant(Settings) });
    let _: axum::Router = axum::Router::new().route("/", axum::routing::get(index)).with_state(state);
}
