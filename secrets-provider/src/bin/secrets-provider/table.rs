//! Rows of fields: aligned columns below a heading for a person at a terminal, and for everything
//! else a line for each row, with a tab between its fields, which `cut` and `awk` take apart. Pure;
//! [`Output`](crate::output::Output) knows which of the two it is.
//!
//! Fields must be printable, so that none has a tab or a line break in it. In a pipe there is
//! neither heading nor padding, as `gh` and `aws --output text` do it; an empty field stays one.

use crate::output::Paint;

/// A row, in a colour or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) paint: Option<Paint>,
    fields: Vec<String>,
}

impl Row {
    pub(crate) fn new<T: Into<String>>(fields: impl IntoIterator<Item = T>) -> Self {
        Self { paint: None, fields: fields.into_iter().map(Into::into).collect() }
    }

    pub(crate) fn paint(self, paint: Option<Paint>) -> Self {
        Self { paint, ..self }
    }

    /// The fields with a tab between them.
    pub(crate) fn tabbed(&self) -> String {
        self.fields.join("\t")
    }
}

/// Each row as a line, in columns as wide as their widest field.
pub(crate) fn aligned(rows: &[Row]) -> Vec<String> {
    let columns = rows.iter().map(|row| row.fields.len()).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.fields.get(column)).map(|it| it.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Row| {
        let fields = row.fields.iter().zip(&widths).map(|(field, width)| format!("{field:width$}"));
        fields.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_for_a_person_and_tabs_for_a_script() {
        let rows = [Row::new(["a", "bb", ""]), Row::new(["ccc", "d", "e"])];
        assert_eq!(aligned(&rows), ["a    bb", "ccc  d   e"]);
        assert_eq!(rows.map(|row| row.tabbed()), ["a\tbb\t", "ccc\td\te"]);
    }
}
