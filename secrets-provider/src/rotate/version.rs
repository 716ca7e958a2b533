//! The id of the version that a rotation makes. Pure.
//!
//! It follows from the id of the current version, so that all programs that rotate from one version
//! ask for the same new one. A store gives an id to one value only, so exactly one of them gets its
//! value in. `7e8e…-r3` is the third rotation after the version `7e8e…`.

/// How long an id may be in AWS, where it is the ClientRequestToken of the call that makes it.
const LENGTH: std::ops::RangeInclusive<usize> = 32..=64;

/// How many ids are tried from one current version. They are taken by versions that were rolled
/// back, and AWS keeps a hundred versions.
pub(super) const MAX_ATTEMPTS: u32 = 200;

/// The id of the version after this one; `attempt` counts from 0, and is more if earlier ones are
/// taken.
pub(super) fn after(current: &str, attempt: u32) -> String {
    let (base, rotations) = match current.rsplit_once("-r") {
        Some((base, digits)) if is_count(digits) => (base, digits.parse().unwrap_or(0)),
        _ => (current, 0_u32),
    };
    let suffix = format!("-r{}", rotations.saturating_add(1).saturating_add(attempt));
    let mut id: String = base.chars().take(LENGTH.end() - suffix.len()).collect();
    // Only ids of other stores are shorter.
    let missing = LENGTH.start().saturating_sub(id.chars().count() + suffix.len());
    id.extend(std::iter::repeat_n('-', missing));
    id + &suffix
}

fn is_count(digits: &str) -> bool {
    (1..=9).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_id_counts_the_rotations_since_a_version_of_another_hand() {
        let uuid = "0f0c6a3e-1f7c-4b43-9f0a-6a35e37ad7d1";
        assert_eq!(after(uuid, 0), format!("{uuid}-r1"));
        assert_eq!(after(uuid, 2), format!("{uuid}-r3"));
        assert_eq!(after(&format!("{uuid}-r9"), 0), format!("{uuid}-r10"));
        assert_eq!(after("v1", 0), "v1----------------------------r1");
        assert_eq!(after(&after("v1", 0), 0).len(), 32);
    }

    #[test]
    fn ids_have_a_length_that_aws_takes_and_never_repeat() {
        for first in ["v1", &"x".repeat(32), &"y".repeat(64), &"ü".repeat(64), "a-r", "-r1", "-r"]
        {
            let mut seen = BTreeSet::from([first.to_owned()]);
            let mut id = first.to_owned();
            for _ in 0..1_200 {
                id = after(&id, 0);
                assert!(LENGTH.contains(&id.chars().count()), "{id}");
                assert!(seen.insert(id.clone()), "{id} comes again");
            }
        }
    }
}
