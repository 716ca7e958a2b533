//! What the suite says: the case, what was expected, what was found, what to do, and no value.

use secrets_provider::backend::conformance::{Capability, Case, CaseResult, Harness, check, run};
use secrets_provider::{Backend, Memory};

use crate::broken::{Broken, failure};

#[tokio::test(start_paused = true)]
async fn a_failure_says_what_was_expected_what_was_found_and_what_to_do() {
    for (case, message) in [
        (
            Case::ListsExactNames,
            "case `lists_exact_names` failed\n  \
             expected: `list` of `conformance/lists_exact_names` returns the 6 names below it\n  \
             found: 6 names; missing: `conformance/lists_exact_names/UpperCase`; \
             not put: `conformance/lists_exact_names/uppercase`\n  \
             to do: return the full names from `list`, spelled as the store has them, not names \
             relative to the prefix",
        ),
        (
            Case::ReportsDenied,
            "case `reports_denied` failed\n  \
             expected: `fetch` of `conformance/reports_denied/denied` fails with the kind \
             `access_denied` or `kms`\n  \
             found: it failed with the kind `not_found`\n  \
             to do: answer with `ErrorKind::AccessDenied` for this id only; it is not absent",
        ),
        (
            Case::SurvivesDroppedList,
            "case `survives_dropped_list` failed\n  \
             expected: `list` ends\n  \
             found: `list` did not end within 30s\n  \
             to do: release locks, permits and connections in `Drop`, not at the end of the call",
        ),
    ] {
        let failure = failure(case).await.expect("a failure");
        assert_eq!(failure.to_string(), message);
    }
}

/// Text that the suite puts, long enough not to occur by accident.
const VALUES: [&str; 5] = ["value of number", "text of a", "spaces around", "qXv7Zt31", "wK94Rm0s"];

#[tokio::test(start_paused = true)]
async fn no_message_holds_a_value() {
    for case in Case::ALL {
        let failure = failure(*case).await.expect("a failure");
        for shown in [format!("{failure}"), format!("{failure:?}")] {
            assert!(!VALUES.iter().any(|value| shown.contains(value)), "`{case}`");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_counts_cases_and_names_those_that_did_not_pass() {
    let report = check(&Broken::new(Case::LacksWhatItDeclares)).await;
    let counts = format!("{} passed, 1 skipped, 1 failed\n", Case::ALL.len() - 2);
    let shown = report.to_string();
    assert!(shown.starts_with(&counts), "{shown}");
    assert!(shown.contains("\nskipped `signals_change`: the harness lacks `changes`\n"), "{shown}");
    assert!(shown.contains("\ncase `lacks_what_it_declares` failed\n"), "{shown}");
}

/// A harness that neither implements nor opts out.
struct Silent(Memory);

impl Harness for Silent {
    fn backend(&self) -> &dyn Backend {
        &self.0
    }

    async fn put(&self, name: &str, text: &str) {
        self.0.put(name, text);
    }
}

#[tokio::test]
#[should_panic(expected = "the harness does not implement `delete`: implement it, or return \
                           `Capability::Delete` from `Harness::lacks`")]
async fn nothing_is_skipped_silently() {
    let _ = run(Case::ReportsDeletedAsNotFound, &Silent(Memory::new())).await;
}

#[tokio::test]
async fn a_skipped_case_names_the_capability() {
    let harness = Broken::new(Case::LacksWhatItDeclares);
    let result = run(Case::SignalsChange, &harness).await;
    assert!(matches!(result, CaseResult::Skipped(Capability::Changes)), "{result:?}");
}
