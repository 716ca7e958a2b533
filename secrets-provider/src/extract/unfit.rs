//! Where a value is that serde has read into a buffer and that does not fit.
//!
//! Below `flatten` and in tagged and untagged enums, serde reads values into a buffer first. What
//! does not fit then is refused without a key. serde says which scalar it was, so the only place
//! below the struct that has this scalar is where it came from. Nothing of the scalar is kept but a
//! number to compare.

use super::context::Context;
use super::error::{self, Objection, Scalar};
use super::numbers::Number as _;
use crate::tree::{Node, Table, Value, join};

/// How many values are compared, at most, for one error.
const MAX_COMPARED: usize = 10_000;

impl Context<'_> {
    /// Reports a scalar that does not fit at its own key, if only one value at or below a path is
    /// this scalar; `false` if there are none or several.
    pub(super) fn place_unfit(
        &self,
        path: &str,
        node: Option<&Node>,
        scalar: Scalar,
        expected: &str,
    ) -> bool {
        let table = match node.map(|node| &node.value) {
            None => self.root,
            Some(Value::Table(table)) => table,
            Some(_) => return false,
        };
        let Some((place, node)) = place(table, path, scalar) else { return false };
        if self.is_spent(&place) {
            return false;
        }
        self.report(&place, Some(node), &error::unfit(expected, node.value.kind()));
        true
    }

    /// Whether the scalar that does not fit is in a variable that a field needs, so that it cannot
    /// be left out.
    pub(super) fn is_of_kept_variable(
        &self,
        at: &str,
        table: &Table,
        objection: &Objection,
    ) -> bool {
        let Objection::Unfit { scalar, .. } = objection else { return false };
        let Some((place, _)) = place(table, at, *scalar) else { return false };
        let state = self.state.borrow();
        let is_above = |name: &String| {
            let above = join(at, name);
            place.strip_prefix(&above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        state.mark(at).is_some_and(|mark| mark.kept.iter().any(is_above))
    }
}

/// The only value of a table that is this scalar, with its path.
fn place<'a>(table: &'a Table, at: &str, scalar: Scalar) -> Option<(String, &'a Node)> {
    let mut search = Search { scalar, found: Vec::new(), left: MAX_COMPARED };
    search.table(table, at);
    let is_only = search.found.len() == 1 && search.left > 0;
    if is_only { search.found.pop() } else { None }
}

/// The values that are a scalar.
struct Search<'a> {
    scalar: Scalar,
    found: Vec<(String, &'a Node)>,
    left: usize,
}

impl<'a> Search<'a> {
    fn table(&mut self, table: &'a Table, at: &str) {
        table.entries.iter().for_each(|(name, node)| self.node(node, at, name));
    }

    fn node(&mut self, node: &'a Node, at: &str, name: &str) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 || self.found.len() > 1 {
            return;
        }
        match &node.value {
            Value::Table(table) => self.table(table, &join(at, name)),
            Value::Array(items) => {
                let at = join(at, name);
                for (index, item) in items.iter().enumerate() {
                    self.node(item, &at, &index.to_string());
                }
            }
            value if of(value) == Some(self.scalar) => self.found.push((join(at, name), node)),
            _ => {}
        }
    }
}

/// The scalar as a type that takes any value gets it.
fn of(value: &Value) -> Option<Scalar> {
    match value {
        Value::Text(text) => Some(Scalar::text(text.as_str())),
        Value::Bool(value) => Some(Scalar::bool(*value)),
        Value::Number(number) => {
            let text = number.as_str();
            let integer = text.parse::<u64>().is_ok() || text.parse::<i64>().is_ok();
            match integer {
                true => Some(Scalar::number(text)),
                false => f64::of(text).map(Scalar::number),
            }
        }
        _ => None,
    }
}
