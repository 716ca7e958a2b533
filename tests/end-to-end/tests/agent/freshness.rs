//! Whose cache answers: the agent's at the start and at the interval, none when someone asks for
//! the newest value.

use std::time::Duration;

use end_to_end::NEVER;
use secrets_provider::{Agent, Layers, Live, LiveBuilder, Rotating, SecretsManager, Trigger};
use serde::Deserialize;

use crate::stand_in::{StandIn, TOKEN, arn};

#[derive(Debug, Deserialize)]
struct Settings {
    token: String,
}

fn manager(server: &StandIn) -> SecretsManager {
    let agent = Agent::local().address(server.url()).token(TOKEN);
    SecretsManager::prefix("app").only(["token"]).backend(agent)
}

fn builder<T>(manager: SecretsManager) -> LiveBuilder<T> {
    Live::builder(manager).layers(|secrets| Layers::new().secrets(secrets)).refresh_every(NEVER)
}

const CACHED: &str = "app%2Ftoken";
const NEWEST: &str = "app%2Ftoken&refreshNow=true";

#[tokio::test]
async fn a_refresh_that_is_asked_for_reads_past_the_agents_cache() {
    let server = StandIn::start().await;
    server.put("app/token", "old");
    let live: Live<Settings> = builder(manager(&server)).start().await.unwrap();
    assert_eq!(server.requests(), [CACHED], "the start");

    server.put("app/token", "new");
    live.refresh().await.unwrap();
    assert_eq!(server.requests(), [NEWEST], "refresh()");
    assert_eq!(live.load().token, "new");

    let refused = live.current();
    server.put("app/token", "newer");
    let current = live.refresh_past(&refused).await.unwrap();
    assert_eq!(current.token, "newer");
    assert_eq!(server.requests(), [NEWEST], "refresh_past()");
}

/// As the agent itself does, once what it has is too old: it looks for that by its ARN.
#[tokio::test]
async fn a_secret_that_was_deleted_and_made_again_is_found_past_the_agents_cache() {
    let server = StandIn::start().await;
    server.put("app/token", "new");
    server.known().made_again.insert("app/token".to_owned());
    let snapshot = manager(&server).fetch().await.unwrap();
    assert_eq!(snapshot.extract::<Settings>().unwrap().token, "new");
    assert_eq!(server.requests(), [CACHED, NEWEST]);
    manager(&server).fetch().await.unwrap();
    assert_eq!(server.requests(), [CACHED], "the cache has the new one");

    // What does not exist costs a second call, and an extension is not asked for what it lacks.
    let absent = SecretsManager::prefix("app").only(["absent"]).optional(["absent"]);
    let absent = absent.backend(Agent::local().address(server.url()).token(TOKEN));
    absent.fetch().await.unwrap();
    assert_eq!(server.requests(), ["app%2Fabsent", "app%2Fabsent&refreshNow=true"]);
    server.known().is_extension = true;
    absent.fetch().await.unwrap();
    let refused = ["app%2Fabsent", "app%2Fabsent&refreshNow=true", "app%2Fabsent"];
    assert_eq!(server.requests(), refused);
    absent.fetch().await.unwrap();
    assert_eq!(server.requests(), ["app%2Fabsent"]);
}

#[tokio::test]
async fn a_hint_reads_past_the_agents_cache_and_the_interval_does_not() {
    let server = StandIn::start().await;
    server.put("app/token", "old");
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let triggers = futures_util::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|trigger| (trigger, receiver))
    });
    let live: Live<Settings> =
        builder(manager(&server)).refresh_on(triggers).start().await.unwrap();
    let mut changes = live.changes();
    server.requests();

    server.put("app/token", "new");
    sender.send(Trigger::secret(arn("app/token"))).unwrap();
    changes.next().await.unwrap();
    assert_eq!(live.load().token, "new");
    assert_eq!(server.requests(), [NEWEST], "a hint");

    let every = Duration::from_millis(1);
    let live: Live<Settings> = Live::builder(manager(&server))
        .layers(|secrets| Layers::new().secrets(secrets))
        .refresh_every(every)
        .start()
        .await
        .unwrap();
    while live.status().calls()["AgentRead"] < 3 {
        tokio::task::yield_now().await;
    }
    let requests = server.requests();
    assert!(requests.iter().all(|request| request == CACHED), "the interval: {requests:?}");
}

#[tokio::test]
async fn a_lookup_reads_past_the_agents_cache_when_it_refreshes() {
    let server = StandIn::start().await;
    server.put("app/token", "old");
    let secrets = manager(&server).lookup();
    let value: String = secrets.get("token").await.unwrap();
    assert_eq!((&*value, server.requests()), ("old", vec![CACHED.to_owned()]));
    server.put("app/token", "new");
    let value: String = secrets.get("token").refresh().await.unwrap();
    assert_eq!((&*value, server.requests()), ("new", vec![NEWEST.to_owned()]));
}

/// The agent caches the two versions apart: after a rotation, its cached AWSPREVIOUS is the one
/// before the one before.
#[tokio::test]
async fn the_previous_value_is_the_one_that_the_current_one_replaced() {
    #[derive(Debug, Deserialize)]
    struct Settings {
        token: Rotating<String>,
    }
    let server = StandIn::start().await;
    server.put("app/token", "first");
    server.put("app/token", "second");
    let manager = manager(&server).with_previous(["token"]);
    let live: Live<Settings> = builder(manager).start().await.unwrap();
    assert_eq!(live.load().token.previous.as_deref(), Some("first"));
    server.put("app/token", "third");
    live.refresh().await.unwrap();
    let settings = live.current();
    assert_eq!(settings.token.current, "third");
    assert_eq!(settings.token.previous.as_deref(), Some("second"));
    server.requests();
    live.refresh().await.unwrap();
    assert_eq!(server.requests(), [NEWEST, "app%2Ftoken&versionStage=AWSPREVIOUS"], "unchanged");
}

#[tokio::test]
async fn the_status_shows_how_old_a_value_may_be() {
    let server = StandIn::start().await;
    server.put("app/token", "old");
    let live: Live<Settings> = builder(manager(&server)).start().await.unwrap();
    assert_eq!(live.status().cache_ttl(), Some(Duration::from_secs(300)));
    let json = serde_json::to_value(live.status()).unwrap();
    assert_eq!(json["cache_ttl"], 300.0);
    let agent = Agent::local().address(server.url()).token(TOKEN).cache_ttl(Duration::ZERO);
    let live: Live<Settings> =
        builder(SecretsManager::names(["app/token"]).rename("app/token", "token").backend(agent))
            .start()
            .await
            .unwrap();
    assert_eq!(live.status().cache_ttl(), None);
}

/// The extension refuses the parameter; its cache has to do.
#[tokio::test]
async fn the_extension_is_asked_without_what_it_does_not_know() {
    let server = StandIn::start().await;
    server.known().is_extension = true;
    server.put("app/token", "old");
    let live: Live<Settings> = builder(manager(&server)).start().await.unwrap();
    server.requests();
    live.refresh().await.unwrap();
    assert_eq!(server.requests(), [NEWEST, CACHED], "refused once");
    live.refresh().await.unwrap();
    assert_eq!(server.requests(), [CACHED], "and not sent again");
}
