//! How names of keys are compared. Pure.

/// The most letters that two names of one key differ in by a slip.
const MAX_SLIPS: usize = 2;

/// A name without what spellings differ in.
pub(super) fn relaxed(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | '.')).flat_map(char::to_lowercase).collect()
}

/// Whether one name is the other with a slip of the pen.
pub(super) fn is_almost(name: &str, other: &str) -> bool {
    let (name, other) = (relaxed(name), relaxed(other));
    let slips = strsim::osa_distance(&name, &other);
    // Of a short name, two letters are half.
    slips > 0 && slips <= MAX_SLIPS.min(name.chars().count() / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen() {
        for (name, other, almost) in [
            ("password", "pasword", true),
            ("password", "passwrod", true),
            ("password", "PASSWORD", false),
            ("password", "username", false),
            ("url", "uri", true),
            ("id", "ip", false),
        ] {
            assert_eq!(is_almost(name, other), almost, "{name} {other}");
        }
    }
}
