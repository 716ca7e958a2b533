//! The steps of the rotation functions that AWS offers for databases, such as
//! SecretsManagerRDSPostgreSQLRotationSingleUser and …MultiUser, over any [`Server`]:
//! `docs.aws.amazon.com/secretsmanager/latest/userguide/reference_available-rotation-templates.html`.

use std::fmt;

use fake_secrets_manager::{RotationStep, Step};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnectOptions;

use crate::postgres::Postgres;

/// The suffix in the name of the second of two alternating users.
const CLONE: &str = "_clone";

/// Characters that AWS's functions leave out of passwords, and that a URL would escape.
const EXCLUDED: &str = "/@\"'\\:";

/// What a rotation needs of a database server.
pub trait Server: fmt::Debug + Clone + Send + Sync + 'static {
    /// Fails unless the login is accepted.
    fn log_in(&self, login: &Login) -> impl Future<Output = Result<(), String>> + Send;

    /// Sets the password of a user: by this login, or by the administrator, who also creates the
    /// user if it is missing, with the rights of another one.
    fn set_password(
        &self,
        by: Option<&Login>,
        new: &Login,
        like: &Login,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Ends all connections of a user, as an administrator does to enforce a new password at once.
    /// Returns how many there were.
    fn disconnect(&self, user: &str) -> impl Future<Output = Result<i64, String>> + Send;
}

/// A login, in the format of a database's secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    pub(crate) engine: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) dbname: String,
    /// The address, without the login, for clients that want it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
}

impl Login {
    /// The secret's text.
    ///
    /// # Panics
    /// Never: its fields are text and numbers.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text and numbers")
    }

    /// The name of the user.
    pub fn username(&self) -> &str {
        &self.username
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Replaces the Lambda function that rotates the secret of a database. Call it with each step.
#[derive(Debug, Clone)]
pub struct RotationFunction<S = Postgres> {
    server: S,
    /// Whether the administrator sets the password of the next user. Otherwise the only user sets
    /// its own.
    alternate: bool,
}

impl RotationFunction {
    /// One user, which changes its own password: from then until the last step, the database
    /// refuses the password in the secret.
    pub fn single_user() -> Self {
        Self { server: Postgres { admin: None }, alternate: false }
    }

    /// Two users, which take turns, and a third login that sets their passwords: the login in the
    /// secret is never refused.
    pub fn alternating_users(master: PgConnectOptions) -> Self {
        Self { server: Postgres { admin: Some(master) }, alternate: true }
    }
}

impl<S: Server> RotationFunction<S> {
    /// The same for any server: with two users who take turns, or with one.
    pub fn on(server: S, alternate: bool) -> Self {
        Self { server, alternate }
    }

    /// Runs one step of a rotation.
    ///
    /// # Errors
    /// If the step fails, with the name of the call and the message of the database. It shows no
    /// password.
    pub async fn call(&self, call: &RotationStep) -> Result<(), String> {
        match call.step() {
            Step::CreateSecret => self.create_secret(call).await,
            Step::SetSecret => self.set_secret(call).await,
            Step::TestSecret => self.server.log_in(&pending(call).await?).await,
            Step::FinishSecret => finish_secret(call).await,
        }
    }

    async fn create_secret(&self, call: &RotationStep) -> Result<(), String> {
        if pending(call).await.is_ok() {
            return Ok(());
        }
        let client = call.client();
        let random = client.get_random_password().exclude_characters(EXCLUDED).send().await;
        let random = random.map_err(|_| "GetRandomPassword failed")?;
        let mut login = current(call).await?;
        login.password = random.random_password.ok_or("GetRandomPassword gave none")?;
        if self.alternate {
            login.username = match login.username.strip_suffix(CLONE) {
                Some(first) => first.to_owned(),
                None => login.username + CLONE,
            };
        }
        let put = client
            .put_secret_value()
            .secret_id(call.secret_id())
            .client_request_token(call.client_request_token())
            .secret_string(login.to_json())
            .version_stages("AWSPENDING");
        put.send().await.map(drop).map_err(|_| "PutSecretValue failed".to_owned())
    }

    async fn set_secret(&self, call: &RotationStep) -> Result<(), String> {
        let (new, current) = (pending(call).await?, current(call).await?);
        if self.server.log_in(&new).await.is_ok() {
            // An earlier try of this rotation has already set the password.
            return Ok(());
        }
        if self.alternate {
            return self.server.set_password(None, &new, &current).await;
        }
        match self.server.set_password(Some(&current), &new, &current).await {
            Ok(()) => Ok(()),
            // The label may be ahead of the database, after a rotation to a password that was never
            // set.
            Err(refused) => match login(call, "AWSPREVIOUS", None).await {
                Ok(previous) => self.server.set_password(Some(&previous), &new, &current).await,
                Err(_) => Err(refused),
            },
        }
    }
}

async fn current(call: &RotationStep) -> Result<Login, String> {
    login(call, "AWSCURRENT", None).await
}

async fn pending(call: &RotationStep) -> Result<Login, String> {
    login(call, "AWSPENDING", Some(call.client_request_token())).await
}

async fn login(call: &RotationStep, stage: &str, version: Option<&str>) -> Result<Login, String> {
    let get = call.client().get_secret_value().secret_id(call.secret_id()).version_stage(stage);
    let answer = get.set_version_id(version.map(str::to_owned)).send().await;
    let text = answer.ok().and_then(|answer| answer.secret_string);
    // The error of serde may quote the text.
    text.and_then(|text| serde_json::from_str(&text).ok())
        .ok_or_else(|| format!("no login is labelled {stage}"))
}

async fn finish_secret(call: &RotationStep) -> Result<(), String> {
    let client = call.client();
    let current = client.get_secret_value().secret_id(call.secret_id()).send().await;
    let current = current.map_err(|_| "GetSecretValue failed")?;
    let label = client
        .update_secret_version_stage()
        .secret_id(call.secret_id())
        .version_stage("AWSCURRENT")
        .move_to_version_id(call.client_request_token())
        .set_remove_from_version_id(current.version_id);
    label.send().await.map(drop).map_err(|_| "UpdateSecretVersionStage failed".to_owned())
}
