//! One test per case, for a test file of the store's author.
//!
//! `conformance::tests!` expands to them. Each makes a harness of its own, so that cases don't see
//! each other's secrets, and fails with the report of its case.

use std::future::Future;

use super::{Case, CaseResult, Harness, run};

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($harness:expr) => {
        $crate::__conformance_tests! {
            @each $harness;
            lists_exact_names: ListsExactNames,
            lists_nested_names: ListsNestedNames,
            lists_secret_named_as_prefix: ListsSecretNamedAsPrefix,
            keeps_prefix_boundary: KeepsPrefixBoundary,
            lists_nothing_below_unused_prefix: ListsNothingBelowUnusedPrefix,
            lists_many: ListsMany,
            lists_some_existing_names: ListsSomeExistingNames,
            returns_the_name: ReturnsTheName,
            returns_exact_text: ReturnsExactText,
            returns_large_text: ReturnsLargeText,
            returns_exact_binary: ReturnsExactBinary,
            answers_each_id_once: AnswersEachIdOnce,
            answers_only_what_was_asked: AnswersOnlyWhatWasAsked,
            answers_by_the_id_asked: AnswersByTheIdAsked,
            returns_many: ReturnsMany,
            gives_new_value_new_version: GivesNewValueNewVersion,
            shares_no_version: SharesNoVersion,
            gives_recreated_secret_new_version: GivesRecreatedSecretNewVersion,
            keeps_version_of_unchanged: KeepsVersionOfUnchanged,
            returns_previous: ReturnsPrevious,
            reports_absent_as_not_found: ReportsAbsentAsNotFound,
            reports_similar_names_as_not_found: ReportsSimilarNamesAsNotFound,
            names_the_secret_in_errors: NamesTheSecretInErrors,
            reports_deleted_as_not_found: ReportsDeletedAsNotFound,
            reports_denied: ReportsDenied,
            reports_denied_list: ReportsDeniedList,
            reports_malformed: ReportsMalformed,
            shows_no_value_in_errors: ShowsNoValueInErrors,
            shows_no_value_in_debug: ShowsNoValueInDebug,
            answers_concurrent_calls: AnswersConcurrentCalls,
            survives_dropped_fetch: SurvivesDroppedFetch,
            survives_dropped_list: SurvivesDroppedList,
            survives_deadline: SurvivesDeadline,
            stalls_only_one_fetch: StallsOnlyOneFetch,
            signals_change: SignalsChange,
            lacks_what_it_declares: LacksWhatItDeclares,
        }
    };
    (@each $harness:expr; $($name:ident: $case:ident,)+) => {
        // A case that is missing here does not compile.
        const _: () = assert!(
            [$($crate::backend::conformance::Case::$case),+].len()
                == $crate::backend::conformance::Case::ALL.len()
        );
        $(
            #[test]
            fn $name() {
                $crate::backend::conformance::__test(
                    $crate::backend::conformance::Case::$case,
                    async { $harness.await },
                );
            }
        )+
    };
}

/// Makes one `#[test]` of each [`Case`], named as the case.
///
/// The argument is an expression for a future of a [`Harness`]: each test evaluates it once, on a
/// tokio runtime of its own. Tests run at the same time, so give each a store of its own; with one
/// store for all of them, call [`check`](super::check), which runs one case after the other:
/// [`Harness::deny_list`] denies every listing. A skipped case passes and prints why:
/// `cargo test -- --show-output` shows it. To hold the list of skipped cases in a test, compare
/// [`Report::skipped`](super::Report::skipped).
///
/// ```
/// # use secrets_provider::backend::conformance::{Capability, Harness};
/// # use secrets_provider::{Backend, Memory};
/// # struct InMemory(Memory);
/// # impl Harness for InMemory {
/// #     fn backend(&self) -> &dyn Backend { &self.0 }
/// #     async fn put(&self, name: &str, text: &str) { self.0.put(name, text); }
/// # }
/// # fn main() {}
/// async fn in_memory() -> InMemory {
///     InMemory(Memory::new())
/// }
///
/// secrets_provider::backend::conformance::tests!(in_memory());
/// ```
#[doc(inline)]
pub use __conformance_tests as tests;

/// One test of [`tests!`](super::tests).
///
/// # Panics
///
/// If the store fails the case, or no runtime can be built.
#[doc(hidden)]
#[allow(clippy::print_stdout, reason = "names the case that was skipped")]
pub fn __test<H: Harness>(case: Case, harness: impl Future<Output = H>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    match runtime.block_on(async { run(case, &harness.await).await }) {
        CaseResult::Passed => {}
        CaseResult::Skipped(lacked) => {
            println!("skipped `{case}`: the harness lacks `{lacked}`");
        }
        CaseResult::Failed(failure) => panic!("{failure}"),
    }
}
