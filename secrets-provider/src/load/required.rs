//! What it means that a secret cannot be read: a failure, an absence, or a fallback to lower layers
//! (rule R5).
//!
//! Pure: a table over the kind of error, whether the secret is optional, and whether fallback is
//! allowed.

use std::collections::BTreeSet;

use crate::error::ErrorKind;

/// Which secrets may be missing, and whether lower layers may replace the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requirement {
    /// Names or ARNs, as they are asked for.
    pub(crate) optional: BTreeSet<String>,
    pub(crate) fallback: bool,
}

/// What follows from a secret that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The settings need it.
    Failure,
    /// It is optional, and does not exist or may not be read.
    Absent,
    /// Lower layers are used until it can be read.
    Fallback,
}

impl Requirement {
    /// The verdict on one secret.
    pub(crate) fn verdict(&self, id: &str, kind: ErrorKind) -> Verdict {
        match cause(kind) {
            Cause::Missing if self.optional.contains(id) => Verdict::Absent,
            Cause::Missing | Cause::Outage if self.fallback => Verdict::Fallback,
            Cause::Missing | Cause::Outage | Cause::Mistake => Verdict::Failure,
        }
    }

    /// The verdict on all secrets, if their names cannot be listed.
    pub(crate) fn verdict_on_listing(&self, kind: ErrorKind) -> Verdict {
        match cause(kind) {
            Cause::Missing | Cause::Outage if self.fallback => Verdict::Fallback,
            Cause::Missing | Cause::Outage | Cause::Mistake => Verdict::Failure,
        }
    }
}

/// Whether a call was denied, by IAM or by the KMS key. Another call changes nothing, and shows in
/// CloudTrail.
pub(crate) fn denied(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::AccessDenied | ErrorKind::Kms)
}

/// Whether there is no such secret for this caller: it does not exist, or may not be read.
pub(crate) fn missing(kind: ErrorKind) -> bool {
    matches!(cause(kind), Cause::Missing)
}

enum Cause {
    /// There is no such secret for this caller.
    Missing,
    /// It may exist, but cannot be read now.
    Outage,
    /// Someone has to correct something; other values in its place would hide that.
    Mistake,
}

fn cause(kind: ErrorKind) -> Cause {
    match kind {
        ErrorKind::NotFound
        | ErrorKind::PendingDeletion
        | ErrorKind::AccessDenied
        | ErrorKind::Kms => Cause::Missing,
        ErrorKind::Throttled | ErrorKind::Unavailable => Cause::Outage,
        ErrorKind::Config
        | ErrorKind::Malformed
        | ErrorKind::Conflict
        | ErrorKind::Invalid
        | ErrorKind::Rejected => Cause::Mistake,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_verdict() {
        use ErrorKind as K;
        use Verdict::{Absent as A, Failure as F, Fallback as B};
        // Required, optional, required with fallback, optional with fallback, the listing with
        // fallback.
        let table = [
            (K::NotFound, [F, A, B, A, B]),
            (K::PendingDeletion, [F, A, B, A, B]),
            (K::AccessDenied, [F, A, B, A, B]),
            (K::Kms, [F, A, B, A, B]),
            (K::Throttled, [F, F, B, B, B]),
            (K::Unavailable, [F, F, B, B, B]),
            (K::Config, [F; 5]),
            (K::Malformed, [F; 5]),
            (K::Conflict, [F; 5]),
            (K::Invalid, [F; 5]),
            (K::Rejected, [F; 5]),
        ];
        for (kind, expected) in table {
            let requirement =
                |fallback| Requirement { optional: ["o".to_owned()].into(), fallback };
            let verdicts = [
                requirement(false).verdict("r", kind),
                requirement(false).verdict("o", kind),
                requirement(true).verdict("r", kind),
                requirement(true).verdict("o", kind),
                requirement(true).verdict_on_listing(kind),
            ];
            assert_eq!(verdicts, expected, "{kind}");
            assert_eq!(requirement(false).verdict_on_listing(kind), F, "{kind}");
        }
    }
}
