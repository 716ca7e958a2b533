//! One suite of calls that the SDK makes to the fake and to moto. It asserts what AWS documents.
//! Where moto 5.2.5 differs, the fault is named beside the assertion.

use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;
use aws_sdk_secretsmanager::operation::list_secrets::builders::ListSecretsFluentBuilder;
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SortByType, SortOrderType, Tag};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::peer::{MotoFault, Peer, code, refusal, short, shown, token};

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

async fn creates(aws: Peer) {
    let created =
        aws.client.create_secret().name("app/text").secret_string("τext").description("A text");
    let created = created.client_request_token(token("v1")).send().await.unwrap();
    aws.expect(created.name(), Some("app/text"));
    aws.expect(created.version_id().map(short), Some("v1"));
    let arn = created.arn().unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:us-east-1:"), "{arn}");
    let (start, suffix) = arn.rsplit_once('-').unwrap();
    assert!(start.ends_with(":secret:app/text") && suffix.len() == 6, "{arn}");

    let got = aws.client.get_secret_value().secret_id("app/text").send().await.unwrap();
    aws.expect(got.secret_string(), Some("τext"));
    aws.expect(got.secret_binary(), None);
    aws.expect((got.arn(), got.name()), (Some(arn), Some("app/text")));
    aws.expect(got.version_id().map(short), Some("v1"));
    aws.expect(got.version_stages(), ["AWSCURRENT"]);
    assert!(got.created_date().is_some());

    let bytes: Vec<u8> = (0..=255).collect();
    let create =
        aws.client.create_secret().name("app/binary").secret_binary(Blob::new(bytes.clone()));
    create.send().await.unwrap();
    let got = aws.client.get_secret_value().secret_id("app/binary").send().await.unwrap();
    aws.expect(got.secret_binary().map(|blob| blob.as_ref().to_vec()), Some(bytes));
    aws.expect(got.secret_string(), None);

    let created = aws.client.create_secret().name("app/empty").send().await.unwrap();
    aws.expect(created.version_id(), None);
    let (refused, message) =
        refusal(aws.client.get_secret_value().secret_id("app/empty").send().await);
    aws.expect(refused, NOT_FOUND);
    aws.expect(
        message,
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    );
}

async fn creates_once(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    let create = |text: &str, version: &str| {
        aws.client
            .create_secret()
            .name("app/a")
            .secret_string(text)
            .client_request_token(token(version))
    };
    let again = create("one", "v1").send().await.unwrap();
    aws.expect(again.version_id().map(short), Some("v1"));
    aws.expect(code(create("two", "v1").send().await), EXISTS);
    aws.expect(code(create("one", "v2").send().await), EXISTS);
    aws.expect(aws.labels("app/a").await, ["v1: AWSCURRENT"]);
    let short_token =
        aws.client.create_secret().name("app/b").secret_string("x").client_request_token("short");
    aws.expect(code(short_token.send().await), INVALID_PARAMETER);

    aws.client.delete_secret().secret_id("app/a").send().await.unwrap();
    aws.expect_but(
        code(create("one", "v2").send().await),
        INVALID_REQUEST,
        MotoFault("a name that waits for its deletion is said to exist", EXISTS),
    );
}

async fn refuses_names_and_sizes(aws: Peer) {
    const LONGEST: usize = 65_536;
    let create = |name: &str| aws.client.create_secret().name(name).secret_string("x");
    aws.expect(code(create("App/db_1+2=3.4@5-x").send().await), OK);
    aws.expect(code(create(&"n".repeat(512)).send().await), OK);
    for name in ["with space", "ä", "back\\slash", "", &"n".repeat(513)] {
        aws.expect_but(
            code(create(name).send().await),
            VALIDATION,
            MotoFault("no name is refused", OK),
        );
    }
    let put = || aws.client.put_secret_value().secret_id("App/db_1+2=3.4@5-x");
    aws.expect(code(put().secret_string("x".repeat(LONGEST)).send().await), OK);
    aws.expect(code(put().secret_binary(Blob::new(vec![7; LONGEST])).send().await), OK);
    for too_long in [
        put().secret_string("x".repeat(LONGEST + 1)),
        put().secret_string("ä".repeat(LONGEST / 2 + 1)),
        put().secret_binary(Blob::new(vec![7; LONGEST + 1])),
    ] {
        aws.expect_but(
            code(too_long.send().await),
            VALIDATION,
            MotoFault("no size is refused", OK),
        );
    }
    aws.expect(code(put().send().await), INVALID_REQUEST);
    aws.expect_but(
        code(put().secret_string("x").secret_binary(Blob::new("x")).send().await),
        INVALID_PARAMETER,
        MotoFault("text and binary are taken together", OK),
    );
}

async fn puts(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.expect(aws.put("app/a", "two", "v2", &[]).await, OK);
    aws.expect(aws.labels("app/a").await, ["v1: AWSPREVIOUS", "v2: AWSCURRENT"]);
    aws.expect(aws.get("app/a").await, "two");
    aws.expect(aws.get_by_label("app/a", "AWSPREVIOUS").await, "one");

    let put = aws.client.put_secret_value().secret_id("app/a").secret_string("three");
    let put = put.client_request_token(token("v3")).send().await.unwrap();
    aws.expect(put.version_id().map(short), Some("v3"));
    aws.expect(put.version_stages(), ["AWSCURRENT"]);
    let versions = ["v1", "v2: AWSPREVIOUS", "v3: AWSCURRENT"];
    aws.expect_but(
        aws.labels("app/a").await,
        &versions[1..],
        MotoFault("a version without labels is shown too", &versions[..]),
    );
    aws.expect(aws.get_by_label("app/a", "AWSCURRENT").await, "three");
    aws.expect(aws.put("app/none", "x", "v1", &[]).await, NOT_FOUND);
}

async fn puts_other_labels(aws: Peer) {
    aws.client.create_secret().name("app/first").send().await.unwrap();
    aws.expect(aws.put("app/first", "one", "v1", &["blue"]).await, OK);
    // The first version is always AWSCURRENT.
    aws.expect(aws.labels("app/first").await, ["v1: AWSCURRENT blue"]);

    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &["AWSPENDING", "blue"]).await;
    aws.expect(aws.get("app/a").await, "one");
    aws.expect(aws.labels("app/a").await, ["v1: AWSCURRENT", "v2: AWSPENDING blue"]);
    aws.put("app/a", "three", "v3", &["AWSCURRENT", "blue"]).await;
    let others = ["v1: AWSPREVIOUS", "v2: AWSPENDING", "v3: AWSCURRENT blue"];
    aws.expect_but(
        aws.labels("app/a").await,
        others,
        MotoFault(
            "a label that comes with AWSCURRENT stays on the version that had it as well",
            [others[0], "v2: AWSPENDING blue", others[2]],
        ),
    );

    aws.client.create_secret().name("app/b").send().await.unwrap();
    aws.put("app/b", "one", "v1", &["AWSCURRENT", "green"]).await;
    aws.put("app/b", "two", "v2", &[]).await;
    aws.expect_but(
        aws.labels("app/b").await,
        ["v1: AWSPREVIOUS green", "v2: AWSCURRENT"],
        MotoFault(
            "the version that AWSCURRENT leaves loses its other labels",
            ["v1: AWSPREVIOUS", "v2: AWSCURRENT"],
        ),
    );
}

async fn puts_once(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &[]).await;
    aws.expect(aws.put("app/a", "two", "v2", &[]).await, OK);
    aws.expect(aws.put("app/a", "other", "v2", &[]).await, EXISTS);
    // A repeated token of an older version changes nothing either.
    aws.expect(aws.put("app/a", "one", "v1", &[]).await, OK);
    aws.expect(aws.labels("app/a").await, ["v1: AWSPREVIOUS", "v2: AWSCURRENT"]);
    aws.expect(aws.get("app/a").await, "two");
}

async fn gets_by_version_and_label(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &[]).await;
    aws.put("app/a", "three", "v3", &[]).await;
    let get = || aws.client.get_secret_value().secret_id("app/a");
    for (version, text) in [("v1", "one"), ("v2", "two"), ("v3", "three")] {
        let got = get().version_id(token(version)).send().await.unwrap();
        aws.expect(got.secret_string(), Some(text));
    }
    let got = get().version_id(token("v2")).version_stage("AWSPREVIOUS").send().await.unwrap();
    aws.expect(got.secret_string(), Some("two"));
    let other = get().version_id(token("v2")).version_stage("AWSCURRENT").send().await;
    aws.expect(code(other), INVALID_REQUEST);
    let (refused, message) = refusal(get().version_id(token("v9")).send().await);
    aws.expect(refused, NOT_FOUND);
    aws.expect(
        message,
        format!(
            "Secrets Manager can't find the specified secret value for VersionId: {}",
            token("v9")
        ),
    );
    let (refused, message) = refusal(get().version_stage("blue").send().await);
    aws.expect(refused, NOT_FOUND);
    let secret_not_found = "Secrets Manager can't find the specified secret.";
    aws.expect_but(
        message,
        "Secrets Manager can't find the specified secret value for staging label: blue",
        MotoFault("a label without a version is reported as a missing secret", secret_not_found),
    );
    let (refused, message) =
        refusal(aws.client.get_secret_value().secret_id("app/none").send().await);
    aws.expect(refused, NOT_FOUND);
    aws.expect(message, secret_not_found);
}

async fn gets_by_arn(aws: Peer) {
    let created =
        aws.client.create_secret().name("app/db-main").secret_string("x").send().await.unwrap();
    let arn = created.arn().unwrap();
    aws.expect(aws.get(arn).await, "x");
    // The ARN without its random suffix.
    aws.expect(aws.get(&arn[..arn.len() - 7]).await, "x");
    aws.expect(aws.get(&arn[..arn.len() - 1]).await, NOT_FOUND);
    aws.expect(aws.get("app/db").await, NOT_FOUND);
}

async fn updates(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    let update = || aws.client.update_secret().secret_id("app/a");
    let updated = update().description("What it is").send().await.unwrap();
    aws.expect(updated.version_id(), None);
    aws.expect(aws.labels("app/a").await, ["v1: AWSCURRENT"]);

    let update = || update().secret_string("two").client_request_token(token("v2"));
    let updated = update().send().await.unwrap();
    aws.expect(updated.version_id().map(short), Some("v2"));
    aws.expect(aws.labels("app/a").await, ["v1: AWSPREVIOUS", "v2: AWSCURRENT"]);
    aws.expect(aws.get("app/a").await, "two");
    let described = aws.client.describe_secret().secret_id("app/a").send().await.unwrap();
    aws.expect(described.description(), Some("What it is"));
    aws.expect_but(
        code(update().send().await),
        EXISTS,
        MotoFault("a token of an existing version is no error if the content is the same", OK),
    );
    let missing = aws.client.update_secret().secret_id("app/none").description("x").send().await;
    aws.expect(code(missing), NOT_FOUND);
}

async fn moves_labels(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &[]).await;
    let labels = async || aws.labels("app/a").await;

    aws.expect(aws.move_label("app/a", "blue", None, Some("v1")).await, OK);
    aws.expect(labels().await, ["v1: AWSPREVIOUS blue", "v2: AWSCURRENT"]);
    aws.expect_but(
        aws.move_label("app/a", "blue", None, Some("v2")).await,
        INVALID_PARAMETER,
        MotoFault("a label is moved without naming the version that has it, which keeps it", OK),
    );
    aws.expect_but(
        labels().await,
        ["v1: AWSPREVIOUS blue", "v2: AWSCURRENT"],
        MotoFault("and so two versions have it", ["v1: AWSPREVIOUS blue", "v2: AWSCURRENT blue"]),
    );
    aws.expect(aws.move_label("app/a", "blue", Some("v1"), None).await, OK);
    aws.expect(aws.get_by_label("app/a", "AWSCURRENT").await, "two");

    aws.expect(aws.move_label("app/a", "AWSCURRENT", None, Some("v1")).await, INVALID_PARAMETER);
    aws.expect(
        aws.move_label("app/a", "AWSCURRENT", Some("v1"), Some("v1")).await,
        INVALID_PARAMETER,
    );
    aws.expect_but(
        aws.move_label("app/a", "AWSCURRENT", Some("v2"), Some("v9")).await,
        NOT_FOUND,
        MotoFault("a version that is not there is a wrong parameter", INVALID_PARAMETER),
    );
    aws.expect_but(
        aws.get_by_label("app/a", "AWSCURRENT").await,
        "two",
        MotoFault("and the refused call took AWSCURRENT away all the same", NOT_FOUND),
    );
    aws.create("app/b", "one", "v1").await;
    aws.expect_but(
        aws.move_label("app/b", "AWSCURRENT", Some("v1"), None).await,
        INVALID_PARAMETER,
        MotoFault("AWSCURRENT can be taken away", OK),
    );
    aws.expect(aws.move_label("app/none", "blue", None, Some("v1")).await, NOT_FOUND);
}

async fn rolls_back(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &[]).await;
    aws.expect(aws.move_label("app/a", "AWSCURRENT", Some("v2"), Some("v1")).await, OK);
    aws.expect(aws.labels("app/a").await, ["v1: AWSCURRENT", "v2: AWSPREVIOUS"]);
    aws.expect(aws.get_by_label("app/a", "AWSCURRENT").await, "one");
    aws.expect_but(
        aws.get("app/a").await,
        "one",
        MotoFault("a plain get goes by the version that was put last, not by AWSCURRENT", "two"),
    );
    aws.expect_but(
        aws.get_by_batch("app/a").await,
        "one",
        MotoFault("a batch goes by the version that was put last, not by AWSCURRENT", "two"),
    );
    aws.put("app/a", "three", "v3", &[]).await;
    aws.expect_but(
        aws.labels("app/a").await,
        ["v1: AWSPREVIOUS", "v3: AWSCURRENT"],
        MotoFault(
            "a put after a roll-back leaves AWSCURRENT on two versions",
            ["v1: AWSCURRENT", "v2: AWSPREVIOUS", "v3: AWSCURRENT"],
        ),
    );
}

/// The steps of a rotation function.
async fn rotates_by_hand(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &["AWSPENDING"]).await;
    aws.expect(aws.get_by_label("app/a", "AWSPENDING").await, "two");
    aws.expect(aws.get("app/a").await, "one");
    aws.expect(aws.move_label("app/a", "AWSCURRENT", Some("v1"), Some("v2")).await, OK);
    aws.expect(aws.move_label("app/a", "AWSPENDING", Some("v2"), None).await, OK);
    aws.expect(aws.labels("app/a").await, ["v1: AWSPREVIOUS", "v2: AWSCURRENT"]);
    aws.expect_but(
        aws.get("app/a").await,
        "two",
        MotoFault("a plain get does not see that a rotation is over", "one"),
    );
}

async fn rotates_with_a_function_only(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    let rotate = aws.client.rotate_secret().secret_id("app/a").client_request_token(token("v2"));
    aws.expect_but(
        code(rotate.send().await),
        INVALID_REQUEST,
        MotoFault("a secret without a rotation function is rotated", OK),
    );
    aws.expect_but(
        aws.get("app/a").await,
        "one",
        MotoFault("and AWSCURRENT goes to a version without a value", NOT_FOUND),
    );
    let missing = aws.client.rotate_secret().secret_id("app/none").send().await;
    aws.expect(code(missing), NOT_FOUND);
}

async fn lists_by_filters(aws: Peer) {
    for (name, description, tags) in [
        ("gaara/prod", "Root of it", vec![]),
        ("gaara/prod/database", "Where rows are", vec![tag("team", "rows"), tag("stage", "prod")]),
        ("gaara/prod/jwt", "Where tokens are", vec![tag("team", "web")]),
        ("gaara/production", "A neighbour", vec![tag("teams", "rows")]),
        ("Gaara/prod/x", "Another one", vec![tag("stage", "prod")]),
    ] {
        let create =
            aws.client.create_secret().name(name).description(description).secret_string("x");
        create.set_tags(Some(tags)).send().await.unwrap();
    }
    let all =
        ["gaara/prod", "gaara/prod/database", "gaara/prod/jwt", "gaara/production", "Gaara/prod/x"];
    for (filters, expected) in [
        (vec![], all.to_vec()),
        // A filter is a plain prefix; for a folder it ends with a slash.
        (vec![filter("name", &["gaara/prod"])], all[..4].to_vec()),
        (vec![filter("name", &["gaara/prod/"])], all[1..3].to_vec()),
        (vec![filter("name", &["prod"])], vec![]),
        (vec![filter("name", &["!gaara/prod/"])], vec![all[0], all[3], all[4]]),
        (vec![filter("name", &["gaara/prod/d", "Gaara"])], vec![all[1], all[4]]),
        (
            vec![filter("name", &["gaara/prod"]), filter("name", &["!gaara/prod/"])],
            vec![all[0], all[3]],
        ),
        (vec![filter("tag-key", &["team"])], all[1..4].to_vec()),
        (vec![filter("tag-key", &["Team"])], vec![]),
        (vec![filter("tag-value", &["ro"])], vec![all[1], all[3]]),
        (vec![filter("tag-key", &["stage"]), filter("tag-value", &["rows"])], vec![all[1]]),
        (vec![filter("description", &["where"])], all[1..3].to_vec()),
        (vec![filter("all", &["rows"])], vec![all[1], all[3]]),
        (vec![filter("all", &["NEIGHBOUR"])], vec![all[3]]),
    ] {
        let shown = format!("{filters:?}");
        let mut found = listed(aws.client.list_secrets().set_filters(Some(filters))).await;
        let mut expected: Vec<_> = expected.into_iter().map(str::to_owned).collect();
        found.sort();
        expected.sort();
        aws.expect((shown.clone(), found), (shown, expected));
    }
    let unknown = aws.client.list_secrets().filters(filter("colour", &["x"])).send().await;
    aws.expect(code(unknown), VALIDATION);
    let many: Vec<_> = (0..11).map(|number| format!("{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    aws.expect_but(
        code(aws.client.list_secrets().filters(filter("name", &many)).send().await),
        VALIDATION,
        MotoFault("more than ten values of a filter are taken", OK),
    );
}

async fn lists_in_pages(aws: Peer) {
    for number in 0..5 {
        aws.create(&format!("app/{number}"), "x", "v1").await;
    }
    let list = || aws.client.list_secrets();
    let mut pages = list().max_results(2).into_paginator().send();
    let (mut sizes, mut names) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.secret_list().len());
        names.extend(page.secret_list().iter().map(|secret| secret.name().unwrap().to_owned()));
    }
    names.sort();
    aws.expect(sizes, vec![2, 2, 1]);
    aws.expect(names, ["app/0", "app/1", "app/2", "app/3", "app/4"]);

    aws.expect_but(
        code(list().next_token("nonsense").send().await),
        INVALID_TOKEN,
        MotoFault("a wrong token is a crash", CRASH),
    );
    for size in [0, 101] {
        aws.expect_but(
            code(list().max_results(size).send().await),
            VALIDATION,
            MotoFault("a page may have any size", OK),
        );
    }
}

async fn lists_in_order(aws: Peer) {
    for name in ["app/b", "app/c", "app/a"] {
        aws.create(name, "x", "v1").await;
    }
    let list = || aws.client.list_secrets().sort_order(SortOrderType::Asc);
    let created = ["app/b", "app/c", "app/a"];
    aws.expect(listed(list()).await, created);
    aws.expect_but(
        listed(list().sort_order(SortOrderType::Desc)).await,
        ["app/a", "app/c", "app/b"],
        MotoFault("SortOrder is not looked at", created),
    );
    aws.expect_but(
        listed(list().sort_by(SortByType::Name)).await,
        ["app/a", "app/b", "app/c"],
        MotoFault("SortBy is not looked at", created),
    );
}

async fn describes(aws: Peer) {
    let create =
        aws.client.create_secret().name("app/a").description("A secret").tags(tag("k", "v"));
    let create = create.secret_string("hunter2").client_request_token(token("v1"));
    let arn = create.kms_key_id("alias/mine").send().await.unwrap().arn.unwrap();
    let described = aws.client.describe_secret().secret_id("app/a").send().await.unwrap();
    aws.expect(described.arn(), Some(arn.as_str()));
    aws.expect(described.name(), Some("app/a"));
    aws.expect(described.description(), Some("A secret"));
    aws.expect(described.kms_key_id(), Some("alias/mine"));
    aws.expect(described.tags(), &[tag("k", "v")]);
    aws.expect(described.rotation_enabled(), None);
    aws.expect(described.deleted_date(), None);
    assert!(described.created_date().is_some() && described.last_changed_date().is_some());
    assert!(!format!("{described:?}").contains("hunter2"));
    let list = aws.client.list_secrets().send().await.unwrap();
    let entry = &list.secret_list()[0];
    aws.expect(entry.arn(), Some(arn.as_str()));
    aws.expect(entry.description(), Some("A secret"));
    aws.expect(entry.tags(), &[tag("k", "v")]);
    aws.expect(shown(entry.secret_versions_to_stages().unwrap().clone()), ["v1: AWSCURRENT"]);
    let missing = aws.client.describe_secret().secret_id("app/none").send().await;
    aws.expect(code(missing), NOT_FOUND);
}

async fn lists_versions(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &[]).await;
    aws.put("app/a", "three", "v3", &[]).await;
    let list = || aws.client.list_secret_version_ids().secret_id("app/a");
    let versions = async |deprecated: bool| {
        let answer = list().include_deprecated(deprecated).send().await.unwrap();
        shown(answer.versions().iter().map(|version| {
            (version.version_id().unwrap().to_owned(), version.version_stages().to_vec())
        }))
    };
    let all = ["v1", "v2: AWSPREVIOUS", "v3: AWSCURRENT"];
    aws.expect(versions(true).await, all);
    aws.expect_but(
        versions(false).await,
        &all[1..],
        MotoFault("versions without labels are listed, asked for or not", &all[..]),
    );
    let answer = list().send().await.unwrap();
    aws.expect(answer.name(), Some("app/a"));
    let is_arn = answer.arn().unwrap().starts_with("arn:");
    aws.expect_but(is_arn, true, MotoFault("the name is given as the ARN", false));
    let page = list().include_deprecated(true).max_results(2).send().await.unwrap();
    aws.expect_but(page.versions().len(), 2, MotoFault("there is one page only", 3));
    aws.expect_but(
        code(aws.client.list_secret_version_ids().secret_id("app/none").send().await),
        NOT_FOUND,
        MotoFault("a secret that is not there is a crash", CRASH),
    );
}

async fn batches_by_ids(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &[]).await;
    let binary = aws.client.create_secret().name("app/binary").secret_binary(Blob::new([0, 255]));
    let binary_arn = binary.send().await.unwrap().arn.unwrap();
    aws.create("app/gone", "x", "v1").await;
    aws.client.delete_secret().secret_id("app/gone").send().await.unwrap();
    let batch = || aws.client.batch_get_secret_value();

    let answer = batch().set_secret_id_list(Some(vec![
        "app/a".to_owned(),
        "app/none".to_owned(),
        binary_arn,
        "app/gone".to_owned(),
    ]));
    let answer = answer.send().await.unwrap();
    let values = answer.secret_values();
    let names: Vec<_> = values.iter().map(|value| value.name().unwrap()).collect();
    aws.expect(names, ["app/a", "app/binary"]);
    aws.expect(values[0].secret_string(), Some("two"));
    aws.expect(values[0].version_id().map(short), Some("v2"));
    aws.expect(values[0].version_stages(), ["AWSCURRENT"]);
    aws.expect(values[1].secret_binary().map(|blob| blob.as_ref().to_vec()), Some(vec![0, 255]));
    let errors: Vec<_> = answer
        .errors()
        .iter()
        .map(|error| (error.secret_id().unwrap(), error.error_code().unwrap()))
        .collect();
    aws.expect(errors, vec![("app/none", NOT_FOUND), ("app/gone", INVALID_REQUEST)]);

    aws.client.create_secret().name("app/empty").send().await.unwrap();
    aws.expect_but(
        code(batch().secret_id_list("app/a").secret_id_list("app/empty").send().await),
        OK,
        MotoFault("a secret without a value fails the whole batch", NOT_FOUND),
    );
    let many = |count: usize| Some((0..count).map(|number| format!("app/{number}")).collect());
    aws.expect(code(batch().set_secret_id_list(many(20)).send().await), OK);
    aws.expect_but(
        code(batch().set_secret_id_list(many(21)).send().await),
        VALIDATION,
        MotoFault("more than twenty ids are taken", OK),
    );
    let both = batch().secret_id_list("app/a").filters(filter("name", &["app"]));
    aws.expect(code(both.send().await), INVALID_PARAMETER);
    aws.expect(
        code(batch().secret_id_list("app/a").max_results(1).send().await),
        INVALID_PARAMETER,
    );
    aws.expect_but(
        code(batch().send().await),
        INVALID_PARAMETER,
        MotoFault("neither ids nor filters are asked for", OK),
    );
}

async fn batches_by_filters(aws: Peer) {
    for name in ["app/a", "app/b", "app/c", "application"] {
        aws.create(name, name, "v1").await;
    }
    let batch = || aws.client.batch_get_secret_value().filters(filter("name", &["app/"]));
    let answer = batch().send().await.unwrap();
    let mut texts: Vec<_> =
        answer.secret_values().iter().map(|value| value.secret_string().unwrap()).collect();
    texts.sort_unstable();
    aws.expect(texts, vec!["app/a", "app/b", "app/c"]);

    let (mut found, mut next) = (0, None);
    loop {
        let page = batch().max_results(2).set_next_token(next).send().await.unwrap();
        assert!(page.secret_values().len() <= 2);
        found += page.secret_values().len();
        next = page.next_token().map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    aws.expect(found, 3);

    aws.client.delete_secret().secret_id("app/b").send().await.unwrap();
    aws.expect_but(
        code(batch().send().await),
        OK,
        MotoFault("a match that waits for its deletion fails the whole batch", INVALID_REQUEST),
    );
}

async fn deletes_and_restores(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    let delete = || aws.client.delete_secret().secret_id("app/a");
    for days in [6, 31] {
        let refused = delete().recovery_window_in_days(days).send().await;
        aws.expect(code(refused), INVALID_PARAMETER);
    }
    let both = delete().recovery_window_in_days(7).force_delete_without_recovery(true).send().await;
    aws.expect(code(both), INVALID_PARAMETER);
    aws.expect(aws.get("app/a").await, "one");

    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let deleted = delete().recovery_window_in_days(7).send().await.unwrap();
    let days = (deleted.deletion_date().unwrap().as_secs_f64() - now) / 86_400.0;
    assert!((6.9..7.1).contains(&days), "{days} days");
    let (refused, message) = refusal(aws.client.get_secret_value().secret_id("app/a").send().await);
    aws.expect(refused, INVALID_REQUEST);
    aws.expect_but(
        message.contains("because it was marked for deletion"),
        true,
        MotoFault(
            "the message is another one, with a piece of source code's indentation in it",
            false,
        ),
    );
    aws.expect(aws.get_by_label("app/a", "AWSCURRENT").await, INVALID_REQUEST);
    aws.expect(code(delete().send().await), INVALID_REQUEST);
    aws.expect(listed(aws.client.list_secrets()).await, [""; 0]);
    let all = aws.client.list_secrets().include_planned_deletion(true);
    aws.expect(listed(all).await, ["app/a"]);
    let described = aws.client.describe_secret().secret_id("app/a").send().await.unwrap();
    aws.expect(described.deleted_date(), deleted.deletion_date());

    let restored = aws.client.restore_secret().secret_id("app/a").send().await.unwrap();
    aws.expect(restored.name(), Some("app/a"));
    aws.expect(aws.get("app/a").await, "one");
    aws.expect(listed(aws.client.list_secrets()).await, ["app/a"]);
    for id in ["app/a", "app/none"] {
        let again = aws.client.restore_secret().secret_id(id).send().await;
        aws.expect(code(again), if id == "app/a" { OK } else { NOT_FOUND });
    }
    aws.expect(code(aws.client.delete_secret().secret_id("app/none").send().await), NOT_FOUND);
}

async fn deletes_for_good(aws: Peer) {
    aws.create("app/a", "one", "v1").await;
    let delete =
        |id: &str| aws.client.delete_secret().secret_id(id).force_delete_without_recovery(true);
    delete("app/a").send().await.unwrap();
    aws.expect(aws.get("app/a").await, NOT_FOUND);
    let all = aws.client.list_secrets().include_planned_deletion(true);
    aws.expect(listed(all).await, [""; 0]);
    aws.expect(code(aws.client.restore_secret().secret_id("app/a").send().await), NOT_FOUND);
    aws.expect(code(delete("app/a").send().await), OK);
    // A secret that waits for its deletion can be deleted at once.
    aws.create("app/a", "two", "v1").await;
    aws.client.delete_secret().secret_id("app/a").send().await.unwrap();
    delete("app/a").send().await.unwrap();
    aws.create("app/a", "three", "v1").await;
    aws.expect(aws.get("app/a").await, "three");
}

async fn refuses_to_change_a_secret_that_waits_for_its_deletion(aws: Peer) {
    let taken = |what| MotoFault(what, OK);
    aws.create("app/a", "one", "v1").await;
    aws.put("app/a", "two", "v2", &[]).await;
    aws.client.delete_secret().secret_id("app/a").send().await.unwrap();
    aws.expect_but(
        aws.put("app/a", "three", "v3", &[]).await,
        INVALID_REQUEST,
        taken("a value is put into what waits for its deletion"),
    );
    let update = aws.client.update_secret().secret_id("app/a").secret_string("x");
    aws.expect(code(update.send().await), INVALID_REQUEST);
    let rotate = aws.client.rotate_secret().secret_id("app/a");
    aws.expect(code(rotate.send().await), INVALID_REQUEST);
    aws.expect_but(
        aws.move_label("app/a", "blue", None, Some("v1")).await,
        INVALID_REQUEST,
        taken("labels of what waits for its deletion are moved"),
    );
    let tagged = aws.client.tag_resource().secret_id("app/a").tags(tag("k", "v")).send().await;
    aws.expect_but(code(tagged), INVALID_REQUEST, taken("what waits for its deletion is tagged"));
}

async fn tags(aws: Peer) {
    let create = aws.client.create_secret().name("app/a").tags(tag("a", "1")).tags(tag("b", "2"));
    create.send().await.unwrap();
    let shown = async || {
        let described = aws.client.describe_secret().secret_id("app/a").send().await.unwrap();
        let mut tags: Vec<_> = described
            .tags()
            .iter()
            .map(|tag| format!("{}={}", tag.key().unwrap(), tag.value().unwrap()))
            .collect();
        tags.sort();
        tags
    };
    let add = aws.client.tag_resource().secret_id("app/a").tags(tag("b", "3")).tags(tag("c", ""));
    add.send().await.unwrap();
    aws.expect(shown().await, ["a=1", "b=3", "c="]);
    let remove = aws.client.untag_resource().secret_id("app/a").tag_keys("a").tag_keys("none");
    remove.send().await.unwrap();
    aws.expect(shown().await, ["b=3", "c="]);
    let reserved =
        aws.client.tag_resource().secret_id("app/a").tags(tag("aws:x", "1")).send().await;
    aws.expect_but(
        code(reserved),
        INVALID_PARAMETER,
        MotoFault("keys that begin with aws: are not reserved", OK),
    );
    let missing = aws.client.tag_resource().secret_id("app/none").tags(tag("k", "v")).send().await;
    aws.expect(code(missing), NOT_FOUND);
}

async fn makes_passwords(aws: Peer) {
    let password = || aws.client.get_random_password();
    let made = password().send().await.unwrap().random_password.unwrap();
    aws.expect(made.chars().count(), 32);
    for kind in [char::is_lowercase, char::is_uppercase, char::is_numeric, |c: char| {
        c.is_ascii_punctuation()
    }] {
        assert!(made.contains(kind), "one of each kind in {made}");
    }
    let made = password().password_length(64).exclude_punctuation(true).exclude_characters("aZ0");
    let made = made.send().await.unwrap().random_password.unwrap();
    assert!(made.chars().all(|c| c.is_ascii_alphanumeric() && !"aZ0".contains(c)), "{made}");
    aws.expect(code(password().password_length(3).send().await), INVALID_PARAMETER);
    aws.expect_but(
        code(password().password_length(4097).send().await),
        VALIDATION,
        MotoFault("too long a password is a wrong parameter's value", "InvalidParameterValue"),
    );
}

/// The status of every refusal is 400; only the code in the body differs.
async fn answers_errors_with_status_400(aws: Peer) {
    let missing = aws.client.get_secret_value().secret_id("app/none").send().await.unwrap_err();
    aws.expect(missing.code(), Some(NOT_FOUND));
    let status = missing.raw_response().unwrap().status().as_u16();
    aws.expect_but(status, 400, MotoFault("a missing secret has status 404", 404));
    aws.create("app/a", "one", "v1").await;
    let get = aws
        .client
        .get_secret_value()
        .secret_id("app/a")
        .version_id(token("v1"))
        .version_stage("blue");
    let mismatch = get.send().await.unwrap_err();
    aws.expect(mismatch.code(), Some(INVALID_REQUEST));
    let status = mismatch.raw_response().unwrap().status().as_u16();
    aws.expect_but(status, 400, MotoFault("a label of another version has status 404", 404));
}

/// Two requests over one connection, without an SDK: it would silently open another connection.
async fn keeps_connections(aws: Peer) {
    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\n\
        Host: localhost\r\n\
        Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/secretsmanager/aws4_request, \
        SignedHeaders=host, Signature=00\r\n\
        Content-Type: application/x-amz-json-1.1\r\n\
        X-Amz-Target: secretsmanager.GetRandomPassword\r\n\
        Content-Length: 2\r\n\r\n{}";
    let address = aws.endpoint_url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut received = Vec::new();
    stream.write_all(REQUEST).await.unwrap();
    while !received.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "broke off");
    }
    let kept =
        !String::from_utf8_lossy(&received).to_lowercase().contains("\r\nconnection: close\r\n");
    aws.expect_but(kept, true, MotoFault("every answer closes its connection", false));
    received.clear();
    if kept {
        stream.write_all(REQUEST).await.unwrap();
        stream.read_buf(&mut received).await.unwrap();
        assert!(received.starts_with(b"HTTP/1.1 200"));
    } else {
        assert_eq!(stream.read_buf(&mut received).await.unwrap(), 0, "it is closed");
    }
}
