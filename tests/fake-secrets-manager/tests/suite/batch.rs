//! BatchGetSecretValue.

use aws_sdk_secretsmanager::operation::batch_get_secret_value::BatchGetSecretValueOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};

use crate::support::{code, on_both_roads, refusal};

fn names(answer: &BatchGetSecretValueOutput) -> Vec<&str> {
    answer.secret_values().iter().filter_map(|value| value.name()).collect()
}

fn errors(answer: &BatchGetSecretValueOutput) -> Vec<(&str, &str)> {
    answer
        .errors()
        .iter()
        .map(|error| {
            (error.secret_id().unwrap_or_default(), error.error_code().unwrap_or_default())
        })
        .collect()
}

fn by_name(prefix: &str) -> Filter {
    Filter::builder().key(FilterNameStringType::Name).values(prefix).build()
}

#[tokio::test]
async fn a_batch_returns_its_failures_beside_its_values() {
    on_both_roads(async |fake, client| {
        for name in ["good", "denied", "deleted", "locked"] {
            fake.put(name, format!("value of {name}"));
        }
        fake.put_binary("bytes", [1, 2]);
        client.create_secret().name("empty").send().await.expect("create");
        client.delete_secret().secret_id("deleted").send().await.expect("delete");
        fake.deny_secret("denied");
        fake.use_kms_key("locked", "some-key");
        fake.disable_kms_key("some-key");
        let answer = client
            .batch_get_secret_value()
            .set_secret_id_list(Some(
                ["good", "denied", "deleted", "locked", "empty", "missing", "bytes"]
                    .map(str::to_owned)
                    .to_vec(),
            ))
            .send()
            .await
            .expect("a batch");
        assert_eq!(names(&answer), ["good", "bytes"]);
        assert_eq!(answer.secret_values()[0].secret_string(), Some("value of good"));
        assert_eq!(answer.secret_values()[1].secret_binary().expect("bytes").as_ref(), [1, 2]);
        assert_eq!(
            errors(&answer),
            [
                ("denied", "AccessDeniedException"),
                ("deleted", "InvalidRequestException"),
                ("locked", "DecryptionFailure"),
                ("empty", "ResourceNotFoundException"),
                ("missing", "ResourceNotFoundException"),
            ]
        );
        assert_eq!(answer.next_token(), None);
    })
    .await;
}

#[tokio::test]
async fn ids_and_filters_exclude_each_other_and_have_limits() {
    on_both_roads(async |fake, client| {
        for number in 0..21 {
            fake.put(&format!("s{number}"), "x");
        }
        let ids = |count: usize| Some((0..count).map(|n| format!("s{n}")).collect());
        let batch = || client.batch_get_secret_value();
        let twenty = batch().set_secret_id_list(ids(20)).send().await.expect("twenty");
        assert_eq!(twenty.secret_values().len(), 20);
        for (request, expected) in [
            (batch(), "InvalidParameterException"),
            (batch().secret_id_list("s0").filters(by_name("s")), "InvalidParameterException"),
            (batch().secret_id_list("s0").max_results(1), "InvalidParameterException"),
            (batch().set_secret_id_list(ids(21)), "ValidationException"),
            (batch().filters(by_name("s")).max_results(21), "ValidationException"),
            (batch().filters(by_name("s")).max_results(0), "ValidationException"),
            (batch().filters(by_name("s")).next_token("x"), "InvalidNextTokenException"),
        ] {
            let shown = format!("{request:?}");
            assert_eq!(code(request.send().await), expected, "{shown}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_batch_by_filters_comes_in_pages() {
    on_both_roads(async |fake, client| {
        for number in 0..7 {
            fake.put(&format!("app/{number}"), "x");
        }
        fake.put("other", "x");
        fake.deny_secret("app/4");
        let mut pages = client
            .batch_get_secret_value()
            .filters(by_name("app/"))
            .max_results(3)
            .into_paginator()
            .send();
        let (mut found, mut failed, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let page = page.expect("a page");
            sizes.push(page.secret_values().len() + page.errors().len());
            found.extend(names(&page).into_iter().map(str::to_owned));
            failed.extend(errors(&page).into_iter().map(|(id, _)| id.to_owned()));
        }
        assert_eq!(sizes, [3, 3, 1]);
        assert_eq!(found, ["app/0", "app/1", "app/2", "app/3", "app/5", "app/6"]);
        assert_eq!(failed, [fake.arn("app/4")]);
    })
    .await;
}

#[tokio::test]
async fn a_denial_may_fail_the_whole_batch() {
    on_both_roads(async |fake, client| {
        fake.put("s", "x");
        let by_id = || client.batch_get_secret_value().secret_id_list("s").send();
        let filtered = || client.batch_get_secret_value().filters(by_name("s")).send();

        fake.deny_action("BatchGetSecretValue");
        let (code_of_batch, message) = refusal(by_id().await);
        assert_eq!(code_of_batch, "AccessDeniedException");
        assert!(message.contains("secretsmanager:BatchGetSecretValue"), "{message}");
        fake.allow_action("secretsmanager:BatchGetSecretValue");
        by_id().await.expect("allowed again");

        fake.deny_action("ListSecrets");
        assert_eq!(code(filtered().await), "AccessDeniedException");
        by_id().await.expect("ids need no list");
        fake.allow_everything();

        fake.deny_action("GetSecretValue");
        let answer = by_id().await.expect("the call itself is allowed");
        assert_eq!(errors(&answer), [("s", "AccessDeniedException")]);
        fake.allow_everything();

        fake.put("t", "x");
        fake.deny_secret_at_endpoint("t");
        let mixed = client.batch_get_secret_value().secret_id_list("s").secret_id_list("t").send();
        assert_eq!(code(mixed.await), "AccessDeniedException");
        by_id().await.expect("one that the endpoint lets through");
        let single = client.get_secret_value().secret_id("t").send().await;
        assert_eq!(code(single), "AccessDeniedException");
    })
    .await;
}
