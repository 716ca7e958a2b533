//! [`Current`]: the settings as an extractor, pinned to one generation per request.
//!
//! actix-web finds the `Live` in the app data at run time, so a missing one is an error of the
//! request ([`MissingLive`]), logged with what to add. The pin itself is the core's [`Pins`], kept
//! in the request's extensions.

use std::any::type_name;
use std::fmt;
use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError, web};
use secrets_provider::{Live, Pins};

use crate::TARGET;

/// The settings, as they were when this request first asked for them.
///
/// Every `Current<T>` of one request is of the same generation, in the handler and in the
/// middleware before it ([`ServiceRequest::extract`](actix_web::dev::ServiceRequest::extract)),
/// even if a swap happens between them: the first one pins the generation in the request's
/// extensions. The next request sees the new one. Two [`Live`]s of one type, one in the `app_data`
/// of a scope and one in the app's, are pinned each for itself.
///
/// It holds an [`Arc`], which may be kept across `.await`, and derefs to `T`. `Debug` shows no
/// value.
///
/// `web::Data<Live<T>>` works too. Take it in a handler that outlives many generations (a
/// websocket, a stream of events) and must see each of them.
///
/// # Errors
///
/// [`MissingLive`], a plain 500, if there is no `app_data(web::Data::new(live))` for this `T`; the
/// log says so.
///
/// ```
/// use actix_web::{App, web};
/// use secrets_provider::Live;
/// use secrets_provider_actix::Current;
///
/// struct Settings { greeting: String }
///
/// // Destructured: an `Arc<Settings>`.
/// async fn shared(Current(settings): Current<Settings>) -> String { settings.greeting.clone() }
/// // Or whole: it derefs to `Settings`.
/// async fn whole(settings: Current<Settings>) -> String { settings.greeting.clone() }
///
/// let settings = Live::constant(Settings { greeting: "hello".to_owned() });
/// let app = App::new()
///     .app_data(web::Data::new(settings))
///     .route("/shared", web::get().to(shared))
///     .route("/whole", web::get().to(whole));
/// ```
pub struct Current<T>(pub Arc<T>);

impl<T> Deref for Current<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

impl<T: 'static> FromRequest for Current<T> {
    type Error = MissingLive;
    type Future = Ready<Result<Self, MissingLive>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.app_data::<web::Data<Live<T>>>() {
            Some(live) => {
                let mut extensions = request.extensions_mut();
                Ok(Self(extensions.get_or_insert_with(Pins::<T>::default).pin(Live::clone(live))))
            }
            None => Err(MissingLive::of::<T>(request)),
        })
    }
}

/// The `app_data` of a handler that takes a [`Current<T>`](Current) has no `web::Data<Live<T>>`.
///
/// The client can do nothing about it and only gets the status 500, `Internal Server Error`. The
/// log says what is missing and what to do.
///
/// ```
/// use actix_web::{App, http::StatusCode, test, web};
/// use secrets_provider_actix::Current;
///
/// # actix_web::rt::System::new().block_on(async {
/// async fn port(port: Current<u16>) -> String { port.to_string() }
///
/// let app = test::init_service(App::new().route("/", web::get().to(port))).await;
/// let response = test::call_service(&app, test::TestRequest::get().to_request()).await;
/// assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// assert_eq!(test::read_body(response).await, "Internal Server Error");
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MissingLive {
    settings: &'static str,
}

impl MissingLive {
    fn of<T: 'static>(request: &HttpRequest) -> Self {
        let settings = type_name::<T>();
        let hint = if request.app_data::<Live<T>>().is_some() {
            "app_data has the `Live` itself, which extractors do not find: wrap it, as in \
             `app_data(web::Data::new(live))`"
        } else {
            "add `app_data(web::Data::new(live))` to the `App`, where `live` is a `Live` of this very type"
        };
        // The pattern, not the path, which may contain confidential data of the client.
        let route = request.match_pattern();
        tracing::error!(target: TARGET, settings, route, hint, "app_data_missing");
        Self { settings }
    }
}

impl fmt::Display for MissingLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "app_data has no `web::Data<Live<{}>>`", self.settings)
    }
}

impl std::error::Error for MissingLive {}

impl ResponseError for MissingLive {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    /// Without the text of the error, which does not concern the client.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::InternalServerError().body("Internal Server Error")
    }
}
