use axum::extract::{FromRef, State};
use secrets_provider::Live;
use secrets_provider_axum::Current;

struct Settings;

#[derive(Clone, FromRef)]
struct AppState {
    settings: Live<Settings>,
}

#[axum::debug_handler]
async fn index(_: State<AppState>, _: Current<Settings>) {}

fn main() {
    let _ = index;
}
