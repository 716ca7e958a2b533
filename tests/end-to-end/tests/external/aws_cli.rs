//! The real `aws` client uses the fake over its socket, as an operator would.

use end_to_end::external::Aws;
use fake_secrets_manager::FakeSecretsManager;
use serde_json::{Value, json};

/// A fake and its client.
async fn world() -> (FakeSecretsManager, Aws) {
    let fake = FakeSecretsManager::start().await.unwrap();
    let aws = Aws::new(fake.endpoint_url());
    (fake, aws)
}

async fn create(aws: &Aws, name: &str, text: &str) -> String {
    let created = aws.run(["create-secret", "--name", name, "--secret-string", text]).await;
    text_of(&created["VersionId"])
}

async fn put(aws: &Aws, name: &str, text: &str) -> String {
    let put = aws.run(["put-secret-value", "--secret-id", name, "--secret-string", text]).await;
    text_of(&put["VersionId"])
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// One field of each entry of a list, in order.
fn each<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|entry| entry[member].as_str().unwrap()).collect()
}

/// Asserts that the client reports this code for this operation.
async fn assert_refused<const N: usize>(aws: &Aws, arguments: [&str; N], code: &str) {
    let complaint = aws.try_run(arguments).await.unwrap_err();
    assert!(
        complaint.contains(&format!("An error occurred ({code}) when calling the ")),
        "{complaint}"
    );
}

#[tokio::test]
async fn creates_puts_and_gets() {
    let (fake, aws) = world().await;
    let created = aws
        .run([
            "create-secret",
            "--name",
            "app/database",
            "--description",
            "Rows",
            "--secret-string",
            r#"{"username": "u", "password": "first ≠ second"}"#,
            "--tags",
            "Key=team,Value=rows",
        ])
        .await;
    let arn = fake.arn("app/database");
    let first = text_of(&created["VersionId"]);
    assert_eq!(created, json!({ "ARN": arn, "Name": "app/database", "VersionId": first }));

    let got = aws.run(["get-secret-value", "--secret-id", "app/database"]).await;
    let parsed: Value = serde_json::from_str(got["SecretString"].as_str().unwrap()).unwrap();
    assert_eq!(parsed, json!({ "username": "u", "password": "first ≠ second" }));
    assert_eq!(got["VersionStages"], json!(["AWSCURRENT"]));
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    assert!(got["CreatedDate"].as_f64().is_some_and(|at| (now - at).abs() < 600.0), "{got}");

    let put = aws
        .run(["put-secret-value", "--secret-id", "app/database", "--secret-string", "second"])
        .await;
    let second = text_of(&put["VersionId"]);
    assert_eq!(
        put,
        json!({ "ARN": arn, "Name": "app/database", "VersionId": second, "VersionStages": ["AWSCURRENT"] })
    );
    for (selector, value, text) in [
        ("--version-stage", "AWSCURRENT", "second"),
        ("--version-id", &first, r#"{"username": "u", "password": "first ≠ second"}"#),
    ] {
        let got = aws.run(["get-secret-value", "--secret-id", &arn, selector, value]).await;
        assert_eq!(got["SecretString"], text);
    }

    let described = aws.run(["describe-secret", "--secret-id", "app/database"]).await;
    assert_eq!(described["Description"], "Rows");
    assert_eq!(described["Tags"], json!([{ "Key": "team", "Value": "rows" }]));
    let mut labels = json!({});
    labels[&first] = json!(["AWSPREVIOUS"]);
    labels[&second] = json!(["AWSCURRENT"]);
    assert_eq!(described["VersionIdsToStages"], labels);

    // The client sends bytes of a file, and prints them as base64.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, [0, 159, 255]).unwrap();
    let file = format!("fileb://{}", file.display());
    aws.run(["create-secret", "--name", "app/key", "--secret-binary", &file]).await;
    let got = aws.run(["get-secret-value", "--secret-id", "app/key"]).await;
    assert_eq!(got["SecretBinary"], "AJ//");
}

#[tokio::test]
async fn refusals_are_shown_with_their_codes() {
    let (fake, aws) = world().await;
    create(&aws, "app/a", "x").await;
    let get = ["get-secret-value", "--secret-id", "app/none"];
    assert_refused(&aws, get, "ResourceNotFoundException").await;
    let again = ["create-secret", "--name", "app/a", "--secret-string", "y"];
    assert_refused(&aws, again, "ResourceExistsException").await;
    let name = ["create-secret", "--name", "with space", "--secret-string", "y"];
    assert_refused(&aws, name, "ValidationException").await;
    let empty = ["put-secret-value", "--secret-id", "app/a"];
    assert_refused(&aws, empty, "InvalidRequestException").await;
    fake.deny_secret("app/a");
    let denied = ["get-secret-value", "--secret-id", "app/a"];
    assert_refused(&aws, denied, "AccessDeniedException").await;
    assert_eq!(fake.total_calls(), 6, "no refusal was tried again");
}

#[tokio::test]
async fn lists_with_filters_and_in_pages() {
    let (_fake, aws) = world().await;
    for name in ["gaara/prod/a", "gaara/prod/b", "gaara/production", "other"] {
        create(&aws, name, "x").await;
    }
    aws.run(["tag-resource", "--secret-id", "other", "--tags", "Key=team,Value=web"]).await;
    let list = async |filters: &[&str]| {
        let answer = aws.run([&["list-secrets", "--filters"], filters].concat()).await;
        each(&answer["SecretList"], "Name").join(" ")
    };
    assert_eq!(list(&["Key=name,Values=gaara/prod/"]).await, "gaara/prod/a gaara/prod/b");
    assert_eq!(list(&["Key=name,Values=!gaara/prod/"]).await, "gaara/production other");
    assert_eq!(list(&["Key=tag-key,Values=team"]).await, "other");
    assert_eq!(
        list(&["Key=name,Values=gaara", "Key=name,Values=!gaara/production"]).await,
        "gaara/prod/a gaara/prod/b"
    );
    // The client reads all pages and joins them.
    let all = aws.run(["list-secrets", "--page-size", "1", "--sort-order", "desc"]).await;
    assert_eq!(
        each(&all["SecretList"], "Name"),
        ["other", "gaara/production", "gaara/prod/b", "gaara/prod/a"]
    );
    let some = aws.run(["list-secrets", "--max-items", "3"]).await;
    assert_eq!(each(&some["SecretList"], "Name").len(), 3);
    let token = text_of(&some["NextToken"]);
    let rest = aws.run(["list-secrets", "--starting-token", &token]).await;
    assert_eq!(each(&rest["SecretList"], "Name"), ["other"]);
}

#[tokio::test]
async fn batches_by_ids_and_by_filters() {
    let (_fake, aws) = world().await;
    for name in ["app/a", "app/b", "application"] {
        create(&aws, name, name).await;
    }
    let batch =
        aws.run(["batch-get-secret-value", "--secret-id-list", "app/b", "app/none", "app/a"]).await;
    assert_eq!(each(&batch["SecretValues"], "SecretString"), ["app/b", "app/a"]);
    assert_eq!(
        batch["Errors"],
        json!([{
            "SecretId": "app/none",
            "ErrorCode": "ResourceNotFoundException",
            "Message": "Secrets Manager can't find the specified secret.",
        }])
    );
    let batch = aws.run(["batch-get-secret-value", "--filters", "Key=name,Values=app/"]).await;
    assert_eq!(each(&batch["SecretValues"], "Name"), ["app/a", "app/b"]);
    let ids: Vec<_> = (0..21).map(|number| format!("app/{number}")).collect();
    let mut arguments = vec!["batch-get-secret-value", "--secret-id-list"];
    arguments.extend(ids.iter().map(String::as_str));
    let complaint = aws.try_run(arguments).await.unwrap_err();
    assert!(complaint.contains("(ValidationException)"), "{complaint}");
}

#[tokio::test]
async fn moves_stages_and_rolls_back() {
    let (_fake, aws) = world().await;
    let name = "app/a";
    let first = create(&aws, name, "one").await;
    let second = put(&aws, name, "two").await;
    let versions = async || {
        let listed =
            aws.run(["list-secret-version-ids", "--secret-id", name, "--include-deprecated"]).await;
        let mut versions: Vec<String> = Vec::new();
        for version in listed["Versions"].as_array().unwrap() {
            let labels = version["VersionStages"].as_array().cloned().unwrap_or_default();
            let labels: Vec<_> = labels.iter().map(text_of).collect();
            versions.push(
                format!("{} {}", text_of(&version["VersionId"]), labels.join(" "))
                    .trim()
                    .to_owned(),
            );
        }
        versions
    };
    let move_label = async |label: &str, arguments: &[&str]| {
        let start = ["update-secret-version-stage", "--secret-id", name, "--version-stage", label];
        aws.try_run([&start, arguments].concat()).await
    };
    let current =
        async || text_of(&aws.run(["get-secret-value", "--secret-id", name]).await["SecretString"]);
    assert_eq!(versions().await, [format!("{first} AWSPREVIOUS"), format!("{second} AWSCURRENT")]);

    let complaint = move_label("AWSCURRENT", &["--move-to-version-id", &first]).await.unwrap_err();
    assert!(complaint.contains("(InvalidParameterException)"), "{complaint}");
    assert!(
        complaint.contains(&second),
        "the complaint names the version that has it: {complaint}"
    );
    let back = ["--remove-from-version-id", &second, "--move-to-version-id", &first];
    move_label("AWSCURRENT", &back).await.unwrap();
    assert_eq!(versions().await, [format!("{first} AWSCURRENT"), format!("{second} AWSPREVIOUS")]);
    assert_eq!(current().await, "one");

    move_label("blue", &["--move-to-version-id", &second]).await.unwrap();
    let third = put(&aws, name, "three").await;
    assert_eq!(
        versions().await,
        [format!("{first} AWSPREVIOUS"), format!("{second} blue"), format!("{third} AWSCURRENT")]
    );
    move_label("blue", &["--remove-from-version-id", &second]).await.unwrap();
    assert_eq!(versions().await[1], second, "deprecated now");
    let listed = aws.run(["list-secret-version-ids", "--secret-id", name]).await;
    assert_eq!(each(&listed["Versions"], "VersionId"), [first, third]);
    assert_eq!(current().await, "three");
}

#[tokio::test]
async fn deletes_and_restores() {
    let (_fake, aws) = world().await;
    create(&aws, "app/a", "x").await;
    let get = ["get-secret-value", "--secret-id", "app/a"];
    let deleted =
        aws.run(["delete-secret", "--secret-id", "app/a", "--recovery-window-in-days", "7"]).await;
    assert!(deleted["DeletionDate"].is_f64(), "{deleted}");
    assert_refused(&aws, get, "InvalidRequestException").await;
    let list = ["list-secrets", "--include-planned-deletion"];
    assert_eq!(aws.run(&list[..1]).await["SecretList"], json!([]));
    assert_eq!(aws.run(list).await["SecretList"][0]["DeletedDate"], deleted["DeletionDate"]);
    let restored = aws.run(["restore-secret", "--secret-id", "app/a"]).await;
    assert_eq!(restored["Name"], "app/a");
    assert_eq!(aws.run(get).await["SecretString"], "x");
    aws.run(["delete-secret", "--secret-id", "app/a", "--force-delete-without-recovery"]).await;
    assert_refused(&aws, get, "ResourceNotFoundException").await;
}

#[tokio::test]
async fn tags_updates_and_makes_passwords() {
    let (_fake, aws) = world().await;
    let first = create(&aws, "app/a", "x").await;
    assert_eq!(
        aws.run([
            "tag-resource",
            "--secret-id",
            "app/a",
            "--tags",
            "Key=a,Value=1",
            "Key=b,Value=2"
        ])
        .await,
        Value::Null
    );
    aws.run(["untag-resource", "--secret-id", "app/a", "--tag-keys", "a"]).await;
    let updated =
        aws.run(["update-secret", "--secret-id", "app/a", "--description", "Now known"]).await;
    assert_eq!(updated.get("VersionId"), None, "no new value, no new version");
    let described = aws.run(["describe-secret", "--secret-id", "app/a"]).await;
    assert_eq!(described["Tags"], json!([{ "Key": "b", "Value": "2" }]));
    assert_eq!(described["Description"], "Now known");
    let updated = aws.run(["update-secret", "--secret-id", "app/a", "--secret-string", "y"]).await;
    assert_ne!(text_of(&updated["VersionId"]), first);

    let made =
        aws.run(["get-random-password", "--password-length", "20", "--exclude-punctuation"]).await;
    let made = text_of(&made["RandomPassword"]);
    assert!(made.len() == 20 && made.chars().all(|c| c.is_ascii_alphanumeric()), "{made}");
}
