//! The list of cases: what each asks of a store, what it needs from the harness, and what to do
//! when it fails. A new case needs an entry here, its function, and a line in the macro `tests!`,
//! which does not compile without it.

use std::fmt;

use super::report::Mismatch;
use super::trial::Trial;
use super::{Capability, Harness};
use super::{concurrency, failures, listing, signals, values, versions};

macro_rules! cases {
    ($($(#[doc = $doc:literal])+ $case:ident = $room:ident::$name:ident
        $([$($needs:ident),+])?, $advice:literal;)+) => {
        /// One thing that every store must do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Case {
            $($(#[doc = $doc])+ $case,)+
        }

        impl Case {
            /// Every case, in the order in which [`check`](super::check) runs them.
            pub const ALL: &'static [Self] = &[$(Self::$case),+];

            /// The case's name, which is also its test's: `lists_exact_names`, …
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$case => stringify!($name),)+
                }
            }

            /// The capabilities without which the case is skipped.
            pub fn needs(self) -> &'static [Capability] {
                match self {
                    $(Self::$case => &[$($(Capability::$needs),+)?],)+
                }
            }

            /// What to do about a store that fails it.
            pub(super) fn advice(self) -> &'static str {
                match self {
                    $(Self::$case => $advice,)+
                }
            }

            pub(super) async fn run<H: Harness>(self, trial: &Trial<'_, H>) -> Result<(), Mismatch> {
                match self {
                    $(Self::$case => $room::$name(trial).await,)+
                }
            }
        }
    };
}

cases! {
    /// `list` returns every name below the prefix, spelled as it was put, and no name that does not
    /// exist. Names outside the prefix and repeated names are permitted: callers filter them out.
    ListsExactNames = listing::lists_exact_names [List],
        "return the full names from `list`, spelled as the store has them, not names \
         relative to the prefix";
    /// `list` also returns names with further slashes below the prefix.
    ListsNestedNames = listing::lists_nested_names [List, NestedNames],
        "list at every depth, not only the first level";
    /// `list` also returns the secret that is named exactly as the prefix.
    ListsSecretNamedAsPrefix = listing::lists_secret_named_as_prefix [List],
        "select the prefix itself too: do not append a slash before comparing names";
    /// `list("app/prod")` shows nothing of `app/production` as if it were below `app/prod`.
    KeepsPrefixBoundary = listing::keeps_prefix_boundary [List],
        "cut names only at a slash, or return names as the store has them: they are filtered again";
    /// `list` of a prefix without secrets returns no names, or `NotFound`.
    ListsNothingBelowUnusedPrefix = listing::lists_nothing_below_unused_prefix [List],
        "return an empty list: a prefix without secrets is not a failure of the store";
    /// `list` returns hundreds of names, over any number of pages.
    ListsMany = listing::lists_many [List],
        "follow the store's pages to the last one";
    /// `list_some` returns at least one name where there are any, and only names that exist.
    ListsSomeExistingNames = listing::lists_some_existing_names [List],
        "return names that the store holds: they are suggested when a name is misspelled";

    /// `fetch` returns each secret under the name that it was put under.
    ReturnsTheName = values::returns_the_name,
        "give `Fetched::text` the secret's full name: its key path is made from it";
    /// `fetch` returns text as it was put: not trimmed, not parsed, not re-encoded.
    ReturnsExactText = values::returns_exact_text,
        "pass the store's text on unchanged: white space and JSON are part of the value";
    /// `fetch` returns all of a value of 65,536 bytes.
    ReturnsLargeText = values::returns_large_text [LargeValues],
        "read values to their end; declare `Capability::LargeValues` where the store has a lower limit";
    /// `fetch` returns bytes that are not text as they were put, as binary.
    ReturnsExactBinary = values::returns_exact_binary [Binary],
        "use `Fetched::binary` for what is not UTF-8, decoded from the encoding in transport";
    /// `fetch` answers each id exactly once, including ids without a secret.
    AnswersEachIdOnce = values::answers_each_id_once,
        "yield one outcome for each id: an id without an outcome counts as unavailable";
    /// `fetch` answers no id that it was not asked for.
    AnswersOnlyWhatWasAsked = values::answers_only_what_was_asked,
        "drop what else the store returns: every outcome becomes part of the settings";
    /// `fetch` answers a secret that was asked for by another id, such as an ARN, under that id,
    /// and with the secret's name.
    AnswersByTheIdAsked = values::answers_by_the_id_asked [OtherIds],
        "pair each outcome with the id as it was given, and give `Fetched` the secret's name";
    /// `fetch` returns hundreds of secrets, each with its own value, over any number of batches.
    ReturnsMany = values::returns_many,
        "split the ids into the batches that the store takes, and match each answer to its id";

    /// A new value has a new version id, and is the one returned.
    GivesNewValueNewVersion = versions::gives_new_value_new_version,
        "take the version id from the store: only a new id makes the new value count";
    /// Of several values of one secret, no two share a version id.
    SharesNoVersion = versions::shares_no_version,
        "use an id that the store never gives twice, such as a running number or a UUID";
    /// A secret that is deleted and created again has a new version id.
    GivesRecreatedSecretNewVersion = versions::gives_recreated_secret_new_version [Delete],
        "where numbers start again after a deletion, add the time of creation to the version id";
    /// A value that does not change keeps its version id while others are read, listed or changed.
    KeepsVersionOfUnchanged = versions::keeps_version_of_unchanged,
        "derive the version id from the stored version only, not from the time or the call";
    /// `fetch_previous` returns the value before the current one, and nothing or `NotFound` for a
    /// secret that has had only one.
    ReturnsPrevious = versions::returns_previous [Previous],
        "return the value that the current one replaced, with its own version id";

    /// A secret that does not exist is `NotFound`, and the others are still read.
    ReportsAbsentAsNotFound = failures::reports_absent_as_not_found,
        "answer a name without a secret with `ErrorKind::NotFound`, for this id only";
    /// Names that only resemble one that exists are `NotFound`.
    ReportsSimilarNamesAsNotFound = failures::reports_similar_names_as_not_found,
        "compare whole names: no prefix, no pattern, no nearest match";
    /// The error of a secret names it: `Error::secret` is the id asked for.
    NamesTheSecretInErrors = failures::names_the_secret_in_errors,
        "build the error with `.with_secret(id)`: hints and reports go by it";
    /// A deleted secret is `NotFound` or `PendingDeletion`.
    ReportsDeletedAsNotFound = failures::reports_deleted_as_not_found [Delete],
        "answer with `NotFound` or `PendingDeletion`, and keep no value of a deleted secret";
    /// A secret that may not be read is `AccessDenied` or `Kms`, and the others are still read.
    ReportsDenied = failures::reports_denied [Deny],
        "answer with `ErrorKind::AccessDenied` for this id only; it is not absent";
    /// `list` fails with `AccessDenied` when names may not be listed.
    ReportsDeniedList = failures::reports_denied_list [DenyList],
        "return `ErrorKind::AccessDenied`: an empty list would say that there are no secrets";
    /// A secret that cannot be decoded is `Malformed` or `Unavailable`, and the others are still
    /// read.
    ReportsMalformed = failures::reports_malformed [Corrupt],
        "answer with `ErrorKind::Malformed` for this id only; it is neither absent nor a value";
    /// The error of a secret that cannot be decoded shows nothing of it.
    ShowsNoValueInErrors = failures::shows_no_value_in_errors [Corrupt],
        "build a new error from names: a foreign error or the answer's body may hold the value";
    /// `Debug` of the store shows no value.
    ShowsNoValueInDebug = failures::shows_no_value_in_debug,
        "write `Debug` by hand where the store holds values, credentials or answers";

    /// Fetches and listings at the same time all succeed.
    AnswersConcurrentCalls = concurrency::answers_concurrent_calls,
        "keep the state of a call in its future: `&self` is shared by all of them";
    /// A fetch that is dropped half-way leaves the store usable.
    SurvivesDroppedFetch = concurrency::survives_dropped_fetch,
        "release locks, permits and connections in `Drop`, not at the end of the call";
    /// A listing that is dropped half-way leaves the store usable.
    SurvivesDroppedList = concurrency::survives_dropped_list [List],
        "release locks, permits and connections in `Drop`, not at the end of the call";
    /// A fetch that hangs and is dropped at its deadline leaves the store usable.
    SurvivesDeadline = concurrency::survives_deadline [Stall],
        "let nothing outlive a dropped fetch that a later one waits for";
    /// A fetch that hangs holds up no other fetch.
    StallsOnlyOneFetch = concurrency::stalls_only_one_fetch [Stall],
        "hold no lock across an `.await`, and make calls of different fetches independent";

    /// The stream of `changes` yields once a new value is readable.
    SignalsChange = signals::signals_change [Changes],
        "yield from `changes` once a new value is readable";
    /// A capability that the harness lacks is one that the store does not show.
    LacksWhatItDeclares = signals::lacks_what_it_declares,
        "remove the capability from `Harness::lacks`, so that its cases run";
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
