//! Region, credentials, endpoint, clock, and the permissions that are needed, each by trying it.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::credential_feature::AwsCredentialFeature as Feature;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use secrets_provider::SecretsManager;
use serde_json::Value;
use tokio::time::timeout;

use super::clock::Clock;
use super::{Line, Mark, PATIENCE, reach};
use crate::select::Selection;
use crate::store;

/// What AWS answers to credentials that are over, unknown or do not fit, and what to do.
const NOT_ACCEPTED: [(&str, &str); 7] = [
    ("ExpiredTokenException", EXPIRED),
    ("ExpiredToken", EXPIRED),
    ("RequestExpired", SIGNATURE),
    ("InvalidClientTokenId", UNKNOWN),
    ("UnrecognizedClientException", UNKNOWN),
    ("InvalidSignatureException", SIGNATURE),
    ("SignatureDoesNotMatch", SIGNATURE),
];
const EXPIRED: &str = "they are over: sign in again (`aws sso login`), or get new keys with their \
                       AWS_SESSION_TOKEN";
const UNKNOWN: &str = "AWS does not know the access key: it is mistyped, deleted, or of another \
                       partition; temporary keys need their AWS_SESSION_TOKEN, and a region that is \
                       off by default has to be enabled";
const SIGNATURE: &str = "the secret key is not that of the access key, or this machine's clock is \
                         wrong (see `clock`)";

/// A part of the policy.
pub(super) struct Need {
    pub(super) action: String,
    statement: String,
}

/// What the library's policy allows.
pub(super) fn needs(manager: &SecretsManager) -> Vec<Need> {
    let policy: Value = serde_json::from_str(&manager.iam_policy()).unwrap_or_default();
    let statements = policy["Statement"].as_array().into_iter().flatten();
    statements
        .filter_map(|statement| {
            let action = statement["Action"].as_str()?.strip_prefix("secretsmanager:")?.to_owned();
            Some(Need { action, statement: statement.to_string() })
        })
        .collect()
}

/// How far the search gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// Secrets can be asked for.
    Store,
    /// The SDK has no credentials; reading says why.
    NoCredentials,
    /// A line says what is wrong, and nothing can be read.
    Nothing,
}

/// Looks at everything that is not about one secret.
pub(super) async fn look(selection: &Selection, needs: &[Need], lines: &mut Vec<Line>) -> Reached {
    let config = match selection.sdk_config().await {
        Ok(config) => config,
        Err(error) => {
            // The selection may have met it, too.
            let found = Line::of_error("region", &error).into_iter();
            let new = found.filter(|line| !lines.iter().any(|known| known.text == line.text));
            let new: Vec<Line> = new.collect();
            lines.extend(new);
            return Reached::Nothing;
        }
    };
    let Some(region) = config.region().map(ToString::to_string) else {
        let todo = "set AWS_REGION, give --region, or a profile that has a region";
        lines.push(Line::new(Mark::Bad, "region", "no AWS region is configured").todo(todo));
        return Reached::Nothing;
    };
    lines.push(Line::good("region", &region));
    let (url, set_by) = selection.endpoint(&config, &region);
    let endpoint = reach::aws(&config, &url, set_by).await;
    let unreached = endpoint.mark == Mark::Bad;
    match credentials(&config).await {
        None if unreached => {
            lines.push(endpoint);
            return Reached::Nothing;
        }
        None => return Reached::NoCredentials,
        Some(line) => {
            let over = line.mark == Mark::Bad;
            lines.push(line);
            if over {
                return Reached::Nothing;
            }
        }
    }
    if unreached {
        lines.push(endpoint);
        return Reached::Nothing;
    }
    if selection.asks_sts() && !caller(&config, lines).await {
        return Reached::Nothing;
    }
    lines.push(endpoint);
    match selection.client().await {
        Ok(client) => permissions(&client, needs, lines).await,
        Err(error) => {
            lines.extend(Line::of_error("endpoint", &error));
            Reached::Nothing
        }
    }
}

/// Where the credentials come from, if there are any. Otherwise reading the secrets says why, and
/// where the SDK looked; its own errors may quote files.
async fn credentials(config: &SdkConfig) -> Option<Line> {
    let provider = config.credentials_provider()?;
    let found = timeout(PATIENCE, provider.provide_credentials()).await.ok()?.ok()?;
    let source = found.get_property::<Vec<Feature>>();
    let source = source.and_then(|source| source.iter().rev().find_map(source_of));
    let mut text = format!("from {}", source.unwrap_or("a provider of the SDK"));
    let Some(end) = found.expiry() else { return Some(Line::good("credentials", text)) };
    text += &format!(", until {}", store::time(end));
    Some(match end < SystemTime::now() {
        true => Line::new(Mark::Bad, "credentials", format!("{text}, which is over")).todo(EXPIRED),
        false => Line::good("credentials", text),
    })
}

fn source_of(feature: &Feature) -> Option<&'static str> {
    Some(match feature {
        Feature::CredentialsEnvVars => "the environment",
        Feature::CredentialsEnvVarsStsWebIdToken | Feature::CredentialsStsAssumeRoleWebId => {
            "a web identity"
        }
        Feature::CredentialsStsAssumeRole => "a role that was assumed",
        Feature::CredentialsProfile | Feature::CredentialsProfileSourceProfile => "an AWS profile",
        Feature::CredentialsProfileSso | Feature::CredentialsSso => "single sign-on",
        Feature::CredentialsProfileProcess | Feature::CredentialsProcess => "a process",
        Feature::CredentialsHttp => "the container's role",
        Feature::CredentialsImds => "the instance's role",
        Feature::CredentialsCode => "the program",
        _ => return None,
    })
}

/// Whose credentials they are. Returns whether AWS accepts them, as far as it is known.
async fn caller(config: &SdkConfig, lines: &mut Vec<Line>) -> bool {
    let clock = Clock::default();
    let call = aws_sdk_sts::Client::new(config).get_caller_identity().customize();
    let unknown = |text: &str| Line::new(Mark::Warn, "caller", text);
    match timeout(PATIENCE, call.interceptor(clock.clone()).send()).await {
        Ok(Ok(answer)) => {
            lines.push(match answer.arn {
                Some(arn) => Line::good("caller", arn),
                None => unknown("STS does not say whose the credentials are"),
            });
            return true;
        }
        Ok(Err(error)) => match error.code().map(|code| known(code.to_owned())) {
            Some(code) if not_accepted(&code).is_some() => {
                refused(&code, &clock, lines);
                return false;
            }
            code if code.is_some() || error.raw_response().is_some() => lines
                .push(unknown("this endpoint has no STS; whose the credentials are is unknown")),
            _ => {
                lines.push(unknown("AWS STS is not reached; whose the credentials are is unknown"))
            }
        },
        Err(_) => {
            lines.push(unknown("AWS STS is not reached; whose the credentials are is unknown"))
        }
    }
    true
}

fn not_accepted(code: &str) -> Option<&'static str> {
    NOT_ACCEPTED.iter().find(|(known, _)| *known == code).map(|(_, todo)| *todo)
}

/// AWS has refused the credentials: that is their line, and all else follows from it.
fn refused(code: &str, clock: &Clock, lines: &mut Vec<Line>) {
    let todo = not_accepted(code).unwrap_or(UNKNOWN);
    let text = |text: &str| format!("{text}; AWS does not accept them ({code})");
    match lines.iter_mut().find(|line| line.topic == "credentials") {
        Some(line) => {
            *line = Line::new(Mark::Bad, "credentials", text(&line.text)).todo(todo);
        }
        None => lines.push(Line::new(Mark::Bad, "credentials", text("found")).todo(todo)),
    }
    lines.extend(clock.line());
}

/// Tries the calls that are not about one secret.
async fn permissions(client: &Client, needs: &[Need], lines: &mut Vec<Line>) -> Reached {
    let clock = Clock::default();
    for need in needs {
        let (code, optional) = match need.action.as_str() {
            "ListSecrets" => {
                let call = client.list_secrets().max_results(1).customize();
                (failure(call.interceptor(clock.clone()).send()).await, false)
            }
            "BatchGetSecretValue" => {
                // A name that does not exist is no error of the call, and no value is read.
                let name = "secrets-provider/doctor/does-not-exist";
                let call = client.batch_get_secret_value().secret_id_list(name).customize();
                (failure(call.interceptor(clock.clone()).send()).await, true)
            }
            _ => continue,
        };
        let topic = &need.action;
        lines.push(match code {
            None => Line::good(topic, "allowed"),
            Some(None) => Line::new(Mark::Bad, topic, "no answer")
                .todo("check the endpoint, the proxy, and the certificates for TLS"),
            Some(Some(code)) if code.contains("AccessDenied") && optional => {
                let text = "not allowed; each secret costs a call of its own instead";
                Line::new(Mark::Warn, topic, text).todo(format!("allow {}", need.statement))
            }
            Some(Some(code)) if code.contains("AccessDenied") => {
                Line::denied(topic).todo(format!("allow {}", need.statement))
            }
            Some(Some(code)) if not_accepted(&code).is_some() => {
                refused(&code, &clock, lines);
                return Reached::Nothing;
            }
            Some(Some(_)) if optional => Line::new(Mark::Warn, topic, "refused by this endpoint")
                .todo("nothing, if it is an emulator without this call"),
            Some(Some(code)) => Line::new(Mark::Bad, topic, format!("refused ({code})"))
                .todo("check that the endpoint is that of Secrets Manager"),
        });
    }
    lines.extend(clock.line());
    Reached::Store
}

/// Why a call failed, if it did; `Some(None)` if there was no answer.
async fn failure<T, E: ProvideErrorMetadata>(
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Option<Option<String>> {
    match timeout(PATIENCE, call).await {
        Ok(answer) => answer.err().map(|error| reason(&error)),
        Err(_) => Some(None),
    }
}

/// Why a call failed: AWS's code, or else the status of an answer that is not AWS's. `None` if there
/// was no answer.
fn reason<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let status = || Some(format!("HTTP {}", error.raw_response()?.status().as_u16()));
    error.code().map(|code| known(code.to_owned())).or_else(status)
}

/// A code of AWS. Another server may write anything there.
fn known(code: String) -> String {
    match code.len() <= 64 && code.bytes().all(|c| c.is_ascii_alphabetic()) {
        true if code.ends_with("Exception") || code == "AccessDenied" => code,
        true if not_accepted(&code).is_some() => code,
        _ => "an unknown code".to_owned(),
    }
}
