//! `doctor`: goes through the set-up as an operator would, a line for each thing, with what to do.
//!
//! `account` looks at region, credentials, endpoint, clock and permissions, `secrets` at each secret
//! and what is made of it, `cost` counts. Each makes lines; this file puts them in order and prints
//! them. Nothing is changed. Values are read, as the service would, and never shown.

mod account;
mod cost;
mod secrets;

use clap::Args;
use secrets_provider::Error;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Ended;
use crate::output::{Output, Paint, printable};
use crate::select::Selection;

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

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    mark: Mark,
    topic: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

impl Line {
    pub(super) fn new(mark: Mark, topic: impl Into<String>, text: impl Into<String>) -> Self {
        Self { mark, topic: topic.into(), text: text.into(), todo: None }
    }

    pub(super) fn good(topic: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(Mark::Good, topic, text)
    }

    pub(super) fn todo(mut self, todo: impl Into<String>) -> Self {
        self.todo = Some(todo.into());
        self
    }

    /// Each failure of an error as a line.
    pub(super) fn of_error(topic: &str, error: &Error) -> Vec<Self> {
        let line = |error: &Error| {
            let text = error.to_string();
            let text = text.split("\nhint: ").next().unwrap_or_default().to_owned();
            let topic = error.secret().unwrap_or(topic);
            Self { todo: error.hint().map(str::to_owned), ..Self::new(Mark::Bad, topic, text) }
        };
        match error.errors() {
            [] => vec![line(error)],
            errors => errors.iter().map(line).collect(),
        }
    }
}

impl Doctor {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        let mut lines = Vec::new();
        let mut policy = None;
        match selection.manager().await {
            Err(error) => lines.extend(Line::of_error("selection", &error)),
            Ok(manager) => {
                let needs = account::needs(&manager);
                let region = match selection.is_aws() {
                    true => account::look(selection, &needs, &mut lines).await,
                    false => true,
                };
                if !region {
                    return self.said(&lines, None, output);
                }
                let read = secrets::look(&manager, selection, self.max_age, &mut lines).await;
                if selection.is_aws() && read > 0 {
                    let use_ = cost::Use {
                        secrets: read as u64,
                        lists: needs.iter().any(|need| need.action == "ListSecrets"),
                        replicas: self.replicas,
                        interval: self.interval,
                    };
                    lines.extend(cost::lines(&use_));
                }
                let denied = |line: &Line| line.mark == Mark::Bad && line.text.contains("denied");
                policy = lines.iter().any(denied).then(|| manager.iam_policy());
            }
        }
        self.said(&lines, policy.as_deref(), output)
    }

    fn said(&self, lines: &[Line], policy: Option<&str>, output: &Output) -> Result<Ended, Error> {
        let wrong = lines.iter().any(|line| line.mark == Mark::Bad);
        if output.json() {
            let policy: Option<Value> = policy.and_then(|policy| serde_json::from_str(policy).ok());
            output.value(&json!({ "well": !wrong, "lines": lines, "missing_policy": policy }))?;
        } else {
            output.text(&rendered(lines, policy, output))?;
        }
        Ok(Ended::Code(u8::from(wrong && self.check)))
    }
}

fn rendered(lines: &[Line], policy: Option<&str>, output: &Output) -> String {
    let width = lines.iter().map(|line| printable(&line.topic).chars().count()).max();
    let width = width.unwrap_or_default().min(40);
    let mut text = String::new();
    for line in lines {
        let (paint, mark) = match line.mark {
            Mark::Good => (Paint::Good, "✓"),
            Mark::Warn => (Paint::Warn, "!"),
            Mark::Bad => (Paint::Bad, "✗"),
        };
        let mark = output.paint(paint, mark);
        let (topic, what) = (printable(&line.topic), printable(&line.text));
        text += format!("{mark} {topic:width$}  {what}\n").as_str();
        if let Some(todo) = &line.todo {
            text += &format!("  {:width$}  → {}\n", "", printable(todo));
        }
    }
    let count = |mark: Mark| lines.iter().filter(|line| line.mark == mark).count();
    text += &format!(
        "\n{} well, {} to look at, {} wrong\n",
        count(Mark::Good),
        count(Mark::Warn),
        count(Mark::Bad)
    );
    if let Some(policy) = policy {
        text += &format!("\nThe least policy for these secrets:\n{policy}\n");
    }
    text
}
