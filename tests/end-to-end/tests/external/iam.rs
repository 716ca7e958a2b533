//! `iam_policy()` under moto's implementation of IAM: a second opinion on the actions that each
//! selection needs. moto 5.2.5 checks only actions. It treats every call as one on the resource
//! `*`, which no ARN in a policy matches, and knows neither conditions nor KMS. So the resources
//! are widened here, and the fake (`suite/iam.rs`) checks the statement for KMS, and the secrets of
//! a batch, each of which needs `GetSecretValue` in AWS.

use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_secretsmanager::{Client, Config};
use end_to_end::external::{Emulator, python};
use secrets_provider::{Error, ErrorKind, SecretsManager};
use serde_json::{Value, json};

fn modes() -> [(&'static str, SecretsManager, usize); 4] {
    [
        ("a prefix", SecretsManager::prefix("app/prod"), 2),
        ("a prefix, singly", SecretsManager::prefix("app/prod").batch(false), 2),
        ("only", SecretsManager::prefix("app/prod").only(["db", "jwt"]), 2),
        ("a name, singly", SecretsManager::names(["other"]).batch(false), 1),
    ]
}

fn config(moto: &Emulator, key: &Value) -> Config {
    let part = |at: usize| key[at].as_str().unwrap();
    let credentials = Credentials::new(part(0), part(1), None, None, "test");
    end_to_end::config(&moto.endpoint_url()).credentials_provider(credentials).build()
}

/// Sets the policy of the application, as the administrator.
async fn allow(moto: &Emulator, administrator: &Value, policy: &Value) {
    let script = format!(
        "import boto3, os\n\
         iam = boto3.client('iam', endpoint_url=os.environ['AWS_ENDPOINT_URL'], \
         aws_access_key_id={}, aws_secret_access_key={})\n\
         iam.put_user_policy(UserName='application', PolicyName='own', PolicyDocument={})\n\
         print('null')",
        administrator[0],
        administrator[1],
        json!(policy.to_string()),
    );
    python(&script, &moto.endpoint_url()).await;
}

fn widened(mut policy: Value) -> Value {
    let statements = policy["Statement"].as_array_mut().unwrap();
    statements.retain(|statement| statement["Sid"] != "OnlyForCustomerManagedKeys");
    statements.iter_mut().for_each(|statement| statement["Resource"] = "*".into());
    policy
}

async fn fetch(moto: &Emulator, key: &Value, manager: &SecretsManager) -> Result<usize, Error> {
    let manager = manager.clone().client(Client::from_conf(config(moto, key)));
    Ok(manager.fetch().await?.secrets().len())
}

#[tokio::test]
async fn each_selection_needs_every_action_of_its_policy() {
    let moto = Emulator::moto();
    let keys = python(include_str!("iam.py"), &moto.endpoint_url()).await;
    let (administrator, application) = (&keys["administrator"], &keys["application"]);
    for (mode, manager, found) in modes() {
        let policy = widened(serde_json::from_str(&manager.iam_policy()).unwrap());
        allow(&moto, administrator, &policy).await;
        assert_eq!(fetch(&moto, application, &manager).await.unwrap(), found, "{mode}");

        let statements = policy["Statement"].as_array().unwrap();
        for (at, statement) in statements.iter().enumerate().filter(|_| statements.len() > 1) {
            let mut less = policy.clone();
            less["Statement"].as_array_mut().unwrap().remove(at);
            allow(&moto, administrator, &less).await;
            let outcome = fetch(&moto, application, &manager).await;
            match (statement["Sid"].as_str().unwrap(), mode) {
                // For a batch, moto checks only the action of the batch.
                ("ReadSecrets", "a prefix" | "only") | ("ReadManyAtOnce", _) => {
                    assert_eq!(outcome.unwrap(), found, "{mode}: {statement}");
                }
                ("ReadSecrets" | "FindNames", _) => {
                    assert_eq!(
                        outcome.unwrap_err().kind(),
                        ErrorKind::AccessDenied,
                        "{mode}: {statement}"
                    );
                }
                (other, _) => panic!("{mode}: {other} is not known here"),
            }
        }
    }
}
