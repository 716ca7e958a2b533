use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use roxmltree::{Document, Node};
use sha2::Digest as _;

use super::*;
use crate::{Layers, Memory, Rejected, SecretsManager};

/// A name with markup, quotes, entities, a line break and a direction mark.
const HOSTILE: &str = "<script>alert(\"1\")<!-- ' & &amp; ]]> \n \u{202e}";

/// The same as a reader sees it.
const SHOWN: &str = "<script>alert(\"1\")<!-- ' & &amp; ]]> \\n \\u{202e}";

/// The page is also XML, so an XML parser finds unclosed elements, unquoted attributes and
/// unescaped names.
fn parsed(html: &str) -> Document<'_> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    Document::parse_with_options(html, options).expect("well-formed")
}

/// The text of an element, with single spaces.
fn text(node: Node<'_, '_>) -> String {
    let text: Vec<&str> =
        node.descendants().filter_map(|node| node.text().filter(|_| node.is_text())).collect();
    text.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of each element with this name.
fn all(document: &Document<'_>, element: &str) -> Vec<String> {
    document.descendants().filter(|node| node.has_tag_name(element)).map(text).collect()
}

/// The cells of each row in the table below a heading.
fn rows(document: &Document<'_>, heading: &str) -> Vec<Vec<String>> {
    let table = document.descendants().find(|node| {
        node.has_tag_name("table") && node.attribute("aria-labelledby") == Some(heading)
    });
    rows_of(table.expect("a table with that heading"))
}

fn rows_of(table: Node<'_, '_>) -> Vec<Vec<String>> {
    let body = table.children().find(|node| node.has_tag_name("tbody")).expect("a body");
    let cells = |row: Node<'_, '_>| row.children().filter(Node::is_element).map(text).collect();
    body.children().filter(Node::is_element).map(cells).collect()
}

/// Each group of keys: its summary, and the rows of its table.
fn groups(document: &Document<'_>) -> Vec<(String, Vec<Vec<String>>)> {
    let child = |node: Node<'_, '_>, name: &str| {
        node.children().find(|node| node.has_tag_name(name)).expect("the element").id()
    };
    let node = |id| document.get_node(id).expect("a node");
    let groups = document.descendants().filter(|node| node.has_tag_name("details"));
    groups
        .map(|group| (text(node(child(group, "summary"))), rows_of(node(child(group, "table")))))
        .collect()
}

/// A row of a table, as texts.
fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

fn attribute<'a>(document: &'a Document<'_>, element: &str, name: &str) -> Vec<&'a str> {
    document
        .descendants()
        .filter(|node| node.has_tag_name(element))
        .filter_map(|node| node.attribute(name))
        .collect()
}

async fn live(secrets: &Memory) -> Live<serde_json::Value> {
    Live::builder(SecretsManager::prefix("app").backend(secrets.clone()))
        .layers(|secrets| {
            Layers::new()
                .environment_from([("DATABASE__PORT", "5432"), ("PATH", "/bin")])
                .secrets(secrets)
        })
        .start()
        .await
        .expect("settings")
}

fn seeded() -> Memory {
    let secrets = Memory::new();
    secrets.put("app/database", r#"{"host": "value-host", "password": "value-password"}"#);
    secrets.put("app/jwt-secret", "value-jwt");
    secrets
}

#[tokio::test(start_paused = true)]
async fn the_page_shows_generation_age_secrets_and_keys() {
    let secrets = seeded();
    let settings = live(&secrets).await;
    tokio::time::advance(Duration::from_secs(120)).await;
    secrets.put("app/jwt-secret", "value-new");
    settings.refresh().await.expect("a refresh");
    tokio::time::advance(Duration::from_millis(100_500)).await;

    let html = StatusPage::of(&settings).to_string();
    let page = parsed(&html);
    assert_eq!(all(&page, "title"), ["fresh: Value, generation 2"]);
    assert_eq!(all(&page, "h1"), ["Value"]);
    assert_eq!(all(&page, "strong")[..2], ["2", "1 min 40 s ago"]);
    assert!(all(&page, "strong")[2].starts_with("in "), "the next refresh");
    assert!(all(&page, "dd")[1].ends_with("failing after 15 min"));
    let secrets = rows(&page, "secrets");
    assert_eq!(
        secrets.iter().map(|row| &row[..4]).collect::<Vec<_>>(),
        [
            ["app/database", "current", "database", "v1"],
            ["app/jwt-secret", "current", "jwt_secret", "v3"]
        ]
    );
    assert!(secrets[0][4].starts_with("3 min 40 s ago"), "since the start: {secrets:?}");
    assert!(secrets[1][4].starts_with("1 min 40 s ago"), "since the refresh: {secrets:?}");
    assert_eq!(
        groups(&page),
        [
            // The type has no fields that these could be.
            (
                "secret app/database version v1 2 keys".to_owned(),
                vec![row(&["database.* (2 keys)", ""])]
            ),
            ("secret app/jwt-secret version v3 1 key".to_owned(), vec![row(&["jwt_secret", ""])]),
            ("environment 1 key".to_owned(), vec![row(&["database.port", "DATABASE__PORT", ""])]),
        ]
    );
    assert!(all(&page, "p").contains(&"And 1 other environment variable.".to_owned()));
    assert!(
        !all(&page, "h2").iter().any(|heading| heading.contains("error") || heading == "Derived")
    );
    assert!(!html.contains("value-"), "a value is shown");
}

#[tokio::test]
async fn the_page_shows_who_follows_a_key() {
    let secrets = Memory::new();
    secrets.put("app/session-key", "value-1");
    secrets.put("app/token", "value-2");
    let settings: Live<serde_json::Value> =
        Live::builder(SecretsManager::prefix("app").backend(secrets))
            .layers(|secrets| Layers::new().secrets(secrets))
            .start()
            .await
            .expect("settings");
    assert!(!StatusPage::of(&settings).to_string().contains("Followed by"));

    settings.on_change("token", |_| {});
    let _restart = settings.restart_on(["to<b>ken"]);
    let html = StatusPage::of(&settings).to_string();
    let page = parsed(&html);
    let rows: Vec<_> = groups(&page).into_iter().flat_map(|(_, rows)| rows).collect();
    assert_eq!(rows, [row(&["session_key", "", "-"]), row(&["token", "", "on_change token"])]);
    assert!(all(&page, "th").contains(&"Followed by".to_owned()));
    let notes = all(&page, "p");
    assert!(notes.iter().any(|note| note.starts_with("A key that nothing follows")), "{notes:?}");
}

#[tokio::test]
async fn the_page_shows_what_a_key_hides() {
    let secrets = Memory::new();
    secrets.put("app/token", "value-secret");
    let settings: Live<serde_json::Value> =
        Live::builder(SecretsManager::prefix("app").backend(secrets))
            .layers(|secrets| {
                Layers::new().environment_from([("TOKEN", "value-variable")]).secrets(secrets)
            })
            .start()
            .await
            .expect("settings");
    let html = StatusPage::of(&settings).to_string();
    let page = parsed(&html);
    assert_eq!(
        groups(&page),
        [(
            "secret app/token version v1 1 key".to_owned(),
            vec![row(&["token", "environment TOKEN"])]
        )]
    );
    assert!(!html.contains("value-"), "a value is shown");
}

#[tokio::test(start_paused = true)]
async fn the_last_error_is_on_top_while_it_persists_and_at_the_bottom_afterwards() {
    let secrets = seeded();
    let settings = live(&secrets).await;
    let headings = |html: &str| all(&parsed(html), "h2");

    secrets.remove("app/jwt-secret");
    settings.refresh().await.expect_err("a secret is gone");
    let stale = StatusPage::of(&settings).to_string();
    assert_eq!(headings(&stale), ["Last error", "Secrets", "Keys"]);
    let page = parsed(&stale);
    assert_eq!(all(&page, "title"), ["stale: Value, generation 1"]);
    // What needs attention comes first.
    assert_eq!(
        rows(&page, "secrets")[0][..4],
        [
            "app/jwt-secret",
            "last good not_found deleted just now: it leaves in 1 d",
            "jwt_secret",
            "v2"
        ]
    );
    assert!(all(&page, "pre")[0].contains("`app/jwt-secret`"));

    secrets.put("app/jwt-secret", "value-again");
    settings.refresh().await.expect("a refresh");
    let over = StatusPage::of(&settings).to_string();
    assert_eq!(headings(&over), ["Secrets", "Keys", "Last error (resolved)"]);
}

#[tokio::test(start_paused = true)]
async fn settings_that_are_not_ready_are_marked() {
    let settings = live(&seeded()).await;
    settings.shutdown().await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    let failing = StatusPage::of(&settings).to_string();
    assert_eq!(
        all(&parsed(&failing), "header")[0].split(' ').take(4).collect::<Vec<_>>().join(" "),
        "Value failing not ready"
    );
}

#[tokio::test]
async fn hints_are_shown() {
    let mut status = Status::of_sources(
        vec![crate::SourceStatus::started("app".into(), Duration::from_secs(300), None)],
        None,
    );
    let error =
        crate::Error::new(crate::ErrorKind::AccessDenied, "denied").with_hint("add the statement");
    status.record_source(0, |source| source.record_failure(&error));
    let page = StatusPage {
        settings: "Settings".to_owned(),
        status,
        explanation: Arc::default(),
        ended: false,
        reload: None,
    };
    let html = page.to_string();
    assert_eq!(all(&parsed(&html), "pre"), ["denied hint: add the statement"]);
}

#[cfg(feature = "sqs")]
#[test]
fn the_queue_of_a_push_is_shown_with_what_is_wrong_with_it() {
    use crate::observe::status::Progress;
    let progress = Arc::new(Progress::new("https://queue/1/q".into()));
    let mut page = StatusPage::of(&Live::constant(1));
    page.status.set_push(Some(progress.clone()), None);
    let card = |page: &StatusPage| all(&parsed(&page.to_string()), "dd").pop().expect("a card");
    assert_eq!(card(&page), "connecting no hint yet");
    let error = crate::Error::new(crate::ErrorKind::AccessDenied, format!("queue: <{SHOWN}>"));
    progress.failed(&error.with_hint("allow it"));
    progress.unknown();
    let shown = card(&page);
    assert!(shown.starts_with("denied access_denied queue: <"), "{shown}");
    assert!(
        shown.contains("allow it") && shown.ends_with("no hint yet 1 other messages"),
        "{shown}"
    );
    progress.connected();
    progress.hinted();
    progress.served(std::time::SystemTime::now());
    let shown = card(&page);
    assert!(shown.starts_with("connected last hint just now live 0"), "{shown}");
}

#[cfg(feature = "sqs")]
#[test]
fn peers_are_shown_with_what_is_wrong_with_them() {
    use crate::observe::status::PeersProgress;
    let progress = Arc::new(PeersProgress::new("gaara.svc:80".into()));
    let mut page = StatusPage::of(&Live::constant(1));
    page.status.set_push(None, Some(progress.clone()));
    let card = |page: &StatusPage| all(&parsed(&page.to_string()), "dd").pop().expect("a card");
    assert_eq!(card(&page), "0 0 hints arrived");
    progress.delivered(5, 4, 1);
    progress.failed(&crate::Error::new(crate::ErrorKind::AccessDenied, "<refused>"));
    assert_eq!(card(&page), "5 access_denied <refused> 4 hints arrived 1 did not");
    progress.recovered();
    assert_eq!(card(&page), "5 4 hints arrived 1 did not");
}

/// A store that answers once it may.
#[derive(Debug, Default, Clone)]
struct Unreachable(Arc<AtomicBool>);

impl crate::Backend for Unreachable {
    fn list<'a>(&'a self, _: &'a str) -> crate::BoxFuture<'a, Result<Vec<String>, crate::Error>> {
        Box::pin(async { Ok(vec!["app/token".to_owned()]) })
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> crate::BoxStream<'a, crate::Outcome> {
        let answer = |id: &String| match self.0.load(Ordering::Relaxed) {
            true => {
                let arn =
                    format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{id}-AbCdEf");
                (id.clone(), Ok(crate::Fetched::text(id, "v1", "value-token").with_arn(arn)))
            }
            false => {
                (id.clone(), Err(crate::Error::new(crate::ErrorKind::Unavailable, "no answer")))
            }
        };
        Box::pin(futures_util::stream::iter(ids.iter().map(answer)))
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_start_on_fallback_no_success_is_shown_until_there_is_one() {
    let store = Unreachable::default();
    let manager = SecretsManager::prefix("app").backend(store.clone()).fallback_to_env();
    let settings: Live<serde_json::Value> = Live::builder(manager)
        .layers(|secrets| {
            Layers::new().environment_from([("TOKEN", "value-local")]).secrets(secrets)
        })
        .title(format!("shop <{SHOWN}>"))
        .start()
        .await
        .expect("settings on fallback");
    let success = |html: &str| all(&parsed(html), "dd")[1].clone();
    let html = StatusPage::of(&settings).to_string();
    assert!(success(&html).starts_with("never started just now"), "{}", success(&html));
    assert!(!html.contains("account"), "no secret has been read");
    let json = |live: &Live<_>| serde_json::to_value(live.status()).expect("JSON");
    assert_eq!(json(&settings)["last_success"], serde_json::Value::Null);

    store.0.store(true, Ordering::Relaxed);
    settings.refresh().await.expect("a refresh");
    let html = StatusPage::of(&settings).to_string();
    let page = parsed(&html);
    assert!(success(&html).starts_with("just now"), "{}", success(&html));
    assert!(json(&settings)["last_success"].is_u64());
    assert_eq!(all(&page, "h1"), [text_of(&format!("shop <{SHOWN}>"))]);
    assert_eq!(all(&page, "p")[1], "eu-west-1, account 123456789012");
}

/// A secret with very many keys, and very many secrets.
#[tokio::test]
async fn the_page_shows_a_hundred_keys_of_a_secret_and_counts_the_others() {
    let secrets = Memory::new();
    let members = (0..1_000).map(|n| (format!("HOST_{n}"), "value-host".into()));
    let object: serde_json::Map<String, serde_json::Value> = members.collect();
    secrets.put("app", serde_json::Value::Object(object).to_string());
    for n in 0..300 {
        secrets.put(&format!("app/token-{n}"), "value-token");
    }
    let variables = (0..1_000).map(|n| (format!("HOST_{n}"), "value-variable"));
    let variables: Vec<_> = variables.collect();
    let settings: Live<serde_json::Value> =
        Live::builder(SecretsManager::prefix("app").backend(secrets))
            .layers(move |secrets| {
                Layers::new().environment_from(variables.clone()).secrets(secrets)
            })
            .start()
            .await
            .expect("settings");
    let html = StatusPage::of(&settings).to_string();
    let page = parsed(&html);
    let groups = groups(&page);
    assert_eq!(groups.len(), 100);
    assert!(groups[0].0.ends_with("1000 keys"), "{}", groups[0].0);
    assert_eq!(groups[0].1.len(), 100);
    let notes = all(&page, "p");
    for note in ["And 900 more keys.", "And 101 more secrets.", "And 201 more groups."] {
        assert!(notes.iter().any(|text| text == note), "{note}");
    }
    assert!(!html.contains(r#"open="open""#), "many keys are folded");
    assert!(html.len() < 250_000, "{}", html.len());
}

/// Hostile names of secrets, keys, variables and files, and a hostile message from a check.
#[tokio::test]
async fn hostile_names_are_shown_as_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("<b onload='x'>&\".env");
    std::fs::write(&file, "FROM_FILE=value-file\n").expect("a file");
    let secrets = Memory::new();
    let json = serde_json::json!({ HOSTILE: "value-key" });
    let name = format!("app/{HOSTILE}");
    secrets.put(&name, json.to_string());
    let refuse = Arc::new(AtomicBool::new(false));
    let refusing = refuse.clone();
    let settings: Live<serde_json::Value> =
        Live::builder(SecretsManager::names([&name]).rename(&name, "").backend(secrets.clone()))
            .layers(move |secrets| {
                Layers::new()
                    .dotenv(&file)
                    .environment_from([(HOSTILE, "value-variable")])
                    .secrets(secrets)
            })
            .validate(move |_| match refusing.load(Ordering::Relaxed) {
                true => Err(Rejected::new(HOSTILE)),
                false => Ok(()),
            })
            .start()
            .await
            .expect("settings");
    let derived = settings
        .derive(HOSTILE, |_| async { Err::<(), _>(Rejected::new(HOSTILE)) })
        .await
        .expect_err("a build that fails");
    assert!(derived.to_string().contains(SHOWN));
    let _derived = settings.derive(HOSTILE, |_| async { Ok(()) }).await.expect("a build");
    refuse.store(true, Ordering::Relaxed);
    secrets.put(&name, json.to_string());
    settings.refresh().await.expect_err("refused");

    let html = StatusPage::of(&settings).to_string();
    let page = parsed(&html);
    let secret = text_of(&format!("app/{SHOWN}"));
    assert_eq!(rows(&page, "secrets")[0][0], secret);
    let groups = groups(&page);
    let key = text_of(SHOWN);
    assert!(
        groups
            .iter()
            .any(|(of, rows)| of.contains(&secret) && rows.iter().any(|row| row[0] == key)),
        "{groups:?}"
    );
    assert!(
        groups.iter().any(|(of, _)| of.starts_with(".env") && of.contains("<b onload='x'>&\".env")),
        "{groups:?}"
    );
    assert_eq!(rows(&page, "derived")[0][0], text_of(SHOWN));
    assert!(
        all(&page, "pre")[0].contains("<script>alert(\"1\")<!-- ' & &amp; ]]>"),
        "{:?}",
        all(&page, "pre")
    );

    let elements: std::collections::BTreeSet<_> =
        page.descendants().filter(Node::is_element).map(|node| node.tag_name().name()).collect();
    assert!(!elements.contains("script") && !elements.contains("b"), "{elements:?}");
    assert!(!html.contains('\u{202e}'), "a direction mark is shown");
    assert!(!html.contains("value-"), "a value is shown");
}

fn text_of(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn derived_values_are_listed_with_their_failures() {
    let secrets = seeded();
    let settings = live(&secrets).await;
    let builds = Arc::new(AtomicBool::new(true));
    let building = builds.clone();
    let derived = settings
        .derive("database", move |_| {
            let built = if building.load(Ordering::Relaxed) {
                Ok(1_u16)
            } else {
                Err(Rejected::new("no route"))
            };
            async move { built }
        })
        .await
        .expect("a build");
    let html = StatusPage::of(&settings).to_string();
    assert_eq!(rows(&parsed(&html), "derived")[0][..2], ["database", "built"]);
    let named = settings.derive_named("<pool>", "database", async |_| Ok(1_u16)).await;
    let named = named.expect("a build");
    let html = StatusPage::of(&settings).to_string();
    let row = &rows(&parsed(&html), "derived")[1];
    assert!(row[0].contains("<pool>") && row[0].contains("database"), "{row:?}");
    drop(named);

    builds.store(false, Ordering::Relaxed);
    secrets.put("app/database", r#"{"host": "value-other", "password": "value-password"}"#);
    derived.refresh().await.expect_err("a build that fails");
    let html = StatusPage::of(&settings).to_string();
    let row = &rows(&parsed(&html), "derived")[0];
    assert!(row[1].ends_with("failure build failed: no route"), "{row:?}");
    assert_eq!(row[3..], ["1", "1"]);

    // Its own page shows the secrets of its settings and its own error.
    let html = StatusPage::of(&derived).to_string();
    let page = parsed(&html);
    assert_eq!(all(&page, "title"), ["stale: u16, generation 1"]);
    assert_eq!(rows(&page, "secrets").len(), 2);
    assert_eq!(all(&page, "pre"), ["build failed: no route"]);
}

#[tokio::test]
async fn a_constant_has_an_empty_page() {
    let html = StatusPage::of(&Live::constant(7_u16)).to_string();
    let page = parsed(&html);
    assert_eq!(all(&page, "strong"), ["1", "just now", "never"]);
    assert_eq!(all(&page, "table").len(), 0);
    assert_eq!(
        all(&page, "p")[1..4],
        [
            "These settings never change.",
            "No secrets: these settings are a constant.",
            "No layer sets a key of these settings."
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_stopped_refresher_is_shown() {
    let settings = live(&seeded()).await;
    let next = |html: &str| all(&parsed(html), "dd")[2].clone();
    assert!(!next(&StatusPage::of(&settings).to_string()).contains("stopped"));
    settings.shutdown().await;
    assert_eq!(next(&StatusPage::of(&settings).to_string()), "never the refresher has stopped");
    tokio::time::advance(Duration::from_secs(3600)).await;
    let html = StatusPage::of(&settings).to_string();
    assert_eq!(all(&parsed(&html), "title"), ["failing: Value, generation 1"]);
}

#[tokio::test]
async fn the_page_reloads_unless_paused() {
    let page = StatusPage::of(&Live::constant(7_u16));
    let shown = |page: StatusPage| {
        let html = page.to_string();
        let document = parsed(&html);
        let every =
            document.descendants().find(|node| node.attribute("http-equiv") == Some("refresh"));
        (
            every.and_then(|meta| meta.attribute("content")).map(str::to_owned),
            attribute(&document, "a", "href")[0].to_owned(),
        )
    };
    assert_eq!(shown(page.clone()), (Some("5".to_owned()), "?paused".to_owned()));
    assert_eq!(shown(page.clone().reload_every(Some(Duration::ZERO))).0.as_deref(), Some("1"));
    assert_eq!(shown(page.reload_every(None)), (None, "?".to_owned()));
}

/// A language, a title, a width for phones, table headings, and names for sections and images.
#[tokio::test]
async fn the_page_is_accessible() {
    let html = StatusPage::of(&live(&seeded()).await).to_string();
    let page = parsed(&html);
    assert_eq!(attribute(&page, "html", "lang"), ["en"]);
    assert!(attribute(&page, "meta", "content").contains(&"width=device-width, initial-scale=1"));
    let columns = page.descendants().filter(|node| node.attribute("scope") == Some("col")).count();
    assert_eq!(columns, 5 + 2 * 2 + 3, "secrets, keys of two secrets, of the environment");
    assert_eq!(attribute(&page, "svg", "aria-label"), ["0 % of the bound"]);
    let ids: Vec<_> = page.descendants().filter_map(|node| node.attribute("id")).collect();
    for section in page.descendants().filter(|node| node.has_tag_name("section")) {
        let label = section.attribute("aria-labelledby").expect("a name");
        assert_eq!(ids.iter().filter(|id| **id == label).count(), 1, "{label}");
    }
}

#[test]
fn the_policy_allows_only_the_style() {
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(STYLE));
    let expected = format!("style-src 'sha256-{hash}'");
    assert!(StatusPage::CONTENT_SECURITY_POLICY.contains(&expected), "{expected}");
    assert!(StatusPage::CONTENT_SECURITY_POLICY.starts_with("default-src 'none';"));
    let html = StatusPage::of(&Live::constant(1)).to_string();
    for foreign in ["style=", "src=", "http:", "https:", "url(", "@import", "<script"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_says_when_it_leaves() {
    let secrets = Memory::new();
    secrets.put("app/database", r#"{"password": "p"}"#);
    secrets.put("app/old", "x");
    let settings = live(&secrets).await;
    secrets.remove("app/old");
    settings.refresh().await.expect_err("it is gone");
    let page = StatusPage::of(&settings).to_string();
    // What needs attention comes first.
    let state = &rows(&parsed(&page), "secrets")[0][1];
    assert_eq!(state, "last good not_found deleted just now: it leaves in 1 d");
}
