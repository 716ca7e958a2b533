//! One suite of calls that the SDK makes to the fake and to moto. It asserts what AWS documents.
//! Where moto 5.2.5 differs, the fault is named beside the assertion.
//!
//! The cases are in files by subject. A case gets a peer that is new and empty, and the same case
//! runs on both: a fake that differs from AWS would let the product's tests pass for nothing.

mod deleting;
mod listing;
mod protocol;
mod reading;
mod staging;
mod writing;

use aws_sdk_secretsmanager::operation::list_secrets::builders::ListSecretsFluentBuilder;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, Tag};

use crate::peer::Peer;
use deleting::{
    deletes_and_restores, deletes_for_good, refuses_to_change_a_secret_that_waits_for_its_deletion,
};
use listing::{lists_by_filters, lists_in_order, lists_in_pages};
use protocol::{answers_errors_with_status_400, keeps_connections, makes_passwords, tags};
use reading::{
    batches_by_filters, batches_by_ids, describes, gets_by_arn, gets_by_version_and_label,
    lists_versions,
};
use staging::{moves_labels, rolls_back, rotates_by_hand, rotates_with_a_function_only};
use writing::{
    creates, creates_once, puts, puts_once, puts_other_labels, refuses_names_and_sizes, updates,
};

/// Each case is two tests: `fake::CASE` and `moto::CASE`.
macro_rules! of_both {
    ($($case:ident)*) => {
        mod fake {
            $(#[tokio::test] async fn $case() { super::$case(super::Peer::fake().await).await; })*
        }
        mod moto {
            $(#[tokio::test] async fn $case() { super::$case(super::Peer::moto().await).await; })*
        }
    };
}

of_both! {
    creates
    creates_once
    refuses_names_and_sizes
    puts
    puts_other_labels
    puts_once
    gets_by_version_and_label
    gets_by_arn
    updates
    moves_labels
    rolls_back
    rotates_by_hand
    rotates_with_a_function_only
    lists_by_filters
    lists_in_pages
    lists_in_order
    describes
    lists_versions
    batches_by_ids
    batches_by_filters
    deletes_and_restores
    deletes_for_good
    refuses_to_change_a_secret_that_waits_for_its_deletion
    tags
    makes_passwords
    answers_errors_with_status_400
    keeps_connections
}

const OK: &str = "ok";
const NOT_FOUND: &str = "ResourceNotFoundException";
const EXISTS: &str = "ResourceExistsException";
const INVALID_REQUEST: &str = "InvalidRequestException";
const INVALID_PARAMETER: &str = "InvalidParameterException";
const INVALID_TOKEN: &str = "InvalidNextTokenException";
const VALIDATION: &str = "ValidationException";
/// The SDK finds no code in an HTML page.
const CRASH: &str = "500";

fn filter(key: &str, values: &[&str]) -> Filter {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    Filter::builder().key(FilterNameStringType::from(key)).set_values(Some(values)).build()
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// The names of a listing, in its order.
async fn listed(request: ListSecretsFluentBuilder) -> Vec<String> {
    let answer = request.send().await.unwrap();
    answer.secret_list().iter().map(|secret| secret.name().unwrap().to_owned()).collect()
}
