//! GetSecretValue, BatchGetSecretValue, DescribeSecret and ListSecretVersionIds.
//!
//! A batch answers each secret by itself: one that fails is beside those that were read.

use aws_sdk_secretsmanager::primitives::Blob;

use super::{CRASH, INVALID_PARAMETER, INVALID_REQUEST, NOT_FOUND, OK, VALIDATION, filter, tag};
use crate::peer::{MotoFault, Peer, code, refusal, short, shown, token};

pub(super) async fn gets_by_version_and_label(aws: Peer) {
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

pub(super) async fn gets_by_arn(aws: Peer) {
    let created =
        aws.client.create_secret().name("app/db-main").secret_string("x").send().await.unwrap();
    let arn = created.arn().unwrap();
    aws.expect(aws.get(arn).await, "x");
    // The ARN without its random suffix.
    aws.expect(aws.get(&arn[..arn.len() - 7]).await, "x");
    aws.expect(aws.get(&arn[..arn.len() - 1]).await, NOT_FOUND);
    aws.expect(aws.get("app/db").await, NOT_FOUND);
}

pub(super) async fn batches_by_ids(aws: Peer) {
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

pub(super) async fn batches_by_filters(aws: Peer) {
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

pub(super) async fn describes(aws: Peer) {
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

pub(super) async fn lists_versions(aws: Peer) {
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
