//! Where the examples' secrets are: in an embedded fake, or where the environment says.
//!
//! Every example gets its `SecretsManager` here, so that each runs without AWS and with it. No
//! value of a secret is printed: the commands that rotate one let the shell make the new value.

use std::env;
use std::fmt;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Live, Push, SecretsManager};
use serde_json::json;

use crate::process::{Failure, port};
use crate::settings::Settings;

const PREFIX: &str = "gaara/prod";
const REGION: &str = "us-east-1";

/// How often the secrets are read unless `SECRET_CACHE_TTL` says otherwise: often enough to watch a
/// rotation arrive. A service would leave it at the default of five minutes.
const EVERY: Duration = Duration::from_secs(2);

/// The secrets that an example reads. With `SECRETS_MANAGER_PREFIX` set, those below it, by the
/// SDK's own configuration (`AWS_REGION`, `AWS_ENDPOINT_URL`, credentials, ...). Otherwise those of
/// a Secrets Manager that is embedded here, so that the examples run where nothing is configured;
/// it ends with this value.
///
/// `Display` says how to rotate, ready to paste into a shell.
#[derive(Debug)]
pub struct Secrets {
    manager: SecretsManager,
    embedded: Option<FakeSecretsManager>,
}

impl Secrets {
    /// Reads the environment. Without a prefix there, starts an embedded fake with two secrets, on
    /// `EMBEDDED_PORT` or a port that the system picks.
    ///
    /// # Errors
    ///
    /// If the fake cannot listen on that port, or `EMBEDDED_PORT` is no port.
    pub async fn from_environment() -> Result<Self, Failure> {
        match env::var("SECRETS_MANAGER_PREFIX") {
            Ok(prefix) if !prefix.is_empty() => {
                Ok(Self { manager: SecretsManager::prefix(prefix), embedded: None })
            }
            _ => Self::embedded(port("EMBEDDED_PORT", 0)?).await,
        }
    }

    async fn embedded(port: u16) -> Result<Self, Failure> {
        let server = FakeSecretsManager::start_on(port).await.map_err(|error| {
            format!("cannot serve the embedded Secrets Manager on 127.0.0.1:{port} (EMBEDDED_PORT): {error}")
        })?;
        server.put(
            &format!("{PREFIX}/database"),
            json!({
                "host": "db.internal",
                "port": 5432,
                "username": "gaara",
                "password": "seeded-database-password",
            })
            .to_string(),
        );
        server.put(&format!("{PREFIX}/jwt-secret"), "seeded-jwt-secret");

        // As to AWS, except for the address: over a socket, signed.
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .credentials_provider(Credentials::from_keys("test", "test", None))
            .endpoint_url(server.endpoint_url())
            .load()
            .await;
        Ok(Self {
            manager: SecretsManager::prefix(PREFIX).aws_config(&config),
            embedded: Some(server),
        })
    }

    /// What to load, to be fetched once or kept current.
    pub fn manager(&self) -> SecretsManager {
        self.manager.clone()
    }

    /// What announces changes of these secrets: a queue of the embedded fake, or the topic that
    /// `SECRET_CHANGES_TOPIC` names, or the queue that `SECRET_CHANGES_QUEUE` names.
    ///
    /// # Errors
    ///
    /// If nothing is embedded and no variable is set.
    pub fn push(&self) -> Result<Push, Failure> {
        if let Some(server) = &self.embedded {
            return Ok(Push::queue(server.queue("secret-changes", PREFIX)));
        }
        match (env::var("SECRET_CHANGES_TOPIC"), env::var("SECRET_CHANGES_QUEUE")) {
            (Ok(arn), _) => Ok(Push::topic(arn)),
            (Err(_), Ok(url)) => Ok(Push::queue(url)),
            (Err(_), Err(_)) => Err("set SECRET_CHANGES_TOPIC to the ARN of the topic, or \
                                     SECRET_CHANGES_QUEUE to the URL of the queue")?,
        }
    }

    /// The settings, kept current: the secrets over the environment over `.env`. Read again
    /// every two seconds, or as often as `SECRET_CACHE_TTL` (seconds) says.
    ///
    /// # Errors
    ///
    /// As [`SecretsManager::live`]; also if `SECRET_CACHE_TTL` is no number of seconds.
    pub async fn live(&self) -> Result<Live<Settings>, Failure> {
        Ok(Live::builder(self.manager()).refresh_every(self.every()?).start().await?)
    }

    /// How often they are read.
    ///
    /// # Errors
    ///
    /// If `SECRET_CACHE_TTL` is no number of seconds.
    pub fn every(&self) -> Result<Duration, Failure> {
        match env::var("SECRET_CACHE_TTL") {
            Ok(seconds) if !seconds.is_empty() => {
                let seconds = seconds
                    .parse()
                    .map_err(|_| "SECRET_CACHE_TTL must be a whole number of seconds")?;
                Ok(Duration::from_secs(seconds))
            }
            _ => Ok(EVERY),
        }
    }
}

impl fmt::Display for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(server) = &self.embedded else {
            return writeln!(
                f,
                "The secrets are where the SDK's own configuration says; rotate them there."
            );
        };
        let endpoint = server.endpoint_url();
        // The shell puts 32 random characters in place of each NEW, so no password is printed here.
        let login = r#"{"host":"db.internal","port":5432,"username":"gaara_2","password":"NEW"}"#;
        // AWS wants a token of 32 to 64 characters, which becomes the version's id. The CLI makes
        // its own.
        let body = json!({
            "SecretId": format!("{PREFIX}/database"),
            "SecretString": login,
            "ClientRequestToken": "NEW",
        });
        let random = r#"'"$(head -c 24 /dev/urandom | base64)"'"#;
        let body = body.to_string().replace("NEW", random);
        let login = login.replace("NEW", random);
        writeln!(f, "Embedded Secrets Manager on {endpoint}")?;
        writeln!(f)?;
        writeln!(f, "Rotate the login in {PREFIX}/database:")?;
        writeln!(
            f,
            "  curl {endpoint} -H 'Content-Type: application/x-amz-json-1.1' \
             -H 'X-Amz-Target: secretsmanager.PutSecretValue' -d '{body}'"
        )?;
        writeln!(f, "or, with the AWS CLI:")?;
        writeln!(
            f,
            "  AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION={REGION} \
             aws --endpoint-url {endpoint} secretsmanager put-secret-value \
             --secret-id {PREFIX}/database --secret-string '{login}'"
        )
    }
}
