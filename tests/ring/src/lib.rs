//! A program with `ring` in its other crates: neither its own TLS nor ours panics.

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustls::{ClientConfig, RootCertStore};
    use secrets_provider::{ErrorKind, SecretsManager};

    /// What redis, sqlx and others do. It panics if both `ring` and `aws-lc-rs` are compiled in.
    #[test]
    fn rustls_has_one_provider() {
        let roots = RootCertStore::empty();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        assert!(!config.crypto_provider().cipher_suites.is_empty());
    }

    #[test]
    fn our_client_is_made_with_ring() {
        let test = std::env::current_exe().expect("this test");
        let output = Command::new(test)
            .args(["tests::in_an_environment_of_its_own", "--exact", "--ignored"])
            .env_clear()
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_MAX_ATTEMPTS", "1")
            // Nothing listens there, and no server is needed to make the client.
            .env("AWS_ENDPOINT_URL", "https://127.0.0.1:9")
            .output()
            .expect("the test runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[tokio::test]
    #[ignore = "run by the test above, in an environment of its own"]
    async fn in_an_environment_of_its_own() {
        let error = SecretsManager::names(["a"]).fetch().await.expect_err("no server");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("the endpoint refuses connections"), "{error}");
    }
}
