//! Where AWS is off, the environment and `.env` have the values; in a process of its own.

use tokio::process::Command;

use super::*;

/// The program is this test binary, run with one test, which does nothing without the variable
/// below.
const CHILD: &str = "lookup::variables::child";
const PROGRAM: &str = "LOOKUP_PROGRAM";

/// Looks up what the guide's program does, and prints it as JSON.
#[allow(clippy::print_stdout, reason = "the parent process reads it")]
#[tokio::test]
async fn child() {
    if std::env::var(PROGRAM).is_err() {
        return;
    }
    let manager = SecretsManager::from_env_or_prefix("gaara-store/{env}").unwrap();
    let secrets = manager.lookup().variable("CLERK_SECRET_KEY", "api-keys/clerk");
    let shown = |found: Result<String, Error>| match found {
        Ok(text) => serde_json::json!(text),
        Err(error) => serde_json::json!({"kind": error.kind(), "text": error.to_string()}),
    };
    let url = shown(secrets.get("database-url").await);
    let login = secrets.get::<Login>("database/primary").await;
    let port = secrets.get::<u16>("database/primary").key("port").blocking();
    let outcome = serde_json::json!({
        "url": url,
        "jwt": shown(secrets.get("jwt-secret").blocking()),
        "clerk": shown(secrets.get("api-keys/clerk").await),
        "missing": shown(secrets.get("smtp-password").await),
        "optional": secrets.get::<String>("smtp-password").optional().await.unwrap(),
        "member": shown(secrets.get("database/other").key("port").await),
        "again": shown(secrets.get("database/other").key("tls").key("ca").await),
        "outside": shown(secrets.get("../database-url").await),
        "login": login.map(|login| login.username).map_err(|error| error.to_string()),
        "port": port.map_err(|error| error.to_string()),
        "stats": secrets.stats(),
    });
    // The test runner has begun the line.
    println!("\n{outcome}");
}

async fn run(dotenv: &str, environment: &[(&str, &str)]) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), dotenv).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([CHILD, "--exact", "--nocapture"]).current_dir(folder.path()).env_clear();
    // No profile and no metadata service of this machine.
    command.env("HOME", folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env(PROGRAM, "1").envs(environment.iter().copied());
    // A program that hangs ends with the test.
    let output = command.kill_on_drop(true).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let printed =
        text.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(printed).unwrap()
}

const VARIABLES: &str = "DATABASE_URL=from-dotenv\nJWT_SECRET=jwt\nCLERK_SECRET_KEY=clerk\n\
                         DATABASE_PRIMARY_USERNAME=u\nDATABASE_PRIMARY_PORT=5432\n";

#[tokio::test]
async fn where_aws_is_off_the_variables_have_the_values_and_no_call_is_made() {
    for switch in ["ENVIRONMENT=development", "USE_SECRETS_MANAGER=false\nENVIRONMENT=production"] {
        // Nothing answers here: a call would be an error.
        let dotenv = format!(
            "{switch}\nSECRET_CACHE_TTL=60\nAWS_ENDPOINT_URL=http://127.0.0.1:1\n{VARIABLES}"
        );
        let outcome = run(&dotenv, &[("DATABASE_URL", "from-environment")]).await;
        assert_eq!(outcome["url"], "from-environment", "it lies over .env");
        assert_eq!((&outcome["jwt"], &outcome["clerk"]), (&"jwt".into(), &"clerk".into()));
        assert_eq!((&outcome["login"]["Ok"], &outcome["port"]["Ok"]), (&"u".into(), &5432.into()));
        assert_eq!(
            (&outcome["missing"]["kind"], &outcome["optional"]),
            (&"not_found".into(), &().into())
        );
        assert!(
            outcome["missing"]["text"].as_str().unwrap().contains("SMTP_PASSWORD"),
            "{outcome}"
        );
        for (case, variable) in
            [("member", "`DATABASE_OTHER_PORT`"), ("again", "`DATABASE_OTHER_TLS__CA`")]
        {
            assert_eq!(outcome[case]["kind"], "not_found");
            let text = outcome[case]["text"].as_str().unwrap();
            assert!(text.contains(variable) && text.contains("AWS is off"), "{text}");
        }
        assert_eq!(outcome["outside"]["kind"], "invalid");
        let stats = &outcome["stats"];
        assert_eq!((&stats["aws"], &stats["ttl"]), (&false.into(), &60.0.into()));
        let environment = if switch.contains("production") { "production" } else { "development" };
        assert_eq!(stats["environment"], environment);
        assert_eq!(stats["cached"], 4);
    }
}

#[tokio::test]
async fn where_aws_is_on_the_variables_do_not_count() {
    let fake = FakeSecretsManager::start().await.unwrap();
    fake.put("gaara-store/production/database-url", "from-aws");
    let dotenv = format!(
        "ENVIRONMENT=production\nSECRETS_CACHE_TTL=120\nAWS_REGION=us-east-1\n\
         AWS_ACCESS_KEY_ID=AKIAEXAMPLE\nAWS_SECRET_ACCESS_KEY=example\n\
         AWS_ENDPOINT_URL_SECRETS_MANAGER={}\n{VARIABLES}",
        fake.endpoint_url()
    );
    let outcome = run(&dotenv, &[]).await;
    assert_eq!(outcome["url"], "from-aws");
    assert_eq!(outcome["jwt"]["kind"], "not_found");
    let stats = &outcome["stats"];
    assert_eq!((&stats["aws"], &stats["ttl"]), (&true.into(), &120.0.into()));
    assert_eq!(
        (&stats["environment"], &stats["secrets"]),
        (&"production".into(), &serde_json::json!(["database-url"]))
    );
}

/// A first read that fails falls back, where the manager says so; a value that was read stays.
#[tokio::test(start_paused = true)]
async fn a_manager_that_falls_back_serves_a_variable_until_the_secret_can_be_read() {
    let fake = fake();
    let outage = fake.inject(Fault::unavailable());
    let manager = manager(&fake).fallback_to_env();
    let secrets = manager.lookup().environment_from([("DATABASE_URL", "local")]);
    for _ in 0..10 {
        assert_eq!(text(&secrets, "database-url").await.unwrap(), "local");
    }
    assert_eq!(text(&secrets, "wrapped").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(secrets.stats().failures(), 2);
    fake.remove_fault(outage);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://one");
    fake.inject(Fault::unavailable());
    tokio::time::sleep(LATER).await;
    assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://one");
}
