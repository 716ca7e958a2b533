//! The messages that an operator reads: each failure with its whole message.

mod missing;
mod outages;
mod refused;
mod sdk;
mod settings;
mod slips;

use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Error, SecretsManager};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0d1e2f";

/// Hints that several failures share.
const UNREACHABLE: &str = "hint: check region, AWS_ENDPOINT_URL, DNS and network; a VPC without internet access needs \
                           the interface endpoint `com.amazonaws.us-east-1.secretsmanager` with private DNS, and a security group that allows port 443";
const IN_BETWEEN: &str = "hint: Secrets Manager does not answer like this: check AWS_ENDPOINT_URL, and any proxy or load balancer in between";
const LATE: &str = "hint: check network, proxy and, in a VPC, the interface endpoint; `.timeout(..)` sets the limit";
const NO_SUCH_NAME: &str =
    "check name, region and account; a secret of another account needs its full ARN";
const CHAIN: &str = "hint: by default, the SDK tries, in this order, the environment (AWS_ACCESS_KEY_ID \
                     and AWS_SECRET_ACCESS_KEY), the AWS profile (AWS_PROFILE; one with `sso` or `credential_process` \
                     needs the feature of that name), web identity (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN), \
                     the container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI) and the instance's metadata";

pub(super) fn seeded() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    for name in ["app/prod/database", "app/prod/jwt-secret", "app/staging/database"] {
        fake.put(name, "hunter2");
    }
    fake
}

/// The message of an error, after a check that neither it nor `Debug` shows a secret or the words
/// of a server.
pub(super) fn message(error: &Error) -> String {
    let shown = format!("{error} {error:?}");
    for secret in ["hunter2", "canary"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error.to_string()
}

async fn refusal(manager: SecretsManager) -> String {
    message(&manager.fetch().await.unwrap_err())
}

fn one() -> SecretsManager {
    SecretsManager::names(["app/prod/database"]).batch(false)
}
