//! [`RotationPlan`]: what a rotation would do, by name.

use std::fmt;

use serde::Serialize;

use crate::error::escape;

/// What [`Rotation::run`](crate::Rotation::run) would do, as
/// [`Rotation::plan`](crate::Rotation::plan) says it: names and versions, no values. `Display` has
/// one line for each step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RotationPlan {
    pub(super) secret: String,
    pub(super) current_version_id: String,
    pub(super) action: Action,
    pub(super) members: Vec<String>,
    pub(super) follow: Vec<String>,
    pub(super) sets: bool,
    pub(super) tests: bool,
}

/// What happens to the pending version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// No pending version.
    Begin,
    /// It is taken up.
    Resume(String),
    /// It has no value yet, and gets one.
    Fill(String),
    /// Its new value is kept, in a version like the current one.
    Renew(String),
}

impl RotationPlan {
    /// The name or ARN of the secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The id of the version that is current now.
    pub fn current_version_id(&self) -> &str {
        &self.current_version_id
    }

    /// The pending version that would be taken up, if there is one.
    pub fn resumes(&self) -> Option<&str> {
        match &self.action {
            Action::Begin => None,
            Action::Resume(id) | Action::Fill(id) | Action::Renew(id) => Some(id),
        }
    }

    /// The members that get new values.
    pub fn members(&self) -> &[String] {
        &self.members
    }

    /// The members that change with them: rebuilt ones, stamps, and the user who takes turns.
    pub fn follow(&self) -> &[String] {
        &self.follow
    }
}

impl fmt::Display for RotationPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |members: &[String]| {
            members.iter().map(|name| format!("`{}`", escape(name))).collect::<Vec<_>>().join(", ")
        };
        let version = escape(&self.current_version_id);
        writeln!(f, "secret `{}`, version `{version}`:", escape(&self.secret))?;
        match &self.action {
            Action::Begin => writeln!(f, "- make new values for {}", names(&self.members))?,
            Action::Resume(id) => writeln!(f, "- take up the pending version `{}`", escape(id))?,
            Action::Fill(id) => writeln!(
                f,
                "- make new values for {}, in the pending version `{}`",
                names(&self.members),
                escape(id)
            )?,
            Action::Renew(id) => writeln!(
                f,
                "- take the new values of {} from the pending version `{}`",
                names(&self.members),
                escape(id)
            )?,
        }
        if !self.follow.is_empty() && !matches!(self.action, Action::Resume(_)) {
            writeln!(f, "- change {} accordingly", names(&self.follow))?;
        }
        if self.sets {
            writeln!(f, "- set the new value")?;
        }
        if self.tests {
            writeln!(f, "- test the new value")?;
        }
        write!(f, "- make the new version current")
    }
}
