//! Lists that are written as text or as a table (rule T2).
//!
//! A variable has no lists, so people write `a, b`, figment's `[a, b]`, or one variable for each
//! item (`NAME__0`, `NAME__1`, as in .NET and Spring). The deserializer asks here after JSON has
//! been tried. Pure, and linear in the text.

use crate::secret::Text;
use crate::tree::{Node, Table, Value};

/// How a list is written, for hints.
pub(super) const HOW: &str = "a list is written as JSON, `[\"a\", \"b\"]`, or as `a, b`";

/// How bytes are stored, for the hint of an item that is no byte.
pub(super) const HOW_BYTES: &str = "bytes are stored as SecretBinary, as JSON, `[1, 2]`, or as \
                                    `1, 2`; base64 and hex text are read by a `Key<N>`";

/// How an array of this length is stored as bytes.
pub(super) fn how_bytes(length: usize) -> String {
    format!(
        "for bytes, store exactly {length} as SecretBinary, or as base64 or hex text for a \
         `Key<{length}>`"
    )
}

/// The items of `a, b` or `[a, b]`, each without the white space and the quotes around it. Empty
/// text is an empty list. `None` for what should have been JSON: an object, an open bracket, or
/// quotes and brackets within brackets.
pub(super) fn split(text: &Text) -> Option<Vec<Text>> {
    let whole = text.as_str().trim();
    let inner = match whole.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|inner| !inner.contains(['[', ']', '{']))?,
        None if whole.starts_with('{') => return None,
        None => whole,
    };
    let mut items: Vec<&str> = parts(inner);
    // A comma at the end ends the last item.
    if items.last().is_some_and(|item| item.is_empty()) {
        items.pop();
    }
    if inner.len() < whole.len() && items.iter().any(|item| unquoted(item).contains('"')) {
        return None;
    }
    Some(items.into_iter().map(|item| text.share(unquoted(item))).collect())
}

/// The text between commas, trimmed. A comma inside of quotes that begin an item is part of it.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let item = rest.trim_start();
        let quote = item.chars().next().filter(|c| matches!(c, '"' | '\''));
        // The closing quote is the last thing of its item; one that is not opens nothing.
        let closed = quote.and_then(|quote| {
            let close = 1 + item[1..].find(quote)?;
            let after = item[close + 1..].trim_start();
            (after.is_empty() || after.starts_with(',')).then_some(close + 1)
        });
        let from = closed.unwrap_or(0);
        match item[from..].find(',') {
            Some(comma) => {
                parts.push(item[..from + comma].trim());
                rest = &item[from + comma + 1..];
            }
            None => {
                parts.push(item.trim());
                return parts;
            }
        }
    }
}

fn unquoted(item: &str) -> &str {
    let within = |quote| item.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(item)
}

/// The items of a table with the keys `0` to `n`, in the order of their numbers.
pub(super) fn indexed(table: &Table) -> Option<Vec<Node>> {
    let count = table.entries.len();
    let items: Option<Vec<Node>> =
        (0..count).map(|index| table.entries.get(&index.to_string()).cloned()).collect();
    items.filter(|items| !items.is_empty())
}

/// Why a table is no list: its first missing number, if all its keys are numbers.
pub(super) fn gap(table: &Table) -> Option<usize> {
    let is_index = |name: &String| !name.is_empty() && name.bytes().all(|c| c.is_ascii_digit());
    (!table.entries.is_empty() && table.entries.keys().all(is_index))
        .then(|| (0..).find(|index| !table.entries.contains_key(&index.to_string())))
        .flatten()
}

/// A list of these items, each from where the text is from.
pub(super) fn array(items: Vec<Text>, of: &Node) -> Vec<Node> {
    let item = |text| Node::new(Value::Text(text), of.origin.clone());
    items.into_iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_at_commas_outside_of_quotes() {
        for (text, items) in [
            ("", Some(&[][..])),
            ("  ", Some(&[])),
            ("[]", Some(&[])),
            ("[ ]", Some(&[])),
            ("a", Some(&["a"])),
            ("a,b", Some(&["a", "b"])),
            (" a , b c ,\n d ", Some(&["a", "b c", "d"])),
            ("a,b,", Some(&["a", "b"])),
            ("a,,b", Some(&["a", "", "b"])),
            ("[a,b]", Some(&["a", "b"])),
            ("[a, 'b']", Some(&["a", "b"])),
            (r#"["a", b]"#, Some(&["a", "b"])),
            (r#"["a", "b",]"#, Some(&["a", "b"])),
            (r#""a", "b""#, Some(&["a", "b"])),
            (r#""a, b", c"#, Some(&["a, b", "c"])),
            (r#"["a, b", c]"#, Some(&["a, b", "c"])),
            (r#"a"b, it's"#, Some(&[r#"a"b"#, "it's"])),
            (r#""a, b"#, Some(&[r#""a"#, "b"])),
            ("'", Some(&["'"])),
            ("é, '€'", Some(&["é", "€"])),
            (r#"["a]"#, None),
            ("[a", None),
            ("[[a], [b]]", None),
            ("[{a: 1}]", None),
            (r#"{"a": 1}, {"b": 2}"#, None),
        ] {
            let found = split(&Text::new(text));
            let found: Option<Vec<String>> =
                found.map(|found| found.iter().map(|t| t.as_str().to_owned()).collect());
            let items = items.map(|items| items.iter().map(|item| (*item).to_owned()).collect());
            assert_eq!(found, items, "{text}");
        }
    }

    #[test]
    fn any_text_is_split_without_a_panic_and_in_order() {
        let alphabet = ["a", ",", "\"", "'", " ", "[", "]", "é"];
        for seed in 0..8_usize.pow(5) {
            let digits = (0..5).map(|at| seed / 8_usize.pow(at) % 8);
            let text: String = digits.map(|digit| alphabet[digit]).collect();
            let _ = split(&Text::new(text));
        }
    }
}
