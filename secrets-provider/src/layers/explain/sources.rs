//! What an explanation is made of, kept until someone asks for one.
//!
//! Every generation has one, made by `LiveBuilder`. Most are never asked, so nothing is compared
//! before that. Texts in the trees are shared with those of the live generation.

use std::sync::{Arc, OnceLock};

use super::overlooked::{self, Overlooked};
use super::{ExplainedKey, Explanation, Provenance, build};
use crate::extract::Implied;
use crate::tree::Table;
use crate::tree::names::Names;
use crate::unwind;

/// Merges the layers below the secrets once more, for a library that does not report them.
pub(crate) type Below = Box<dyn Fn() -> Option<Table> + Send + Sync>;

/// The layers, the tree that they were merged into, and what is known of the type.
#[derive(Default)]
pub(crate) struct Sources {
    /// The lowest first. A layer that is not among them is shown where its value is used, but not
    /// where it is hidden.
    layers: Vec<Table>,
    merged: Arc<Table>,
    names: Names,
    /// The fields of the settings type; empty if they are not known.
    fields: &'static [&'static str],
    implied: Vec<Implied>,
    overlooked: Vec<Overlooked>,
    below: Option<Below>,
    made: OnceLock<Arc<Explanation>>,
}

impl Sources {
    /// The variables in the layers are added to `names`.
    pub(crate) fn new(layers: Vec<Table>, merged: Arc<Table>, names: Names) -> Self {
        let names = layers.iter().fold(names.with_variables(&merged), Names::with_variables);
        Self { layers, merged, names, ..Self::default() }
    }

    /// With what is known of the type of the settings.
    #[must_use]
    pub(crate) fn with_type(self, fields: &'static [&'static str], implied: Vec<Implied>) -> Self {
        let overlooked = overlooked::overlooked(&self.merged, &self.names);
        Self { fields, implied, overlooked, ..self }
    }

    /// The secrets' keys that are not read because of variables.
    pub(crate) fn overlooked(&self) -> &[Overlooked] {
        &self.overlooked
    }

    /// With what merges the layers below the secrets, if they are not among the layers. It is
    /// called when an explanation is asked for.
    #[must_use]
    pub(crate) fn with_below(self, below: Option<Below>) -> Self {
        Self { below, ..self }
    }

    /// The names that may be shown.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// The explanation, made at the first call.
    pub(crate) fn explanation(&self) -> Arc<Explanation> {
        self.made.get_or_init(|| Arc::new(self.explain())).clone()
    }

    fn explain(&self) -> Explanation {
        // The program's closure, which may fail or panic without secrets.
        let below = self.below.as_ref().and_then(|below| unwind::catch(below).ok().flatten());
        let layers: Vec<&Table> = below.iter().chain(&self.layers).collect();
        let explanation = build::explain(&layers, &self.merged)
            .with_fields(self.fields)
            .with_implied(&self.implied, self.fields)
            .with_overlooked(&self.overlooked);
        match below {
            None => explanation.shown_by(&self.names),
            Some(below) => explanation.shown_by(&self.names.clone().with_variables(&below)),
        }
    }
}

impl Explanation {
    /// With `*` for every name that may be content. Keys that then look the same and have the same
    /// source are one, with their number.
    fn shown_by(self, names: &Names) -> Self {
        fn place(row: &ExplainedKey) -> (&str, &Provenance, &[Provenance]) {
            (&row.key, &row.source, &row.hides)
        }
        let shown = |mut rows: Vec<ExplainedKey>| {
            rows.iter_mut().for_each(|row| row.key = names.shown(&row.key));
            rows.sort_by(|one, other| place(one).cmp(&place(other)));
            rows.dedup_by(|row, first| {
                let is_same = place(row) == place(first);
                first.count += if is_same { row.count } else { 0 };
                is_same
            });
            rows
        };
        Self { keys: shown(self.keys), omitted: shown(self.omitted) }
    }
}
