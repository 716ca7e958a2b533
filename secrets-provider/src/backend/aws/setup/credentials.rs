//! What keeps the SDK from credentials, in the order in which it looks for them.

use std::io;
use std::path::Path;

use http::Uri;

use super::{
    CONTAINER_PATH, CONTAINER_TOKEN_FILE, CONTAINER_URI, KEY_ID, PROFILE, ROLE, SECRET_KEY, Setup,
    TOKEN, TOKEN_FILE, only_in_dotenv, read,
};
use crate::backend::aws::values::is_http;
use crate::error::{Error, ErrorKind};

impl Setup {
    /// What keeps the SDK from credentials, and what to do about it, if it is a slip.
    pub(in crate::backend::aws) fn no_credentials(&self) -> Option<(String, String)> {
        self.key_slip()
            .or_else(|| self.profile_slip())
            .or_else(|| self.profile_content_slip())
            .or_else(|| self.token_file_slip())
            .or_else(|| self.container_slip())
            .or_else(|| self.dotenv_slip())
    }

    /// Whether only variables and files could give credentials, so that there is no outage.
    pub(in crate::backend::aws) fn asks_no_server(&self) -> bool {
        self.is_without_metadata()
            && [TOKEN_FILE, PROFILE, CONTAINER_URI, CONTAINER_PATH]
                .iter()
                .all(|name| self.process(name).is_none())
    }

    fn is_without_metadata(&self) -> bool {
        let disabled = self.process("AWS_EC2_METADATA_DISABLED");
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
        let slip = |missing: &str, beside: &str| {
            let how = match self.environment.is_in_process(missing) {
                true => "empty",
                false => "not set",
            };
            let what = format!("variable `{missing}` is {how}, but `{beside}` is set");
            Some((what, pair.to_owned()))
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
            (Some(path), Some(_)) => self.file_slip(TOKEN_FILE, path),
            (None, None) => None,
        }
    }

    fn container_slip(&self) -> Option<(String, String)> {
        if self.process(CONTAINER_URI).is_some_and(|uri| !is_http(uri)) {
            let what = format!("`{CONTAINER_URI}` is not a URL with a scheme");
            return Some((what, "it starts with `http://` or `https://`".to_owned()));
        }
        self.process(CONTAINER_URI)?;
        self.file_slip(CONTAINER_TOKEN_FILE, self.process(CONTAINER_TOKEN_FILE)?)
    }

    /// Credentials that only `.env` sets, which the SDK does not read.
    fn dotenv_slip(&self) -> Option<(String, String)> {
        let names = [KEY_ID, SECRET_KEY, PROFILE, TOKEN_FILE, CONTAINER_URI];
        let name = names.into_iter().find(|name| self.environment.of_dotenv(name).is_some())?;
        Some((format!("`{name}` is set only in `.env`"), only_in_dotenv(name)))
    }

    /// A file that a variable names and that cannot be read, or is empty.
    fn file_slip(&self, name: &str, path: &str) -> Option<(String, String)> {
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
