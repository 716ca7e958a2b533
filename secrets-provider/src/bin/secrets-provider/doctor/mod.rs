//! `doctor`: goes through the set-up as an operator would, a line for each thing, with what to do.
//!
//! `account` looks at region, credentials, endpoint and permissions, with `reach` and `clock`;
//! `elsewhere` at other stores, `secrets` at what is read and what is made of it, `facts` at what AWS
//! knows about each secret, `deleted` at what is scheduled for deletion, `cost` counts. Each makes
//! lines; this file puts them in order and prints them. Nothing is changed. Values are read, as the
//! service would, and never shown.

mod account;
mod clock;
mod cost;
mod deleted;
mod elsewhere;
mod facts;
mod reach;
mod repeated;
mod secrets;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrets_provider::Error;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Ended;
use crate::backend::Store;
use crate::output::{Output, Paint, printable};
use crate::select::Selection;
use crate::table::Row;
use crate::wording;

use account::Reached;

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Look for what is wrong: region, credentials, endpoint, clock, permissions, secrets, mapping.
///
/// ✓ is well, ! deserves a look, ✗ keeps a service from its secrets.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// End with code 1 if there is any ✗, for CI.
    #[arg(long)]
    check: bool,
    /// Warn of secrets whose value is older than this many days.
    #[arg(long, value_name = "DAYS")]
    max_age: Option<u64>,
    /// Hold the JSON Schema of the settings type against what would be loaded, as `check` does.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// How many replicas the service has, for the number of calls.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    replicas: u64,
    /// Seconds between refreshes of a replica, for the number of calls.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    Good,
    Warn,
    Bad,
}

impl Mark {
    fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Warn => "!",
            Self::Bad => "✗",
        }
    }

    fn paint(self) -> Paint {
        match self {
            Self::Good => Paint::Good,
            Self::Warn => Paint::Warn,
            Self::Bad => Paint::Bad,
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    mark: Mark,
    topic: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
    /// Something is not allowed, so that a policy helps.
    #[serde(skip)]
    denied: bool,
}

impl Line {
    pub(super) fn new(mark: Mark, topic: impl Into<String>, text: impl Into<String>) -> Self {
        Self { mark, topic: topic.into(), text: text.into(), todo: None, denied: false }
    }

    pub(super) fn good(topic: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(Mark::Good, topic, text)
    }

    /// Something is not allowed.
    pub(super) fn denied(topic: impl Into<String>) -> Self {
        Self { denied: true, ..Self::new(Mark::Bad, topic, "denied") }
    }

    pub(super) fn todo(mut self, todo: impl Into<String>) -> Self {
        self.todo = Some(todo.into());
        self
    }

    /// For a script: mark, topic, what was found, what to do.
    fn row(&self) -> Row {
        let [topic, text, todo] =
            [&self.topic, &self.text, self.todo.as_ref().unwrap_or(&String::new())]
                .map(|text| printable(text).into_owned());
        Row::new([self.mark.sign().to_owned(), topic, text, todo]).paint(Some(self.mark.paint()))
    }

    /// Each failure of an error as a line.
    pub(super) fn of_error(topic: &str, error: &Error) -> Vec<Self> {
        let line = |error: &Error| {
            let text = wording::without_hint(error);
            let action = text.split_once(": ").filter(|(action, _)| is_action(action));
            let (topic, text) = match (error.secret(), action) {
                (Some(secret), _) => (secret, text.as_str()),
                // What is missing is no matter of the call that needed it.
                (None, Some((_, text))) if topic == "credentials" => (topic, text),
                (None, Some((action, text))) => (action, text),
                (None, None) => (topic, text.as_str()),
            };
            let todo = error.hint().map(|hint| wording::of_program(hint).into_owned());
            let denied = error.is_denied();
            Self { todo, denied, ..Self::new(Mark::Bad, topic, wording::of_program(text)) }
        };
        match error.errors() {
            [] => vec![line(error)],
            errors => errors.iter().map(line).collect(),
        }
    }
}

/// Whether this is the name of a call that is not about one secret.
fn is_action(text: &str) -> bool {
    matches!(text, "ListSecrets" | "BatchGetSecretValue")
}

/// Whether a line says that this call is allowed.
fn is_allowed(lines: &[Line], action: &str) -> bool {
    lines.iter().any(|line| line.topic == action && line.mark == Mark::Good)
}

impl From<bool> for Reached {
    fn from(reached: bool) -> Self {
        if reached { Self::Store } else { Self::Nothing }
    }
}

impl Doctor {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        let mut lines = Vec::new();
        let manager = match selection.manager().await {
            Ok(manager) => Some(manager),
            Err(error) => {
                lines.extend(Line::of_error("selection", &error));
                None
            }
        };
        let needs = manager.as_ref().filter(|_| selection.is_aws()).map(account::needs);
        let needs = needs.unwrap_or_default();
        // What is said about the account is true without a selection, too.
        let reached = match selection.store() {
            Store::Aws => account::look(selection, &needs, &mut lines).await,
            Store::Vault => elsewhere::vault(selection, &mut lines).await.into(),
            Store::Directory => elsewhere::directory(&selection.folder(), &mut lines).into(),
            Store::Agent => elsewhere::agent(&mut lines).await.into(),
        };
        let (Some(manager), true) = (manager, reached != Reached::Nothing) else {
            return self.said(&lines, None, output);
        };
        let topic = if reached == Reached::NoCredentials { "credentials" } else { "secrets" };
        let look = secrets::Look { max_age: self.max_age, topic, schema: self.schema.as_deref() };
        let read = secrets::look(&manager, selection, &look, &mut lines).await?;
        if selection.is_aws()
            && let Ok(client) = selection.client().await
        {
            deleted::look(&manager, &client, &mut lines).await;
        }
        if selection.is_aws() && read > 0 {
            let use_ = cost::Use {
                secrets: read as u64,
                lists: needs.iter().any(|need| need.action == "ListSecrets"),
                batches: is_allowed(&lines, "BatchGetSecretValue"),
                replicas: self.replicas,
                interval: self.interval,
            };
            lines.extend(cost::lines(&use_));
        }
        let denied = lines.iter().any(|line| line.mark == Mark::Bad && line.denied);
        let policy = selection.store() != Store::Directory && denied;
        let policy = policy.then(|| manager.iam_policy());
        self.said(&lines, policy.as_deref(), output)
    }

    fn said(&self, lines: &[Line], policy: Option<&str>, output: &Output) -> Result<Ended, Error> {
        let wrong = lines.iter().any(|line| line.mark == Mark::Bad);
        let end = Ended::Code(u8::from(wrong && self.check));
        if output.json() {
            // IAM's is JSON, Vault's is HCL.
            let policy = policy
                .map(|policy| serde_json::from_str(policy).unwrap_or_else(|_| Value::from(policy)));
            output.value(&json!({ "well": !wrong, "lines": lines, "missing_policy": policy }))?;
            return Ok(end);
        }
        match output.terminal() {
            true => output.text(&rendered(lines, output))?,
            false => output.table(&[], lines.iter().map(Line::row).collect())?,
        }
        let count = |mark: Mark| lines.iter().filter(|line| line.mark == mark).count();
        let (good, warn, bad) = (count(Mark::Good), count(Mark::Warn), count(Mark::Bad));
        output.aside(&format!("\n{good} well, {warn} to look at, {bad} wrong"))?;
        if let Some(policy) = policy {
            output.aside("\n")?;
            output.remark(&format!("The least policy for these secrets:\n{policy}"))?;
        }
        Ok(end)
    }
}

/// For a person: what to do is below what is wrong.
fn rendered(lines: &[Line], output: &Output) -> String {
    let width = lines.iter().map(|line| printable(&line.topic).chars().count()).max();
    let width = width.unwrap_or_default().min(40);
    let mut text = String::new();
    for line in lines {
        let mark = output.paint(line.mark.paint(), line.mark.sign());
        let (topic, what) = (printable(&line.topic), printable(&line.text));
        text += format!("{mark} {topic:width$}  {what}\n").as_str();
        if let Some(todo) = &line.todo {
            text += &format!("  {:width$}  → {}\n", "", printable(todo));
        }
    }
    text
}
