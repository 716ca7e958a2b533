//! Which names may be looked up, and what they come to: the id that is read, and the variable that
//! has the value where AWS is off.
//!
//! A name may be a user's input. It is checked before any call: it has to be one that AWS allows,
//! and it cannot leave the manager's prefix or its list of names. Pure.

use crate::error::{Error, ErrorKind};
use crate::load::mapping::Mapping;
use crate::load::plan::Plan;
use crate::load::slip::{self, BELOW};
use crate::secret::id::{below, is_arn, names_of, same_secret};

/// How much of a wrong name an error shows.
const MAX_SHOWN: usize = 80;

/// A secret that may be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The name or ARN that the store is asked for.
    pub(super) id: String,
    /// The dotted key path by which errors name its values: `database.primary`.
    pub(super) path: String,
}

impl Target {
    /// The name of the variable that is named after the secret, in lower case: `database_primary`.
    pub(super) fn variable(&self) -> String {
        self.path.replace('.', "_")
    }
}

/// What a name comes to.
///
/// # Errors
///
/// `Invalid` if no secret can have this name, or if it is not one that the plan selects.
pub(super) fn target(name: &str, plan: &Plan) -> Result<Target, Error> {
    let ids = plan.ids.as_deref();
    if let Some(prefix) = &plan.mapping.prefix {
        check_below(prefix, name)?;
        let id = format!("{prefix}/{name}");
        if ids.is_some_and(|ids| !ids.contains(&id)) {
            return Err(unselected(name));
        }
        return Ok(Target { id, path: path(name) });
    }
    // Where nothing is read, nothing need be selected.
    let ids = ids.filter(|ids| !(plan.off && ids.is_empty())).unwrap_or_default();
    if let Some(id) = ids.iter().find(|id| same_secret(id, name)) {
        let name = names_of(id).first().copied().unwrap_or(name);
        return Ok(Target { id: id.clone(), path: path(name) });
    }
    match plan.off && ids.is_empty() {
        true => check(name, name.len()).map(|()| Target { id: name.to_owned(), path: path(name) }),
        false => Err(check(name, name.len()).err().unwrap_or_else(|| unselected(name))),
    }
}

fn check_below(prefix: &str, name: &str) -> Result<(), Error> {
    if is_arn(name) {
        // It would also name secrets of other accounts.
        return Err(wrong(name, "an ARN may be outside of the prefix", BELOW));
    }
    check(name, prefix.len() + 1 + name.len())?;
    if below(prefix, name).is_some() {
        return Err(wrong(name, "it begins with the prefix itself", BELOW));
    }
    Ok(())
}

/// Checks a name; `length` is that of the whole name, with its prefix.
fn check(name: &str, length: usize) -> Result<(), Error> {
    match slip::of_name_below(name, length) {
        Some((why, hint)) => Err(wrong(name, why, hint)),
        None => Ok(()),
    }
}

fn path(name: &str) -> String {
    Mapping::default().key_path(name).join(".")
}

fn wrong(name: &str, why: &str, hint: &str) -> Error {
    let shown = match name.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    };
    let message = format!("`{shown}` cannot be looked up: {why}");
    Error::new(ErrorKind::Invalid, message).with_secret(shown).with_hint(hint)
}

fn unselected(name: &str) -> Error {
    wrong(
        name,
        "it is not among the secrets that the manager selects",
        "add it to `names(..)`, `only(..)` or `optional(..)`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::{Choice, Selection};

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:p/a-AbCdEf";

    fn prefix(only: Option<&[&str]>) -> Choice {
        let only = only.map(|only| only.iter().map(|name| (*name).to_owned()).collect());
        Choice::new(Selection::Prefix { prefix: "p/".to_owned(), only })
    }

    fn names(names: &[&str]) -> Choice {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Choice::new(Selection::Names { names, only: false })
    }

    #[test]
    fn a_name_comes_to_one_id_of_the_selection() {
        let long = "x".repeat(510);
        let off = Choice { off: true, ..Choice::new(Selection::Nothing) };
        for (choice, name, expected) in [
            (prefix(None), "a", Some(("p/a", "a"))),
            (prefix(None), "database/primary", Some(("p/database/primary", "database.primary"))),
            (prefix(None), "a-b+c=d@e.f!g_h", Some(("p/a-b+c=d@e.f!g_h", "a_b_c_d_e_f_g_h"))),
            (prefix(None), "p", None),
            (prefix(None), "p/a", None),
            (prefix(None), "production", Some(("p/production", "production"))),
            (prefix(Some(&["a"])), "a", Some(("p/a", "a"))),
            (prefix(Some(&["a"])), "b", None),
            (prefix(None), "", None),
            (prefix(None), "/", None),
            (prefix(None), "/a", None),
            (prefix(None), "a/", None),
            (prefix(None), "..", None),
            (prefix(None), "../other", None),
            (prefix(None), "a/../../other", None),
            (prefix(None), "./a", None),
            (prefix(None), "a\\..\\b", None),
            (prefix(None), "%2e%2e/a", None),
            (prefix(None), "a b", None),
            (prefix(None), "a\n", None),
            (prefix(None), "a\0", None),
            (prefix(None), "ä", None),
            (prefix(None), "a*", None),
            (prefix(None), ARN, None),
            (prefix(None), "arn:aws:secretsmanager:us-east-1:123456789012:secret:x", None),
            (prefix(None), &long, Some((&format!("p/{long}"), &long))),
            (prefix(None), &format!("{long}x"), None),
            (names(&["p/a", "b"]), "b", Some(("b", "b"))),
            (names(&["p/a", "b"]), ARN, Some(("p/a", "p.a"))),
            (names(&[ARN]), "p/a", Some((ARN, "p.a"))),
            (names(&["my secret"]), "my secret", Some(("my secret", "my_secret"))),
            (names(&["p/a", "b"]), "a", None),
            (names(&["p/a", "b"]), "", None),
            (off.clone(), "database-url", Some(("database-url", "database_url"))),
            (off, "../a", None),
        ] {
            let target = target(name, &choice.plan().expect("a plan"));
            let expected = expected.map(|(id, path)| (id.to_owned(), path.to_owned()));
            let found = target.as_ref().ok().map(|found| (found.id.clone(), found.path.clone()));
            assert_eq!(found, expected, "{name:?}");
            if let Err(error) = target {
                assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}");
                assert!(error.hint().is_some(), "{name:?}");
                assert!(error.to_string().len() < 400, "{name:?}");
            }
        }
    }

    #[test]
    fn a_variable_is_named_after_the_secret() {
        let plan = prefix(None).plan().expect("a plan");
        for (name, variable) in
            [("database-url", "database_url"), ("database/primary", "database_primary")]
        {
            assert_eq!(target(name, &plan).expect("a target").variable(), variable);
        }
    }
}
