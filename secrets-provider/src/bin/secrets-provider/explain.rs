//! `explain`: where each key of the settings comes from, and what it hides.

use clap::Args;
use secrets_provider::{Error, ExplainedKey, Explanation};

use crate::output::{Output, Paint, printable};
use crate::select::Selection;
use crate::table::Row;
use crate::{Ended, WELL};

const COLUMNS: [&str; 4] = ["key", "layer", "source", "hides"];

/// Show which layer sets each key, and which values that hides.
///
/// The layers are `.env`, environment and secrets; the later one wins. Names are shown, and never a
/// value. A key that no secret's name and no variable vouches for may be secret itself, and is `*`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Show every variable of the environment.
    #[arg(long)]
    all: bool,
}

impl Explain {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        let secrets = selection.manager().await?.fetch().await?;
        let explanation = selection.layers(&secrets).explain()?;
        let explanation = if self.all { explanation.all() } else { explanation };
        if output.json() {
            output.value(&explanation)?;
            return Ok(WELL);
        }
        output.table(&COLUMNS, explanation.keys().iter().map(row).collect())?;
        if let Some(omitted) = omitted(&explanation) {
            output.aside(&omitted)?;
        }
        Ok(WELL)
    }
}

fn row(key: &ExplainedKey) -> Row {
    let name = printable(key.key());
    let name = match key.count() {
        1 => name.into_owned(),
        count => format!("{name} ({count} keys)"),
    };
    let layer = key.source().layer().to_string();
    let source = key.source().to_string();
    let place = source.strip_prefix(&layer).unwrap_or(&source).trim_start().to_owned();
    let hides: Vec<String> = key.hides().iter().map(ToString::to_string).collect();
    let paint = if hides.is_empty() { None } else { Some(Paint::Warn) };
    Row::new([name, layer, place, hides.join(", ")]).paint(paint)
}

/// What is not shown.
fn omitted(explanation: &Explanation) -> Option<String> {
    match explanation.omitted() {
        0 => None,
        1 => Some("and 1 other environment variable (`--all` shows it)".to_owned()),
        count => Some(format!("and {count} other environment variables (`--all` shows them)")),
    }
}
