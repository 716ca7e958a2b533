//! Calls over HTTP: one request, one answer of a bounded length, in a buffer that is wiped.
//!
//! A pooled connection belongs to the tokio runtime that opened it, so each runtime has a client of
//! its own. Of an error on the way only its cause is kept.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use tokio::runtime::{self, Handle};
use tokio::sync::OnceCell;

use super::address::Address;
use super::answer::Answer;
use super::{Settings, error, tls};
pub(super) use crate::backend::http::Body;
use crate::backend::http::{BodyFailure, whole};
use crate::error::{Error, ErrorKind};
use crate::unwind::lock;

/// How long an answer may be. Vault takes requests of 32 MiB, and its storage values of 1 MiB.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// How long one call may take. A fetch has its own, shorter or longer, deadline.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How many runtimes' clients are kept.
const MAX_CLIENTS: usize = 8;

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Proxies and agents of Vault drop requests without it, against forged ones.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// A way to one server.
pub(super) struct Http {
    address: Address,
    settings: Settings,
    namespace: Option<HeaderValue>,
    tls: OnceCell<ClientConfig>,
    clients: Mutex<Vec<(runtime::Id, AnyClient)>>,
}

/// With TLS, or without.
#[derive(Clone)]
enum AnyClient {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
    /// To a server in this process.
    #[cfg(test)]
    Memory(Client<super::fake::Connector, Full<Bytes>>),
}

impl Http {
    /// # Errors
    ///
    /// `Config` for an address or a namespace that cannot be one.
    pub(super) fn new(settings: Settings) -> Result<Self, Error> {
        let address = Address::parse(&settings.address)?;
        let namespace = settings.namespace.as_deref().map(HeaderValue::from_str).transpose();
        let namespace = namespace.map_err(|_| {
            let message = "Vault's namespace has characters that no header may have";
            Error::new(ErrorKind::Config, message).with_hint("give a path such as `team1`")
        })?;
        let (tls, clients) = (OnceCell::new(), Mutex::default());
        Ok(Self { address, settings, namespace, tls, clients })
    }

    /// Makes one request.
    ///
    /// # Errors
    ///
    /// If there is no whole answer. What the answer says is for the caller to judge.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Body>,
    ) -> Result<Answer, Error> {
        let request = self.request(method, path, token, body)?;
        let call = async {
            let response = match self.client().await? {
                AnyClient::Plain(client) => client.request(request).await,
                AnyClient::Tls(client) => client.request(request).await,
                #[cfg(test)]
                AnyClient::Memory(client) => client.request(request).await,
            };
            let response = response.map_err(|error| error::unreached(&self.address, &error))?;
            let status = response.status().as_u16();
            Ok(Answer { status, body: self.body(response.into_body()).await? })
        };
        match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Ok(answer) => answer,
            Err(_) => Err(error::late(&self.address, CALL_TIMEOUT)),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Body>,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.address.of(path))
            .header(REQUEST, HeaderValue::from_static("true"));
        if let Some(namespace) = &self.namespace {
            request = request.header(NAMESPACE, namespace);
        }
        if let Some(token) = token {
            let mut token = HeaderValue::from_str(token).map_err(|_| error::no_token_at_all())?;
            token.set_sensitive(true);
            request = request.header(TOKEN, token);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map_or_else(Bytes::new, Bytes::from_owner);
        request.body(Full::new(body)).map_err(|_| {
            Error::new(ErrorKind::Config, "Vault's address and a path make no valid URL")
        })
    }

    async fn body(&self, body: impl BodyExt<Data = Bytes> + Unpin) -> Result<Body, Error> {
        whole(body, MAX_BODY_BYTES).await.map_err(|failure| match failure {
            BodyFailure::CutOff => error::cut_off(&self.address),
            BodyFailure::TooLong => error::too_long(&self.address, MAX_BODY_BYTES),
        })
    }

    async fn client(&self) -> Result<AnyClient, Error> {
        let id = Handle::current().id();
        if let Some((_, client)) = lock(&self.clients).iter().find(|(used, _)| *used == id) {
            return Ok(client.clone());
        }
        let client = self.connect().await?;
        let mut clients = lock(&self.clients);
        if clients.len() == MAX_CLIENTS {
            clients.remove(0);
        }
        clients.push((id, client.clone()));
        Ok(client)
    }

    async fn connect(&self) -> Result<AnyClient, Error> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE_TIMEOUT).pool_timer(hyper_util::rt::TokioTimer::new());
        #[cfg(test)]
        if let Some(connector) = super::fake::Connector::of(self.address.as_str()) {
            return Ok(AnyClient::Memory(builder.build(connector)));
        }
        if !self.address.is_https {
            return Ok(AnyClient::Plain(builder.build(connector)));
        }
        connector.enforce_http(false);
        let config = self.tls.get_or_try_init(|| async {
            let ca_cert = self.settings.ca_cert.clone();
            let made = tokio::task::spawn_blocking(move || tls::config(ca_cert.as_deref())).await;
            made.map_err(|_| {
                Error::new(ErrorKind::Unavailable, "the tokio runtime is shutting down")
            })?
        });
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.await?.clone())
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        Ok(AnyClient::Tls(builder.build(connector)))
    }
}
