//! Configurations of the SDK that cannot be used, and its own warnings.

use std::process::Command;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_secretsmanager::config::Region;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{ErrorKind, SecretsManager};

use super::{CHAIN, message, one, refusal, seeded};

/// A credentials provider that fails with this error.
#[derive(Debug)]
struct Failing(fn() -> CredentialsError);

impl ProvideCredentials for Failing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(self.0()))
    }
}

#[tokio::test(start_paused = true)]
async fn an_unusable_sdk_configuration_names_what_is_missing() {
    let fake = seeded();
    let config = || fake.sdk_config().to_builder();
    let region =
        |region: Option<&'static str>| config().region(region.map(Region::from_static)).build();
    let failing = |error| {
        let provider = SharedCredentialsProvider::new(Failing(error));
        config().credentials_provider(provider).build()
    };
    let mut without = config();
    without.set_credentials_provider(None);
    for (about, config, expected) in [
        (
            "no region",
            region(None),
            "the given AWS configuration has no region\n\
             hint: set `region` in the `SdkConfig` or client, such as with `aws_config::from_env().region(..)`"
                .to_owned(),
        ),
        (
            "a region that does not exist",
            region(Some("Frankfurt am Main")),
            "secret `app/prod/database`: the request cannot be built (GetSecretValue)\n\
             hint: check the region's name and the endpoint's URL"
                .to_owned(),
        ),
        (
            "no credentials provider",
            without.build(),
            "secret `app/prod/database`: the given AWS configuration has no credentials (GetSecretValue)\n\
             hint: give it a credentials provider; `aws_config::load_defaults` sets one"
                .to_owned(),
        ),
        (
            "no credentials",
            failing(|| CredentialsError::not_loaded("canary")),
            format!("secret `app/prod/database`: no AWS credentials were found (GetSecretValue)\n{CHAIN}"),
        ),
        (
            "a bad profile",
            failing(|| CredentialsError::invalid_configuration("canary")),
            format!(
                "secret `app/prod/database`: the configuration of AWS credentials is not valid (GetSecretValue)\n\
                 {CHAIN}"
            ),
        ),
        (
            "a provider that is down",
            failing(|| CredentialsError::provider_error("canary")),
            format!("secret `app/prod/database`: AWS credentials could not be loaded (GetSecretValue)\n{CHAIN}"),
        ),
        (
            "a role that is refused",
            failing(|| CredentialsError::provider_error("unhandled error (AccessDenied): canary")),
            "secret `app/prod/database`: STS refuses the role of the AWS configuration (GetSecretValue)\n\
             hint: check that the role exists, that its trust policy allows `sts:AssumeRole` to the \
             caller, and that the caller's own policy does"
                .to_owned(),
        ),
        (
            "a provider that is slow",
            failing(|| CredentialsError::provider_timed_out(Duration::from_secs(5))),
            format!("secret `app/prod/database`: AWS credentials were not loaded in time (GetSecretValue)\n{CHAIN}"),
        ),
    ] {
        assert_eq!(refusal(one().aws_config(&config)).await, expected, "{about}");
    }
    let denied = Credentials::new("canary", "canary", None, None, "test");
    assert!(
        !format!(
            "{:?}",
            one().aws_config(
                &config().credentials_provider(SharedCredentialsProvider::new(denied)).build()
            )
        )
        .contains("canary")
    );
}

/// The SDK reads the process environment, so this runs in a process of its own.
#[test]
fn a_missing_region_or_missing_credentials_name_where_the_sdk_looked() {
    let folder = tempfile::tempdir().unwrap();
    for (region, expected) in [
        (
            None,
            "no AWS region is configured\n\
             hint: set AWS_REGION; the SDK also reads AWS_DEFAULT_REGION, `region` of the AWS profile, and the instance's metadata"
                .to_owned(),
        ),
        (Some("us-east-1"), format!("BatchGetSecretValue: no AWS credentials were found\n{CHAIN}")),
    ] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["errors::sdk::in_an_empty_environment", "--exact", "--ignored", "--nocapture"]);
        command.env_clear().env("HOME", folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(region.map(|region| ("AWS_REGION", region)));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("<<{expected}>>")), "{text}");
    }
}

/// An endpoint that answers without TLS where TLS is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_without_tls_is_named_as_such() {
    let fake = FakeSecretsManager::start().await.unwrap();
    let url = fake.endpoint_url().replace("http://", "https://");
    let config = end_to_end::config(&url).retry_config(RetryConfig::disabled()).build();
    let client = aws_sdk_secretsmanager::Client::from_conf(config);
    let error = SecretsManager::names(["a"]).client(client).fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(message(&error).contains("the endpoint does not speak TLS"), "{error}");
    assert!(error.hint().unwrap().contains("`http://`"), "{error}");
}

#[test]
#[ignore = "run by the test above, in an environment of its own"]
#[allow(clippy::print_stdout, reason = "the test above reads it")]
fn in_an_empty_environment() {
    let error = SecretsManager::names(["a", "b"]).fetch_blocking().unwrap_err();
    println!("<<{}>>", message(&error));
}

/// Metadata that cannot be asked is no news where the error says that there is no region.
#[test]
fn the_sdks_warning_about_a_region_from_metadata_is_not_logged() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["errors::sdk::logged_without_a_region", "--exact", "--ignored", "--nocapture"]);
    // Nothing listens there.
    let nowhere = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    let output = command.env_clear().env("HOME", folder.path()).envs([nowhere]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text.split("<<").nth(1).unwrap_or_else(|| panic!("{text}"));
    assert!(text.contains("no AWS region is configured"), "{text}");
    let warnings: Vec<_> = text.lines().filter(|line| line.contains(" WARN ")).collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
    // What else the SDK logs is still there, within its spans.
    assert!(text.contains("imds_load_region"), "{text}");
}

#[tokio::test]
#[ignore = "run by the test above, in an environment of its own"]
#[allow(clippy::print_stdout, reason = "the test above reads it")]
async fn logged_without_a_region() {
    let (log, _logging) = end_to_end::Log::start();
    let error = SecretsManager::names(["a"]).fetch().await.unwrap_err();
    println!("<<{}\n{}", message(&error), log.text());
}
