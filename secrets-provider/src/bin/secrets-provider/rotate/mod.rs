//! `rotate`: a new value for a secret, by AWS's own rotation or made here; with `postgres`, also for
//! the role of a database.

mod postgres;
mod url;

use clap::Args;
use secrets_provider::{Error, ErrorKind, Rotated};

use crate::output::{Output, printable};
use crate::select::Selection;
use crate::{Ended, WELL};

/// Rotate a secret: by AWS's own rotation, or with values that are made here.
///
/// With --password or --random-key, only the secret gets the new value: whatever it is a password of
/// must take it, too. With --database-url-key, PostgreSQL takes it. If the command dies, run it
/// again: it goes on where it was.
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The secret, by its name below the prefix, or by name or ARN.
    name: String,
    /// Give this key a new password of 32 letters and digits; "" for a secret without keys.
    #[arg(long, value_name = "KEY")]
    password: Vec<String>,
    /// Give the PostgreSQL role in the URL at this key a new password, and the URL, too; "" for a secret
    /// that is the URL. The role sets its own password. --password names a key that has it as well.
    #[arg(long, value_name = "KEY")]
    database_url_key: Option<String>,
    /// Give this key 32 random bytes in base64; "" for a secret without keys.
    #[arg(long, value_name = "KEY")]
    random_key: Vec<String>,
    /// Write the time into this key, if the secret has it.
    #[arg(long, value_name = "KEY")]
    stamp: Vec<String>,
    /// Only say what would be done.
    #[arg(long)]
    plan: bool,
}

impl Rotate {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        selection.writes("rotate")?;
        let manager = selection.manager().await?;
        let name = printable(&self.name).into_owned();
        let made = !self.password.is_empty() || !self.random_key.is_empty();
        if !made && self.database_url_key.is_none() {
            if self.plan || !self.stamp.is_empty() {
                let message = "AWS's own rotation has no plan and writes no stamp";
                return Err(Error::new(ErrorKind::Config, message).with_hint(
                    "add --password, --random-key or --database-url-key, or leave out --plan \
                         and --stamp",
                ));
            }
            return say(&name, &manager.rotate(&self.name).await?, output);
        }
        let mut rotation = manager.rotation(&self.name);
        match &self.database_url_key {
            None => {
                for key in &self.password {
                    rotation = rotation.password(key);
                }
            }
            Some(key) => {
                let id = manager.secret_id(&self.name)?;
                let client = selection.writer("rotate").await?;
                let password = match &self.password[..] {
                    [] => None,
                    [one] => Some(one.as_str()),
                    _ => {
                        let message = "a database's role has one password";
                        return Err(Error::new(ErrorKind::Config, message)
                            .with_hint("give --password once beside --database-url-key"));
                    }
                };
                rotation = postgres::with_url(rotation, &client, &id, key, password).await?;
            }
        }
        for key in &self.random_key {
            rotation = rotation.key::<32>(key);
        }
        for key in &self.stamp {
            rotation = rotation.stamp(key);
        }
        if self.plan {
            let plan = rotation.plan().await?;
            match output.json() {
                true => output.value(&serde_json::json!({ "plan": plan.to_string() }))?,
                false => output.text(&plan.to_string())?,
            }
            return Ok(WELL);
        }
        say(&name, &rotation.run().await?, output)
    }
}

fn say(name: &str, rotated: &Rotated, output: &Output) -> Result<Ended, Error> {
    match output.json() {
        true => output.value(rotated)?,
        false => {
            let again = if rotated.resumed() { ", which an earlier run had begun" } else { "" };
            output.text(&format!(
                "rotated {name}, version {}{again}; before, it was {}",
                printable(rotated.version_id()),
                printable(rotated.previous_version_id())
            ))?;
        }
    }
    Ok(WELL)
}
