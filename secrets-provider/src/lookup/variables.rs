//! Where AWS is off, or cannot be read and the manager falls back: variables in place of secrets.
//!
//! `database-url` is the variable `DATABASE_URL`; the members of `database/primary` are
//! `DATABASE_PRIMARY` as JSON, or variables of their own such as `DATABASE_PRIMARY_PORT`. Names of
//! variables do not tell where a secret's name ends, so `database` has them as members, too. The
//! environment lies over `.env`, as in the layers of a [`Live`](crate::Live). The process
//! environment is never written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::entry::Entry;
use super::name::Target;
use crate::env::dotenv;
use crate::error::{Error, ErrorKind};
use crate::secret::Text;
use crate::tree::spelling::{is_service_link, relaxed};
use crate::tree::{Node, Origin, Table, Value};

/// Which variables there are, and which of them are named otherwise than their secrets.
#[derive(Clone, Default)]
pub(super) struct Variables {
    /// Instead of the process environment and `.env`.
    pub(super) given: Option<Vec<(String, Text)>>,
    /// The variable of a secret, or of `secret#member`, in lower case.
    pub(super) assigned: BTreeMap<String, String>,
}

/// The variables that one secret is looked for in, in lower case.
pub(super) struct Named {
    whole: String,
    /// Of members that have one of another name.
    members: BTreeMap<String, String>,
}

impl Named {
    /// The variable of the secret or, with keys, of a member, as it is usually written.
    fn of(&self, keys: &[Cow<'_, str>]) -> String {
        if let [key] = keys
            && let Some((_, variable)) =
                self.members.iter().find(|(member, _)| relaxed(member) == relaxed(key))
        {
            return upper(variable);
        }
        match keys.iter().map(|key| in_words(key)).collect::<Vec<_>>().join("__") {
            member if member.is_empty() => upper(&self.whole),
            member => upper(&format!("{}_{member}", self.whole)),
        }
    }

    /// The error of a secret or a member whose variable is not set.
    pub(super) fn unset(&self, id: &str, keys: &[Cow<'_, str>]) -> Error {
        let message = format!("secret `{id}`: variable `{}` is not set", self.of(keys));
        Error::new(ErrorKind::NotFound, message)
            .with_secret(id)
            .with_hint("set it in the environment or in `.env`")
    }
}

impl Variables {
    /// What the variables have of a secret; `None` if none is named after it or its members.
    ///
    /// # Errors
    ///
    /// `Invalid` if the `.env` file cannot be read.
    pub(super) fn entry(
        &self,
        name: &str,
        target: &Target,
        generation: u64,
    ) -> Result<Option<Entry>, Error> {
        let all = self.all()?;
        let named = self.named(name, target);
        let mut members = Table::default();
        let below = format!("{}_", named.whole);
        for (variable, node) in &all {
            let Some(member) = variable.strip_prefix(&below) else { continue };
            let path: Vec<String> =
                member.trim_start_matches('_').split("__").map(str::to_owned).collect();
            if path.iter().all(|part| !part.is_empty()) {
                members.overlay_keeping_tables(Table::nested(&path, node.clone()));
            }
        }
        let assigned = named
            .members
            .iter()
            .filter_map(|(member, variable)| Some((member.clone(), all.get(variable)?)));
        for (member, node) in assigned {
            members.entries.insert(member, node.clone());
        }
        let whole = all.get(&named.whole).cloned();
        if whole.is_none() && members.entries.is_empty() {
            return Ok(None);
        }
        let node = whole.unwrap_or_else(|| {
            Node::new(Value::Null, Arc::new(Origin::Environment { variable: upper(&named.whole) }))
        });
        let entry = Entry::new(target.id.clone(), target.path.clone(), generation, node);
        Ok(Some(entry.of_variables(named, members)))
    }

    /// The variables that a secret is looked for in.
    fn named(&self, name: &str, target: &Target) -> Named {
        let members = self.assigned.iter().filter_map(|(of, variable)| {
            let (secret, member) = of.split_once('#')?;
            (secret == name).then(|| (member.to_owned(), variable.clone()))
        });
        let whole = self.assigned.get(name).cloned().unwrap_or_else(|| target.variable());
        Named { whole, members: members.collect() }
    }

    /// The error of a secret or a member for which no variable is set where AWS is off.
    pub(super) fn unset(&self, name: &str, target: &Target, keys: &[Cow<'_, str>]) -> Error {
        let variable = self.named(name, target).of(keys);
        let id = &target.id;
        let message = format!("secret `{id}`: variable `{variable}` is not set, and AWS is off");
        let error = Error::new(ErrorKind::NotFound, message).with_secret(id).with_hint(
            "set it in the environment or in `.env`, or turn AWS on: USE_SECRETS_MANAGER=true",
        );
        match keys {
            [] => error,
            keys => error.with_key(format!("{}.{}", target.path, keys.join("."))),
        }
    }

    /// All variables by their names in lower case, the environment's over those of `.env`.
    fn all(&self) -> Result<BTreeMap<String, Node>, Error> {
        let mut all = BTreeMap::new();
        let mut add = |variables: Vec<(String, Text)>, origin: &dyn Fn(&str) -> Origin| {
            let mut variables = variables;
            // Of two names that differ only in case, the same one always wins.
            variables.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (name, value) in variables {
                let node = Node::new(Value::Text(value), Arc::new(origin(&name)));
                let name = name.to_ascii_lowercase();
                if !is_service_link(&name, &node) {
                    all.insert(name, node);
                }
            }
        };
        let environment = |name: &str| Origin::Environment { variable: name.to_owned() };
        if let Some(given) = &self.given {
            add(given.clone(), &environment);
            return Ok(all);
        }
        let file = dotenv::read(Path::new(".env"))?;
        let file = file.into_iter().map(|(name, value)| (name, Text::new(value))).collect();
        add(file, &|name| Origin::Dotenv { file: ".env".to_owned(), variable: name.to_owned() });
        let process = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, Text::new(value.into_string().ok()?)))
        });
        add(process.collect(), &environment);
        Ok(all)
    }
}

fn upper(variable: &str) -> String {
    variable.to_ascii_uppercase()
}

/// A key in the words of a variable's name: `max_connections` for `maxConnections`.
fn in_words(key: &str) -> String {
    let mut words = String::new();
    let mut follows_lower = false;
    for char in key.chars() {
        if char.is_ascii_uppercase() && follows_lower {
            words.push('_');
        }
        follows_lower = char.is_ascii_lowercase() || char.is_ascii_digit();
        words.push(if char.is_alphanumeric() { char } else { '_' });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Login {
        username: String,
        port: u16,
    }

    fn entry(variables: &[(&str, &str)], name: &str) -> Option<Entry> {
        let given = variables.iter().map(|(name, value)| ((*name).to_owned(), Text::new(*value)));
        let assigned = [("clerk", "clerk_secret_key"), ("database/primary#port", "pgport")];
        let variables = Variables {
            given: Some(given.collect()),
            assigned: assigned.map(|(of, to)| (of.to_owned(), to.to_owned())).into(),
        };
        let path = name.replace(['/', '-'], ".");
        let target = Target { id: name.to_owned(), path };
        variables.entry(name, &target, 1).expect("variables")
    }

    fn text(variables: &[(&str, &str)], name: &str, keys: &[&str]) -> Option<String> {
        let keys: Vec<_> = keys.iter().map(|key| Cow::Borrowed(*key)).collect();
        entry(variables, name)?.value(&keys).ok()
    }

    #[test]
    fn a_secret_is_the_variable_of_its_name() {
        for (variables, name, keys, expected) in [
            (&[("DATABASE_URL", "u")][..], "database-url", &[][..], Some("u")),
            (&[("database_url", "u")], "database-url", &[], Some("u")),
            (&[("DATABASE_URL", "")], "database-url", &[], Some("")),
            (&[("DATABASE_URL", "u")], "database", &[], None),
            (&[("DATABASE_URL", "u")], "database", &["url"], Some("u")),
            (&[("DATABASE_PRIMARY_PORT", "1")], "database", &["primary_port"], Some("1")),
            (&[("DATABASE_PRIMARY_PORT", "1")], "database/primary", &["port"], Some("1")),
            (
                &[("PGPORT", "2"), ("DATABASE_PRIMARY_PORT", "1")],
                "database/primary",
                &["port"],
                Some("2"),
            ),
            (&[("DATABASE_PRIMARY", r#"{"port": "3"}"#)], "database/primary", &["port"], Some("3")),
            (&[("X_MAX_CONNECTIONS", "4")], "x", &["maxConnections"], Some("4")),
            (&[("X__TLS__CA", "c")], "x", &["tls", "ca"], Some("c")),
            (&[("CLERK_SECRET_KEY", "k"), ("CLERK", "no")], "clerk", &[], Some("k")),
            (&[("REDIS_PORT", "tcp://10.0.0.1:6379")], "redis", &["port"], None),
        ] {
            assert_eq!(text(variables, name, keys).as_deref(), expected, "{name} {keys:?}");
        }
    }

    #[test]
    fn a_struct_is_read_from_json_or_from_variables_of_its_members() {
        let login = Login { username: "u".to_owned(), port: 5432 };
        let json = [("DB", r#"{"username": "u", "port": 5432}"#)];
        let members = [("DB_USERNAME", "u"), ("DB_PORT", "5432")];
        for variables in [&json[..], &members] {
            let entry = entry(variables, "db").expect("an entry");
            assert_eq!(entry.value::<Login>(&[]).expect("a login"), login);
        }
        let incomplete = entry(&members[..1], "db").expect("an entry");
        let error = incomplete.value::<Login>(&[]).expect_err("no port");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("port"), "{error}");
        let error = incomplete.value::<String>(&[]).expect_err("no `DB`");
        assert_eq!(error.kind(), ErrorKind::NotFound, "a scalar is not its members: {error}");
    }

    #[test]
    fn an_error_names_the_variable_that_is_looked_for() {
        for (name, keys, expected) in [
            ("database/primary", &["port"][..], "PGPORT"),
            ("database/primary", &["PORT"], "PGPORT"),
            ("database/primary", &["tls", "ca"], "DATABASE_PRIMARY_TLS__CA"),
            ("database/primary", &["maxConnections"], "DATABASE_PRIMARY_MAX_CONNECTIONS"),
            ("database/primary", &["ca-file"], "DATABASE_PRIMARY_CA_FILE"),
            ("database/primary", &[], "DATABASE_PRIMARY"),
            ("clerk", &[], "CLERK_SECRET_KEY"),
            ("clerk", &["id"], "CLERK_SECRET_KEY_ID"),
        ] {
            let keys: Vec<_> = keys.iter().map(|key| Cow::Borrowed(*key)).collect();
            let others = [("DATABASE_PRIMARY_X", "1"), ("CLERK_SECRET_KEY_X", "1")];
            let entry = entry(&others, name).expect("an entry");
            let error = entry.value::<String>(&keys).expect_err("not set");
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let text = error.to_string();
            assert!(text.contains(&format!("`{expected}`")), "{name} {keys:?}: {text}");
            assert!(error.hint().is_some(), "{text}");
        }
    }
}
