use secrets_provider::Live;
use secrets_provider_axum::Current;

struct Settings;

#[axum::debug_handler(state = Live<Settings>)]
async fn index(_: Current<Settings>) {}

fn main() {
    let live = Live::constant(Settings);
    let _: axum::Router = axum::Router::new().route("/", axum::routing::get(index)).with_state(live);
}
