//! Layers that block: neither the runtime nor its end waits for them.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use secrets_provider::{
    ErrorKind, Health, Layers, Live, LiveBuilder, Memory, Rejected, SecretsManager, Snapshot,
};
use tokio::runtime::{Builder, Runtime};

type Map = BTreeMap<String, String>;

/// Layers that block while the gate is shut.
#[derive(Clone)]
struct Gate(Arc<Mutex<Option<Receiver<()>>>>);

impl Gate {
    fn open() -> Self {
        Self(Arc::default())
    }

    /// Shuts it until the sender is dropped.
    fn shut(&self) -> Sender<()> {
        let (sender, receiver) = mpsc::channel();
        *self.0.lock().unwrap() = Some(receiver);
        sender
    }

    fn pass(&self) {
        let receiver = self.0.lock().unwrap().take();
        // The sender only ever hangs up.
        assert!(receiver.is_none_or(|receiver| receiver.recv().is_err()));
    }

    fn builder(&self, memory: &Memory) -> LiveBuilder<Map> {
        let gate = self.clone();
        let manager = SecretsManager::prefix("app").backend(memory.clone());
        Live::builder(manager.timeout(Duration::from_millis(50))).layers(
            move |secrets: &Snapshot| {
                gate.pass();
                Layers::new().secrets(secrets)
            },
        )
    }
}

fn memory() -> Memory {
    let memory = Memory::new();
    memory.put("app/a", "a1");
    memory
}

fn one_worker() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn layers_that_block_end_a_start_and_hold_up_nothing() {
    let runtime = one_worker();
    let gate = Gate::open();
    let _shut = gate.shut();
    let starting = runtime.spawn(gate.builder(&memory()).start());
    let other = runtime.spawn(async {});
    let begun = Instant::now();
    runtime.block_on(other).unwrap();
    assert!(begun.elapsed() < Duration::from_millis(900), "another task waited");
    let error = runtime.block_on(starting).unwrap().map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("took longer than 1s"), "{error}");
    drop(runtime);
    assert!(begun.elapsed() < Duration::from_secs(10), "the end of the runtime waited");
}

#[test]
fn layers_that_block_in_a_refresh_leave_the_last_settings() {
    let runtime = one_worker();
    let (gate, memory) = (Gate::open(), memory());
    let settings = runtime.block_on(gate.builder(&memory).start()).unwrap();
    let shut = gate.shut();
    memory.put("app/a", "a2");
    let first = runtime.block_on(settings.refresh()).unwrap_err();
    let begun = Instant::now();
    let second = runtime.block_on(settings.refresh()).unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(900), "no second thread hangs");
    assert!(second.to_string().contains("still runs since an earlier refresh"), "{second}");
    for error in [first, second] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    let status = settings.status();
    assert_eq!((settings.load()["a"].as_str(), status.health()), ("a1", Health::Stale));
    assert!(status.is_ready());
    drop(shut);
    while runtime.block_on(settings.refresh()).is_err() {
        std::thread::yield_now();
    }
    assert_eq!(settings.load()["a"], "a2");
}

/// A shutdown does not wait for layers that block, and the process may end meanwhile.
#[test]
fn a_runtime_ends_while_layers_block() {
    let runtime = one_worker();
    let (gate, memory) = (Gate::open(), memory());
    let settings = runtime.block_on(gate.builder(&memory).start()).unwrap();
    let _shut = gate.shut();
    let refreshing = settings.clone();
    runtime.spawn(async move { refreshing.refresh().await });
    let begun = Instant::now();
    while gate.0.lock().unwrap().is_some() {
        std::thread::yield_now();
    }
    drop(runtime);
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    assert_eq!(settings.load()["a"], "a1");
}

/// What ran on the runtime's thread before still finds its runtime, span and subscriber.
#[tokio::test]
async fn layers_and_checks_have_the_callers_runtime() {
    let settings = Gate::open()
        .builder(&memory())
        .validate(|_| {
            let has_runtime = tokio::runtime::Handle::try_current().is_ok();
            has_runtime.then_some(()).ok_or_else(|| Rejected::new("no runtime"))
        })
        .start()
        .await;
    drop(settings.unwrap());
}

/// A pipe that someone writes to, but never to its end.
#[cfg(unix)]
#[test]
fn a_pipe_without_an_end_is_named() {
    use std::io::Write as _;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    let manager = SecretsManager::prefix("app").backend(memory());
    let layered = file.clone();
    let builder = Live::<Map>::builder(manager.timeout(Duration::ZERO))
        .layers(move |secrets| Layers::new().dotenv(&layered).secrets(secrets));
    let written = file.clone();
    let writer = std::thread::spawn(move || {
        let mut pipe = std::fs::OpenOptions::new().write(true).open(written).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) && pipe.write_all(b"A=1\n").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let begun = Instant::now();
    let error = one_worker().block_on(builder.start()).map(drop).unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(2500), "{:?}", begun.elapsed());
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let expected = format!("reading `{}` took longer than 1s", file.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    writer.join().unwrap();
}
