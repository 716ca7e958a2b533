//! Evaluation of an IAM policy document: `Deny` over `Allow`, wildcards, conditions.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// Why a policy document was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError(String);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the policy document can't be used: {}", self.0)
    }
}

impl std::error::Error for PolicyError {}

/// What a policy says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed,
    /// No statement allows it.
    ImplicitDeny,
    ExplicitDeny,
}

/// What is asked for. `resource` is `*` for actions that aren't about one resource.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    /// Condition keys, in lower case, as they aren't case-sensitive.
    pub(crate) context: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    #[allow(dead_code)]
    version: Option<String>,
    #[allow(dead_code)]
    id: Option<String>,
    statement: OneOrMany<Statement>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[allow(dead_code)]
    sid: Option<String>,
    effect: Effect,
    action: Option<OneOrMany<String>>,
    not_action: Option<OneOrMany<String>>,
    resource: Option<OneOrMany<String>>,
    not_resource: Option<OneOrMany<String>>,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMany<Scalar>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// An identity-based policy.
#[derive(Debug)]
pub(crate) struct Policy {
    statements: Vec<Statement>,
}

impl Policy {
    /// The policy of a resource, of which the principals are not looked at.
    pub(crate) fn of_resource(json: &str) -> Result<Self, PolicyError> {
        let bad = || PolicyError("it is no policy of a resource".to_owned());
        let mut document: serde_json::Value = serde_json::from_str(json).map_err(|_| bad())?;
        let statements = document["Statement"].as_array_mut().ok_or_else(bad)?;
        for statement in statements {
            statement.as_object_mut().and_then(|s| s.remove("Principal")).ok_or_else(bad)?;
        }
        Self::parse(&document.to_string())
    }

    pub(crate) fn parse(json: &str) -> Result<Self, PolicyError> {
        let document: Document =
            serde_json::from_str(json).map_err(|error| PolicyError(error.to_string()))?;
        let statements = match document.statement {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        };
        for statement in &statements {
            statement.check()?;
        }
        Ok(Self { statements })
    }

    pub(crate) fn decide(&self, request: &Request<'_>) -> Decision {
        let mut decision = Decision::ImplicitDeny;
        for statement in self.statements.iter().filter(|s| s.applies(request)) {
            match statement.effect {
                Effect::Deny => return Decision::ExplicitDeny,
                Effect::Allow => decision = Decision::Allowed,
            }
        }
        decision
    }
}

impl Statement {
    fn check(&self) -> Result<(), PolicyError> {
        if self.action.is_some() == self.not_action.is_some() {
            return Err(PolicyError("a statement has either Action or NotAction".into()));
        }
        if self.resource.is_some() == self.not_resource.is_some() {
            return Err(PolicyError("a statement has either Resource or NotResource".into()));
        }
        for operator in self.condition.keys() {
            Operator::parse(operator)
                .ok_or_else(|| PolicyError(format!("condition operator {operator} is unknown")))?;
        }
        Ok(())
    }

    fn applies(&self, request: &Request<'_>) -> bool {
        let matches_any = |patterns: &OneOrMany<String>, text: &str, fold: bool| {
            patterns.as_slice().iter().any(|pattern| {
                if fold {
                    wildcard(&pattern.to_lowercase(), &text.to_lowercase())
                } else {
                    wildcard(pattern, text)
                }
            })
        };
        let action = match (&self.action, &self.not_action) {
            (Some(actions), _) => matches_any(actions, request.action, true),
            (None, Some(others)) => !matches_any(others, request.action, true),
            (None, None) => false,
        };
        let resource = match (&self.resource, &self.not_resource) {
            (Some(resources), _) => matches_any(resources, request.resource, false),
            (None, Some(others)) => !matches_any(others, request.resource, false),
            (None, None) => false,
        };
        action
            && resource
            && self.condition.iter().all(|(name, keys)| {
                Operator::parse(name).is_some_and(|operator| {
                    keys.iter().all(|(key, wanted)| {
                        let actual = request.context.get(&key.to_lowercase());
                        operator.holds(actual.map(String::as_str), wanted.as_slice())
                    })
                })
            })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equals,
    EqualsIgnoreCase,
    Like,
    Bool,
    Null,
}

#[derive(Debug, Clone, Copy)]
struct Operator {
    comparison: Comparison,
    negated: bool,
    if_exists: bool,
    for_all: bool,
}

impl Operator {
    fn parse(name: &str) -> Option<Self> {
        let (for_all, name) = match name.split_once(':') {
            Some(("ForAllValues", name)) => (true, name),
            Some(("ForAnyValue", name)) => (false, name),
            Some(_) => return None,
            None => (false, name),
        };
        let (if_exists, name) = match name.strip_suffix("IfExists") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let (comparison, negated) = match name {
            "StringEquals" => (Comparison::Equals, false),
            "StringNotEquals" => (Comparison::Equals, true),
            "StringEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, true),
            "StringLike" | "ArnLike" | "ArnEquals" => (Comparison::Like, false),
            "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => (Comparison::Like, true),
            "Bool" => (Comparison::Bool, false),
            "Null" if !if_exists => (Comparison::Null, false),
            _ => return None,
        };
        Some(Self { comparison, negated, if_exists, for_all })
    }

    fn holds(self, actual: Option<&str>, wanted: &[Scalar]) -> bool {
        if self.comparison == Comparison::Null {
            return wanted.iter().any(|wanted| wanted.to_string() == actual.is_none().to_string());
        }
        let Some(actual) = actual else {
            // A missing key fails an operator, unless it's negated or says otherwise.
            return self.if_exists || self.negated || self.for_all;
        };
        let found = wanted.iter().any(|wanted| {
            let wanted = wanted.to_string();
            match self.comparison {
                Comparison::Equals => wanted == actual,
                Comparison::EqualsIgnoreCase | Comparison::Bool => {
                    wanted.eq_ignore_ascii_case(actual)
                }
                Comparison::Like => wildcard(&wanted, actual),
                Comparison::Null => false,
            }
        });
        found != self.negated
    }
}

/// Matches with `*` (any run of characters) and `?` (any one character).
fn wildcard(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some('?') => {
                p += 1;
                t += 1;
            }
            Some(character) if *character == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|character| *character == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a*b*c", "axxbyybzzc", true),
            ("app/db-??????", "app/db-AbCdEf", true),
            ("app/db-??????", "app/db-AbCde", false),
            ("", "a", false),
            ("a", "", false),
            ("a**", "a", true),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
