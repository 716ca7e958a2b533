//! `exec`: runs a program with the settings as its variables.
//!
//! Without --watch the program replaces this process, so that there is nothing in between: signals
//! and the exit code are its own. With --watch, `supervise` keeps it running. A value is never an
//! argument, so `ps` shows none; a program's variables are readable by its own user only.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use clap::Args;
use secrecy::ExposeSecret as _;
use secrets_provider::{Error, ErrorKind, Layers, Snapshot};

use crate::Ended;
use crate::output::{Output, printable};
use crate::select::{Selection, pair};
use crate::settings::Tree;
use crate::supervise::{self, Signal};
use crate::variables::{Format, Variables};

/// Run a program with the settings as environment variables.
///
/// The variables are this process's own, those of `.env` that it lacks, and the secrets over both.
/// The program replaces this process: it gets every signal, and its exit code is the result.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// How key paths become names.
    #[arg(long, value_name = "FORMAT", default_value = "nested")]
    format: Format,
    /// Also set this variable to the value of a key; may be given several times.
    #[arg(long, value_name = "NAME=KEY.PATH", value_parser = pair)]
    var: Vec<(String, String)>,
    /// Start with an empty environment, apart from the settings.
    #[arg(long)]
    pristine: bool,
    /// Keep watching, and start the program again when a secret changes.
    #[arg(long)]
    watch: bool,
    /// With --watch: send this signal instead; the program's variables stay what they are.
    #[arg(long, requires = "watch", value_name = "SIGNAL")]
    signal: Option<Signal>,
    /// With --watch: seconds between looks. Default: what the switches say, or 300.
    #[arg(long, requires = "watch", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    interval: Option<u64>,
    /// With --watch: seconds to wait for further changes before the program is started again; while
    /// one follows another, at most ten times as long.
    #[arg(long, requires = "watch", value_name = "SECONDS", default_value_t = 2)]
    debounce: u64,
    /// With --watch: seconds that the program has to end after SIGTERM, before SIGKILL.
    #[arg(long, requires = "watch", value_name = "SECONDS", default_value_t = 10)]
    grace: u64,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    words: Vec<OsString>,
}

impl Exec {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        let manager = selection.manager().await?;
        if self.watch {
            let signal = self.signal;
            let [debounce, grace] = [self.debounce, self.grace].map(Duration::from_secs);
            let interval = self.interval.map(Duration::from_secs);
            let times = supervise::Times { interval, debounce, grace };
            let make = |secrets: &Snapshot| self.variables(secrets, selection);
            let command = |variables: &Variables| self.command(variables, output);
            return supervise::run(manager, times, signal, make, command, output).await;
        }
        let secrets = manager.fetch().await?;
        let variables = self.variables(&secrets, selection)?;
        Ok(Ended::Replaced(Box::new(self.command(&variables, output))))
    }

    fn variables(&self, secrets: &Snapshot, selection: &Selection) -> Result<Variables, Error> {
        let dotenv = Tree::of(&Layers::new().dotenv(selection.env_file()))?;
        let places = secrets.secrets().iter().map(|secret| secret.key_path().to_owned());
        let places: Vec<String> = places.collect();
        let secrets = Tree::of(&Layers::new().secrets(secrets))?;
        let own = match self.pristine {
            true => Vec::new(),
            false => std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect(),
        };
        Variables::new(&secrets, &dotenv, &own, self.format, &self.var, &places)
    }

    fn command(&self, variables: &Variables, output: &Output) -> Command {
        if !variables.left_out.is_empty() {
            let names: Vec<String> =
                variables.left_out.iter().map(|it| format!("`{it}`")).collect();
            output.warning(&format!(
                "no variable can be called {}: a name must not begin with a digit; give the value \
                 another name with --var NAME=KEY.PATH, or the secret another place with --rename",
                printable(&names.join(", "))
            ));
        }
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        if self.pristine {
            command.env_clear();
        }
        for name in &variables.removed {
            command.env_remove(name);
        }
        let set = variables.set.iter();
        command.envs(set.map(|(name, value)| (name, value.expose_secret())));
        command
    }
}

/// Replaces this process. Returns only if that fails.
pub(crate) fn replace(mut command: Command, output: &Output) -> u8 {
    let error = command.exec();
    not_run(&command, &error, output)
}

/// Says why a program cannot be run; the exit code is that of `env` and the shells.
pub(crate) fn not_run(command: &Command, error: &std::io::Error, output: &Output) -> u8 {
    let program = command.get_program().to_string_lossy();
    let message = format!("command `{}`: {}", printable(&program), error.kind());
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => "check its name and PATH",
        std::io::ErrorKind::ArgumentListTooLong => {
            "its variables are too large: select fewer secrets, such as with --only"
        }
        _ => "check that the file may be executed",
    };
    output.error(&Error::new(ErrorKind::Config, message).with_hint(hint));
    if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
}
