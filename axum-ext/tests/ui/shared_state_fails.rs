use std::sync::Arc;

use axum::extract::State;
use secrets_provider::Live;
use secrets_provider_axum::Current;

struct Settings;

struct AppState {
    settings: Live<Settings>,
}

#[axum::debug_handler]
async fn index(_: State<Arc<AppState>>, _: Current<Settings>) {}

fn main() {
    let _ = index;
}
