//! The page `docs/moving.md`: its commands, word for word and in their order.

use crate::harness::{Cli, finished};

const PAGE: &str = include_str!("../../docs/moving.md");

/// The blocks of a page in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let blocks = PAGE.split(&opening).skip(1);
    blocks.map(|block| block.split("```").next().expect("a block")).collect()
}

#[tokio::test]
async fn the_commands_of_the_page_work() {
    let cli = Cli::new().await;
    cli.write(".env", blocks("text")[0]);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_secrets-provider"));
    let path = std::env::var("PATH").expect("PATH");
    let path = format!("{}:{path}", program.parent().expect("a folder").display());
    let script = format!("set -eu\n{}", blocks("sh").concat());
    // `doctor` comes first, when there is no secret yet, and only says so.
    let mut command = cli.command(&[]);
    command = {
        let inner = command.as_std();
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", &script]).current_dir(cli.path()).env_clear();
        for (name, value) in inner.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        shell.env("PATH", path);
        shell.stdin(std::process::Stdio::null());
        shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        shell
    };
    let ran = finished(command, None).await;
    let plan = "3 of 3 secrets would change; --apply does it\n";
    assert_eq!((ran.code, ran.err.as_str()), (0, plan), "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("the service runs on port 8080"), "{}", ran.out);
    for value in ["change-me", "849c4a304f1d276f"] {
        assert!(!ran.out.contains(value), "{}", ran.out);
    }
    let dotenv = std::fs::read_to_string(cli.path().join(".env")).expect("a file");
    assert_eq!(dotenv, "PORT=8080\n");
    for (name, old) in [("jwt-secret", "849c4a304f1d276f"), ("database/password", "change-me")] {
        let stored = cli.stored(&format!("gaara/prod/{name}")).await.expect("a value");
        assert!(stored != old && stored.len() == 32, "{name}");
    }
}
