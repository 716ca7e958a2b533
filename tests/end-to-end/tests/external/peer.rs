//! The servers that answer the cases, the fake and moto, and the assertions about each.

use std::collections::BTreeMap;
use std::fmt::Debug;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use end_to_end::external::Emulator;
use fake_secrets_manager::FakeSecretsManager;

/// A server in place of AWS, on a socket, without any secret.
pub(crate) struct Peer {
    pub(crate) client: Client,
    pub(crate) endpoint_url: String,
    stand_in: StandIn,
}

enum StandIn {
    Fake(FakeSecretsManager),
    Emulator(Emulator),
}

/// A known difference of moto 5.2.5 from AWS: a description, and moto's result.
pub(crate) struct MotoFault<T>(pub(crate) &'static str, pub(crate) T);

impl Peer {
    pub(crate) async fn fake() -> Self {
        let fake = FakeSecretsManager::start().await.unwrap();
        Self::new(fake.endpoint_url(), StandIn::Fake(fake))
    }

    pub(crate) async fn moto() -> Self {
        let moto = Emulator::moto();
        Self::new(moto.endpoint_url(), StandIn::Emulator(moto))
    }

    fn new(endpoint_url: String, stand_in: StandIn) -> Self {
        let client = Client::from_conf(end_to_end::config(&endpoint_url).build());
        Self { client, endpoint_url, stand_in }
    }

    /// How many requests for an operation the server received.
    pub(crate) async fn calls(&self, operation: &str) -> usize {
        match &self.stand_in {
            StandIn::Fake(fake) => fake.calls(operation),
            StandIn::Emulator(moto) => moto.calls(operation).await,
        }
    }

    /// Asserts that either server does what AWS does.
    #[track_caller]
    pub(crate) fn expect<F: PartialEq<A> + Debug, A: Debug>(&self, found: F, aws: A) {
        assert_eq!(found, aws);
    }

    /// Asserts that the fake does what AWS does, and that moto still has this fault. It fails once
    /// moto is fixed; then remove the fault.
    #[track_caller]
    pub(crate) fn expect_but<F, A, M>(&self, found: F, aws: A, moto: MotoFault<M>)
    where
        F: PartialEq<A> + PartialEq<M> + Debug,
        A: Debug,
        M: Debug,
    {
        let MotoFault(fault, instead) = moto;
        match self.stand_in {
            StandIn::Fake(_) => assert_eq!(found, aws),
            StandIn::Emulator(_) => {
                assert_ne!(found, aws, "moto does as AWS does, no more: {fault}");
                assert_eq!(found, instead, "moto does something else, not: {fault}");
            }
        }
    }
}

/// The error code, or `ok`.
pub(crate) fn code<T, E>(result: Result<T, SdkError<E>>) -> String
where
    E: ProvideErrorMetadata + Debug,
{
    refusal(result).0
}

/// The error code, or `ok`, and the message.
pub(crate) fn refusal<T, E>(result: Result<T, SdkError<E>>) -> (String, String)
where
    E: ProvideErrorMetadata + Debug,
{
    match result {
        Ok(_) => ("ok".to_owned(), String::new()),
        Err(SdkError::ServiceError(error)) => (
            // An answer that is not an error of the service, such as a crash.
            error.err().code().map_or_else(|| error.raw().status().to_string(), str::to_owned),
            error.err().message().unwrap_or_default().to_owned(),
        ),
        Err(other) => panic!("not an answer of the service: {other:?}"),
    }
}

/// The request token for a short name; it is also the id of the version.
pub(crate) fn token(name: &str) -> String {
    format!("{name:-<32}")
}

/// The short name of a version.
pub(crate) fn short(version_id: &str) -> &str {
    version_id.trim_end_matches('-')
}

/// The calls that most cases make. Versions have the short names of their tokens.
impl Peer {
    pub(crate) async fn create(&self, name: &str, text: &str, version: &str) {
        let request = self.client.create_secret().name(name).secret_string(text);
        request.client_request_token(token(version)).send().await.unwrap();
    }

    /// Puts a version with these labels, or with AWSCURRENT if there are none.
    pub(crate) async fn put(
        &self,
        name: &str,
        text: &str,
        version: &str,
        labels: &[&str],
    ) -> String {
        let labels =
            (!labels.is_empty()).then(|| labels.iter().map(|&label| label.to_owned()).collect());
        let request = self.client.put_secret_value().secret_id(name).secret_string(text);
        code(request.client_request_token(token(version)).set_version_stages(labels).send().await)
    }

    /// The text that a get without label returns, or the code of the refusal.
    pub(crate) async fn get(&self, name: &str) -> String {
        match self.client.get_secret_value().secret_id(name).send().await {
            Ok(value) => value.secret_string().unwrap().to_owned(),
            refused => code(refused),
        }
    }

    /// The text of the version with a label, or the code of the refusal.
    pub(crate) async fn get_by_label(&self, name: &str, label: &str) -> String {
        match self.client.get_secret_value().secret_id(name).version_stage(label).send().await {
            Ok(value) => value.secret_string().unwrap().to_owned(),
            refused => code(refused),
        }
    }

    /// The result of a batch with one secret.
    pub(crate) async fn get_by_batch(&self, name: &str) -> String {
        let batch = self.client.batch_get_secret_value().secret_id_list(name).send().await.unwrap();
        batch.secret_values()[0].secret_string().unwrap().to_owned()
    }

    /// Each version with its labels, as DescribeSecret shows them: `v1: AWSPREVIOUS`.
    pub(crate) async fn labels(&self, name: &str) -> Vec<String> {
        let described = self.client.describe_secret().secret_id(name).send().await.unwrap();
        let versions = described.version_ids_to_stages().cloned().unwrap_or_default();
        shown(versions)
    }

    pub(crate) async fn move_label(
        &self,
        name: &str,
        label: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> String {
        let request =
            self.client.update_secret_version_stage().secret_id(name).version_stage(label);
        let request = request
            .set_remove_from_version_id(from.map(token))
            .set_move_to_version_id(to.map(token));
        code(request.send().await)
    }
}

/// Each version with its labels, in order.
pub(crate) fn shown(versions: impl IntoIterator<Item = (String, Vec<String>)>) -> Vec<String> {
    let versions: BTreeMap<_, _> = versions.into_iter().collect();
    versions
        .into_iter()
        .map(|(version, mut labels)| {
            labels.sort();
            format!("{}: {}", short(&version), labels.join(" ")).trim_end_matches(": ").to_owned()
        })
        .collect()
}
