//! `import`: the variables of a `.env` file as secrets.
//!
//! A plan first, which only names what would change; `--apply` carries it out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use aws_sdk_secretsmanager::Client;
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Error, ErrorKind, Layers};
use serde_json::json;
use zeroize::Zeroizing;

use crate::output::{Output, Paint, failed, printable};
use crate::select::Selection;
use crate::settings::Tree;
use crate::store::{self, Payload};
use crate::table::Row;
use crate::{Ended, WELL, member};

/// Move the variables of a `.env` file into secrets below the prefix.
///
/// Without --apply it only says what would be created, updated or left, by name. Variables that say
/// where the secrets are (AWS_.., ENVIRONMENT, SECRETS_MANAGER_..) are left out.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file.
    #[arg(default_value = ".env")]
    file: PathBuf,
    /// One secret for each variable, or one JSON secret with all of them.
    #[arg(long = "as", value_name = "FORM", default_value = "secrets")]
    form: Form,
    /// Only these variables.
    #[arg(long, value_name = "VARIABLE,..", value_delimiter = ',')]
    variables: Vec<String>,
    /// All but these variables.
    #[arg(long, value_name = "VARIABLE,..", value_delimiter = ',')]
    skip: Vec<String>,
    /// Carry it out.
    #[arg(long)]
    apply: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// DATABASE__PASSWORD becomes the secret `database/password` below the prefix.
    Secrets,
    /// All become keys of the secret that has the prefix as its name.
    Json,
}

/// What happens to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Update,
    Keep,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Keep => "unchanged",
        }
    }
}

/// One secret of the plan.
struct Step {
    id: String,
    variables: Vec<String>,
    action: Action,
    /// What to store, and the version that was read.
    new: Zeroizing<String>,
    read: Option<String>,
}

/// The variables that say where secrets are, or that belong to the machine.
const SWITCHES: [&str; 7] = [
    "ENVIRONMENT",
    "USE_SECRETS_MANAGER",
    "SECRETS_MANAGER_PREFIX",
    "SECRETS_MANAGER_KEY_NAME",
    "SECRET_CACHE_TTL",
    "SECRETS_CACHE_TTL",
    "RUST_LOG",
];

impl Import {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        let variables = self.read()?;
        selection.writes("import")?;
        let manager = selection.manager().await?;
        let mut wanted: BTreeMap<String, Vec<(String, SecretString)>> = BTreeMap::new();
        for (name, value) in variables {
            let id = match self.form {
                Form::Secrets => manager.secret_id(&secret_name(&name))?,
                Form::Json => whole(&manager.secret_id(ANY)?)?,
            };
            wanted.entry(id).or_default().push((name, value));
        }
        let client = manager.sdk_client().await?;
        let mut steps = Vec::new();
        for (id, variables) in wanted {
            steps.push(self.planned(&client, id, variables).await?);
        }
        let done = match self.apply {
            true => Some(applied(&client, &steps).await?),
            false => None,
        };
        say(&steps, done.as_deref(), output)?;
        Ok(WELL)
    }

    /// The variables of the file that are to be secrets, with their values.
    fn read(&self) -> Result<Vec<(String, SecretString)>, Error> {
        let file = printable(&self.file.to_string_lossy()).into_owned();
        std::fs::metadata(&self.file).map_err(|error| failed(&format!("file `{file}`"), &error))?;
        let file = std::path::absolute(&self.file).map_err(|error| failed(&file, &error))?;
        let tree = Tree::of(&Layers::new().dotenv(file))?;
        let mut kept = Vec::new();
        for (path, value) in tree.texts() {
            let name = path.join("__").to_ascii_uppercase();
            let is = |other: &String| other.eq_ignore_ascii_case(&name);
            let ours = SWITCHES.contains(&name.as_str()) || name.starts_with("AWS_");
            let chosen = match self.variables.is_empty() {
                true => !ours,
                false => self.variables.iter().any(is),
            };
            // AWS stores no empty value.
            if chosen && !self.skip.iter().any(is) && !value.expose_secret().is_empty() {
                kept.push((name, value.clone()));
            }
        }
        if kept.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "the file has no variable to import")
                .with_hint(
                    "check the file, --variables and --skip; empty variables do not count",
                ));
        }
        Ok(kept)
    }

    async fn planned(
        &self,
        client: &Client,
        id: String,
        variables: Vec<(String, SecretString)>,
    ) -> Result<Step, Error> {
        let stored = store::current(client, &id).await?;
        let (read, text) = match stored {
            None => (None, None),
            Some((version, Payload::Text(text))) => (Some(version), Some(text)),
            Some((_, Payload::Binary(_))) => {
                let message = format!("secret `{}` exists and is binary", printable(&id));
                return Err(Error::new(ErrorKind::Conflict, message)
                    .with_secret(id)
                    .with_hint("leave the variable out with --skip"));
            }
        };
        let stored = text.as_ref().map(|text| text.expose_secret());
        let new = match self.form {
            Form::Secrets => {
                let value = variables.first().map(|(_, value)| value.expose_secret());
                Zeroizing::new(value.unwrap_or_default().to_owned())
            }
            Form::Json => {
                let stored = stored.unwrap_or("{}");
                if !member::is_object(stored) {
                    let message = format!("secret `{}` is no JSON object", printable(&id));
                    return Err(Error::new(ErrorKind::Malformed, message).with_secret(id));
                }
                let mut new = Zeroizing::new(stored.to_owned());
                for (name, value) in &variables {
                    new = member::with(&new, name, &member::json_text(value.expose_secret()))?;
                }
                new
            }
        };
        let action = match stored {
            None => Action::Create,
            Some(stored) if stored == new.as_str() => Action::Keep,
            Some(_) => Action::Update,
        };
        let variables = variables.into_iter().map(|(name, _)| name).collect();
        Ok(Step { id, variables, action, new, read })
    }
}

/// Writes what is new, and returns the version of each step.
async fn applied(client: &Client, steps: &[Step]) -> Result<Vec<String>, Error> {
    let mut versions = Vec::new();
    for step in steps {
        let written = match (step.action, &step.read) {
            (Action::Create, _) => store::create(client, &step.id, step.new.as_bytes()).await?,
            (Action::Update, Some(read)) => {
                store::replace(client, &step.id, read, step.new.as_bytes()).await?
            }
            (Action::Update | Action::Keep, read) => {
                versions.push(read.clone().unwrap_or_default());
                continue;
            }
        };
        versions.push(written.version_id);
    }
    Ok(versions)
}

/// A name, to find out what the prefix is.
const ANY: &str = "any";

/// The secret whose name is the prefix itself.
fn whole(below: &str) -> Result<String, Error> {
    below.strip_suffix(ANY).and_then(|id| id.strip_suffix('/')).map(str::to_owned).ok_or_else(
        || {
            Error::new(ErrorKind::Config, "one JSON secret needs a prefix, which is its name")
                .with_hint("give --prefix, or leave out `--as json`")
        },
    )
}

/// The name below the prefix that maps to the key of this variable.
fn secret_name(variable: &str) -> String {
    variable.to_ascii_lowercase().replace("__", "/").replace('_', "-")
}

fn say(steps: &[Step], versions: Option<&[String]>, output: &Output) -> Result<(), Error> {
    let version = |at: usize| versions.and_then(|versions| versions.get(at)).cloned();
    if output.json() {
        let steps = steps.iter().enumerate().map(|(at, step)| {
            let mut value = json!({
                "name": step.id,
                "action": step.action.word(),
                "variables": step.variables,
            });
            if let Some(version) = version(at) {
                value["version_id"] = version.into();
            }
            value
        });
        let steps: Vec<_> = steps.collect();
        return output.value(&json!({ "applied": versions.is_some(), "secrets": steps }));
    }
    let rows = steps.iter().enumerate().map(|(at, step)| {
        let version = version(at).unwrap_or_default();
        Row::new(
            [
                step.action.word().into(),
                printable(&step.id),
                printable(&step.variables.join(", ")),
                printable(&version),
            ]
            .map(Cow::into_owned),
        )
    });
    output.table(&["action", "secret", "variables", "version"], rows.collect())?;
    if versions.is_none() {
        let change = steps.iter().filter(|step| step.action != Action::Keep).count();
        let note = format!("{change} of {} secrets would change; --apply does it", steps.len());
        output.remark(&output.paint(Paint::Warn, &note))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_maps_back_to_the_key_of_its_variable() {
        for (variable, name) in [
            ("DATABASE__PASSWORD", "database/password"),
            ("JWT_SECRET", "jwt-secret"),
            ("API_KEYS__CLERK_KEY", "api-keys/clerk-key"),
        ] {
            assert_eq!(secret_name(variable), name);
        }
    }
}
