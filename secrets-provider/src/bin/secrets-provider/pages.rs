//! `completions` and `man`: what a shell and a reader need, made from the same description as the
//! switches.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use secrets_provider::Error;

use crate::output::{Output, failed};
use crate::{Cli, Ended, WELL};

/// Print the completions of a shell.
///
/// For bash: `secrets-provider completions bash > /etc/bash_completion.d/secrets-provider`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, output: &Output) -> Result<Ended, Error> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "secrets-provider", &mut text);
        output.bytes(&text)?;
        Ok(WELL)
    }
}

/// Print the man page, or write a page for each command.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder to write all pages to, such as /usr/local/share/man/man1.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, output: &Output) -> Result<Ended, Error> {
        match self.folder {
            Some(folder) => clap_mangen::generate_to(Cli::command(), folder)
                .map_err(|error| failed("the folder of the man pages", &error))?,
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(Cli::command())
                    .render(&mut page)
                    .map_err(|error| failed("the man page", &error))?;
                output.bytes(&page)?;
            }
        }
        Ok(WELL)
    }
}
