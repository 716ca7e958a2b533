//! Region, credentials, endpoint, clock, and the permissions that are needed, each by trying it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::credential_feature::AwsCredentialFeature as Feature;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;
use aws_sdk_secretsmanager::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use secrets_provider::{ErrorKind, SecretsManager};
use serde_json::Value;
use tokio::time::timeout;

use super::{Line, Mark};
use crate::select::Selection;
use crate::store;

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// AWS refuses signatures that are more seconds from its own time
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>).
const MAX_SKEW: u64 = 5 * 60;

/// What AWS answers to credentials that are over, unknown or do not fit.
const NOT_ACCEPTED: [&str; 5] = [
    "ExpiredTokenException",
    "ExpiredToken",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "UnrecognizedClientException",
];

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

/// Looks at everything that is not about one secret. Returns whether a region is configured, without
/// which nothing can be read.
pub(super) async fn look(selection: &Selection, needs: &[Need], lines: &mut Vec<Line>) -> bool {
    let config = match selection.sdk_config().await {
        Ok(config) => config,
        Err(error) => {
            lines.extend(Line::of_error("region", &error));
            return false;
        }
    };
    let Some(region) = config.region().map(ToString::to_string) else {
        let todo = "set AWS_REGION, give --region, or a profile that has a region";
        lines.push(Line::new(Mark::Bad, "region", "no AWS region is configured").todo(todo));
        return false;
    };
    lines.push(Line::good("region", &region));
    if !credentials(&config, lines).await {
        return true;
    }
    if !selection.has_endpoint() {
        lines.push(caller(&config).await);
    }
    let client = match selection.manager().await {
        Ok(manager) => manager.sdk_client().await,
        Err(error) => Err(error),
    };
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            lines.extend(Line::of_error("endpoint", &error));
            return true;
        }
    };
    let url = selection.endpoint(&config, &region);
    lines.push(endpoint(&url).await);
    permissions(&client, needs, lines).await;
    true
}

async fn credentials(config: &SdkConfig, lines: &mut Vec<Line>) -> bool {
    let Some(provider) = config.credentials_provider() else {
        lines.push(Line::new(Mark::Bad, "credentials", "there is no provider of credentials"));
        return false;
    };
    match timeout(PATIENCE, provider.provide_credentials()).await {
        Ok(Ok(credentials)) => {
            let source = credentials.get_property::<Vec<Feature>>();
            let source = source.and_then(|source| source.iter().rev().find_map(source_of));
            let mut text = format!("from {}", source.unwrap_or("a provider of the SDK"));
            let mut line = Mark::Good;
            if let Some(end) = credentials.expiry() {
                text += &format!(", until {}", store::time(end));
                if end < SystemTime::now() {
                    line = Mark::Bad;
                    text += ", which is over";
                }
            }
            let line = Line::new(line, "credentials", text);
            let expired = line.mark == Mark::Bad;
            lines.push(if expired { line.todo("sign in again") } else { line });
            !expired
        }
        // Reading the secrets says why, and where the SDK looked. Its own errors may quote files.
        Ok(Err(_)) | Err(_) => false,
    }
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

/// Whose credentials they are.
async fn caller(config: &SdkConfig) -> Line {
    let client = aws_sdk_sts::Client::new(config);
    match timeout(PATIENCE, client.get_caller_identity().send()).await {
        Ok(Ok(answer)) => Line::good("caller", answer.arn.unwrap_or_default()),
        Ok(Err(error)) if error.code().is_some() => {
            let todo =
                "the credentials are expired, revoked or of another partition: sign in again";
            Line::new(Mark::Bad, "caller", "AWS refuses the credentials (sts:GetCallerIdentity)")
                .todo(todo)
        }
        _ => Line::new(Mark::Warn, "caller", "AWS STS is not reached; whose they are is unknown"),
    }
}

/// Host and port of a URL.
fn address(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let default = if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
        }
        _ => Some((authority.trim_matches(['[', ']']).to_owned(), default)),
    }
}

/// Whether a connection can be made.
async fn endpoint(url: &str) -> Line {
    let bad = |text: String| Line::new(Mark::Bad, "endpoint", text);
    let Some((host, port)) = address(url) else {
        return bad("its URL is not valid".to_owned()).todo("correct --endpoint-url");
    };
    let proxied = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|proxy| !proxy.is_empty()));
    if proxied && port == 443 {
        return Line::good("endpoint", format!("{host}, by the proxy of HTTPS_PROXY"));
    }
    let found = match timeout(PATIENCE, tokio::net::lookup_host((host.as_str(), port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let Some(first) = found.first() else {
        return bad(format!("DNS does not know {host}"))
            .todo("check region and --endpoint-url, and the DNS of the network");
    };
    let private = match first.ip() {
        std::net::IpAddr::V4(ip) => ip.is_private(),
        std::net::IpAddr::V6(ip) => ip.is_unique_local(),
    };
    match timeout(PATIENCE, tokio::net::TcpStream::connect(&found[..])).await {
        Ok(Ok(_)) if private => {
            Line::good("endpoint", format!("{host}:{port} answers, at a VPC endpoint"))
        }
        Ok(Ok(_)) => Line::good("endpoint", format!("{host}:{port} answers")),
        _ if private => bad(format!("{host}:{port} is a VPC endpoint that does not answer"))
            .todo("let its security group allow HTTPS from here"),
        _ => bad(format!("{host}:{port} does not answer")).todo(
            "in a private subnet, add a NAT gateway or the interface endpoint of Secrets Manager",
        ),
    }
}

/// Tries the calls that are not about one secret.
async fn permissions(client: &Client, needs: &[Need], lines: &mut Vec<Line>) {
    let clock = Clock::default();
    for need in needs {
        let (code, optional) = match need.action.as_str() {
            "ListSecrets" => {
                let call = client.list_secrets().max_results(1).customize();
                let answer = timeout(PATIENCE, call.interceptor(clock.clone()).send()).await;
                (
                    answer.map(|answer| answer.err().map(|error| error.code().map(str::to_owned))),
                    false,
                )
            }
            "BatchGetSecretValue" => {
                // A name that does not exist is no error of the call, and no value is read.
                let name = "secrets-provider/doctor/does-not-exist";
                let call = client.batch_get_secret_value().secret_id_list(name).customize();
                let answer = timeout(PATIENCE, call.interceptor(clock.clone()).send()).await;
                (
                    answer.map(|answer| answer.err().map(|error| error.code().map(str::to_owned))),
                    true,
                )
            }
            _ => continue,
        };
        let topic = &need.action;
        let code = code.unwrap_or(Some(None)).map(|code| code.map(known));
        lines.push(match code {
            None => Line::good(topic, "allowed"),
            Some(None) => Line::new(Mark::Bad, topic, "no answer")
                .todo("check the endpoint, the proxy, and the certificates for TLS"),
            Some(Some(code)) if code.contains("AccessDenied") && optional => {
                let text = "not allowed; each secret costs a call of its own instead";
                Line::new(Mark::Warn, topic, text).todo(format!("allow {}", need.statement))
            }
            Some(Some(code)) if code.contains("AccessDenied") => {
                Line::new(Mark::Bad, topic, "denied").todo(format!("allow {}", need.statement))
            }
            Some(Some(code)) if NOT_ACCEPTED.contains(&code.as_str()) => {
                let text = format!("AWS does not accept the credentials ({code})");
                Line::new(Mark::Bad, topic, text).todo("sign in again; check the clock")
            }
            Some(Some(_)) if optional => Line::new(Mark::Warn, topic, "refused by this endpoint"),
            Some(Some(code)) => Line::new(Mark::Bad, topic, format!("refused ({code})")),
        });
    }
    lines.extend(clock.line());
}

/// A code of AWS. Another server may write anything there.
fn known(code: String) -> String {
    match code.len() <= 64 && code.bytes().all(|c| c.is_ascii_alphabetic()) {
        true if code.ends_with("Exception") || NOT_ACCEPTED.contains(&code.as_str()) => code,
        _ => "an unknown code".to_owned(),
    }
}

/// The time of the answers, beside ours.
#[derive(Debug, Clone, Default)]
struct Clock(Arc<Mutex<Option<(DateTime, SystemTime)>>>);

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(date) = date {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *seen = Some((date, SystemTime::now()));
        }
        Ok(())
    }
}

impl Clock {
    fn line(&self) -> Option<Line> {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (theirs, ours) = seen?;
        let ours = ours.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let apart = Duration::from_secs(i64::try_from(ours).ok()?.abs_diff(theirs.secs()));
        Some(skew(apart))
    }
}

fn skew(apart: Duration) -> Line {
    let text = format!("{} s apart from AWS", apart.as_secs());
    let todo = "set the clock of this machine, such as by NTP";
    match apart.as_secs() {
        ..60 => Line::good("clock", "less than a minute apart from AWS"),
        60..=MAX_SKEW => Line::new(Mark::Warn, "clock", text).todo(todo),
        _ => Line::new(Mark::Bad, "clock", text).todo(todo),
    }
}

/// Whether an error says that something is not allowed.
pub(super) fn is_denied(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::AccessDenied | ErrorKind::Kms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_from_a_url() {
        for (url, expected) in [
            (
                "https://secretsmanager.eu-central-1.amazonaws.com",
                Some(("secretsmanager.eu-central-1.amazonaws.com", 443)),
            ),
            ("http://127.0.0.1:4566/x", Some(("127.0.0.1", 4566))),
            ("http://[::1]:80", Some(("::1", 80))),
            ("https://[::1]", Some(("::1", 443))),
            ("nonsense", None),
            ("http://a:b", None),
        ] {
            let found = address(url);
            assert_eq!(
                found.as_ref().map(|(host, port)| (host.as_str(), *port)),
                expected,
                "{url}"
            );
        }
    }

    #[test]
    fn a_clock_may_be_a_little_wrong() {
        for (seconds, mark) in
            [(0, Mark::Good), (59, Mark::Good), (60, Mark::Warn), (301, Mark::Bad)]
        {
            assert_eq!(skew(Duration::from_secs(seconds)).mark, mark, "{seconds}");
        }
    }
}
