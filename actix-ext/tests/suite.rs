//! The suite of all frameworks, over actix-web; and what is special to actix-web.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::pin::Pin;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, Error, FromRequest as _, HttpRequest, HttpServer, web};
use http_suite::{Answer, Framework, Rotation, Server, Settings, is_outer};
use secrets_provider::Live;
use secrets_provider_actix::{Current, RefreshToken, health_routes, refresh_route, status_routes};
use serde_json::Value;

http_suite::tests!(actix_web::test, Actix);

struct Actix;

/// A service of any type: each `App` has another.
type Call = Box<dyn Fn(actix_http::Request) -> Pin<Box<dyn Future<Output = Answer>>>>;

/// Starts an `App` as a service that can be called.
macro_rules! start {
    ($app:expr) => {
        boxed(init_service($app).await)
    };
}

fn boxed<B, S>(service: S) -> Call
where
    B: MessageBody + 'static,
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error> + 'static,
{
    let service = std::rc::Rc::new(service);
    Box::new(move |request| {
        let service = service.clone();
        Box::pin(async move {
            let response = call_service(&*service, request).await;
            let headers = response
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
            let (status, headers) = (response.status().as_u16(), headers.collect());
            let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
            Answer { status, headers, body }
        })
    })
}

impl Framework for Actix {
    type App = Call;

    async fn send(
        app: &Call,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = TestRequest::with_uri(path).method(method.parse().unwrap());
        request = request.set_payload(body.to_owned());
        for header in headers {
            request = request.append_header(*header);
        }
        app(request.to_request()).await
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        actix_web::rt::System::new().block_on(future)
    }

    async fn health<T: Send + Sync + 'static>(settings: Live<T>) -> Call {
        start!(App::new().configure(health_routes(settings)))
    }

    async fn status<T: Send + Sync + 'static>(settings: Live<T>) -> Call {
        start!(App::new().configure(status_routes(settings)))
    }

    async fn refresh(settings: Live<Value>, token: RefreshToken) -> Call {
        start!(App::new().configure(refresh_route(settings, token)))
    }

    async fn nested(settings: Live<Value>, token: RefreshToken) -> Call {
        let internal = web::scope("/internal")
            .configure(status_routes(settings.clone()))
            .configure(refresh_route(settings, token));
        start!(App::new().service(internal))
    }

    async fn serve(settings: Live<Value>) -> Server {
        let app = move || {
            App::new()
                .configure(status_routes(settings.clone()))
                .configure(refresh_route(settings.clone(), http_suite::token()))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        let serving = tokio::spawn(server);
        let stop = async move {
            handle.stop(false).await;
            serving.await.unwrap().unwrap();
        };
        Server { address, stop: Box::pin(stop) }
    }

    async fn index(settings: Live<Settings>) -> Call {
        async fn plain(live: web::Data<Live<Settings>>) -> String {
            live.current().database.to_string()
        }
        let app = App::new().app_data(web::Data::new(settings));
        start!(app.route("/", web::get().to(index)).route("/plain", web::get().to(plain)))
    }

    async fn rotating_handler(rotation: Rotation) -> Call {
        async fn both(
            first: Current<Settings>,
            rotation: web::Data<Rotation>,
            request: HttpRequest,
        ) -> Result<String, Error> {
            rotation.rotate(2).await;
            let second = Current::<Settings>::extract(&request).await?;
            Ok(format!("{} {}", first.database, second.database))
        }
        let app = rotating(rotation);
        start!(app.route("/both", web::get().to(both)).route("/", web::get().to(index)))
    }

    async fn rotating_middleware(rotation: Rotation) -> Call {
        async fn middleware(
            settings: Current<Settings>,
            rotation: web::Data<Rotation>,
            request: ServiceRequest,
            next: Next<impl MessageBody>,
        ) -> Result<ServiceResponse<impl MessageBody>, Error> {
            rotation.rotate(rotation.settings.status().generation() + 1).await;
            let mut response = next.call(request).await?;
            let seen = HeaderValue::from_str(&settings.database.username)?;
            response.headers_mut().insert(HeaderName::from_static("middleware"), seen);
            Ok(response)
        }
        start!(rotating(rotation).wrap(from_fn(middleware)).route("/", web::get().to(index)))
    }

    async fn two_lives(outer: Live<Settings>, inner: Live<Settings>) -> Call {
        async fn middleware(
            request: ServiceRequest,
            next: Next<impl MessageBody>,
        ) -> Result<ServiceResponse<impl MessageBody>, Error> {
            // Before routing, so that the app's own data is the nearest.
            let settings = Current::<Settings>::extract(request.request()).await?;
            is_outer(&settings);
            next.call(request).await
        }
        let inner =
            web::scope("/inner").app_data(web::Data::new(inner)).route("", web::get().to(index));
        let app = App::new().wrap(from_fn(middleware)).app_data(web::Data::new(outer));
        start!(app.service(inner).route("/", web::get().to(index)))
    }

    async fn pair(settings: Live<Settings>) -> Call {
        async fn pair(first: Current<Settings>, request: HttpRequest) -> Result<String, Error> {
            tokio::task::yield_now().await;
            let second = Current::<Settings>::extract(&request).await?;
            Ok(format!("{} {}", first.database, second.database))
        }
        let app = App::new().app_data(web::Data::new(settings));
        start!(app.route("/", web::get().to(pair)))
    }
}

/// An app with settings, and with what rotates them.
fn rotating(
    rotation: Rotation,
) -> App<
    impl actix_web::dev::ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(web::Data::new(rotation.settings.clone()))
        .app_data(web::Data::new(rotation))
}

async fn index(Current(settings): Current<Settings>) -> String {
    settings.database.to_string()
}

#[test]
fn current_clones_and_prints_whatever_its_type_can() {
    struct Opaque;
    let current = Current(std::sync::Arc::new(Opaque));
    assert_eq!(format!("{:?}", current.clone()), "Current { .. }");
}
