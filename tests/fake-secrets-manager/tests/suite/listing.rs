//! ListSecrets.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{Filter, SortByType, SortOrderType, Tag};
use fake_secrets_manager::FakeSecretsManager;

use crate::support::{code, on_both_roads};

fn filter(key: &str, values: &[&str]) -> Filter {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    Filter::builder().key(key.into()).set_values(Some(values)).build()
}

async fn found(client: &Client, filters: Vec<Filter>) -> Vec<String> {
    let answer = client.list_secrets().set_filters(Some(filters)).send().await.expect("list");
    let list = answer.secret_list().iter();
    list.map(|secret| secret.name().expect("a name").to_owned()).collect()
}

async fn create(client: &Client, name: &str, description: &str, tag: (&str, &str)) {
    client
        .create_secret()
        .name(name)
        .description(description)
        .tags(Tag::builder().key(tag.0).value(tag.1).build())
        .secret_string("hunter2")
        .send()
        .await
        .expect("create");
}

#[tokio::test]
async fn a_listing_is_filtered_as_documented() {
    on_both_roads(async |fake, client| {
        create(&client, "app/prod/db", "Main database", ("Env", "prod")).await;
        create(&client, "app/production/db", "main queue", ("env", "Production")).await;
        create(&client, "App/dev", "A playground", ("Env", "dev")).await;
        fake.set_owning_service("App/dev", "rds");
        const A: &str = "app/prod/db";
        const B: &str = "app/production/db";
        const C: &str = "App/dev";
        for (filters, expected) in [
            (vec![], vec![A, B, C]),
            (vec![filter("name", &["app/prod"])], vec![A, B]),
            (vec![filter("name", &["app/prod/"])], vec![A]),
            (vec![filter("name", &["App"])], vec![C]),
            (vec![filter("name", &["prod"])], vec![]),
            (vec![filter("name", &["App/", "app/production"])], vec![B, C]),
            (vec![filter("name", &["!app/"])], vec![C]),
            (vec![filter("name", &["app/"]), filter("name", &["!app/prod/"])], vec![B]),
            (vec![filter("description", &["MAIN"])], vec![A, B]),
            (vec![filter("description", &["database"])], vec![]),
            (vec![filter("tag-key", &["Env"])], vec![A, C]),
            (vec![filter("tag-key", &["E"])], vec![A, C]),
            (vec![filter("tag-value", &["prod"])], vec![A]),
            (vec![filter("tag-value", &["Prod", "dev"])], vec![B, C]),
            (vec![filter("tag-key", &["Env"]), filter("tag-value", &["prod"])], vec![A]),
            (vec![filter("owning-service", &["rds"])], vec![C]),
            (vec![filter("primary-region", &["us-east"])], vec![A, B, C]),
            (vec![filter("primary-region", &["eu-"])], vec![]),
            (vec![filter("all", &["database"])], vec![A]),
            (vec![filter("all", &["PROD db"])], vec![A, B]),
            (vec![filter("all", &["dev playground"])], vec![C]),
            (vec![filter("all", &["dev database"])], vec![]),
            (vec![filter("all", &["hunter2"])], vec![]),
        ] {
            let shown = format!("{filters:?}");
            assert_eq!(found(&client, filters).await, expected, "{shown}");
        }
        for (filters, expected) in [
            (vec![filter("nome", &["x"])], "ValidationException"),
            (vec![filter("name", &[])], "InvalidParameterException"),
            (vec![filter("name", &["x"; 11])], "ValidationException"),
            (vec![filter("name", &["x"]); 11], "ValidationException"),
        ] {
            let answer = client.list_secrets().set_filters(Some(filters)).send().await;
            assert_eq!(code(answer), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_listing_comes_in_pages() {
    on_both_roads(async |fake, client| {
        for number in 0..250 {
            fake.put(&format!("s{number:03}"), "x");
        }
        let mut pages = client.list_secrets().into_paginator().send();
        let (mut sizes, mut names) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let page = page.expect("a page");
            sizes.push(page.secret_list().len());
            names.extend(page.secret_list().iter().map(|s| s.name().expect("name").to_owned()));
        }
        assert_eq!(sizes, [100, 100, 50]);
        let expected: Vec<_> = (0..250).map(|number| format!("s{number:03}")).collect();
        assert_eq!(names, expected);

        let list = || client.list_secrets();
        let first = list().max_results(1).send().await.expect("a page");
        let token = first.next_token().expect("more");
        let second = list().max_results(1).next_token(token).send().await.expect("a page");
        assert_eq!(second.secret_list()[0].name(), Some("s001"));
        for (request, expected) in [
            (list().next_token("nonsense"), "InvalidNextTokenException"),
            (list().next_token(token).filters(filter("name", &["s"])), "InvalidNextTokenException"),
            (list().max_results(0), "ValidationException"),
            (list().max_results(101), "ValidationException"),
        ] {
            assert_eq!(code(request.send().await), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_listing_is_sorted_on_request() {
    on_both_roads(async |fake, client| {
        for name in ["b", "c", "a"] {
            fake.put(name, "x");
        }
        fake.put("c", "y");
        for (by, order, expected) in [
            (None, None, ["b", "c", "a"]),
            (None, Some(SortOrderType::Asc), ["b", "c", "a"]),
            (None, Some(SortOrderType::Desc), ["a", "c", "b"]),
            (Some(SortByType::Name), None, ["a", "b", "c"]),
            (Some(SortByType::Name), Some(SortOrderType::Desc), ["c", "b", "a"]),
            (Some(SortByType::LastChangedDate), None, ["b", "a", "c"]),
        ] {
            let request = client.list_secrets().set_sort_by(by).set_sort_order(order);
            let answer = request.send().await.expect("list");
            let names: Vec<_> = answer.secret_list().iter().filter_map(|s| s.name()).collect();
            assert_eq!(names, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn an_entry_shows_everything_except_the_value() {
    on_both_roads(async |fake, client| {
        create(&client, "s", "A secret", ("k", "v")).await;
        let answer = client.list_secrets().send().await.expect("list");
        let entry = &answer.secret_list()[0];
        assert_eq!(entry.arn(), Some(fake.arn("s").as_str()));
        assert_eq!(entry.description(), Some("A secret"));
        assert_eq!(entry.tags()[0].value(), Some("v"));
        let labels = entry.secret_versions_to_stages().expect("labels");
        assert_eq!(labels.values().collect::<Vec<_>>(), [&["AWSCURRENT"]]);
        assert!(!format!("{answer:?}").contains("hunter2"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_delayed_listing_shows_an_older_state() {
    const MINUTE: Duration = Duration::from_secs(60);
    let fake = FakeSecretsManager::new();
    let client = fake.client();
    fake.put("old", "x");
    fake.put("removed", "x");
    tokio::time::advance(MINUTE * 5).await;

    fake.delay_listing(MINUTE * 5);
    fake.put("new", "x");
    fake.remove("removed");
    let update = client.update_secret().secret_id("old").description("changed");
    update.send().await.expect("update");
    let by_description = || found(&client, vec![filter("description", &["changed"])]);
    assert_eq!(found(&client, vec![]).await, ["old", "removed"]);
    assert!(by_description().await.is_empty());
    client.describe_secret().secret_id("new").send().await.expect("only listings are late");

    let batch = || client.batch_get_secret_value().filters(filter("name", &["!x"])).send();
    let batched = batch().await.expect("batch");
    assert_eq!(batched.secret_values().len(), 1, "found by the listing, and there");
    assert_eq!(batched.errors().len(), 1, "found by the listing, but gone");

    tokio::time::advance(MINUTE * 5 - Duration::from_millis(1)).await;
    assert_eq!(found(&client, vec![]).await, ["old", "removed"]);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(found(&client, vec![]).await, ["old", "new"]);
    assert_eq!(by_description().await, ["old"]);

    fake.put("newest", "x");
    assert_eq!(found(&client, vec![]).await, ["old", "new"]);
    fake.delay_listing(Duration::ZERO);
    assert_eq!(found(&client, vec![]).await, ["old", "new", "newest"]);
}
