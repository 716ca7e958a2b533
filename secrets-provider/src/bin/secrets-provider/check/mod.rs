//! `check`: the JSON Schema of a settings type, held against what a service would load.
//!
//! `schema`, `walk`, `values` and `names` decide, and `finding` is what they find; this file reads the
//! schema and the settings, and prints. `put` and `doctor` hold a schema against settings, too.

mod finding;
mod names;
mod schema;
#[cfg(test)]
mod tests;
mod values;
mod walk;

use std::path::{Path, PathBuf};

use clap::Args;
use secrets_provider::{Error, ErrorKind, Layers};
use serde_json::{Value, json};

use crate::output::{Output, Paint, failed, printable};
use crate::select::Selection;
use crate::settings::Tree;
use crate::table::Row;
use crate::{Ended, WELL};

pub(crate) use finding::Finding;
pub(crate) use schema::Schema;

/// Hold the schema of a settings type against what would be loaded, before it is deployed.
///
/// The schema is what `secrets_provider::schema::<Settings>()` returns (feature `schema`). Missing
/// and wrong values are found in the secrets over the environment over `.env`, unknown keys in the
/// secrets. The end is code 1 if a service would not start.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The file with the JSON Schema.
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// Only the secrets: leave out environment and `.env`, where it runs elsewhere.
    #[arg(long)]
    secrets_only: bool,
    /// Unknown keys are an error, too.
    #[arg(long)]
    strict: bool,
}

impl Check {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        let schema = read(&self.schema)?;
        let secrets = selection.manager().await?.fetch().await?;
        let of_secrets = Layers::new().secrets(&secrets);
        let settings = match self.secrets_only {
            true => Tree::of(&of_secrets)?,
            false => Tree::of(&selection.layers(&secrets))?,
        };
        let schema = Schema::new(&schema);
        let mut findings = schema.check(&settings);
        findings.extend(schema.unknown(&Tree::of(&of_secrets)?));
        let wrong = findings.iter().any(|finding| self.strict || !finding.is_unknown());
        say(&findings, wrong, output)?;
        Ok(if wrong { Ended::Code(1) } else { WELL })
    }
}

/// The schema in a file.
pub(crate) fn read(file: &Path) -> Result<Value, Error> {
    let name = format!("file `{}`", printable(&file.to_string_lossy()));
    let text = std::fs::read_to_string(file).map_err(|error| failed(&name, &error))?;
    serde_json::from_str(&text).map_err(|_| {
        Error::new(ErrorKind::Malformed, format!("{name} is no JSON"))
            .with_hint("write what `secrets_provider::schema::<Settings>()` returns into it")
    })
}

fn say(findings: &[Finding], wrong: bool, output: &Output) -> Result<(), Error> {
    if output.json() {
        return output.value(&json!({ "well": !wrong, "findings": findings }));
    }
    if findings.is_empty() {
        return output.aside(&format!("{} everything fits", output.paint(Paint::Good, "✓")));
    }
    let rows = findings.iter().map(|finding| {
        let (paint, mark) = match finding.is_unknown() {
            true => (Paint::Warn, "!"),
            false => (Paint::Bad, "✗"),
        };
        // Names and types come from the file of the schema.
        Row::new([mark, &printable(finding.key()), &printable(&finding.what())]).paint(Some(paint))
    });
    output.table(&[], rows.collect())
}
