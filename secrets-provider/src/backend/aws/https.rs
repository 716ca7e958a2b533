//! The HTTPS client, and which cryptography rustls uses in it.
//!
//! A program in which the crate `rustls` has both of its providers compiled in, `aws-lc-rs` and
//! `ring`, panics in every `rustls::ClientConfig::builder()` of its own unless it installs one. The
//! SDK's default client brings `aws-lc-rs`; a program whose other crates bring `ring` takes the
//! feature `rustls-ring` instead. Our own client names its provider, so it needs nothing global
//! either way. Without both features, the program brings a client of its own.

use aws_smithy_runtime_api::client::http::SharedHttpClient;
#[cfg(all(feature = "rustls-ring", not(feature = "rustls-aws-lc")))]
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// Whether a client is compiled in.
pub(super) const COMPILED_IN: bool = cfg!(any(feature = "rustls-aws-lc", feature = "rustls-ring"));

/// A client with connections of its own; `None` stands for the SDK's default one.
pub(super) fn client() -> Option<SharedHttpClient> {
    #[cfg(all(feature = "rustls-ring", not(feature = "rustls-aws-lc")))]
    {
        use aws_smithy_http_client::proxy::ProxyConfig;
        use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
        use aws_smithy_http_client::{Builder, ConnectorBuilder};
        // As the SDK makes its default one, which reads the variables for proxies.
        Some(Builder::new().build_with_connector_fn(|settings, components| {
            let mut connector =
                ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::Ring));
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            connector.set_proxy_config(Some(ProxyConfig::from_env()));
            connector.build()
        }))
    }
    #[cfg(not(all(feature = "rustls-ring", not(feature = "rustls-aws-lc"))))]
    None
}
