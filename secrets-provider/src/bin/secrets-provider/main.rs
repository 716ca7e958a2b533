//! The program `secrets-provider`: what the library does, from a terminal.
//!
//! One file for each command; `select` makes a manager of the switches, `settings` turns what was
//! loaded into variables, `output` prints. It is a user of the library as any other program is:
//! only public names, `use secrets_provider::…`. No value is printed, except by `get --reveal`.

mod backend;
mod check;
mod doctor;
mod exec;
mod explain;
mod get;
mod import;
mod input;
mod member;
mod output;
mod pages;
mod policy;
mod profile;
mod put;
mod refused;
mod rotate;
mod select;
mod settings;
mod shapes;
mod store;
mod supervise;
mod table;
mod usage;
mod variables;
mod watch;
mod wording;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use secrets_provider::Error;

use output::{Output, OutputArgs};
use select::Selection;

const EXIT_CODES: &str = "\
Exit codes: 0 if all is well, 1 if something is wrong with what was asked for (its error is on \
standard error), 2 for wrong usage. `exec` ends with the code of its command, 126 if it cannot be \
run and 127 if it does not exist. A prompt that a signal ends has 128 and the signal's number.

NO_COLOR turns colours off. No command prints a value, except `get --reveal`.";

/// The secrets that a service loads: look at them, change them, run programs with them.
///
/// Which secrets, is said by --prefix or --names. Without both, the variables that the library's
/// `from_env` reads say it, from the environment over the `.env` file: SECRETS_MANAGER_PREFIX or
/// SECRETS_MANAGER_KEY_NAME, ENVIRONMENT, AWS_REGION and so on.
#[derive(Debug, Parser)]
#[command(name = "secrets-provider", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Get(get::Get),
    Exec(exec::Exec),
    Explain(explain::Explain),
    Put(put::Put),
    Import(import::Import),
    Rotate(rotate::Rotate),
    Watch(watch::Watch),
    Doctor(doctor::Doctor),
    Check(check::Check),
    Policy(policy::Policy),
    Completions(pages::Completions),
    Man(pages::Man),
}

/// How a command ended.
enum Ended {
    /// With this code.
    Code(u8),
    /// With this code, without waiting for what still reads the terminal.
    AtOnce(u8),
    /// By becoming another program, after everything of this one is gone.
    Replaced(Box<std::process::Command>),
}

/// All is well.
const WELL: Ended = Ended::Code(0);

fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return usage::end(error),
    };
    let output = Output::new(&cli.output);
    match run(cli, &output) {
        Ok(Ended::Code(code)) => ExitCode::from(code),
        Ok(Ended::AtOnce(code)) => std::process::exit(i32::from(code)),
        Ok(Ended::Replaced(command)) => ExitCode::from(exec::replace(*command, &output)),
        Err(error) => {
            output.error(&error);
            ExitCode::from(1)
        }
    }
}

fn run(cli: Cli, output: &Output) -> Result<Ended, Error> {
    let Cli { selection, command, .. } = cli;
    let runtime = output::runtime()?;
    let ended = match command {
        Command::Get(get) => runtime.block_on(get.run(&selection, output)),
        Command::Exec(exec) => runtime.block_on(exec.run(&selection, output)),
        Command::Explain(explain) => runtime.block_on(explain.run(&selection, output)),
        Command::Put(put) => runtime.block_on(put.run(&selection, output)),
        Command::Import(import) => runtime.block_on(import.run(&selection, output)),
        Command::Rotate(rotate) => runtime.block_on(rotate.run(&selection, output)),
        Command::Watch(watch) => runtime.block_on(watch.run(&selection, output)),
        Command::Check(check) => runtime.block_on(check.run(&selection, output)),
        Command::Doctor(doctor) => runtime.block_on(doctor.run(&selection, output)),
        Command::Policy(policy) => runtime.block_on(policy.run(&selection, output)),
        Command::Completions(completions) => completions.run(output),
        Command::Man(man) => man.run(output),
    };
    // A thread that waits for a line of the terminal would hold it up.
    runtime.shutdown_background();
    ended
}
