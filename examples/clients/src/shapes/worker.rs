//! A worker without a web framework: it takes the settings once for each job, and a job that is
//! under way ends with those that it began with.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::Live;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Settings;

/// The part of the worker.
#[derive(Debug, Deserialize)]
pub struct Worker {
    /// Signs what is sent.
    pub key: SecretString,
    /// Seconds between two reports.
    pub report_every: u64,
}

/// Works until the jobs end: signs each, and sends a report at the interval of the settings. A new
/// interval counts at once.
pub async fn run(
    settings: Live<Settings>,
    mut jobs: mpsc::Receiver<String>,
    done: mpsc::Sender<String>,
) {
    let mut changes = settings.changes();
    let every = || Duration::from_secs(settings.load().worker.report_every);
    let (mut jobs_done, mut reported) = (0, Instant::now());
    loop {
        let sent = tokio::select! {
            job = jobs.recv() => {
                let Some(job) = job else { return };
                // For the whole job, across every `.await`.
                let settings = settings.current();
                jobs_done += 1;
                done.send(sign(&settings.worker, &job)).await
            }
            () = sleep_until(reported + every()) => {
                reported = Instant::now();
                done.send(format!("{jobs_done} jobs done")).await
            }
            // Only to look at the interval again; none comes once the settings have ended.
            Some(_) = changes.next() => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// What needs no live settings takes its part, and is tested with a value.
pub fn sign(worker: &Worker, job: &str) -> String {
    format!("{job}, signed by {}", worker.key.expose_secret())
}
