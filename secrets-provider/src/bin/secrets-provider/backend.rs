//! `--backend`: which store the secrets come from, and what each needs to be found.
//!
//! A store that joins the library is a variant of [`Store`] and an arm in [`BackendArgs::over`].

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use secrets_provider::{Agent, Directory, Error, ErrorKind, SecretsManager, Vault};

/// Which store.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which secrets")]
pub(crate) struct BackendArgs {
    /// The store.
    #[arg(long, global = true, value_name = "STORE", default_value = "aws")]
    backend: Store,
    /// The folder of `--backend directory`.
    #[arg(long, global = true, value_name = "FOLDER", required_if_eq("backend", "directory"))]
    folder: Option<PathBuf>,
    /// Where the key-value engine of `--backend vault` is mounted. Default: secret.
    #[arg(long, global = true, value_name = "MOUNT")]
    mount: Option<String>,
    /// With `--backend vault`: log in by the service account of the pod, as this role.
    #[arg(long, global = true, value_name = "ROLE")]
    kubernetes_role: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// AWS Secrets Manager.
    Aws,
    /// OpenBao or HashiCorp Vault, by VAULT_ADDR and the other variables of their own programs.
    Vault,
    /// A folder with a file for each secret.
    Directory,
    /// AWS's local agent, or its Lambda extension. It reads by name: give --names, or --prefix and
    /// --only.
    Agent,
}

impl BackendArgs {
    /// Which store.
    pub(crate) fn store(&self) -> Store {
        self.backend
    }

    /// The folder of a directory.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.clone().unwrap_or_default()
    }

    /// The manager on its store, if that is not AWS.
    pub(crate) fn over(
        &self,
        manager: SecretsManager,
        env_file: &std::path::Path,
    ) -> Result<SecretsManager, Error> {
        self.check()?;
        Ok(match self.backend {
            Store::Aws => manager,
            Store::Vault => manager.backend(self.vault(env_file)?),
            Store::Directory => manager.backend(Directory::new(self.folder())),
            Store::Agent => manager.backend(Agent::local()),
        })
    }

    fn vault(&self, env_file: &std::path::Path) -> Result<Vault, Error> {
        let mut vault = Vault::from_env_file(env_file)?;
        if let Some(mount) = &self.mount {
            vault = vault.mount(mount);
        }
        if let Some(role) = &self.kubernetes_role {
            vault = vault.kubernetes(role);
        }
        Ok(vault)
    }

    /// A switch of another store would be without effect.
    fn check(&self) -> Result<(), Error> {
        let vault = self.backend == Store::Vault;
        let without_effect = [
            ("--folder", "directory", self.folder.is_some() && self.backend != Store::Directory),
            ("--mount", "vault", self.mount.is_some() && !vault),
            ("--kubernetes-role", "vault", self.kubernetes_role.is_some() && !vault),
        ];
        match without_effect.iter().find(|(_, _, wrong)| *wrong) {
            Some((switch, store, _)) => {
                let message = format!("{switch} is for `--backend {store}`");
                Err(Error::new(ErrorKind::Config, message)
                    .with_hint(format!("give `--backend {store}`, or leave out {switch}")))
            }
            None => Ok(()),
        }
    }
}
