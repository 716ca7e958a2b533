//! Redis.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::ConnectionManager;
use ::redis::{AsyncConnectionConfig, IntoConnectionInfo as _, ProtocolVersion, RedisError};
use databases::{fred as by_fred, redis as by_redis};
use fred::interfaces::ClientLike as _;
use fred::types::CustomCommand;
use rotation_rig::{Client, PATIENCE, Redis, Server as _, Stage};
use secrets_provider::{Live, Retry};

use crate::{Name, plainly, under_fresh};

const DERIVED: Name = Name { client: "redis-rs, derived", key: "redis" };
const PROVIDER: Name = Name { client: "redis-rs, credentials provider", key: "redis" };
const FRED: Name = Name { client: "fred", key: "redis" };

/// How long to wait for an answer that does not come.
const SHORT: Duration = Duration::from_millis(20);

async fn stage() -> Stage<Redis> {
    Stage::start_redis().await.unwrap()
}

/// One command: who is logged in.
async fn whoami(manager: Arc<ConnectionManager>) -> Result<String, RedisError> {
    let mut manager = ConnectionManager::clone(&manager);
    ::redis::cmd("ACL").arg("WHOAMI").query_async(&mut manager).await
}

async fn derived(settings: Live<by_redis::Settings>) -> Vec<impl Client> {
    let redis = settings.derive("redis", by_redis::connect).await.unwrap();
    under_fresh(redis, whoami, by_redis::retry)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_derived_manager_follows_one_user() {
    DERIVED.follows_one_user(stage().await, derived).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_derived_manager_follows_two_users() {
    DERIVED.follows_two_users(stage().await, true, derived).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_with_a_provider_follows_two_users() {
    let clients = async |settings: Live<by_redis::Settings>| {
        let login = settings.derive("redis", by_redis::login).await.unwrap();
        let manager = by_redis::follow(&settings.load().redis, login.clone()).await.unwrap();
        let manager = Arc::new(manager);
        under_fresh(login, move |_| whoami(manager.clone()), by_redis::retry)
    };
    PROVIDER.follows_two_users(stage().await, true, clients).await;
}

/// Why the page says to derive the manager where a login may be refused. If this fails, redis-rs
/// has mended it, and the page can say so.
#[tokio::test]
async fn a_manager_that_was_refused_connects_no_more() {
    let stage = stage().await;
    stage.rotate_single_user(Duration::ZERO);
    let every = Duration::from_secs(300);
    let settings: Live<by_redis::Settings> = PROVIDER.settings(&stage, every).await;
    let login = settings.derive("redis", by_redis::login).await.unwrap();
    let manager = by_redis::follow(&settings.load().redis, login.clone()).await.unwrap();
    let manager = Arc::new(manager);
    stage.rotate().await.unwrap();
    let is_refused = |error: &RedisError| by_redis::retry(error) == Retry::Fresh;
    let refused = async {
        while !whoami(manager.clone()).await.as_ref().is_err_and(is_refused) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("a refusal");
    assert!(login.refresh().await.unwrap().changed());
    for _ in 0..5 {
        assert!(is_refused(&whoami(manager.clone()).await.unwrap_err()));
    }
}

async fn by_fred(settings: Live<by_fred::Settings>) -> Vec<impl Client> {
    let client = by_fred::connect(settings).await.unwrap();
    plainly(move || {
        let client = client.clone();
        async move {
            let command = CustomCommand::new_static("ACL", None, false);
            client.custom::<String, _>(command, vec!["WHOAMI"]).await
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fred_follows_one_user() {
    FRED.follows_one_user(stage().await, by_fred).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fred_follows_two_users() {
    FRED.follows_two_users(stage().await, true, by_fred).await;
}

/// What the server answers, and what is made of it.
#[tokio::test]
async fn the_judgements_know_the_answers_of_the_server() {
    let stage = stage().await;
    let server = stage.server();
    server.call(&["ACL", "SETUSER", "known", "on", "~*", "+@all", ">right"]).await.unwrap();
    let login = |password: &str, protocol| {
        let address = server.url().into_connection_info().unwrap();
        let login = address.redis_settings().clone().set_protocol(protocol);
        let login = login.set_username("known").set_password(password);
        ::redis::Client::open(address.set_redis_settings(login)).unwrap()
    };
    for protocol in [ProtocolVersion::RESP2, ProtocolVersion::RESP3] {
        let wrong = login("wrong", protocol).get_multiplexed_async_connection().await;
        let error = wrong.err().unwrap();
        assert_eq!(by_redis::retry(&error), Retry::Fresh, "{protocol:?}: {error}");
        let mut right = login("right", protocol).get_multiplexed_async_connection().await.unwrap();
        let error = ::redis::cmd("NO-COMMAND").exec_async(&mut right).await.unwrap_err();
        assert_eq!(by_redis::retry(&error), Retry::No, "{protocol:?}: {error}");
        let short = AsyncConnectionConfig::new().set_response_timeout(Some(SHORT));
        let client = login("right", protocol);
        let mut slow = client.get_multiplexed_async_connection_with_config(&short).await.unwrap();
        let forever = ::redis::cmd("BLPOP").arg("none").arg(0).exec_async(&mut slow).await;
        let error = forever.unwrap_err();
        assert_eq!(by_redis::retry(&error), Retry::Now, "{protocol:?}: {error}");
        server.disconnect("known").await.unwrap();
        let error = ::redis::cmd("PING").exec_async(&mut right).await.unwrap_err();
        assert_eq!(by_redis::retry(&error), Retry::Now, "{protocol:?}: {error}");
    }
    // Without a login, where one is needed.
    let client = ::redis::Client::open(server.url()).unwrap();
    let error = match client.get_multiplexed_async_connection().await {
        Ok(mut connection) => ::redis::cmd("PING").exec_async(&mut connection).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(by_redis::retry(&error), Retry::Fresh, "{error}");
}
