//! Which secrets of a plan an id from outside means.
//!
//! Someone who says that a secret changed may know it by its name or by its ARN, with or without
//! the random ending; here it has one of these ids, whichever was selected or listed. An id that no
//! selected secret has means nothing. Pure; one index serves many ids.

use std::collections::BTreeMap;

use crate::load::plan::Plan;
use crate::secret::id::{below, names_of, same_secret};

pub(crate) struct Selector<'a> {
    by_name: BTreeMap<&'a str, Vec<&'a String>>,
    /// Names below it are selected, even if they are not known yet.
    prefix: Option<&'a str>,
}

impl<'a> Selector<'a> {
    /// Ids in use count for a plan with a prefix: other plans name their own.
    pub(crate) fn new(plan: &'a Plan, in_use: impl IntoIterator<Item = &'a String>) -> Self {
        let mut by_name = BTreeMap::<_, Vec<_>>::new();
        let mut add = |id: &'a String| {
            for name in names_of(id) {
                by_name.entry(name).or_default().push(id);
            }
        };
        match &plan.ids {
            Some(ids) => ids.iter().for_each(&mut add),
            None => in_use.into_iter().for_each(&mut add),
        }
        let prefix = plan.mapping.prefix.as_deref().filter(|_| plan.ids.is_none() && !plan.off);
        Self { by_name, prefix }
    }

    /// For a plan of which nothing was read yet: what it selects by its names and prefix.
    #[cfg(feature = "sqs")]
    pub(crate) fn of_names(plan: &'a Plan) -> Self {
        Self::new(plan, [])
    }

    /// The ids that this one has here, usually one; its name, if it is selected but not known yet.
    pub(crate) fn ids(&self, id: &str) -> Vec<String> {
        let names = names_of(id);
        let known = names.iter().filter_map(|name| self.by_name.get(name)).flatten();
        let mut ids: Vec<String> =
            known.filter(|ours| same_secret(ours, id)).map(|ours| (*ours).clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty()
            && let Some(prefix) = self.prefix
        {
            // By name: an ARN from outside may be one of another account.
            let below = names.iter().find(|name| below(prefix, name).is_some());
            ids.extend(below.map(|name| (*name).to_owned()));
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::{Choice, Selection};

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:";

    #[test]
    fn an_id_means_the_selected_secrets_that_it_may_name() {
        let names = |names: &[&str]| Selection::Names {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            only: false,
        };
        let prefix = |only: Option<&[&str]>| Selection::Prefix {
            prefix: "p".into(),
            only: only.map(|only| only.iter().map(|name| (*name).to_owned()).collect()),
        };
        let full = format!("{ARN}p/a-AbCdEf");
        let partial = format!("{ARN}p/a");
        for (selection, in_use, id, expected) in [
            (names(&["p/a"]), &[][..], "p/a", &["p/a"][..]),
            (names(&["p/a"]), &[], &full, &["p/a"]),
            (names(&["p/a"]), &[], &partial, &["p/a"]),
            (names(&["p/a", &full]), &[], "p/a", &[&full, "p/a"]),
            (names(&[&full]), &[], "p/a", &[&full]),
            (names(&[&full]), &[], &partial, &[&full]),
            (names(&[&partial]), &[], &full, &[&partial]),
            (names(&["p/a"]), &["p/b"], "p/b", &[]),
            (names(&["p/a"]), &[], "", &[]),
            (prefix(None), &["p/a"], &full, &["p/a"]),
            (prefix(None), &["p/a"], "p/b", &["p/b"]),
            (prefix(None), &[], &full, &["p/a"]),
            (prefix(None), &["p/a"], "q/a", &[]),
            (prefix(None), &["p/a"], "pp/a", &[]),
            (prefix(None), &[], "p", &["p"]),
            (prefix(Some(&["a"])), &[], "p/a", &["p/a"]),
            (prefix(Some(&["a"])), &[], "a", &[]),
            (prefix(Some(&["a"])), &["p/b"], "p/b", &[]),
            (Selection::Nothing, &["p/a"], "p/a", &[]),
        ] {
            let plan = Choice::new(selection.clone()).plan().expect("a plan");
            let in_use: Vec<String> = in_use.iter().map(|id| (*id).to_owned()).collect();
            assert_eq!(Selector::new(&plan, &in_use).ids(id), expected, "{id} in {selection:?}");
        }
    }
}
