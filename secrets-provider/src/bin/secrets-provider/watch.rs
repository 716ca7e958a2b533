//! `watch`: a line for each change of the secrets.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use clap::Args;
use secrets_provider::{Change, Error, Status};
use serde_json::json;

use crate::output::{Output, printable};
use crate::select::Selection;
use crate::table::Row;
use crate::{Ended, WELL, store, supervise};

/// Print a line for each change: time, generation, keys, versions.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Seconds between looks. Default: what the switches say, or 300.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    interval: Option<u64>,
    /// End after this many changes.
    #[arg(long, value_name = "NUMBER")]
    count: Option<usize>,
}

impl Watch {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        let manager = selection.manager().await?;
        let interval = self.interval.map(Duration::from_secs);
        let (live, _) = supervise::live(manager, interval).await?;
        let mut changes = live.changes();
        let mut known = versions(&live.status());
        say(None, &live.status(), &known, output)?;
        let mut left = self.count;
        while left != Some(0) {
            let Some(change) = changes.next().await else { break };
            let status = live.status();
            let now = versions(&status);
            let new = now.iter().filter(|(name, version)| known.get(*name) != Some(version));
            let new = new.map(|(name, version)| (name.clone(), version.clone())).collect();
            say(Some(&change), &status, &new, output)?;
            known = now;
            left = left.map(|left| left - 1);
        }
        live.shutdown().await;
        Ok(WELL)
    }
}

type Versions = BTreeMap<String, String>;

/// The version of each secret.
fn versions(status: &Status) -> Versions {
    let secrets = status.secrets().iter();
    secrets.map(|secret| (secret.name().to_owned(), secret.version_id().to_owned())).collect()
}

fn say(
    change: Option<&Change>,
    status: &Status,
    new: &Versions,
    output: &Output,
) -> Result<(), Error> {
    let time = store::time(SystemTime::now());
    if output.json() {
        return output.line(&json!({
            "time": time,
            "generation": status.generation(),
            "change": change,
            "new_versions": new,
        }));
    }
    // A change prints its own generation.
    let what = match change {
        Some(change) => change.to_string(),
        None => format!("generation {}", status.generation()),
    };
    let new = new.iter();
    let new: Vec<String> =
        new.map(|(name, version)| format!("{}@{}", printable(name), printable(version))).collect();
    output.table(&[], vec![Row::new([time, printable(&what).into_owned(), new.join(" ")])])
}
