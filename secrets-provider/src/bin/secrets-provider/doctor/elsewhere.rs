//! Stores other than AWS: whether they are there. What can be read from them, `secrets` finds out.

use std::path::Path;
use std::time::Duration;

use secrets_provider::Agent;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Line, Mark, reach};
use crate::output::printable;
use crate::select::Selection;

/// The variables with Vault's address, in the order in which they count.
const ADDRESSES: [&str; 2] = ["BAO_ADDR", "VAULT_ADDR"];

/// Whether Vault is reached. Returns whether anything can be read.
pub(super) async fn vault(selection: &Selection, lines: &mut Vec<Line>) -> bool {
    let addresses = ADDRESSES.iter().map(|name| (*name, selection.variable(name)));
    let found = addresses.filter_map(|(name, url)| Some((name, url?))).next();
    // Without one, there is a line about it.
    let Some((name, url)) = found else { return false };
    let line = reach::vault(&url, name).await;
    let reached = line.mark != Mark::Bad;
    lines.push(line);
    reached
}

/// How long the agent, which is on this machine, may take to accept a connection.
const AGENT_PATIENCE: Duration = Duration::from_secs(5);

/// Whether AWS's agent listens. Returns whether anything can be read.
///
/// No proxy is looked for, because the library uses none to reach the agent.
pub(super) async fn agent(lines: &mut Vec<Line>) -> bool {
    let agent = Agent::local();
    let address = match agent.url() {
        Ok(url) => reach::address(url),
        Err(error) => {
            lines.extend(Line::of_error("agent", &error));
            return false;
        }
    };
    // The library has checked the URL.
    let Some((host, port)) = address else { return true };
    let connected = timeout(AGENT_PATIENCE, TcpStream::connect((host.as_str(), port))).await;
    let reached = matches!(connected, Ok(Ok(_)));
    lines.push(match reached {
        true => Line::good("agent", format!("{host}:{port} answers")),
        false => {
            Line::new(Mark::Bad, "agent", format!("{host}:{port} does not answer")).todo(format!(
                "start the agent, or set {} to its port; in Lambda, attach the layer of the \
                 extension",
                Agent::PORT_VARIABLE
            ))
        }
    });
    reached
}

/// Whether the folder is one. Returns whether anything can be read.
pub(super) fn directory(folder: &Path, lines: &mut Vec<Line>) -> bool {
    let shown = printable(&folder.to_string_lossy()).into_owned();
    let bad = |what: &str, todo: &str| {
        Line::new(Mark::Bad, "folder", format!("{shown} {what}")).todo(todo)
    };
    let line = match std::fs::read_dir(folder) {
        Ok(_) => Line::good("folder", shown),
        Err(error) => match error.kind() {
            std::io::ErrorKind::NotFound => {
                bad("does not exist", "correct --folder, or mount the secrets there")
            }
            std::io::ErrorKind::NotADirectory => bad("is a file", "give --folder the folder of it"),
            std::io::ErrorKind::PermissionDenied => {
                bad("cannot be read", "let this user read it and enter it: `chmod u+rx`")
            }
            other => bad(&format!("cannot be read: {other}"), "check the disk or the mount"),
        },
    };
    let found = line.mark == Mark::Good;
    lines.push(line);
    found
}
