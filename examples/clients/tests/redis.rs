//! Logins of Redis that rotate under load, with connections that the server ends. It fails where
//! Redis is not installed; `.ci/external` installs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod load;
mod redis_server;

use std::sync::Arc;
use std::time::Duration;

use clients::{fred as by_fred, redis as by_redis};
use fred::interfaces::ClientLike as _;
use fred::types::CustomCommand;
use load::Load;
use redis::aio::ConnectionManager;
use redis::{AsyncConnectionConfig, IntoConnectionInfo as _, ProtocolVersion, RedisError};
use redis_server::Stage;
use secrets_provider::{Live, Retry};

const ROTATIONS: usize = 50;

/// Rotations in which the old login is refused before the new one is in the secret.
const REFUSED: usize = 5;

const WORKERS: usize = 8;

/// How long to wait for an answer that does not come.
const SHORT: Duration = Duration::from_millis(20);

/// One command: who is logged in.
async fn whoami(manager: Arc<ConnectionManager>) -> Result<String, RedisError> {
    let mut manager = ConnectionManager::clone(&manager);
    redis::cmd("ACL").arg("WHOAMI").query_async(&mut manager).await
}

/// Rotates in turns: a second password for the user, another user. `refresh` waits until the new
/// login is in use, and `user` is who a command is run by.
async fn rotate(
    stage: &mut Stage,
    load: &mut Load,
    refresh: impl AsyncFn(),
    user: impl AsyncFn() -> String,
) {
    load.rounds(1).await;
    for rotation in 0..ROTATIONS {
        if rotation % 2 == 0 {
            let old = stage.second_password().await;
            stage.put();
            refresh().await;
            stage.set_user(&stage.username.clone(), &[&format!("<{old}")]).await;
            stage.disconnect().await;
        } else {
            let old = stage.other_user().await;
            stage.put();
            refresh().await;
            // Which ends its connections.
            stage.call(&["ACL", "DELUSER", &old]).await;
        }
        load.rounds(1).await;
        assert_eq!(user().await, stage.username);
    }
}

/// The only password changes first, and the secret only after a login was refused.
async fn rotate_with_refusals(stage: &mut Stage, load: &mut Load) {
    load.rounds(1).await;
    for _ in 0..REFUSED {
        stage.only_password().await;
        stage.refusal().await;
        stage.put();
        load.rounds(2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_derived_manager_follows() {
    let mut stage = Stage::start().await;
    let settings: Live<by_redis::Settings> = stage.settings().await;
    let redis = settings.derive("redis", by_redis::connect).await.unwrap();
    let ask = {
        let redis = redis.clone();
        move || {
            let redis = redis.clone();
            async move { redis.with_fresh(whoami, by_redis::retry).await }
        }
    };
    let request = ask.clone();
    let mut load = Load::start(WORKERS, move |_| {
        let asked = request();
        async move { asked.await.map(drop).map_err(|error| error.to_string()) }
    });
    let refresh = async || assert!(redis.refresh().await.unwrap().changed());
    rotate(&mut stage, &mut load, refresh, async || ask().await.unwrap()).await;
    load.stop().await.report("redis-rs, derived", ROTATIONS);

    let mut load = Load::start(WORKERS, move |_| {
        let asked = ask();
        async move { asked.await.map(drop).map_err(|error| error.to_string()) }
    });
    rotate_with_refusals(&mut stage, &mut load).await;
    load.stop().await.report("redis-rs, derived, one password", REFUSED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_with_a_provider_follows() {
    let mut stage = Stage::start().await;
    let settings: Live<by_redis::Settings> = stage.settings().await;
    let login = settings.derive("redis", by_redis::login).await.unwrap();
    let manager = by_redis::follow(&settings.load().redis, login.clone()).await.unwrap();
    let ask = {
        let (login, manager) = (login.clone(), Arc::new(manager));
        move || {
            let (login, manager) = (login.clone(), manager.clone());
            async move { login.with_fresh(|_| whoami(manager.clone()), by_redis::retry).await }
        }
    };
    let request = ask.clone();
    let mut load = Load::start(WORKERS, move |_| {
        let asked = request();
        async move { asked.await.map(drop).map_err(|error| error.to_string()) }
    });
    let refresh = async || assert!(login.refresh().await.unwrap().changed());
    rotate(&mut stage, &mut load, refresh, async || ask().await.unwrap()).await;
    load.stop().await.report("redis-rs with a credentials provider", ROTATIONS);
}

/// Why the page says to derive the manager where a login may be refused. If this fails, redis-rs
/// has mended it, and the page can say so.
#[tokio::test]
async fn a_manager_that_was_refused_connects_no_more() {
    let mut stage = Stage::start().await;
    let settings: Live<by_redis::Settings> = stage.settings().await;
    let login = settings.derive("redis", by_redis::login).await.unwrap();
    let manager = by_redis::follow(&settings.load().redis, login.clone()).await.unwrap();
    let manager = Arc::new(manager);
    stage.only_password().await;
    let refused = async || whoami(manager.clone()).await.err();
    let is_refused = |error: RedisError| by_redis::retry(&error) == Retry::Fresh;
    redis_server::until(async || refused().await.filter(|e| is_refused(e.clone())).map(drop)).await;
    stage.put();
    login.refresh().await.unwrap();
    for _ in 0..5 {
        assert!(is_refused(refused().await.unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fred_follows() {
    let mut stage = Stage::start().await;
    let settings: Live<by_fred::Settings> = stage.settings().await;
    let client = by_fred::connect(settings.clone()).await.unwrap();
    let ask = move || {
        let client = client.clone();
        async move {
            let command = CustomCommand::new_static("ACL", None, false);
            client.custom::<String, _>(command, vec!["WHOAMI"]).await
        }
    };
    let request = ask.clone();
    let mut load = Load::start(WORKERS, move |_| {
        let asked = request();
        async move { asked.await.map(drop).map_err(|error| error.to_string()) }
    });
    let refresh = async || assert!(settings.refresh().await.unwrap().changed());
    rotate(&mut stage, &mut load, refresh, async || ask().await.unwrap()).await;
    load.stop().await.report("fred", ROTATIONS);

    let mut load = Load::start(WORKERS, move |_| {
        let asked = ask();
        async move { asked.await.map(drop).map_err(|error| error.to_string()) }
    });
    rotate_with_refusals(&mut stage, &mut load).await;
    load.stop().await.report("fred, one password", REFUSED);
}

/// What the server answers, and what is made of it.
#[tokio::test]
async fn the_judgements_know_the_answers_of_the_server() {
    let mut stage = Stage::start().await;
    let url = stage.url().to_owned();
    let login = |password: &str, protocol| {
        let address = url.as_str().into_connection_info().unwrap();
        let login = address.redis_settings().clone().set_protocol(protocol);
        let login = login.set_username("app_0").set_password(password);
        redis::Client::open(address.set_redis_settings(login)).unwrap()
    };
    for protocol in [ProtocolVersion::RESP2, ProtocolVersion::RESP3] {
        let wrong = login("wrong", protocol).get_multiplexed_async_connection().await;
        let error = wrong.err().unwrap();
        assert_eq!(by_redis::retry(&error), Retry::Fresh, "{protocol:?}: {error}");
        let mut right =
            login("password_0", protocol).get_multiplexed_async_connection().await.unwrap();
        let error = redis::cmd("NO-COMMAND").exec_async(&mut right).await.unwrap_err();
        assert_eq!(by_redis::retry(&error), Retry::No, "{protocol:?}: {error}");
        let short = AsyncConnectionConfig::new().set_response_timeout(Some(SHORT));
        let client = login("password_0", protocol);
        let mut slow = client.get_multiplexed_async_connection_with_config(&short).await.unwrap();
        let forever = redis::cmd("BLPOP").arg("none").arg(0).exec_async(&mut slow).await;
        let error = forever.unwrap_err();
        assert_eq!(by_redis::retry(&error), Retry::Now, "{protocol:?}: {error}");
        stage.disconnect().await;
        let error = redis::cmd("PING").exec_async(&mut right).await.unwrap_err();
        assert_eq!(by_redis::retry(&error), Retry::Now, "{protocol:?}: {error}");
    }
    // Without a login, where one is needed.
    stage.set_user("default", &["resetpass", ">of the administrator"]).await;
    let client = redis::Client::open(url.as_str()).unwrap();
    let error = match client.get_multiplexed_async_connection().await {
        Ok(mut connection) => redis::cmd("PING").exec_async(&mut connection).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(by_redis::retry(&error), Retry::Fresh, "{error}");
}
