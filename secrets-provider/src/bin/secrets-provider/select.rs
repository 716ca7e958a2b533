//! Which secrets a command is about, and in which store: the switches that all commands share.
//!
//! They are those of the library: what they leave open is what the environment and `.env` say
//! (`SecretsManager::from_env_file`). Every command gets its manager here.

use std::path::{Path, PathBuf};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::Client;
use clap::Args;
use secrecy::ExposeSecret as _;
use secrets_provider::{Error, ErrorKind, Layers, Memory, SecretsManager, Snapshot};
use tokio::sync::OnceCell;

use crate::backend::{BackendArgs, Store};
use crate::output::printable;
use crate::profile;
use crate::settings::Tree;

/// Which secrets, from where.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which secrets")]
pub(crate) struct Selection {
    /// Every secret below this prefix.
    #[arg(long, global = true, value_name = "PREFIX", conflicts_with = "names")]
    prefix: Option<String>,
    /// These secrets, each by name or ARN.
    #[arg(long, global = true, value_name = "NAME,..", value_delimiter = ',')]
    names: Vec<String>,
    /// With a prefix: only these secrets below it.
    #[arg(long, global = true, value_name = "NAME,..", value_delimiter = ',')]
    only: Vec<String>,
    /// Secrets that may be missing or denied.
    #[arg(long, global = true, value_name = "NAME,..", value_delimiter = ',')]
    optional: Vec<String>,
    /// Puts a secret at a key path; may be given several times.
    #[arg(long, global = true, value_name = "NAME=KEY.PATH", value_parser = pair)]
    rename: Vec<(String, String)>,
    /// The file in place of `.env`.
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// The AWS profile.
    #[arg(long, global = true, value_name = "PROFILE")]
    profile: Option<String>,
    /// The AWS region.
    #[arg(long, global = true, value_name = "REGION")]
    region: Option<String>,
    /// The URL of Secrets Manager, for a VPC endpoint or an emulator.
    #[arg(long, global = true, value_name = "URL")]
    endpoint_url: Option<String>,
    #[command(flatten)]
    backend: BackendArgs,
    #[arg(skip)]
    connection: Connection,
}

/// What calls of AWS are made with. It is made once: who makes it again for each secret also gets
/// new credentials for each, such as by a call of STS or by a program.
#[derive(Debug, Clone, Default)]
struct Connection {
    /// The configuration by the switches, if any of them is about AWS.
    of_switches: OnceCell<Option<SdkConfig>>,
    /// The client by the environment and `.env`.
    of_variables: OnceCell<Client>,
}

/// `NAME=KEY.PATH`, or another pair.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() => Ok((name.to_owned(), path.to_owned())),
        _ => Err("expected `NAME=VALUE`".to_owned()),
    }
}

impl Selection {
    /// The described secrets.
    ///
    /// # Errors
    ///
    /// If the switches, the environment or the set-up of AWS make no sense.
    pub(crate) async fn manager(&self) -> Result<SecretsManager, Error> {
        let manager = self.on_store(self.selected()?)?;
        match self.is_aws() {
            false => Ok(manager),
            // The variables have brought the settings of AWS with them, or say that it is not called.
            // Those of the environment alone, the manager finds when it reads: a policy needs none.
            true if self.is_of_variables() || self.of_dotenv().is_none() => {
                Ok(match self.config_of_switches().await? {
                    Some(config) => manager.aws_config(config),
                    None => manager,
                })
            }
            true => self.connected(manager).await,
        }
    }

    /// Whether no switch selects secrets.
    fn is_of_variables(&self) -> bool {
        self.prefix.is_none() && self.names.is_empty()
    }

    /// The same store with another selection: one secret, by the id that the store knows.
    pub(crate) async fn one(&self, id: &str) -> Result<SecretsManager, Error> {
        self.these([id]).await
    }

    /// The same with these secrets, by the ids that the store knows.
    pub(crate) async fn these<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<SecretsManager, Error> {
        let manager = self.on_store(SecretsManager::names(ids))?;
        match self.is_aws() {
            false => Ok(manager),
            true => self.connected(manager).await,
        }
    }

    fn on_store(&self, manager: SecretsManager) -> Result<SecretsManager, Error> {
        let of_aws = [
            ("--profile", self.profile.is_some()),
            ("--region", self.region.is_some()),
            ("--endpoint-url", self.endpoint_url.is_some()),
        ];
        if let Some((switch, _)) = of_aws.iter().find(|(_, given)| *given && !self.is_aws()) {
            let message = format!("{switch} is for `--backend aws`");
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint(format!("leave out {switch}, or `--backend`")));
        }
        self.backend.over(manager, self.env_file())
    }

    /// The described secrets, of which the texts are in another store.
    pub(crate) fn within(&self, store: Memory) -> Result<SecretsManager, Error> {
        Ok(self.selected()?.backend(store))
    }

    /// The client of AWS, for a command that writes.
    ///
    /// # Errors
    ///
    /// If another store is chosen, and those of [`manager`](Self::manager).
    pub(crate) async fn writer(&self, command: &str) -> Result<Client, Error> {
        self.writes(command)?;
        self.client().await
    }

    /// The client of AWS, for calls that the library has no method for.
    ///
    /// # Errors
    ///
    /// Those of [`manager`](Self::manager).
    pub(crate) async fn client(&self) -> Result<Client, Error> {
        // Which secrets, does not matter to it.
        self.one("any").await?.sdk_client().await
    }

    /// Whether a command can write to the store.
    ///
    /// # Errors
    ///
    /// If it is not AWS.
    pub(crate) fn writes(&self, command: &str) -> Result<(), Error> {
        if self.is_aws() {
            return Ok(());
        }
        let message = format!("`{command}` writes to AWS Secrets Manager only");
        Err(Error::new(ErrorKind::Config, message)
            .with_hint("leave out --backend, or use the store's own program, such as `vault`"))
    }

    fn selected(&self) -> Result<SecretsManager, Error> {
        let manager = self.under_own_names()?;
        Ok(self.rename.iter().fold(manager, |manager, (name, path)| manager.rename(name, path)))
    }

    /// The described secrets with this rename only, before they have a store.
    pub(crate) fn renamed(&self, name: &str, path: &str) -> Result<SecretsManager, Error> {
        Ok(self.under_own_names()?.rename(name, path))
    }

    /// The described secrets without the renames.
    fn under_own_names(&self) -> Result<SecretsManager, Error> {
        self.check_env_file()?;
        let manager = match &self.prefix {
            Some(prefix) => SecretsManager::prefix(prefix),
            None if self.is_of_variables() => SecretsManager::from_env_file(self.env_file())?,
            None => SecretsManager::names(&self.names),
        };
        let manager = match self.only.is_empty() {
            true => manager,
            false => manager.only(&self.only),
        };
        Ok(manager.optional(&self.optional))
    }

    /// The manager with the AWS settings of the switches, or else with those of the environment and
    /// `.env`.
    async fn connected(&self, manager: SecretsManager) -> Result<SecretsManager, Error> {
        if let Some(config) = self.config_of_switches().await? {
            return Ok(manager.aws_config(config));
        }
        Ok(match self.client_of_variables().await {
            Some(client) => manager.client(client.clone()),
            None => manager,
        })
    }

    /// The client by the environment and `.env`. What is wrong with the set-up is said better by the
    /// call that needs it.
    async fn client_of_variables(&self) -> Option<&Client> {
        let made = self
            .connection
            .of_variables
            .get_or_try_init(|| async { self.of_variables().sdk_client().await });
        made.await.ok()
    }

    /// The configuration of the SDK, for calls of other services.
    ///
    /// # Errors
    ///
    /// If no region is configured, or the set-up has a slip.
    pub(crate) async fn sdk_config(&self) -> Result<SdkConfig, Error> {
        match self.config_of_switches().await? {
            Some(config) => Ok(config.clone()),
            None => self.of_variables().sdk_config().await,
        }
    }

    /// A manager that has the AWS settings of the environment and, if its switches make sense, those
    /// of `.env`.
    fn of_variables(&self) -> SecretsManager {
        self.of_dotenv().unwrap_or_else(|| SecretsManager::names(["any"]))
    }

    /// A manager that has the AWS settings of `.env`, unless its switches make no sense.
    fn of_dotenv(&self) -> Option<SecretsManager> {
        SecretsManager::from_env_file(self.env_file()).ok()
    }

    /// The configuration by the switches, if any of them is about AWS.
    async fn config_of_switches(&self) -> Result<Option<&SdkConfig>, Error> {
        let made = self.connection.of_switches.get_or_try_init(|| self.loaded_by_switches());
        made.await.map(Option::as_ref)
    }

    async fn loaded_by_switches(&self) -> Result<Option<SdkConfig>, Error> {
        if self.profile.is_none() && self.region.is_none() && self.endpoint_url.is_none() {
            return Ok(None);
        }
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        match &self.profile {
            Some(profile) => loader = loader.profile_name(profile),
            // What else `.env` sets counts, too.
            None => {
                if let Some(of_dotenv) = self.of_dotenv()
                    && let Ok(config) = of_dotenv.sdk_config().await
                {
                    if let Some(region) = config.region() {
                        loader = loader.region(region.clone());
                    }
                    if let Some(credentials) = config.credentials_provider() {
                        loader = loader.credentials_provider(credentials);
                    }
                }
            }
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let config = loader.load().await;
        Ok(Some(match &self.profile {
            Some(profile) => profile::on(&config, profile).await?,
            None => config,
        }))
    }

    /// A variable of the environment or, if it is not there, of the file.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let dotenv = || match Tree::of(&Layers::new().dotenv(self.env_file())).ok()? {
            Tree::Table(variables) => match variables.get(&name.to_ascii_lowercase())? {
                Tree::Text(text) => Some(text.expose_secret().to_owned()),
                Tree::Table(_) => None,
            },
            Tree::Text(_) => None,
        };
        let value = std::env::var(name).ok().or_else(dotenv);
        value.filter(|value| !value.is_empty())
    }

    /// Whether a call of STS would go to STS: to AWS's own, or to that of an emulator. An endpoint
    /// that is only for Secrets Manager says nothing about it.
    pub(crate) fn asks_sts(&self) -> bool {
        if self.variable("AWS_ENDPOINT_URL_STS").is_some() {
            return true;
        }
        // The switch would be the endpoint of every service.
        self.endpoint_url.is_none()
            && (self.variable("AWS_ENDPOINT_URL").is_some()
                || self.variable("AWS_ENDPOINT_URL_SECRETS_MANAGER").is_none())
    }

    /// Where calls of Secrets Manager go, as far as switches and variables say it; and what says it.
    pub(crate) fn endpoint(
        &self,
        config: &SdkConfig,
        region: &str,
    ) -> (String, Option<&'static str>) {
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let own = || format!("https://secretsmanager.{region}.amazonaws.com{suffix}");
        if let Some(url) = &self.endpoint_url {
            return (url.clone(), Some("--endpoint-url"));
        }
        for name in ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"] {
            if let Some(url) = self.variable(name) {
                return (url, Some(name));
            }
        }
        match config.endpoint_url() {
            Some(url) => (url.to_owned(), Some("`endpoint_url` of the AWS profile")),
            None => (own(), None),
        }
    }

    /// Whether AWS is the store.
    pub(crate) fn is_aws(&self) -> bool {
        self.store() == Store::Aws
    }

    /// Which store.
    pub(crate) fn store(&self) -> Store {
        self.backend.store()
    }

    /// The folder of a directory.
    pub(crate) fn folder(&self) -> PathBuf {
        self.backend.folder()
    }

    /// The renames of the switches.
    pub(crate) fn renames(&self) -> &[(String, String)] {
        &self.rename
    }

    /// The file in place of `.env`, or `.env`.
    pub(crate) fn env_file(&self) -> &Path {
        self.env_file.as_deref().unwrap_or(Path::new(".env"))
    }

    /// `.env`, environment and these secrets.
    pub(crate) fn layers(&self, secrets: &Snapshot) -> Layers {
        Layers::new().dotenv(self.env_file()).environment().secrets(secrets)
    }

    /// A file that was asked for must exist; `.env` need not.
    fn check_env_file(&self) -> Result<(), Error> {
        let Some(file) = self.env_file.as_deref().filter(|file| !file.exists()) else {
            return Ok(());
        };
        let message = format!("file `{}` does not exist", printable(&file.to_string_lossy()));
        Err(Error::new(ErrorKind::Config, message).with_hint("correct --env-file, or leave it out"))
    }
}
