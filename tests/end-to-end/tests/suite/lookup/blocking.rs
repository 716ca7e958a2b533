//! Lookups that block: on every runtime and on none, also while another one reads.

use super::*;

fn check(secrets: &Lookup) {
    let url: SecretString = secrets.get("database-url").blocking().unwrap();
    assert_eq!(url.expose_secret(), "postgres://one");
    assert_eq!(secrets.get::<u16>("database/primary").key("port").blocking().unwrap(), 5432);
    assert_eq!(secrets.get::<String>("missing").optional().blocking().unwrap(), None);
    let refreshed = secrets.get::<Login>("database/primary").shared().refresh().blocking();
    assert_eq!(refreshed.unwrap().port, 5432);
    assert_eq!(secrets.get::<u16>("../other").blocking().unwrap_err().kind(), ErrorKind::Invalid);
}

/// The fake answers without a socket, so that it needs no runtime of its own.
fn memory() -> Lookup {
    let memory = secrets_provider::Memory::new();
    memory.put("app/database-url", "postgres://one");
    memory.put("app/database/primary", r#"{"username": "u", "port": "5432"}"#);
    SecretsManager::prefix("app").backend(memory).lookup()
}

#[test]
fn a_lookup_blocks_outside_of_every_runtime() {
    check(&memory());
}

#[tokio::test]
async fn a_lookup_blocks_on_a_current_thread_runtime() {
    check(&memory());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lookup_blocks_on_a_multi_thread_runtime() {
    let secrets = memory();
    check(&secrets);
    tokio::task::spawn_blocking(move || {
        secrets.clear();
        check(&secrets);
    })
    .await
    .unwrap();
}

#[test]
fn a_lookup_is_awaited_outside_of_tokio() {
    let secrets = memory();
    assert_eq!(futures_executor(text(&secrets, "database-url")).unwrap(), "postgres://one");
}

/// The search for a newer version needs no runtime either.
#[test]
fn refused_credentials_are_replaced_outside_of_tokio() {
    #[derive(Debug)]
    struct Failed;
    impl From<Error> for Failed {
        fn from(_: Error) -> Self {
            Self
        }
    }
    let (send, receive) = std::sync::mpsc::channel();
    // On a thread of its own, because it hangs if it fails.
    std::thread::spawn(move || {
        let memory = secrets_provider::Memory::new();
        memory.put("app/password", "old");
        let secrets = SecretsManager::prefix("app").backend(memory.clone()).lookup();
        assert_eq!(futures_executor(text(&secrets, "password")).unwrap(), "old");
        memory.put("app/password", "new");
        let log_in = |password: Arc<String>| async move {
            if *password == "new" { Ok(()) } else { Err(Failed) }
        };
        let operation = secrets.get("password").with_fresh(log_in, |_: &Failed| true);
        send.send(futures_executor(operation).is_ok()).unwrap();
    });
    assert_eq!(receive.recv_timeout(Duration::from_secs(60)), Ok(true));
}

/// Polls a future to its end on a thread without a runtime.
fn futures_executor<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

/// A call that the blocked runtime has sent cannot be answered: the caller does not wait for it.
#[tokio::test]
async fn a_lookup_blocks_although_its_own_runtime_reads_the_same_secret() {
    let secrets = memory();
    let reading = tokio::spawn({
        let secrets = secrets.clone();
        async move { text(&secrets, "database-url").await }
    });
    let mut polled = Box::pin(text(&secrets, "database-url"));
    std::future::poll_fn(|cx| std::task::Poll::Ready(polled.as_mut().poll(cx).is_ready())).await;
    let url: String = secrets.get("database-url").blocking().unwrap();
    assert_eq!(url, "postgres://one");
    assert_eq!(polled.await.unwrap(), url);
    assert_eq!(reading.await.unwrap().unwrap(), url);
}
