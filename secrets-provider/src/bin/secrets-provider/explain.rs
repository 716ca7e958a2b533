//! `explain`: where each key of the settings comes from, and what it hides.

use clap::Args;
use secrets_provider::{Error, Explanation};

use crate::output::{Output, Paint};
use crate::select::Selection;
use crate::{Ended, WELL};

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
        match output.json() {
            true => output.value(&explanation)?,
            false => output.text(&rendered(&explanation, output))?,
        }
        Ok(WELL)
    }
}

/// The table, with what hides something in a colour.
fn rendered(explanation: &Explanation, output: &Output) -> String {
    let table = explanation.to_string().replace("`.all()`", "`--all`");
    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
    for (at, line) in lines.iter_mut().enumerate() {
        let key = at.checked_sub(1).and_then(|at| explanation.keys().get(at));
        if at == 0 {
            *line = output.paint(Paint::Head, line);
        } else if key.is_some_and(|key| !key.hides().is_empty()) {
            *line = output.paint(Paint::Warn, line);
        }
    }
    lines.join("\n")
}
