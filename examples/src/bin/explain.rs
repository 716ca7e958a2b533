//! Where each key of the settings comes from: its layer, its variable or secret, and what it hides.
//! With `--json`, the same for programs; with `--all`, every variable of the environment too; with
//! `--policy`, the IAM policy that it needs.

#![allow(clippy::print_stdout, reason = "prints the explanation")]

use examples::{Failure, Secrets};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    let secrets = Secrets::from_environment().await?;
    if asked("--policy") {
        println!("{}", secrets.manager().iam_policy());
        return Ok(());
    }
    let explanation = secrets.live().await?.explain();
    let explanation = if asked("--all") { explanation.all() } else { explanation };
    match asked("--json") {
        true => println!("{}", serde_json::to_string_pretty(&explanation)?),
        false => print!("{explanation}"),
    }
    Ok(())
}
