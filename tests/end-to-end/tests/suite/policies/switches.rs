//! `from_env` in a process of its own, with the environment and the `.env` file of each guide.

use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Layers, Live, SecretsManager};
use tokio::process::Command;

/// The program is this test binary, run with one test. That test does nothing without the variable
/// below.
const CHILD: &str = "policies::switches::child";
const PROGRAM: &str = "POLICIES_PROGRAM";

/// Starts the named program and prints its settings, or its error, as JSON.
#[allow(clippy::print_stdout, reason = "the parent process reads it")]
#[tokio::test]
async fn child() {
    let Ok(program) = std::env::var(PROGRAM) else { return };
    let manager = match program.as_str() {
        "gaara" => SecretsManager::from_env_or_prefix("gaara-store/{env}")
            .map(|manager| manager.only(["jwt-secret", "database-url"]).optional(["sentry-dsn"])),
        "muejam" => SecretsManager::from_env_or_prefix("{env}").map(|manager| {
            manager
                .only(["database/primary"])
                .rename("database/primary", "database")
                .fallback_to_env()
        }),
        "pazpaz" => SecretsManager::from_env().map(|manager| {
            manager.rename("pazpaz/encryption-key-v{n}", "encryption_master_key").fallback_to_env()
        }),
        "two-regions" => SecretsManager::from_env().map(|manager| manager.or_region("eu-west-1")),
        _ => SecretsManager::from_env(),
    };
    let before: Vec<_> = std::env::vars_os().collect();
    let outcome = match live(manager).await {
        Ok(settings) => {
            if program == "waits" {
                settings.changes().next().await;
            }
            serde_json::json!({"settings": *settings.current(), "health": settings.status().health()})
        }
        Err(error) => serde_json::json!({"error": error.to_string(), "hint": error.hint()}),
    };
    // The test runner has begun the line.
    println!("\n{outcome}");
    assert!(std::env::vars_os().eq(before), "the environment is not touched");
}

async fn live(
    manager: Result<SecretsManager, secrets_provider::Error>,
) -> Result<Live<serde_json::Value>, secrets_provider::Error> {
    let layers = |secrets: &secrets_provider::Snapshot| {
        // Only the variables of the program.
        let known = ["JWT_SECRET", "DATABASE", "ENCRYPTION_MASTER_KEY"];
        let variables = std::env::vars().filter(move |(name, _)| known.contains(&name.as_str()));
        Layers::new().dotenv(".env").environment_from(variables).secrets(secrets)
    };
    Live::builder(manager?.timeout(std::time::Duration::from_secs(20))).layers(layers).start().await
}

/// Runs a program in a folder with this `.env`, in exactly this environment, and returns what it
/// prints.
async fn run(program: &str, dotenv: &str, environment: &[(&str, &str)]) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), dotenv).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([CHILD, "--exact", "--nocapture"]).current_dir(folder.path()).env_clear();
    // No profile and no metadata service of this machine.
    command.env("HOME", folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env(PROGRAM, program).envs(environment.iter().copied());
    // A program that hangs ends with the test.
    let output = command.kill_on_drop(true).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let printed =
        text.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(printed).unwrap()
}

async fn serving() -> FakeSecretsManager {
    let fake = FakeSecretsManager::start().await.unwrap();
    for (name, text) in [
        ("gaara-store/production/jwt-secret", "jwt"),
        ("gaara-store/production/database-url", "postgresql://db"),
        ("production/database/primary", r#"{"username": "muejam_user", "port": "5432"}"#),
        ("pazpaz/encryption-key-v1", "key-of-aws"),
    ] {
        fake.put(name, text);
    }
    fake
}

/// Variables of the SDK, for `.env`.
fn aws(fake: &FakeSecretsManager) -> String {
    format!(
        "AWS_REGION=us-east-1\nAWS_ACCESS_KEY_ID=AKIAEXAMPLE\nAWS_SECRET_ACCESS_KEY=example\n\
         AWS_ENDPOINT_URL_SECRETS_MANAGER={}\n",
        fake.endpoint_url()
    )
}

#[tokio::test]
async fn the_dotenv_file_of_gaara_works() {
    let fake = serving().await;
    let dotenv = format!(
        "# Environment\nENVIRONMENT=production\n\n# AWS Configuration\nKMS_KEY_ID=alias/gaara-store-production\n\
         # Secret Cache TTL\nSECRET_CACHE_TTL=300\n{}",
        aws(&fake)
    );
    let outcome = run("gaara", &dotenv, &[]).await;
    assert_eq!(outcome["health"], "fresh");
    assert_eq!(outcome["settings"]["jwt_secret"], "jwt");
    assert_eq!(outcome["settings"]["database_url"], "postgresql://db");
    assert_eq!(fake.calls("ListSecrets"), 0);

    // The other guide names the prefix.
    fake.put("gaara/prod/jwt-secret", "other");
    fake.put("gaara/prod/database-url", "other");
    let prefix =
        format!("ENVIRONMENT=production\nSECRETS_MANAGER_PREFIX=gaara/prod\n{}", aws(&fake));
    let outcome = run("gaara", &prefix, &[]).await;
    assert_eq!(outcome["settings"]["jwt_secret"], "other");

    fake.reset_calls();
    let outcome =
        run("gaara", &dotenv, &[("ENVIRONMENT", "development"), ("JWT_SECRET", "mine")]).await;
    assert_eq!(
        (&outcome["settings"]["jwt_secret"], &outcome["health"]),
        (&"mine".into(), &"fresh".into())
    );
    assert_eq!(fake.total_calls(), 0);
}

#[tokio::test]
async fn the_dotenv_file_of_muejam_works() {
    let fake = serving().await;
    let production = format!(
        "USE_SECRETS_MANAGER=True\nENVIRONMENT=production\nSECRETS_CACHE_TTL=300\n{}",
        aws(&fake)
    );
    let outcome = run("muejam", &production, &[]).await;
    assert_eq!(outcome["settings"]["database"]["username"], "muejam_user");

    fake.reset_calls();
    let development = format!(
        "USE_SECRETS_MANAGER=False\nENVIRONMENT=development\nDATABASE_URL=postgresql://user@localhost\n{}",
        aws(&fake)
    );
    let outcome = run("muejam", &development, &[]).await;
    assert_eq!(
        (&outcome["settings"]["database_url"], &outcome["health"]),
        (&"postgresql://user@localhost".into(), &"fresh".into())
    );
    assert_eq!(fake.total_calls(), 0);
}

#[tokio::test]
async fn the_dotenv_file_of_pazpaz_works() {
    let fake = serving().await;
    let staging = format!(
        "# .env.staging\nENVIRONMENT=staging\nSECRETS_MANAGER_KEY_NAME=pazpaz/encryption-key-v1\n\n\
         # Optional: Fallback if AWS unavailable\nENCRYPTION_MASTER_KEY=your-fallback-key-here\n{}",
        aws(&fake)
    );
    let outcome = run("pazpaz", &staging, &[]).await;
    assert_eq!(
        (&outcome["settings"]["encryption_master_key"], &outcome["health"]),
        (&"key-of-aws".into(), &"fresh".into())
    );

    // Test 3 of the guide.
    let missing =
        [("ENVIRONMENT", "staging"), ("SECRETS_MANAGER_KEY_NAME", "pazpaz/nonexistent-key")];
    let outcome = run("pazpaz", &staging, &missing).await;
    assert_eq!(
        (&outcome["settings"]["encryption_master_key"], &outcome["health"]),
        (&"your-fallback-key-here".into(), &"fallback".into())
    );

    fake.reset_calls();
    let local = "# .env\nENVIRONMENT=local\n\n# Use environment variable (no AWS required)\n\
                 ENCRYPTION_MASTER_KEY=rT8x9kp3QwE7yLmN2oA5vK1uG4hJ6fD9cB8sZ0tX3iY=\n";
    let outcome = run("pazpaz", local, &[]).await;
    assert_eq!(
        outcome["settings"]["encryption_master_key"],
        "rT8x9kp3QwE7yLmN2oA5vK1uG4hJ6fD9cB8sZ0tX3iY="
    );
    assert_eq!(fake.total_calls(), 0);

    // In production the variables are in the environment, which the SDK reads itself, and the key
    // has a path of its own.
    let endpoint = fake.endpoint_url();
    let production = [
        ("ENVIRONMENT", "production"),
        ("AWS_REGION", "us-east-1"),
        ("SECRETS_MANAGER_KEY_NAME", "keys.master=pazpaz/encryption-key-v1"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &endpoint),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "example"),
    ];
    let outcome = run("pazpaz", "", &production).await;
    assert_eq!(outcome["settings"]["keys"]["master"], "key-of-aws");
}

#[tokio::test]
async fn the_dotenv_file_sets_the_refresh_interval() {
    let fake = serving().await;
    let dotenv = format!(
        "SECRETS_MANAGER_KEY_NAME=k=pazpaz/encryption-key-v1\nSECRETS_CACHE_TTL=1\n{}",
        aws(&fake)
    );
    let program = run("waits", &dotenv, &[]);
    let rotation = async {
        fake.wait_for_calls("GetSecretValue", 2).await;
        fake.put("pazpaz/encryption-key-v1", "rotated");
    };
    let both = futures_util::future::join(program, rotation);
    let (outcome, ()) =
        tokio::time::timeout(std::time::Duration::from_secs(60), both).await.unwrap();
    assert_eq!(outcome["settings"]["k"], "rotated");
}

/// The environment of the process goes before `.env`, and the variable of the service before the
/// general one.
#[tokio::test]
async fn variables_of_the_sdk_in_dotenv_reach_the_sdk() {
    let (fake, other) = (serving().await, serving().await);
    other.put("pazpaz/encryption-key-v1", "other");
    let dotenv = |aws: &str| format!("SECRETS_MANAGER_KEY_NAME=pazpaz/encryption-key-v1\n{aws}");
    let (url, other_url) = (fake.endpoint_url(), other.endpoint_url());
    let keys = "AWS_ACCESS_KEY_ID=AKIAEXAMPLE\nAWS_SECRET_ACCESS_KEY=example\n";
    for (file, environment, key) in [
        (
            format!("AWS_DEFAULT_REGION=eu-west-1\n{keys}AWS_ENDPOINT_URL={url}\n"),
            vec![],
            "key-of-aws",
        ),
        (
            format!(
                "AWS_REGION=eu-west-1\n{keys}AWS_ENDPOINT_URL={other_url}\nAWS_ENDPOINT_URL_SECRETS_MANAGER={url}"
            ),
            vec![],
            "key-of-aws",
        ),
        (
            format!("AWS_REGION=eu-west-1\n{keys}AWS_ENDPOINT_URL={url}\n"),
            vec![("AWS_ENDPOINT_URL_SECRETS_MANAGER", other_url.as_str())],
            "other",
        ),
        (
            format!("AWS_REGION=eu-west-1\n{keys}AWS_ENDPOINT_URL_SECRETS_MANAGER={url}\n"),
            vec![("AWS_ENDPOINT_URL_SECRETS_MANAGER", other_url.as_str())],
            "other",
        ),
        (
            format!(
                "AWS_ENDPOINT_URL={url}\nAWS_PROFILE=p\nAWS_CONFIG_FILE=./aws\nAWS_MAX_ATTEMPTS=1\n"
            ),
            vec![
                ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "example"),
                ("AWS_REGION", "x"),
            ],
            "key-of-aws",
        ),
    ] {
        let outcome = run("other", &dotenv(&file), &environment).await;
        assert_eq!(outcome["settings"]["pazpaz"]["encryption_key_v1"], key, "{file}");
    }
    let outcome = run("other", &dotenv("AWS_ACCESS_KEY_ID=hunter2\n"), &[]).await;
    let error = outcome["error"].as_str().unwrap();
    assert!(error.contains("AWS_SECRET_ACCESS_KEY") && !error.contains("hunter2"), "{error}");
    let outcome =
        run("other", "SECRET_CACHE_TTL=hunter2\n", &[("ENVIRONMENT", "production")]).await;
    let error = outcome["error"].as_str().unwrap();
    assert!(
        error.contains("SECRETS_MANAGER_PREFIX") && error.contains("SECRET_CACHE_TTL"),
        "{error}"
    );
}

/// A host of AWS serves one region, whatever names it. Nothing is called.
#[tokio::test]
async fn an_endpoint_of_one_region_is_refused_where_a_second_one_is_to_be_read() {
    const OF_FIRST: &str = "https://secretsmanager.us-east-1.amazonaws.com";
    const OF_VPC: &str = "https://vpce-0a1b-0a1b.secretsmanager.us-east-1.vpce.amazonaws.com";
    let fake = serving().await;
    let keys = [
        ("SECRETS_MANAGER_KEY_NAME", "pazpaz/encryption-key-v1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "example"),
    ];
    let url = fake.endpoint_url();
    for (case, dotenv, variable, refused) in [
        ("of the service", "", ("AWS_ENDPOINT_URL_SECRETS_MANAGER", OF_FIRST), true),
        ("of all services", "", ("AWS_ENDPOINT_URL", OF_VPC), true),
        (
            "in `.env`",
            "AWS_ENDPOINT_URL=https://secretsmanager.us-east-1.amazonaws.com\n",
            ("AWS_MAX_ATTEMPTS", "1"),
            true,
        ),
        ("an emulator", "", ("AWS_ENDPOINT_URL", url.as_str()), false),
        (
            "an emulator before `.env`",
            "AWS_ENDPOINT_URL=https://secretsmanager.us-east-1.amazonaws.com\n",
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", url.as_str()),
            false,
        ),
    ] {
        let environment = [&keys[..], &[variable]].concat();
        let outcome = run("two-regions", dotenv, &environment).await;
        let error = outcome["error"].as_str().unwrap_or_default();
        assert_eq!(error.contains("only serves us-east-1"), refused, "{case}: {outcome}");
        if refused {
            assert!(outcome["hint"].as_str().unwrap().contains("AWS_ENDPOINT_URL"), "{outcome}");
        } else {
            assert_eq!(outcome["settings"]["pazpaz"]["encryption_key_v1"], "key-of-aws", "{case}");
        }
    }
}
