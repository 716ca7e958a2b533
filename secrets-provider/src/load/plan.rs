//! From what the caller said about secrets ([`Choice`]) to what is read and where it goes
//! ([`Plan`]).
//!
//! All contradictions in a description are found here, before anything is read. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind};
use crate::load::mapping::{Mapping, Rename};
use crate::load::required::Requirement;
use crate::load::slip::{self, of_name};
use crate::secret::id::{below, is_arn, names_of, same_secret, trimmed};

/// How the secrets are chosen.
#[derive(Debug, Clone)]
pub(crate) enum Selection {
    Prefix {
        prefix: String,
        only: Option<Vec<String>>,
    },
    Names {
        names: Vec<String>,
        only: bool,
    },
    /// No secret: the switches turn reading off.
    Nothing,
}

/// Which secrets to read, where they go, and what follows if one cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) mapping: Mapping,
    /// Exactly these names or ARNs; `None` for everything that is listed below the mapping's
    /// prefix.
    pub(crate) ids: Option<Vec<String>>,
    /// Those whose previous version is read too.
    pub(crate) previous: Vec<String>,
    pub(crate) requirement: Requirement,
    /// Nothing is read at all.
    pub(crate) off: bool,
    /// The values of the first fetch are logged in one line.
    pub(crate) one_line_start: bool,
    /// The figment profile of the secrets.
    #[cfg(feature = "figment")]
    pub(crate) profile: figment::Profile,
}

/// What the caller said about the choice of secrets.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) selection: Selection,
    pub(crate) renames: Vec<(String, String)>,
    /// Key paths that were given together with names. They take precedence over renames.
    pub(crate) placed: BTreeMap<String, Vec<String>>,
    pub(crate) optional: Vec<String>,
    pub(crate) previous: Vec<String>,
    pub(crate) fallback: bool,
    /// Nothing is read, even if something is selected.
    pub(crate) off: bool,
    /// The values of the first fetch are logged in one line.
    pub(crate) one_line_start: bool,
    /// The figment profile of the secrets.
    #[cfg(feature = "figment")]
    pub(crate) profile: figment::Profile,
}

impl Choice {
    pub(crate) fn new(selection: Selection) -> Self {
        Self {
            selection,
            renames: Vec::new(),
            placed: BTreeMap::new(),
            optional: Vec::new(),
            previous: Vec::new(),
            fallback: false,
            off: false,
            one_line_start: false,
            #[cfg(feature = "figment")]
            profile: figment::Profile::Default,
        }
    }

    /// The plan, or why the description is contradictory.
    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        let renames = self
            .renames
            .iter()
            .map(|(from, to)| Rename::parse(from, to))
            .collect::<Result<_, _>>()?;
        let (prefix, mut ids) = self.selection.ids()?;
        let optional = match (&self.selection, &prefix) {
            (Selection::Nothing, _) => BTreeSet::new(),
            (_, Some(prefix)) => {
                let optional: BTreeSet<String> = self
                    .optional
                    .iter()
                    .map(|name| full_name("optional secret", prefix, name))
                    .collect::<Result<_, _>>()?;
                if let Some(ids) = &mut ids {
                    ids.extend(optional.iter().cloned());
                }
                optional
            }
            (_, None) => self.optional_ids(ids.get_or_insert_default())?,
        };
        let previous: Vec<String> = match (&prefix, &ids) {
            (Some(prefix), _) => {
                let of = |name: &String| full_name("`with_previous`", prefix, name);
                self.previous.iter().map(of).collect::<Result<_, _>>()?
            }
            (None, Some(ids)) => {
                self.previous.iter().flat_map(|name| selected(ids, name)).collect()
            }
            (None, None) => self.previous.clone(),
        };
        let unselected =
            |name: &&String| !self.off && ids.as_ref().is_some_and(|ids| !ids.contains(*name));
        if let Some(name) = previous.iter().find(unselected) {
            let message =
                format!("`with_previous` names `{name}`, which is not among the selected secrets");
            return Err(Error::new(ErrorKind::Config, message).with_secret(name).with_hint(
                "give it as it is selected: below the prefix, or by the same name or ARN",
            ));
        }
        let mapping = Mapping { prefix, placed: self.placed.clone(), renames, source: None };
        Ok(Plan {
            mapping,
            ids,
            previous,
            requirement: Requirement { optional, fallback: self.fallback },
            off: self.off,
            one_line_start: self.one_line_start,
            #[cfg(feature = "figment")]
            profile: self.profile.clone(),
        })
    }

    /// The ids of the optional secrets, which are added to `ids` if they are not among them.
    fn optional_ids(&self, ids: &mut Vec<String>) -> Result<BTreeSet<String>, Error> {
        let mut optional = BTreeSet::new();
        for name in &self.optional {
            if name.is_empty() {
                return Err(empty("one of the optional names is empty"));
            }
            if let Some(error) = of_name(name) {
                return Err(error);
            }
            if !ids.iter().any(|id| same_secret(id, name)) {
                ids.push(name.clone());
            }
            optional.extend(ids.iter().filter(|id| same_secret(id, name)).cloned());
        }
        Ok(optional)
    }
}

impl Selection {
    /// The prefix, if there is one, and the names or ARNs, if nothing has to be listed.
    fn ids(&self) -> Result<(Option<String>, Option<Vec<String>>), Error> {
        match self {
            Self::Prefix { prefix, only } => {
                let prefix = trimmed(prefix);
                if prefix.is_empty() {
                    return Err(config(
                        "the prefix is empty, which would select every secret of the account",
                    )
                    .with_hint(
                        "name a prefix such as `gaara/prod`, or the secrets themselves with `names`",
                    ));
                }
                if let Some(error) = slip::of_prefix(prefix) {
                    return Err(error);
                }
                let only = only.as_ref().map(|only| {
                    only.iter().map(|name| name_below("secret", prefix, name)).collect()
                });
                Ok((Some(prefix.to_owned()), only.transpose()?))
            }
            Self::Names { only: true, .. } => {
                Err(config("`only` picks secrets below a prefix, but these are given by name")
                    .with_hint("leave `only` out, or start from `SecretsManager::prefix(..)`"))
            }
            Self::Names { names, .. } if names.iter().any(|name| name.trim().is_empty()) => {
                Err(empty("one of the names is empty"))
            }
            Self::Names { names, .. } => {
                match Error::all(names.iter().filter_map(|name| of_name(name))) {
                    Some(error) => Err(error),
                    None => Ok((None, Some(names.clone()))),
                }
            }
            Self::Nothing => Ok((None, Some(Vec::new()))),
        }
    }
}

impl Selection {
    /// The name or ARN of one secret, by its name below the prefix or, without a prefix, by its
    /// name or ARN. An ARN must be of a secret at or below the prefix.
    pub(crate) fn id_of(&self, name: &str) -> Result<String, Error> {
        let (prefix, _) = self.ids()?;
        match prefix {
            None if name.is_empty() => Err(empty("the name is empty")),
            None => of_name(name).map_or_else(|| Ok(name.to_owned()), Err),
            Some(prefix) if is_arn(name) => {
                if names_of(name).iter().any(|name| below(&prefix, name).is_some()) {
                    return Ok(name.to_owned());
                }
                let message = format!("secret `{name}` is not below the prefix `{prefix}`");
                Err(Error::new(ErrorKind::Config, message).with_secret(name))
            }
            Some(prefix) => {
                let length = prefix.len() + 1 + name.len();
                match slip::of_name_below(name, length) {
                    None => Ok(joined(&prefix, name)),
                    Some((why, hint)) => {
                        Err(config(&format!("secret `{name}`: {why}")).with_hint(hint))
                    }
                }
            }
        }
    }
}

fn config(message: &str) -> Error {
    Error::new(ErrorKind::Config, message)
}

fn empty(message: &str) -> Error {
    config(message).with_hint("give each secret's name or ARN")
}

/// The whole name of a name below the prefix.
fn joined(prefix: &str, name: &str) -> String {
    match name.trim_matches('/') {
        "" => prefix.to_owned(),
        name => format!("{prefix}/{name}"),
    }
}

/// The same for an optional secret, or one whose previous version is read. A whole name given by
/// mistake is refused, because nothing else would notice it.
fn full_name(what: &str, prefix: &str, name: &str) -> Result<String, Error> {
    if below(prefix, name.trim_start_matches('/')).is_some() {
        return Err(config(&format!("{what} `{name}`: with a prefix, give the name below it"))
            .with_hint(format!("leave `{prefix}/` out, as in `[\"sentry-dsn\"]`")));
    }
    name_below(what, prefix, name)
}

/// The whole name of what was given as a name below the prefix.
fn name_below(what: &str, prefix: &str, name: &str) -> Result<String, Error> {
    if is_arn(name) {
        return Err(config(&format!("{what} `{name}`: with a prefix, give the name below it"))
            .with_hint(
                "give its name without the prefix and the six random characters, or start from \
                 `SecretsManager::names([arn])`",
            ));
    }
    match of_name(name) {
        Some(error) => Err(error),
        None => Ok(joined(prefix, name)),
    }
}

/// What is selected of a secret that is named again, as it was named first; the name itself if it
/// is not selected.
fn selected(ids: &[String], name: &String) -> Vec<String> {
    let same: Vec<String> = match ids.contains(name) {
        true => vec![name.clone()],
        false => ids.iter().filter(|id| same_secret(id, name)).cloned().collect(),
    };
    if same.is_empty() { vec![name.clone()] } else { same }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a/b-AbCdEf";

    fn plan(selection: Selection, optional: &[&str]) -> Result<Plan, Error> {
        let optional = optional.iter().map(|name| (*name).to_owned()).collect();
        Choice { optional, ..Choice::new(selection) }.plan()
    }

    fn prefix(only: Option<&[&str]>) -> Selection {
        let only = only.map(|only| only.iter().map(|name| (*name).to_owned()).collect());
        Selection::Prefix { prefix: "p/".into(), only }
    }

    fn names(names: &[&str]) -> Selection {
        Selection::Names {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            only: false,
        }
    }

    #[test]
    fn optional_secrets_become_part_of_the_selection() {
        for (selection, optional, ids, optional_ids) in [
            (prefix(None), &["x", "/y/"][..], None, &["p/x", "p/y"][..]),
            (prefix(Some(&["a"])), &["x"], Some(&["p/a", "p/x"][..]), &["p/x"]),
            (prefix(Some(&["a"])), &["", "a"], Some(&["p/a", "p", "p/a"]), &["p", "p/a"]),
            (names(&["a", "b"]), &["b", "c"], Some(&["a", "b", "c"]), &["b", "c"]),
            (names(&["a/b", "a"]), &[ARN], Some(&["a/b", "a"]), &["a/b"]),
            (names(&[ARN, "a"]), &["a/b", "a/b"], Some(&[ARN, "a"]), &[ARN]),
            (names(&[]), &["a"], Some(&["a"]), &["a"]),
            (Selection::Nothing, &["a"], Some(&[]), &[]),
        ] {
            let plan = plan(selection, optional).expect("a plan");
            assert_eq!(
                plan.ids.as_deref(),
                ids.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()).as_deref()
            );
            assert_eq!(
                plan.requirement.optional,
                optional_ids.iter().map(|id| (*id).to_owned()).collect()
            );
        }
    }

    #[test]
    fn a_secret_that_is_named_again_is_the_selected_one() {
        for (selection, previous, expected) in [
            (names(&[ARN, "c"]), "a/b", Some(ARN)),
            (names(&["a/b"]), ARN, Some("a/b")),
            (names(&["a/b"]), "a/b", Some("a/b")),
            (names(&["a/b"]), "c", None),
            (prefix(None), "a/b", Some("p/a/b")),
            (prefix(None), "p/a/b", None),
            (prefix(None), ARN, None),
            (prefix(Some(&["a/b"])), "/a/b", Some("p/a/b")),
        ] {
            let choice =
                Choice { previous: vec![previous.to_owned()], ..Choice::new(selection.clone()) };
            let found = choice.plan().map(|plan| plan.previous);
            match expected {
                Some(expected) => assert_eq!(found.expect("a plan"), [expected], "{previous}"),
                None => {
                    let error = found.expect_err("no plan");
                    assert_eq!(error.kind(), ErrorKind::Config, "{previous}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_slip_in_a_selection_is_found_before_anything_is_read() {
        for selection in [
            Selection::Prefix { prefix: "p/*".into(), only: None },
            Selection::Prefix { prefix: ARN.into(), only: None },
            prefix(Some(&["x", ARN])),
            prefix(Some(&["x*"])),
            names(&["a", "arn:aws:s3:::bucket"]),
            names(&[" a "]),
            names(&["  "]),
        ] {
            let error = plan(selection.clone(), &[]).expect_err("a slip");
            assert_eq!(error.kind(), ErrorKind::Config, "{selection:?}");
            assert!(error.hint().is_some(), "{selection:?}: {error}");
        }
        assert!(plan(names(&["a"]), &["arn:aws:s3:::bucket"]).is_err());
    }

    #[test]
    fn an_optional_name_that_could_never_match_is_refused() {
        for (selection, name, mention) in [
            (prefix(None), "p/x", "`p/x`"),
            (prefix(None), "p", "`p`"),
            (prefix(Some(&["x"])), ARN, "arn:"),
            (names(&["a"]), "", "empty"),
        ] {
            let error = plan(selection, &[name]).expect_err("no plan");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(mention) && error.hint().is_some(), "{error}");
        }
    }
}
