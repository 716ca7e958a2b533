//! The variable of the process behind a value of figment or config-rs, for explanations.
//!
//! Both libraries lowercase and split a variable's name and don't keep it, so their adapters look
//! for it among the names in the process environment. A name is only given if no other fits as
//! well. It is the name of a variable that exists, so it may be shown; no value leaves this file.
//! A search takes logarithmic time, so many variables cost little.

use crate::tree::spelling::relaxed;

/// The variables of the process by their name, for figment's `Env`, whose prefix is known.
#[cfg(feature = "figment")]
pub(super) struct ByName(std::collections::BTreeMap<String, Option<String>>);

#[cfg(feature = "figment")]
impl ByName {
    pub(super) fn of_process() -> Self {
        Self::of(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
    }

    fn of(names: impl Iterator<Item = String>) -> Self {
        let mut by_name = std::collections::BTreeMap::new();
        for name in names {
            by_name.entry(relaxed(&name)).and_modify(|known| *known = None).or_insert(Some(name));
        }
        Self(by_name)
    }

    /// The variable whose name is this prefix and this path, but for case and separators. Below a
    /// variable that figment has parsed into a table, the variable of the table.
    pub(super) fn find(&self, prefix: &str, path: &[String]) -> Option<&str> {
        (1..=path.len()).rev().find_map(|length| {
            let wanted = relaxed(&format!("{prefix}{}", path[..length].concat()));
            self.0.get(&wanted)?.as_deref()
        })
    }
}

/// The variables of the process by their value and the end of their name, for config-rs's
/// `Environment`, whose prefix is not known.
#[cfg(feature = "config")]
pub(super) struct ByValue(Vec<Variable>);

#[cfg(feature = "config")]
struct Variable {
    value: zeroize::Zeroizing<String>,
    /// The relaxed name backwards: names with one end are neighbours.
    reversed: String,
    name: String,
}

#[cfg(feature = "config")]
impl ByValue {
    pub(super) fn of_process() -> Self {
        Self::of(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    fn of(variables: impl Iterator<Item = (String, String)>) -> Self {
        let variables = variables.map(|(name, value)| Variable {
            value: value.into(),
            reversed: reversed(&name),
            name,
        });
        let mut variables: Vec<_> = variables.collect();
        variables.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
        Self(variables)
    }

    /// The variable that has this value and whose name ends in this path.
    pub(super) fn find(&self, path: &[String], value: &str) -> Option<&str> {
        let wanted = reversed(&path.concat());
        let first = self.0.partition_point(|variable| variable.key() < (value, &wanted));
        let mut fitting = self.0[first..].iter().take_while(|variable| {
            variable.value.as_str() == value && variable.reversed.starts_with(&wanted)
        });
        let variable = fitting.next()?;
        fitting.next().is_none().then_some(&variable.name)
    }
}

#[cfg(feature = "config")]
impl Variable {
    fn key(&self) -> (&str, &str) {
        (&self.value, &self.reversed)
    }
}

#[cfg(feature = "config")]
fn reversed(name: &str) -> String {
    relaxed(name).chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: [(&str, &str); 6] = [
        ("APP_DATABASE__PASSWORD", "p"),
        ("APP_PORT", "80"),
        ("OTHER_PORT", "80"),
        ("A__B", "same"),
        ("AB", "same"),
        ("PORT_OF_ANOTHER", "80"),
    ];

    fn path(dotted: &str) -> Vec<String> {
        dotted.split('.').map(str::to_owned).collect()
    }

    #[cfg(feature = "figment")]
    #[test]
    fn a_variable_is_found_by_its_prefix_and_path() {
        let variables = ByName::of(VARIABLES.into_iter().map(|(name, _)| name.to_owned()));
        for (prefix, dotted, name) in [
            ("APP_", "database.password", Some("APP_DATABASE__PASSWORD")),
            ("APP_", "port", Some("APP_PORT")),
            ("", "port", None),
            ("APP_", "port.of.table", Some("APP_PORT")),
            ("", "a.b", None),
        ] {
            assert_eq!(variables.find(prefix, &path(dotted)), name, "{prefix} {dotted}");
        }
    }

    #[cfg(feature = "config")]
    #[test]
    fn without_a_prefix_a_variable_is_found_if_no_other_fits() {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let variables = ByValue::of(VARIABLES.into_iter().map(owned));
        for (dotted, value, name) in [
            ("database.password", "p", Some("APP_DATABASE__PASSWORD")),
            ("password", "p", Some("APP_DATABASE__PASSWORD")),
            ("database.password", "other", None),
            ("port", "80", None),
            ("app.port", "80", Some("APP_PORT")),
            ("of.another", "80", Some("PORT_OF_ANOTHER")),
            ("b", "same", None),
        ] {
            assert_eq!(variables.find(&path(dotted), value), name, "{dotted}");
        }
    }
}
