//! The variables that the command line tools of Vault and OpenBao read.
//!
//! The process environment over `.env`, as everywhere; of two names, OpenBao's comes first, as in
//! its own tool. No value is shown.

use std::path::Path;

use zeroize::Zeroizing;

use super::Vault;
use crate::env::{Environment, dotenv};
use crate::error::{Error, ErrorKind};

const NAMES: [&str; 6] = ["ADDR", "TOKEN", "NAMESPACE", "CACERT", "ROLE_ID", "SECRET_ID"];

/// What the process and this file say.
pub(super) fn process(file: &Path) -> Result<Vault, Error> {
    let dotenv = dotenv::read(file)?;
    let dotenv = dotenv.into_iter().map(|(name, value)| (name, Zeroizing::new(value)));
    let mut variables = Vec::new();
    for name in NAMES.iter().flat_map(|name| [format!("BAO_{name}"), format!("VAULT_{name}")]) {
        let Some(value) = std::env::var_os(&name) else { continue };
        let Ok(value) = value.into_string() else {
            return Err(crate::env::bad(&format!("environment variable `{name}`"), "UTF-8"));
        };
        variables.push((name, Zeroizing::new(value)));
    }
    described(&Environment::new(variables, dotenv))
}

fn described(environment: &Environment) -> Result<Vault, Error> {
    let value = |name: &str| {
        environment
            .value(&format!("BAO_{name}"))
            .or_else(|| environment.value(&format!("VAULT_{name}")))
    };
    let missing = |name: &str, with: &str| {
        let message = format!("variable `VAULT_{name}` is not set{with}");
        Error::new(ErrorKind::Config, message)
            .with_hint(format!("set it, or `BAO_{name}`, in the environment or in `.env`"))
    };
    let address = value("ADDR").ok_or_else(|| missing("ADDR", ""))?;
    let mut vault = Vault::new(address);
    if let Some(namespace) = value("NAMESPACE") {
        vault = vault.namespace(namespace);
    }
    if let Some(path) = value("CACERT") {
        vault = vault.ca_cert(path);
    }
    Ok(match (value("TOKEN"), value("ROLE_ID"), value("SECRET_ID")) {
        (Some(token), _, _) => vault.token(token),
        (None, Some(role_id), Some(secret_id)) => vault.app_role(role_id, secret_id),
        (None, Some(_), None) => return Err(missing("SECRET_ID", ", but `VAULT_ROLE_ID` is")),
        (None, None, Some(_)) => return Err(missing("ROLE_ID", ", but `VAULT_SECRET_ID` is")),
        // `kubernetes(..)` may follow.
        (None, None, None) => vault,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_both_tools_describe_a_vault() {
        let described = |variables: &[(&str, &str)]| {
            let variables = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())));
            described(&Environment::new(variables, [])).map(|vault| format!("{vault:?}"))
        };
        let address = ("VAULT_ADDR", "https://vault:8200");
        for (variables, expected) in [
            (&[address][..], r#"namespace: None, ca_cert: None, login: "none""#),
            (&[address, ("VAULT_TOKEN", "hunter2")], r#"login: "token""#),
            (&[address, ("BAO_TOKEN", "hunter2")], r#"login: "token""#),
            (
                &[address, ("VAULT_ROLE_ID", "hunter2"), ("VAULT_SECRET_ID", "hunter2")],
                r#"login: "approle""#,
            ),
            (&[("BAO_ROLE_ID", "hunter2"), ("BAO_SECRET_ID", "hunter2"), address], "approle"),
            (&[("BAO_ROLE_ID", "hunter2"), ("VAULT_SECRET_ID", "hunter2"), address], "approle"),
            (&[address, ("BAO_ADDR", "https://bao:8200")], "https://bao:8200"),
            (&[("BAO_ADDR", "https://bao:8200")], "https://bao:8200"),
            (&[address, ("VAULT_NAMESPACE", "team1/")], r#"namespace: Some("team1")"#),
            (
                &[address, ("VAULT_NAMESPACE", "team1/"), ("BAO_NAMESPACE", "team2")],
                r#"namespace: Some("team2")"#,
            ),
            (&[address, ("VAULT_CACERT", "/ca.pem")], r#"ca_cert: Some("/ca.pem")"#),
            (&[address, ("BAO_CACERT", "/bao.pem")], r#"ca_cert: Some("/bao.pem")"#),
        ] {
            let shown = described(variables).expect(expected);
            assert!(shown.contains(expected) && !shown.contains("hunter2"), "{shown}");
        }
        for (variables, expected) in [
            (&[][..], "`VAULT_ADDR` is not set"),
            (&[address, ("VAULT_ROLE_ID", "hunter2")], "`VAULT_SECRET_ID` is not set"),
            (&[address, ("VAULT_SECRET_ID", "hunter2")], "`VAULT_ROLE_ID` is not set"),
        ] {
            let error = described(variables).expect_err(expected);
            assert_eq!(error.kind(), ErrorKind::Config);
            let shown = error.to_string();
            assert!(shown.contains(expected) && !shown.contains("hunter2"), "{shown}");
        }
    }
}
