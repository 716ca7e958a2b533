//! The steps of the rotation functions that AWS offers for PostgreSQL,
//! SecretsManagerRDSPostgreSQLRotationSingleUser and …MultiUser:
//! `docs.aws.amazon.com/secretsmanager/latest/userguide/reference_available-rotation-templates.html`.

use std::fmt;

use fake_secrets_manager::{RotationStep, Step};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

/// The suffix in the name of the second of two alternating users.
const CLONE: &str = "_clone";

/// Characters that AWS's functions leave out of passwords, and that a URL would escape.
const EXCLUDED: &str = "/@\"'\\:";

/// A login, in the format of a database's secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    engine: String,
    host: String,
    port: u16,
    username: String,
    password: String,
    dbname: String,
}

impl Login {
    /// The login of a user, on the server and database of these options.
    pub fn new(server: &PgConnectOptions, username: &str, password: &str) -> Self {
        let socket = server.get_socket().map(|folder| folder.display().to_string());
        Self {
            engine: "postgres".to_owned(),
            host: socket.unwrap_or_else(|| server.get_host().to_owned()),
            port: server.get_port(),
            username: username.to_owned(),
            password: password.to_owned(),
            dbname: server.get_database().unwrap_or("postgres").to_owned(),
        }
    }

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

    async fn connect(&self) -> Result<PgConnection, String> {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.username)
            .password(&self.password)
            .database(&self.dbname);
        connect(&options).await
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Replaces the Lambda function that rotates the secret of a database. Call it with each step.
#[derive(Clone)]
pub struct RotationFunction {
    /// The login that sets the password of the next user. Without it, the only user sets its own.
    master: Option<PgConnectOptions>,
}

impl RotationFunction {
    /// One user, which changes its own password: from then until the last step, the database
    /// refuses the password in the secret.
    pub fn single_user() -> Self {
        Self { master: None }
    }

    /// Two users, which take turns, and a third login that sets their passwords: the login in the
    /// secret is never refused.
    pub fn alternating_users(master: PgConnectOptions) -> Self {
        Self { master: Some(master) }
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
            Step::TestSecret => pending(call).await?.connect().await?.close().await.map_err(said),
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
        if self.master.is_some() {
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
        if new.connect().await.is_ok() {
            // An earlier try of this rotation has already set the password.
            return Ok(());
        }
        let mut connection = match &self.master {
            Some(master) => connect(master).await?,
            // The label may be ahead of the database, after a rotation to a password that was never
            // set.
            None => match current.connect().await {
                Ok(connection) => connection,
                Err(refused) => match login(call, "AWSPREVIOUS", None).await {
                    Ok(previous) => previous.connect().await?,
                    Err(_) => return Err(refused),
                },
            },
        };
        let exists = sqlx::query_scalar("SELECT count(*) = 1 FROM pg_roles WHERE rolname = $1");
        let exists: bool =
            exists.bind(&new.username).fetch_one(&mut connection).await.map_err(said)?;
        if !exists {
            run(
                &mut connection,
                "CREATE ROLE %I LOGIN IN ROLE %I",
                [&new.username, &current.username],
            )
            .await?;
        }
        run(&mut connection, "ALTER ROLE %I PASSWORD %L", [&new.username, &new.password]).await?;
        connection.close().await.map_err(said)
    }
}

impl fmt::Debug for RotationFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotationFunction").field("alternating", &self.master.is_some()).finish()
    }
}

/// A connection that does not log its statements, because they set passwords.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, String> {
    options.clone().disable_statement_logging().connect().await.map_err(said)
}

/// Runs a statement that cannot have parameters: PostgreSQL quotes them into its text.
pub(crate) async fn run(
    connection: &mut PgConnection,
    statement: &str,
    parameters: [&str; 2],
) -> Result<(), String> {
    let [first, second] = parameters;
    let quoted =
        sqlx::query_scalar("SELECT format($1, $2, $3)").bind(statement).bind(first).bind(second);
    let quoted: String = quoted.fetch_one(&mut *connection).await.map_err(said)?;
    connection.execute(quoted.as_str()).await.map(drop).map_err(said)
}

/// The message and SQLSTATE of the database, or the kind of the failure.
#[allow(clippy::needless_pass_by_value, reason = "`map_err` passes it by value")]
pub(crate) fn said(error: sqlx::Error) -> String {
    match &error {
        sqlx::Error::Database(error) => {
            format!("{} (SQLSTATE {})", error.message(), error.code().unwrap_or_default())
        }
        sqlx::Error::Io(error) => error.to_string(),
        _ => "the database driver failed".to_owned(),
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
