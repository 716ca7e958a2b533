//! The status page in a browser. The pictures stay in `target/status-page`, for people to look at.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::{Next, from_fn};
use axum::response::Html;
use axum::routing::get;
use end_to_end::external::{Chromium, Look};
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{
    Layers, Live, LiveBuilder, Push, PushState, Rejected, SecretsManager, Status,
};
use secrets_provider_axum::status_routes;
use serde_json::Value;
use tokio::sync::watch;

/// A name that would be a script if it were not escaped.
const HOSTILE: &str = "<script>document.title='taken'</script>";

/// Other keys have no field.
#[derive(serde::Deserialize)]
struct Settings {
    database: Database,
    #[allow(dead_code, reason = "the page shows only its name")]
    jwt_secret: SecretString,
}

#[derive(serde::Deserialize)]
struct Database {
    password: SecretString,
}

fn fake() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    fake.put("shop/prod", r#"{"LOG_LEVEL": "value-level"}"#);
    put_password(&fake, 1);
    fake.put("shop/prod/jwt-secret", "value-jwt");
    fake.put("shop/prod/api-keys/stripe", r#"{"publishable": "value-pk", "secret": "value-sk"}"#);
    fake.put("shop/prod/odd", serde_json::json!({ HOSTILE: "value-odd" }).to_string());
    fake
}

fn put_password(fake: &FakeSecretsManager, n: u32) {
    let host = r#""host": "value-host", "username": "value-user""#;
    fake.put("shop/prod/database", format!(r#"{{{host}, "password": "value-{n}"}}"#));
}

fn builder(fake: &FakeSecretsManager) -> LiveBuilder<Settings> {
    const ENVIRONMENT: [(&str, &str); 5] = [
        ("DATABASE__PASSWORD", "value-hidden"),
        ("DATABASE__POOL_SIZE", "8"),
        ("JWT_SECRET", "value-local"),
        ("PATH", "/bin"),
        ("HOME", "/root"),
    ];
    let manager = SecretsManager::prefix("shop/prod")
        .aws_config(&fake.sdk_config())
        .optional(["sentry-dsn"])
        .fallback_to_env();
    Live::builder(manager)
        .layers(|secrets| Layers::new().environment_from(ENVIRONMENT).secrets(secrets))
        .refresh_every(Duration::from_secs(3600))
}

/// Derives a pool whose build fails with every password but the first.
async fn pool(settings: &Live<Settings>) -> Live<()> {
    settings
        .derive("database", |settings: Arc<Settings>| async move {
            match settings.database.password.expose_secret() {
                "value-1" => Ok(()),
                _ => Err(Rejected::new("the database did not let us in")),
            }
        })
        .await
        .unwrap()
}

/// A service with the page of these settings, and with pages that show it on a phone and on a
/// desktop.
struct Service {
    url: String,
    /// How often the page was requested.
    loads: watch::Receiver<u32>,
}

impl Service {
    async fn start(settings: Live<Settings>) -> Self {
        let (counter, loads) = watch::channel(0);
        let count = from_fn(move |request: Request, next: Next| {
            counter.send_modify(|loads| *loads += 1);
            next.run(request)
        });
        // The page forbids frames, so the phone gets a copy that allows them.
        let framed = from_fn(async |request: Request, next: Next| {
            let mut response = next.run(request).await;
            if let Some(policy) = response.headers_mut().get_mut("content-security-policy") {
                let text = policy.to_str().unwrap().replace("frame-ancestors 'none'", "");
                *policy = HeaderValue::from_str(&text).unwrap();
            }
            response
        });
        let phone = |width: &str, height: &str| {
            let html = include_str!("page/phone.html").replace("PAGE", "/framed/status?paused");
            Html(html.replace("WIDTH", width).replace("HEIGHT", height))
        };
        let (small, large) = (phone("390", "2400"), phone("1280", "1400"));
        let router = Router::new()
            .nest("/internal", status_routes(settings.clone()).layer(count))
            .nest("/framed", status_routes(settings).layer(framed))
            .route("/phone", get(async move || small))
            .route("/desktop", get(async move || large));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { url, loads }
    }

    /// Checks the page on a desktop and on a phone, with light and with dark colours. Returns the
    /// document of the browser.
    async fn looked_at(&self, name: &str) -> Document {
        let chromium = Chromium::installed();
        let folder = folder();
        std::fs::create_dir_all(&folder).unwrap();
        for (dark, ground) in [(false, "rgb(244, 245, 247)"), (true, "rgb(14, 17, 22)")] {
            let scheme = if dark { "dark" } else { "light" };
            for (device, width, height) in [("desktop", 1280, 1400), ("phone", 500, 2400)] {
                let (url, look) = (format!("{}/{device}", self.url), Look { width, height, dark });
                let document = chromium.document(&url, look, 2_000).await;
                let seen = between(&document, "<pre id=\"seen\">", "</pre>")
                    .replace("&lt;", "<")
                    .replace("&gt;", ">");
                let seen: Value = serde_json::from_str(&seen.replace("&amp;", "&")).unwrap();
                let of = format!("{name}, {device}, {scheme}");
                assert_eq!(seen["overflow"], 0, "{of}: wider than the screen");
                assert_eq!(seen["ground"], ground, "{of}: the style is in force");
                assert!(seen["texts"].as_u64().unwrap() > 30, "{of}: {seen}");
                assert_eq!(seen["faint"], serde_json::json!([]), "{of}: contrast below 4.5");
                assert!(!seen["elements"].as_array().unwrap().contains(&"script".into()), "{of}");
                chromium
                    .screenshot(&url, look, &folder.join(format!("{name}-{device}-{scheme}.png")))
                    .await;
            }
        }
        let look = Look { width: 1280, height: 1400, dark: false };
        let html =
            chromium.document(&format!("{}/internal/status?paused", self.url), look, 2_000).await;
        assert!(!html.contains("value-"), "a value is shown");
        Document(html)
    }
}

/// The folder `status-page` in the target folder of this binary.
fn folder() -> PathBuf {
    let ours = std::env::current_exe().unwrap();
    let target = ours.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.expect("a target folder").join("status-page")
}

/// The text of a document that the browser has read.
struct Document(String);

impl Document {
    /// The text of each element of this name, with single spaces.
    fn all(&self, element: &str) -> Vec<String> {
        let (start, end) = (format!("<{element}"), format!("</{element}>"));
        self.0
            .split(&start)
            .skip(1)
            .filter_map(|rest| rest.split_once(&end))
            .map(|(inner, _)| text(inner))
            .collect()
    }

    fn has_row_like(&self, start: &str) {
        let rows = self.all("tr");
        assert!(rows.iter().any(|text| text.starts_with(start)), "no `{start}` in {rows:#?}");
    }

    /// Of the cards below the title.
    fn has_card(&self, start: &str) {
        let cards = self.all("div");
        assert!(cards.iter().any(|text| text.starts_with(start)), "no `{start}` in {cards:#?}");
    }

    fn has_row(&self, row: &str) {
        let rows = self.all("tr");
        assert!(rows.iter().any(|text| text == row), "no `{row}` in {rows:#?}");
    }
}

/// The text without tags: `a c` for `class="x">a <b>c</b>`.
fn text(inner: &str) -> String {
    let plain: Vec<&str> =
        inner.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
    plain.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start)
        .and_then(|(_, rest)| rest.split_once(end))
        .unwrap_or_else(|| panic!("{text}"))
        .0
}

#[tokio::test]
async fn the_page_of_fresh_settings() {
    let fake = fake();
    let settings = builder(&fake).title(HOSTILE).start().await.unwrap();
    let _pool = pool(&settings).await;
    let version = fake.put("shop/prod/jwt-secret", "value-rotated");
    settings.refresh().await.unwrap();
    let page = Service::start(settings).await.looked_at("fresh").await;

    let escaped = HOSTILE.replace('<', "&lt;").replace('>', "&gt;");
    assert_eq!(page.all("title"), [format!("fresh: {escaped}, generation 2")]);
    assert_eq!(page.all("h1"), [escaped]);
    assert!(page.all("p").iter().any(|text| text.starts_with("us-east-1, account ")));
    assert_eq!(page.all("h2"), ["Secrets", "Derived", "Keys"]);
    page.has_row_like(&format!("shop/prod/jwt-secret current jwt_secret {version} "));
    let group = format!("secret shop/prod/jwt-secret version {version} 1 key");
    assert!(page.all("summary").contains(&group), "{:?}", page.all("summary"));
    page.has_row("jwt_secret environment JWT_SECRET -");
    page.has_row("database.pool_size DATABASE__POOL_SIZE derive database");
    page.has_row("odd.* -");
    assert!(page.all("script").is_empty());
    assert!(page.all("tr").iter().any(|row| row.starts_with("database built")));
}

#[tokio::test]
async fn the_page_of_stale_settings() {
    let fake = fake();
    let settings = builder(&fake).start().await.unwrap();
    let pool = pool(&settings).await;
    put_password(&fake, 2);
    pool.refresh().await.unwrap_err();
    fake.deny_secret("shop/prod/api-keys/stripe");
    settings.refresh().await.unwrap_err();
    let page = Service::start(settings).await.looked_at("stale").await;

    assert_eq!(page.all("title"), ["stale: Settings, generation 2"]);
    assert_eq!(page.all("h2")[0], "Last error");
    assert!(page.all("pre")[0].contains("shop/prod/api-keys/stripe"), "{:?}", page.all("pre"));
    assert!(page.all("pre")[0].contains("hint: "), "{:?}", page.all("pre"));
    let rows = page.all("tr");
    // Below the columns' names.
    assert!(rows[1].starts_with("shop/prod/api-keys/stripe last good access_denied"), "{rows:#?}");
    let derived =
        rows.iter().find(|row| row.contains("build failed: the database did not let us in"));
    assert!(derived.is_some_and(|row| row.starts_with("database ")), "{rows:#?}");
}

#[tokio::test]
async fn the_page_of_failing_settings() {
    let fake = fake();
    let settings = builder(&fake).max_staleness(Duration::ZERO).start().await.unwrap();
    fake.inject(Fault::drop_connection());
    settings.refresh().await.unwrap_err();
    let page = Service::start(settings).await.looked_at("failing").await;

    assert_eq!(page.all("title"), ["failing: Settings, generation 1"]);
    assert_eq!(
        page.all("header")[0].split(' ').take(4).collect::<Vec<_>>(),
        ["Settings", "failing", "not", "ready"]
    );
}

#[tokio::test]
async fn the_page_of_fallback_settings() {
    let fake = fake();
    fake.inject(
        Fault::error("AccessDeniedException", 400, "denied").for_secret("shop/prod/jwt-secret"),
    );
    fake.inject(Fault::throttled().for_secret("shop/prod/database"));
    let settings = builder(&fake).start().await.unwrap();
    let page = Service::start(settings).await.looked_at("fallback").await;

    assert_eq!(page.all("title"), ["fallback: Settings, generation 1"]);
    page.has_row("shop/prod/jwt-secret fallback access_denied jwt_secret");
    assert!(page.all("dd").iter().any(|text| text.starts_with("never started")));
    page.has_row("jwt_secret JWT_SECRET");
    page.has_row("database.password DATABASE__PASSWORD");
}

/// Waits for a status that nothing announces.
async fn status_with(settings: &Live<Settings>, wanted: impl Fn(&Status) -> bool) {
    let reaching = async {
        while !wanted(&settings.status()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(60), reaching).await;
    reached.unwrap_or_else(|_| panic!("{:?}", settings.status()));
}

#[tokio::test]
async fn the_page_of_pushed_settings() {
    let fake = fake();
    let queue = fake.queue("changes", "shop/prod/");
    // No one listens at this port, so no hint arrives there.
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = unused.local_addr().unwrap().to_string();
    drop(unused);
    let settings = builder(&fake)
        .push(Push::queue(queue).spread(Duration::ZERO))
        .push(Push::peers(peer, "value-token"))
        .start()
        .await
        .unwrap();
    let is = |state: PushState| {
        move |status: &Status| status.push().is_some_and(|push| push.state() == state)
    };
    status_with(&settings, is(PushState::Connected)).await;
    fake.send_message("changes", "value-garbage");
    let mut changes = settings.changes();
    fake.put("shop/prod/jwt-secret", "value-rotated");
    changes.next().await.unwrap();
    status_with(&settings, |status| status.peers().is_some_and(|peers| peers.is_failing())).await;
    let page = Service::start(settings.clone()).await.looked_at("pushed").await;
    page.has_card("Push connected last hint ");
    page.has_card("Peers 1 unavailable ");
    let cards = page.all("div").join("\n");
    for part in [" after its event 1 other messages", "0 hints arrived 1 did not"] {
        assert!(cards.contains(part), "no `{part}` in {cards}");
    }

    // The queue is denied from the next poll on, and the interval is in charge.
    fake.deny_action("sqs:ReceiveMessage");
    fake.put("shop/prod/jwt-secret", "value-rotated-again");
    status_with(&settings, is(PushState::Denied)).await;
    let page = Service::start(settings).await.looked_at("denied-push").await;
    page.has_card("Push denied access_denied ");
}

#[tokio::test]
async fn the_page_reloads_itself() {
    let Service { url, mut loads } = Service::start(builder(&fake()).start().await.unwrap()).await;
    let url = format!("{url}/internal/status");
    let look = Look { width: 1280, height: 1400, dark: false };
    let open = Chromium::installed().keep_open(&url, look);
    let third = tokio::time::timeout(Duration::from_secs(120), loads.wait_for(|loads| *loads >= 3));
    third.await.expect("the page does not reload itself").unwrap();
    open.close().await;

    let Service { url, loads } = Service::start(builder(&fake()).start().await.unwrap()).await;
    Chromium::installed().document(&format!("{url}/internal/status?paused"), look, 12_000).await;
    assert_eq!(*loads.borrow(), 1, "paused");
}
