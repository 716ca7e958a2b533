//! What keeps the SDK from credentials, in the order in which it looks for them.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use http::Uri;

use super::{
    CONFIG_FILE, CONTAINER_PATH, CONTAINER_TOKEN_FILE, CONTAINER_URI, CREDENTIALS_FILE, KEY_ID,
    PROFILE, ROLE, SECRET_KEY, Setup, TOKEN, TOKEN_FILE, only_in_dotenv, read,
};
use crate::backend::aws::values::{
    self, is_flag, is_header, is_http, is_key_id, is_role, is_temporary,
};
use crate::error::{Error, ErrorKind};

const CONTAINER_TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
pub(super) const METADATA_DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
const METADATA_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
const CREDENTIALS_ENDPOINTS: [&str; 4] = [
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_SSO",
    "AWS_ENDPOINT_URL_SSO_OIDC",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
];

impl Setup {
    /// What keeps the SDK from credentials, and what to do about it, if it is a slip.
    pub(in crate::backend::aws) fn no_credentials(&self) -> Option<(String, String)> {
        self.key_slip()
            .or_else(|| self.profile_slip().map(|slip| self.beside_dotenv(slip)))
            .or_else(|| self.profile_content_slip().map(|slip| self.beside_dotenv(slip)))
            .or_else(|| self.token_file_slip())
            .or_else(|| self.container_slip())
            .or_else(|| self.endpoint_slip())
            .or_else(|| self.dotenv_slip())
            .or_else(|| {
                self.misnamed(&[KEY_ID, SECRET_KEY, PROFILE, CREDENTIALS_FILE, CONFIG_FILE])
            })
            .or_else(|| self.profile_without_credentials().filter(|_| self.asks_no_server()))
    }

    /// Why AWS does not know the key: it is temporary and lacks its token, or has one although it is
    /// not.
    pub(in crate::backend::aws) fn token_slip(&self) -> Option<(String, String)> {
        let id = self.process(KEY_ID).filter(|id| is_key_id(id));
        let (is_temporary, has_token, shown) = match id {
            Some(id) => (is_temporary(id), self.process(TOKEN).is_some(), [KEY_ID, TOKEN]),
            None => {
                let profiles = self.profiles();
                let profile = profiles.get(self.process(PROFILE).unwrap_or("default"))?;
                let has_token = profile.keys.contains("aws_session_token");
                let shown = ["aws_access_key_id", "aws_session_token"];
                (profile.has_temporary_key?, has_token, shown)
            }
        };
        let [key, token] = shown;
        match (is_temporary, has_token) {
            (true, false) => Some(self.misnamed(&[TOKEN]).unwrap_or_else(|| {
                (
                    format!("`{key}` is a temporary key, which needs its token"),
                    format!("set `{token}`, which AWS gave out with the key"),
                )
            })),
            (false, true) => Some((
                format!("`{token}` is set, and `{key}` is a key that has no token"),
                format!("unset `{token}`"),
            )),
            _ => None,
        }
    }

    /// Whether only variables and files could give credentials, so that there is no outage.
    pub(in crate::backend::aws) fn asks_no_server(&self) -> bool {
        self.is_without_metadata()
            && [TOKEN_FILE, CONTAINER_URI, CONTAINER_PATH]
                .iter()
                .all(|name| self.process(name).is_none())
            && (self.process(PROFILE).is_none() || self.profile_gives_none())
    }

    pub(super) fn is_without_metadata(&self) -> bool {
        let disabled = self.process(METADATA_DISABLED);
        disabled.is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Refuses a token file that is sure to be used and holds no token, so that this does not take a
    /// call to STS and its retries to find out.
    pub(in crate::backend::aws) fn check_token_file(&self) -> Result<(), Error> {
        let (Some(path), Some(_)) = (self.process(TOKEN_FILE), self.process(ROLE)) else {
            return Ok(());
        };
        let has_keys = [KEY_ID, SECRET_KEY].iter().any(|name| self.process(name).is_some());
        // The SDK asks the profile first. Other settings of it give no credentials.
        let profile = self.process(PROFILE).unwrap_or("default");
        let has_profile = self.profiles().get(profile).is_some_and(|profile| {
            let gives =
                ["aws_", "role_", "source_", "credential_", "web_identity_", "sso_", "login_"];
            profile.keys.iter().any(|key| gives.iter().any(|start| key.starts_with(start)))
        });
        match self.file_slip(TOKEN_FILE, path).filter(|_| !has_keys && !has_profile) {
            None => Ok(()),
            Some((what, hint)) => {
                let what = format!("{what} (AWS credentials could not be loaded)");
                Err(Error::new(ErrorKind::Config, what).with_hint(hint))
            }
        }
    }

    fn key_slip(&self) -> Option<(String, String)> {
        let pair = "set both, or neither to use another source of credentials";
        let slip = |missing: &'static str, beside: &str| {
            if self.environment.of_dotenv(missing).is_some() {
                let what = format!("`{missing}` is set only in `.env`, but `{beside}` is not");
                return Some((what, format!("{}; {pair}", only_in_dotenv(missing))));
            }
            let how = match self.environment.is_in_process(missing) {
                true => "empty",
                false => "not set",
            };
            let what = format!("variable `{missing}` is {how}, but `{beside}` is set");
            Some(match self.misnamed(&[missing]) {
                Some((slip, hint)) => (what, format!("{slip}: {hint}")),
                None => (what, pair.to_owned()),
            })
        };
        match (self.process(KEY_ID), self.process(SECRET_KEY), self.process(TOKEN)) {
            (Some(_), None, _) => slip(SECRET_KEY, KEY_ID),
            (None, Some(_), _) => slip(KEY_ID, SECRET_KEY),
            (None, None, Some(_)) => slip(KEY_ID, TOKEN),
            _ => None,
        }
    }

    fn token_file_slip(&self) -> Option<(String, String)> {
        match (self.process(TOKEN_FILE), self.process(ROLE)) {
            (Some(_), None) => Some((
                format!("variable `{ROLE}` is not set, but `{TOKEN_FILE}` is"),
                format!("set `{ROLE}` to the role that the token is for"),
            )),
            (None, Some(_)) => Some((
                format!("variable `{TOKEN_FILE}` is not set, but `{ROLE}` is"),
                format!("set `{TOKEN_FILE}` (on EKS, the service account's annotation sets both)"),
            )),
            (Some(path), Some(role)) => self
                .file_slip(TOKEN_FILE, path)
                .or_else(|| (!is_role(role)).then(|| not_right(ROLE, values::ROLE))),
            (None, None) => None,
        }
    }

    fn container_slip(&self) -> Option<(String, String)> {
        if self.process(CONTAINER_URI).is_some_and(|uri| !is_http(uri)) {
            let what = format!("`{CONTAINER_URI}` is not a URL with a scheme");
            return Some((what, "it starts with `http://` or `https://`".to_owned()));
        }
        if self.process(CONTAINER_URI).is_some_and(is_far_and_open) {
            let expected = "`https://`, or `http://` to this machine or to the address that ECS or EKS \
                            gives";
            return Some(not_right(CONTAINER_URI, expected));
        }
        let path = self.process(CONTAINER_PATH);
        if path.is_some_and(|path| !path.starts_with('/')) {
            return Some(not_right(CONTAINER_PATH, "a path that begins with `/`"));
        }
        self.process(CONTAINER_URI).or(path)?;
        let token = self.process(CONTAINER_TOKEN);
        if token.is_some_and(|token| !is_header(token)) {
            return Some(not_right(CONTAINER_TOKEN, "one line of visible ASCII characters"));
        }
        let path = self.process(CONTAINER_TOKEN_FILE)?;
        self.file_slip(CONTAINER_TOKEN_FILE, path).or_else(|| {
            let text = read(Path::new(path)).ok().filter(|text| !is_header(text))?;
            let what = match is_header(text.trim_end()) {
                true => "ends with a line's end",
                false => "is not one line of visible ASCII characters",
            };
            let hint = "write the token without anything around it, as with `printf %s`";
            Some((format!("the file that `{CONTAINER_TOKEN_FILE}` names {what}"), hint.to_owned()))
        })
    }

    /// The servers that are asked for credentials.
    fn endpoint_slip(&self) -> Option<(String, String)> {
        let is_wrong = |name: &&&str| self.process(name).is_some_and(|url| !is_http(url));
        if let Some(name) = CREDENTIALS_ENDPOINTS.iter().find(is_wrong) {
            return Some(not_right(name, values::URL));
        }
        let is_mode = |mode: &str| ["ipv4", "ipv6"].iter().any(|m| mode.eq_ignore_ascii_case(m));
        if self.process(METADATA_MODE).is_some_and(|mode| !is_mode(mode)) {
            return Some(not_right(METADATA_MODE, "`IPv4` or `IPv6`"));
        }
        let disabled = self.process(METADATA_DISABLED)?;
        (!is_flag(disabled)).then(|| not_right(METADATA_DISABLED, values::FLAG))
    }

    /// Credentials that only `.env` sets, which the SDK does not read.
    fn dotenv_slip(&self) -> Option<(String, String)> {
        let names = [
            KEY_ID,
            SECRET_KEY,
            PROFILE,
            CREDENTIALS_FILE,
            CONFIG_FILE,
            TOKEN_FILE,
            CONTAINER_URI,
            CONTAINER_PATH,
        ];
        let name = names.into_iter().find(|name| self.environment.of_dotenv(name).is_some())?;
        Some((format!("`{name}` is set only in `.env`"), only_in_dotenv(name)))
    }

    /// A slip in a profile, with what to know if only `.env` names it.
    fn beside_dotenv(&self, (what, hint): (String, String)) -> (String, String) {
        match self.environment.of_dotenv(PROFILE) {
            Some(_) => (
                format!("{what}, and `{PROFILE}` is set only in `.env`"),
                format!("{hint}; {}", only_in_dotenv(PROFILE)),
            ),
            None => (what, hint),
        }
    }

    /// A file that a variable names and that cannot be read, or is empty.
    pub(super) fn file_slip(&self, name: &str, path: &str) -> Option<(String, String)> {
        let what = match read(Path::new(path)) {
            Ok(text) if text.trim().is_empty() => "is empty".to_owned(),
            Ok(_) => return None,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return None,
            Err(error) => format!("cannot be read: {}", error.kind()),
        };
        let hint = format!("correct `{name}`, or mount the token where it points to");
        Some((format!("the file that `{name}` names {what}"), hint))
    }

    /// The server that is asked for credentials if variables and files have none, with its host: the
    /// container's or the instance's. Both are beside the program, where no proxy reaches.
    pub(in crate::backend::aws) fn credentials_url(&self) -> Option<(String, String)> {
        let url = match self.process(CONTAINER_URI) {
            Some(uri) => uri.to_owned(),
            None if self.process(CONTAINER_PATH).is_some() => "http://169.254.170.2".to_owned(),
            None if self.is_without_metadata() => return None,
            None => "http://169.254.169.254".to_owned(),
        };
        let host = url.parse::<Uri>().ok()?.host()?.to_owned();
        Some((url, host))
    }
}

fn not_right(name: &str, expected: &str) -> (String, String) {
    let hint = "correct or remove it; its value is not shown because it may be secret";
    (format!("variable `{name}`: expected {expected}"), hint.to_owned())
}

/// Whether credentials would come over the network without TLS, which the SDK refuses
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).
fn is_far_and_open(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_near = match host.parse::<IpAddr>() {
        Ok(address) => {
            address.is_loopback()
                || ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"].contains(&host)
        }
        // Another name may lead here, too, and the SDK looks it up.
        Err(_) => !host.contains('.'),
    };
    url.scheme_str() == Some("http") && !is_near
}
