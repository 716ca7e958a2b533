use axum::extract::State;
use secrets_provider_axum::Current;

struct Settings;

#[derive(Clone)]
struct AppState;

#[axum::debug_handler]
async fn index(_: State<AppState>, _: Current<Settings>) {}

fn main() {
    let _ = index;
}
