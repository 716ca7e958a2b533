//! The fake under a Python program: boto3 has its own decoder, retries and paginators.

use fake_secrets_manager::FakeSecretsManager;
use serde_json::json;

#[tokio::test]
async fn a_script_creates_gets_batches_and_lists() {
    let fake = FakeSecretsManager::start().await.unwrap();
    let saw = end_to_end::external::python(include_str!("boto3.py"), &fake.endpoint_url()).await;
    let expected = json!({
        "arn": fake.arn("app/database"),
        "password": "p",
        "same_version": true,
        "created_year_is_set": true,
        "binary": (0..=255).collect::<Vec<u8>>(),
        "batch": ["app/database", "app/binary"],
        "batch_errors": [["app/none", "ResourceNotFoundException"]],
        "pages": [["app/database", "app/binary", "other/0"], ["other/1", "other/2", "other/3"], ["other/4"]],
        "filtered": [["other/0", "other/1"], ["other/2", "other/3"], ["other/4"]],
        "missing": "An error occurred (ResourceNotFoundException) when calling the GetSecretValue operation: \
                    Secrets Manager can't find the specified secret.",
        "deleted": ["InvalidRequestException", 400],
    });
    assert_eq!(saw, expected);
    assert_eq!(fake.calls("ListSecrets"), 3);
    assert_eq!(fake.calls("GetSecretValue"), 4, "no refusal was tried again");
}
