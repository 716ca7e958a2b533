//! Versions, staging labels and request tokens.

use aws_sdk_secretsmanager::Client;
use fake_secrets_manager::FakeSecretsManager;

use crate::support::{code, on_both_roads, refusal, text, token};

const GONE: &str = "ResourceNotFoundException";

/// Versions by token, with their labels.
async fn labels(client: &Client, name: &str) -> Vec<(String, Vec<String>)> {
    let answer = client
        .list_secret_version_ids()
        .secret_id(name)
        .include_deprecated(true)
        .send()
        .await
        .expect("the versions");
    answer
        .versions()
        .iter()
        .map(|version| {
            let id = version.version_id().expect("an id").trim_end_matches('-');
            (id.to_owned(), version.version_stages().to_vec())
        })
        .collect()
}

async fn put(client: &Client, name: &str, id: &str, stages: Option<&[&str]>) {
    let stages = stages.map(|stages| stages.iter().map(|&stage| stage.to_owned()).collect());
    client
        .put_secret_value()
        .secret_id(name)
        .client_request_token(token(id))
        .secret_string(format!("value of {id}"))
        .set_version_stages(stages)
        .send()
        .await
        .expect("put");
}

async fn create(client: &Client, name: &str, id: &str) {
    client
        .create_secret()
        .name(name)
        .client_request_token(token(id))
        .secret_string(format!("value of {id}"))
        .send()
        .await
        .expect("create");
}

fn expected(versions: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    versions
        .iter()
        .map(|(id, labels)| {
            let labels = labels.iter().map(|&label| label.to_owned()).collect();
            ((*id).to_owned(), labels)
        })
        .collect()
}

#[tokio::test]
async fn a_put_moves_current_and_previous() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        assert_eq!(text(&client, "s", "AWSPREVIOUS").await, GONE);
        put(&client, "s", "b", None).await;
        put(&client, "s", "c", None).await;
        assert_eq!(
            labels(&client, "s").await,
            expected(&[("a", &[]), ("b", &["AWSPREVIOUS"]), ("c", &["AWSCURRENT"])])
        );
        assert_eq!(text(&client, "s", "AWSCURRENT").await, "value of c");
        assert_eq!(text(&client, "s", "AWSPREVIOUS").await, "value of b");
    })
    .await;
}

#[tokio::test]
async fn deprecated_versions_are_listed_only_on_demand() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        put(&client, "s", "b", None).await;
        put(&client, "s", "c", None).await;
        let answer = client.list_secret_version_ids().secret_id("s").send().await;
        assert_eq!(answer.expect("the versions").versions().len(), 2);
        assert_eq!(labels(&client, "s").await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_pending_version_becomes_current_and_the_old_one_previous() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        put(&client, "s", "b", Some(&["AWSPENDING"])).await;
        assert_eq!(text(&client, "s", "AWSCURRENT").await, "value of a");
        assert_eq!(text(&client, "s", "AWSPENDING").await, "value of b");
        client
            .update_secret_version_stage()
            .secret_id("s")
            .version_stage("AWSCURRENT")
            .remove_from_version_id(token("a"))
            .move_to_version_id(token("b"))
            .send()
            .await
            .expect("move");
        assert_eq!(
            labels(&client, "s").await,
            expected(&[("a", &["AWSPREVIOUS"]), ("b", &["AWSCURRENT", "AWSPENDING"])])
        );
    })
    .await;
}

#[tokio::test]
async fn a_rollback_swaps_current_and_previous() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        put(&client, "s", "b", None).await;
        client
            .update_secret_version_stage()
            .secret_id("s")
            .version_stage("AWSCURRENT")
            .remove_from_version_id(token("b"))
            .move_to_version_id(token("a"))
            .send()
            .await
            .expect("rollback");
        assert_eq!(
            labels(&client, "s").await,
            expected(&[("a", &["AWSCURRENT"]), ("b", &["AWSPREVIOUS"])])
        );
        let plain = client.get_secret_value().secret_id("s").send().await;
        assert_eq!(plain.expect("a value").secret_string(), Some("value of a"));
    })
    .await;
}

#[tokio::test]
async fn a_label_is_on_one_version_only() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        put(&client, "s", "b", Some(&["blue", "AWSPENDING"])).await;
        put(&client, "s", "c", Some(&["blue"])).await;
        assert_eq!(
            labels(&client, "s").await,
            expected(&[("a", &["AWSCURRENT"]), ("b", &["AWSPENDING"]), ("c", &["blue"])])
        );
    })
    .await;
}

#[tokio::test]
async fn the_first_version_is_current_whatever_its_labels() {
    on_both_roads(async |_, client| {
        client.create_secret().name("s").send().await.expect("create");
        assert_eq!(text(&client, "s", "AWSCURRENT").await, GONE);
        put(&client, "s", "a", Some(&["blue"])).await;
        assert_eq!(labels(&client, "s").await, expected(&[("a", &["AWSCURRENT", "blue"])]));
    })
    .await;
}

#[tokio::test]
async fn invalid_moves_of_labels_are_refused() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        put(&client, "s", "b", None).await;
        struct Case {
            label: &'static str,
            from: Option<&'static str>,
            to: Option<&'static str>,
            message: &'static str,
        }
        for Case { label, from, to, message: expected } in [
            Case {
                label: "AWSCURRENT",
                from: None,
                to: Some("a"),
                message: "The parameter RemoveFromVersionId can't be empty",
            },
            Case {
                label: "AWSCURRENT",
                from: Some("a"),
                to: Some("a"),
                message: "When you move staging label AWSCURRENT",
            },
            Case {
                label: "AWSCURRENT",
                from: Some("b"),
                to: None,
                message: "You can only move staging label AWSCURRENT",
            },
            Case {
                label: "blue",
                from: Some("b"),
                to: None,
                message: "The staging label blue isn't attached",
            },
            Case { label: "blue", from: None, to: None, message: "You must specify" },
        ] {
            let result = client
                .update_secret_version_stage()
                .secret_id("s")
                .version_stage(label)
                .set_remove_from_version_id(from.map(token))
                .set_move_to_version_id(to.map(token))
                .send()
                .await;
            let (code, message) = refusal(result);
            assert_eq!(code, "InvalidParameterException", "{message}");
            assert!(message.starts_with(expected), "{message}");
        }
        let unknown = client
            .update_secret_version_stage()
            .secret_id("s")
            .version_stage("blue")
            .move_to_version_id(token("x"))
            .send()
            .await;
        assert_eq!(code(unknown), GONE);
        assert_eq!(
            labels(&client, "s").await,
            expected(&[("a", &["AWSPREVIOUS"]), ("b", &["AWSCURRENT"])]),
            "nothing has moved"
        );
    })
    .await;
}

#[tokio::test]
async fn a_label_without_a_holder_is_attached_and_taken_off() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        let stage = || client.update_secret_version_stage().secret_id("s").version_stage("blue");
        stage().move_to_version_id(token("a")).send().await.expect("attach");
        assert_eq!(text(&client, "s", "blue").await, "value of a");
        stage().remove_from_version_id(token("a")).send().await.expect("take off");
        assert_eq!(text(&client, "s", "blue").await, GONE);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_token_is_answered_again_or_refused() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        create(&client, "s", "a").await;
        put(&client, "s", "b", None).await;
        put(&client, "s", "c", None).await;
        put(&client, "s", "b", None).await;
        assert_eq!(
            labels(&client, "s").await,
            expected(&[("a", &[]), ("b", &["AWSPREVIOUS"]), ("c", &["AWSCURRENT"])]),
            "the repeated put changed nothing"
        );
        let other = client
            .put_secret_value()
            .secret_id("s")
            .client_request_token(token("b"))
            .secret_string("another")
            .send()
            .await;
        let (code_of_put, message) = refusal(other);
        assert_eq!(code_of_put, "ResourceExistsException");
        assert!(!message.contains("another"), "{message}");
        let other = client
            .create_secret()
            .name("s")
            .client_request_token(token("a"))
            .secret_string("another")
            .send()
            .await;
        assert_eq!(code(other), "ResourceExistsException");
        let other = client
            .update_secret()
            .secret_id("s")
            .client_request_token(token("c"))
            .secret_string("value of c")
            .send()
            .await;
        assert_eq!(code(other), "ResourceExistsException");
        let short = client
            .put_secret_value()
            .secret_id("s")
            .client_request_token("short")
            .secret_string("x")
            .send()
            .await;
        assert_eq!(code(short), "InvalidParameterException");
    })
    .await;
}

#[tokio::test]
async fn a_version_is_chosen_by_id_and_label() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        put(&client, "s", "b", None).await;
        put(&client, "s", "c", None).await;
        let get = |id: &str, label: Option<&str>| {
            client
                .get_secret_value()
                .secret_id("s")
                .version_id(token(id))
                .set_version_stage(label.map(str::to_owned))
                .send()
        };
        let deprecated = get("a", None).await.expect("a version without labels");
        assert_eq!(deprecated.secret_string(), Some("value of a"));
        let both = get("b", Some("AWSPREVIOUS")).await.expect("id and label agree");
        assert_eq!(both.secret_string(), Some("value of b"));
        assert_eq!(code(get("b", Some("AWSCURRENT")).await), "InvalidRequestException");
        let (code, message) = refusal(get("x", None).await);
        assert_eq!(code, GONE);
        assert!(message.contains("for VersionId: x---"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn update_changes_description_and_value() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        let update = || client.update_secret().secret_id("s");
        let described = update().description("new").send().await.expect("update");
        assert_eq!(described.version_id(), None);
        let valued = update().secret_string("b").send().await.expect("update");
        assert!(valued.version_id().is_some());
        assert_eq!(text(&client, "s", "AWSPREVIOUS").await, "value of a");
        let described = client.describe_secret().secret_id("s").send().await.expect("describe");
        assert_eq!(described.description(), Some("new"));
    })
    .await;
}

#[tokio::test]
async fn old_versions_without_labels_make_room() {
    let fake = FakeSecretsManager::new();
    let first = fake.put("s", "0");
    for number in 1..=100 {
        fake.put("s", number.to_string());
    }
    let client = fake.client();
    let by_id = client.get_secret_value().secret_id("s").version_id(first).send();
    assert_eq!(code(by_id.await), GONE);
    assert_eq!(text(&client, "s", "AWSPREVIOUS").await, "99");
}

#[tokio::test]
async fn versions_come_in_pages() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        for id in ["b", "c", "d"] {
            put(&client, "s", id, None).await;
        }
        let mut pages = client
            .list_secret_version_ids()
            .secret_id("s")
            .include_deprecated(true)
            .max_results(3)
            .into_paginator()
            .send();
        let mut ids = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.expect("a page");
            ids.push(page.versions().len());
        }
        assert_eq!(ids, [3, 1]);
        let invalid = client.list_secret_version_ids().secret_id("s").next_token("x");
        assert_eq!(code(invalid.send().await), "InvalidNextTokenException");
    })
    .await;
}

#[tokio::test]
async fn twenty_labels_are_the_most() {
    on_both_roads(async |_, client| {
        create(&client, "s", "a").await;
        let labels: Vec<String> = (0..20).map(|number| format!("label{number}")).collect();
        let put = client
            .put_secret_value()
            .secret_id("s")
            .client_request_token(token("b"))
            .secret_string("x");
        put.set_version_stages(Some(labels)).send().await.expect("twenty labels");
        let one_more = client
            .update_secret_version_stage()
            .secret_id("s")
            .version_stage("one more")
            .move_to_version_id(token("b"))
            .send();
        assert_eq!(code(one_more.await), "LimitExceededException");
    })
    .await;
}
