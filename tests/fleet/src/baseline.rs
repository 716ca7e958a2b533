//! What services do without the product: each secret by one call of the SDK, one after the other,
//! at a fixed interval.

use fake_secrets_manager::FakeSecretsManager;
use tokio::time::sleep;

use crate::fleet::{Setup, Shared, id, restart};

/// A service that reads its secrets in a loop. A start that fails is repeated, as by whatever runs
/// the process; a later failure leaves the value as it was.
pub(crate) async fn one_by_one(
    setup: Setup,
    fake: FakeSecretsManager,
    board: Shared,
    replica: usize,
) {
    let mut client = fake.client();
    let mut versions = vec![None; setup.secrets];
    'start: loop {
        for (secret, version) in versions.iter_mut().enumerate() {
            *version = read(&client, secret).await;
            if version.is_none() {
                board.borrow_mut().start_failed();
                restart().await;
                client = fake.client();
                continue 'start;
            }
        }
        break;
    }
    board.borrow_mut().is_current(replica);
    loop {
        sleep(setup.every).await;
        for (secret, version) in versions.iter_mut().enumerate() {
            let found = read(&client, secret).await;
            if found.is_some() && found != *version {
                *version = found;
                board.borrow_mut().is_current(replica);
            }
        }
    }
}

/// The version of a secret, if it can be read.
async fn read(client: &aws_sdk_secretsmanager::Client, secret: usize) -> Option<String> {
    client.get_secret_value().secret_id(id(secret)).send().await.ok()?.version_id
}
