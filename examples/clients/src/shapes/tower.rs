//! A tower layer: each request carries the settings of one generation, in every service of axum and
//! tonic, and for every layer below.
//!
//! With axum, `secrets_provider_axum::Current` does so without a layer.

use std::sync::Arc;

use http::Request;
use secrets_provider::Live;
use tower::util::MapRequestLayer;

use super::Settings;

/// Puts the settings of the moment into each request's extensions, as `Arc<Settings>`. Handlers of
/// axum take `Extension<Arc<Settings>>`; with tonic, `request.extensions().get::<Arc<Settings>>()`
/// has them.
pub fn pin<B>(
    settings: Live<Settings>,
) -> MapRequestLayer<impl Fn(Request<B>) -> Request<B> + Clone> {
    MapRequestLayer::new(move |mut request: Request<B>| {
        let pinned: Arc<Settings> = settings.current();
        request.extensions_mut().insert(pinned);
        request
    })
}
