//! Names, sizes and kinds of values, and `Debug` without values.

use aws_sdk_secretsmanager::primitives::Blob;
use fake_secrets_manager::FakeSecretsManager;

use crate::support::{code, on_both_roads, refusal};

#[tokio::test]
async fn names_are_checked() {
    on_both_roads(async |_, client| {
        let longest = "n".repeat(512);
        for name in ["a", "App/db_1+2=3.4@5-x", longest.as_str()] {
            let created = client.create_secret().name(name).secret_string("x").send().await;
            let arn = created.expect("a valid name").arn().expect("an ARN").to_owned();
            let start = format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-");
            let suffix = arn.strip_prefix(&start).expect("the name in the ARN");
            assert_eq!(suffix.len(), 6, "{arn}");
        }
        let too_long = "n".repeat(513);
        for name in ["", "a b", "a!b", "ä", "a\\b", too_long.as_str()] {
            let created = client.create_secret().name(name).secret_string("x").send().await;
            assert_eq!(code(created), "ValidationException", "{name}");
        }
        let again = client.create_secret().name("a").secret_string("y").send().await;
        assert_eq!(
            refusal(again),
            (
                "ResourceExistsException".to_owned(),
                "The operation failed because the secret a already exists.".to_owned()
            )
        );
    })
    .await;
}

#[tokio::test]
async fn sizes_are_checked_in_bytes() {
    on_both_roads(async |_, client| {
        let put = || client.put_secret_value().secret_id("s");
        client.create_secret().name("s").send().await.expect("create");
        put().secret_string("x".repeat(65_536)).send().await.expect("the longest text");
        put().secret_binary(Blob::new(vec![7; 65_536])).send().await.expect("the longest bytes");
        for too_long in [
            put().secret_string("x".repeat(65_537)),
            put().secret_string("ä".repeat(32_769)),
            put().secret_binary(Blob::new(vec![7; 65_537])),
        ] {
            let (code, message) = refusal(too_long.send().await);
            assert_eq!(code, "ValidationException");
            assert!(message.contains("65536") && !message.contains("xxx"), "{message}");
        }
        let both = put().secret_string("x").secret_binary(Blob::new("x")).send().await;
        assert_eq!(code(both), "InvalidParameterException");
        assert_eq!(code(put().send().await), "InvalidRequestException");
    })
    .await;
}

#[tokio::test]
async fn a_binary_value_comes_back_as_it_went() {
    on_both_roads(async |fake, client| {
        let bytes: Vec<u8> = (0..=255).collect();
        fake.put_binary("seeded", bytes.clone());
        let create = client.create_secret().name("sent").secret_binary(Blob::new(bytes.clone()));
        create.send().await.expect("create");
        for name in ["seeded", "sent"] {
            let got = client.get_secret_value().secret_id(name).send().await.expect("a value");
            assert_eq!(got.secret_binary().expect("bytes").as_ref(), bytes, "{name}");
            assert_eq!(got.secret_string(), None, "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_secret_is_found_by_name_arn_and_partial_arn() {
    on_both_roads(async |fake, client| {
        fake.put("app/db-main", "x");
        fake.put("app/db", "y");
        let arn = fake.arn("app/db-main");
        let partial = &arn[..arn.len() - 7];
        for id in ["app/db-main", &arn, partial] {
            let got = client.get_secret_value().secret_id(id).send().await.expect("a value");
            assert_eq!(got.name(), Some("app/db-main"));
            assert_eq!(got.arn(), Some(arn.as_str()));
        }
        for id in ["app/db-mai", &arn[..arn.len() - 1], "app"] {
            let got = client.get_secret_value().secret_id(id).send().await;
            assert_eq!(
                refusal(got),
                (
                    "ResourceNotFoundException".to_owned(),
                    "Secrets Manager can't find the specified secret.".to_owned()
                ),
                "{id}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_secret_without_a_value_says_which_label_is_missing() {
    on_both_roads(async |_, client| {
        let created = client.create_secret().name("s").send().await.expect("create");
        assert_eq!(created.version_id(), None);
        assert_eq!(
            refusal(client.get_secret_value().secret_id("s").send().await),
            (
                "ResourceNotFoundException".to_owned(),
                "Secrets Manager can't find the specified secret value for staging label: \
                 AWSCURRENT"
                    .to_owned()
            )
        );
        let described = client.describe_secret().secret_id("s").send().await.expect("describe");
        assert_eq!(described.version_ids_to_stages(), None);
        assert!(described.created_date().is_some());
        assert_eq!(described.last_accessed_date(), None);
    })
    .await;
}

#[tokio::test]
async fn tags_are_added_replaced_and_removed() {
    use aws_sdk_secretsmanager::types::Tag;
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    on_both_roads(async |_, client| {
        let create = client.create_secret().name("s").tags(tag("a", "1")).tags(tag("b", "2"));
        create.send().await.expect("create");
        let add = client.tag_resource().secret_id("s").tags(tag("b", "3")).tags(tag("c", "4"));
        add.send().await.expect("tag");
        client.untag_resource().secret_id("s").tag_keys("a").send().await.expect("untag");
        let described = client.describe_secret().secret_id("s").send().await.expect("describe");
        assert_eq!(described.tags(), [tag("b", "3"), tag("c", "4")]);
        let untag = client.untag_resource().secret_id("s").tag_keys("b").tag_keys("c");
        untag.send().await.expect("untag");
        let described = client.describe_secret().secret_id("s").send().await.expect("describe");
        assert!(described.tags.is_some_and(|tags| tags.is_empty()), "an emptied list is shown");
        let reserved = client.tag_resource().secret_id("s").tags(tag("aws:x", "1")).send().await;
        assert_eq!(code(reserved), "InvalidParameterException");
    })
    .await;
}

#[tokio::test]
async fn random_passwords_keep_to_their_rules() {
    let client = FakeSecretsManager::new().client();
    let password = client.get_random_password().send().await.expect("a password");
    assert_eq!(password.random_password().expect("text").chars().count(), 32);
    for _ in 0..50 {
        let password = client
            .get_random_password()
            .password_length(4)
            .exclude_characters("abcABC012")
            .send()
            .await
            .expect("a password");
        let text = password.random_password().expect("text");
        assert_eq!(text.len(), 4);
        for kind in [
            char::is_ascii_lowercase,
            char::is_ascii_uppercase,
            char::is_ascii_digit,
            char::is_ascii_punctuation,
        ] {
            assert!(text.chars().any(|character| kind(&character)), "one of each kind in {text}");
        }
        assert!(!text.contains(|character| "abcABC012".contains(character)), "{text}");
    }
    let digits = client
        .get_random_password()
        .exclude_lowercase(true)
        .exclude_uppercase(true)
        .exclude_punctuation(true)
        .send()
        .await
        .expect("a password");
    assert!(digits.random_password().expect("text").chars().all(|c| c.is_ascii_digit()));
    let short = client.get_random_password().password_length(3).send().await;
    assert_eq!(code(short), "InvalidParameterException");
    let long = client.get_random_password().password_length(4097).send().await;
    assert_eq!(code(long), "ValidationException");
}

#[test]
fn nothing_shows_a_value() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "hunter2");
    for shown in [
        format!("{fake:?}"),
        format!("{:?}", fake.http_client()),
        format!("{:?}", fake.sdk_config()),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
