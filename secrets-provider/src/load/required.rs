//! What it means that a secret cannot be read: a failure, an absence, or a case for the layers below. Pure.

use std::collections::BTreeSet;

use crate::error::ErrorKind;

/// Which secrets may be missing, and who stands in for the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    /// Names or ARNs, as they are asked for.
    pub(crate) optional: BTreeSet<String>,
    pub(crate) fallback: bool,
}

/// What a secret that cannot be read comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Settings cannot do without it.
    Failure,
    /// It is optional, and there is none for us.
    Absent,
    /// The layers below stand in for it until it comes.
    Fallback,
}

impl Policy {
    /// What becomes of one secret.
    pub(crate) fn verdict(&self, id: &str, kind: ErrorKind) -> Verdict {
        match cause(kind) {
            Cause::Missing if self.optional.contains(id) => Verdict::Absent,
            Cause::Missing | Cause::Outage if self.fallback => Verdict::Fallback,
            Cause::Missing | Cause::Outage | Cause::Mistake => Verdict::Failure,
        }
    }

    /// What becomes of all secrets, if their names cannot even be found.
    pub(crate) fn verdict_on_listing(&self, kind: ErrorKind) -> Verdict {
        match cause(kind) {
            Cause::Missing | Cause::Outage if self.fallback => Verdict::Fallback,
            Cause::Missing | Cause::Outage | Cause::Mistake => Verdict::Failure,
        }
    }
}

/// Whether a call was denied, by IAM or by the key: asking again changes nothing, and shows in the account's trail.
pub(crate) fn denied(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::AccessDenied | ErrorKind::Kms)
}

enum Cause {
    /// There is no such secret, or none for this caller.
    Missing,
    /// It may well be there, but not now.
    Outage,
    /// Somebody has to mend something; other values in its place would hide that.
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
        // Required, optional, required with fallback, optional with fallback, the listing with fallback.
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
            let policy = |fallback| Policy { optional: ["o".to_owned()].into(), fallback };
            let verdicts = [
                policy(false).verdict("r", kind),
                policy(false).verdict("o", kind),
                policy(true).verdict("r", kind),
                policy(true).verdict("o", kind),
                policy(true).verdict_on_listing(kind),
            ];
            assert_eq!(verdicts, expected, "{kind}");
            assert_eq!(policy(false).verdict_on_listing(kind), F, "{kind}");
        }
    }
}
