//! `--backend agent`: every command that reads, by a server that answers as AWS's agent does.

use insta::assert_snapshot;

use crate::agent_server::{StandIn, TOKEN};
use crate::harness::{Cli, Ran, finished, words};

/// The server, with the secrets of most tests.
async fn server() -> StandIn {
    let server = StandIn::start().await;
    let login = r#"{"username": "gaara", "password": "canary-password-1", "port": 5432}"#;
    server.put("gaara/prod/database", login);
    server.put("gaara/prod/jwt-secret", "canary-jwt-secret");
    server
}

async fn ran(cli: &Cli, server: &StandIn, line: &str) -> Ran {
    let line = format!("{line} --backend agent --prefix gaara/prod --only database,jwt-secret");
    // What follows `--` are the words of a program.
    let line = match line.split_once(" -- ") {
        Some((line, rest)) => {
            let (program, switches) = rest.split_once(" --backend").expect("switches");
            format!("{line} --backend{switches} -- {program}")
        }
        None => line,
    };
    let mut command = cli.command(&words(&line));
    let port = server.url().rsplit(':').next().expect("a port");
    command.env("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", port).env("AWS_TOKEN", TOKEN);
    finished(command, None).await
}

#[tokio::test]
async fn every_command_that_reads_reads_the_agent() {
    let (cli, server) = (Cli::new().await, server().await);
    for (line, expected) in [
        ("get", "gaara/prod/jwt-secret"),
        ("get database --keys", "password"),
        ("get database --key password", "one value"),
        ("get jwt-secret --reveal", "canary-jwt-secret"),
        ("get database --key password --reveal", "canary-password-1"),
        ("explain", "gaara/prod/database"),
        ("exec -- printenv DATABASE__PASSWORD", "canary-password-1"),
        ("watch --count 0", "generation 1"),
        ("doctor --check", "2 secrets read"),
        ("policy", "secretsmanager:DescribeSecret"),
    ] {
        for json in ["", "--json "] {
            let ran = ran(&cli, &server, &format!("{json}{line}")).await;
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{json}{line}: {}", ran.out);
            assert!(ran.out.contains(expected) || !json.is_empty(), "{line}: {}", ran.out);
            let reveals = line.contains("--reveal") || line.starts_with("exec");
            let shown = ran.out.contains("canary") || ran.out.contains(TOKEN);
            assert!(reveals || !shown, "{json}{line}: {}", ran.out);
        }
    }
    assert_snapshot!("doctor_agent", ran(&cli, &server, "doctor").await.shown());
    assert_eq!(cli.fake.total_calls(), 0);
}

#[tokio::test]
async fn what_the_agent_refuses_is_said() {
    let (cli, server) = (Cli::new().await, server().await);
    server.known().denied.insert("gaara/prod/database".to_owned());
    assert_snapshot!("doctor_agent_denied", ran(&cli, &server, "doctor --check").await.shown());
    server.known().token = "another".to_owned();
    for line in ["doctor --check", "get", "explain", "exec -- true"] {
        let ran = ran(&cli, &server, line).await;
        assert_eq!(ran.code, 1, "{line}: {}{}", ran.out, ran.err);
        let both = ran.out + &ran.err;
        assert!(both.contains("AWS_TOKEN"), "{line}: {both}");
        assert!(!both.contains("canary") && !both.contains(TOKEN), "{line}: {both}");
    }
}
