use secrets_provider_axum::Current;

struct Settings;

#[derive(Clone)]
struct AppState;

async fn index(_: Current<Settings>) {}

fn main() {
    let _: axum::Router = axum::Router::new().route("/", axum::routing::get(index)).with_state(AppState);
}
