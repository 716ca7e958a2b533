//! Serves an empty fake until it is interrupted, and prints its address:
//!
//! ```text
//! $ cargo run -p fake-secrets-manager --example serve -- 4567
//! http://127.0.0.1:4567
//! $ aws secretsmanager list-secrets --endpoint-url http://127.0.0.1:4567
//! ```

use std::io::Write as _;

use fake_secrets_manager::FakeSecretsManager;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let fake = FakeSecretsManager::start_on(port).await?;
    writeln!(std::io::stdout(), "{}", fake.endpoint_url())?;
    tokio::signal::ctrl_c().await?;
    fake.stop().await;
    Ok(())
}
