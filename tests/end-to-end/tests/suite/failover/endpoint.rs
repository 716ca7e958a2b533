//! An endpoint that was set by hand counts for both regions, so it may not be AWS's own. What a host
//! of AWS looks like is a table in the core, and which variables set one is in `policies::switches`.

use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Error, ErrorKind, SecretsManager};

use super::{REPLICA, Regions};

const OF_FIRST: &str = "https://secretsmanager.us-east-1.amazonaws.com";
const OF_VPC: &str = "https://vpce-0a1b2c3d-0a1b2c3d.secretsmanager.us-east-1.vpce.amazonaws.com";
const EMULATOR: &str = "http://localhost:4566";

fn of_client(fake: &FakeSecretsManager, endpoint: &str) -> SecretsManager {
    let config = fake.client().config().to_builder().endpoint_url(endpoint).build();
    SecretsManager::prefix("app").client(aws_sdk_secretsmanager::Client::from_conf(config))
}

fn of_config(fake: &FakeSecretsManager, endpoint: &str) -> SecretsManager {
    let config = fake.sdk_config().into_builder().endpoint_url(endpoint).build();
    SecretsManager::prefix("app").aws_config(&config)
}

fn assert_refused(case: &str, error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Config, "{case}: {error}");
    let said = format!("{error} {}", error.hint().unwrap_or_default());
    for part in ["only serves us-east-1", "in eu-west-1", "AWS_ENDPOINT_URL", ".or_region(..)"] {
        assert!(said.contains(part), "{case}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_of_aws_is_refused_at_the_start_and_any_other_serves_both_regions() {
    let fake = FakeSecretsManager::new();
    fake.put("app/a", "1");
    for (case, manager) in [
        ("a client", of_client(&fake, OF_FIRST)),
        ("a VPC endpoint", of_client(&fake, OF_VPC)),
        ("a configuration", of_config(&fake, OF_FIRST)),
        ("nothing listed", of_client(&fake, OF_VPC).only(["a"])),
        ("a fallback", of_client(&fake, OF_VPC).fallback_to_env()),
        ("an optional secret", of_client(&fake, OF_VPC).only(["a"]).optional(["a"])),
    ] {
        let error = manager.clone().or_region(REPLICA).fetch().await.expect_err(case);
        assert_refused(case, &error);
        let error = manager.clone().or_region(REPLICA).live::<serde_json::Value>().await;
        assert_refused(case, &error.expect_err(case));
        let lookup = manager.clone().or_region(REPLICA).lookup();
        assert_refused(case, &lookup.get::<u64>("a").await.expect_err(case));
        assert_eq!(fake.total_calls(), 0, "{case}");

        // Without a second region, it is nobody's business.
        manager.fetch().await.expect(case);
        fake.reset_calls();
    }
    for (case, manager) in [
        ("a client", of_client(&fake, EMULATOR)),
        ("a configuration", of_config(&fake, EMULATOR)),
        ("none", SecretsManager::prefix("app").client(fake.client())),
    ] {
        manager.or_region(REPLICA).fetch().await.expect(case);
    }
}

/// Of several sources, the error says which.
#[tokio::test(start_paused = true)]
async fn of_several_sources_the_error_names_the_one_with_the_endpoint() {
    let regions = Regions::new();
    let fake = FakeSecretsManager::new();
    fake.put("own/b", "1");
    let config = fake.client().config().to_builder().endpoint_url(OF_FIRST).build();
    let client = aws_sdk_secretsmanager::Client::from_conf(config);
    let own = || SecretsManager::prefix("own").client(client.clone()).or_region(REPLICA);
    for own in [own(), own().only(["b"])] {
        let error = regions.manager().and(own).fetch().await.unwrap_err();
        assert_refused("a source", &error);
        assert!(error.to_string().contains("source `own"), "{error}");
    }
}
