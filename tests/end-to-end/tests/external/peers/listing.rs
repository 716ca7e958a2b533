//! ListSecrets: its filters, pages and order.
//!
//! A prefix here is no boundary: `app` also finds `application`, as on AWS.

use aws_sdk_secretsmanager::types::{SortByType, SortOrderType};

use super::{CRASH, INVALID_TOKEN, OK, VALIDATION, filter, listed, tag};
use crate::peer::{MotoFault, Peer, code};

pub(super) async fn lists_by_filters(aws: Peer) {
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

pub(super) async fn lists_in_pages(aws: Peer) {
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

pub(super) async fn lists_in_order(aws: Peer) {
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
