//! How the profile in use gets credentials: its keys, the profiles and sources that it names, and
//! why none of them can work.

use std::collections::BTreeMap;

use super::credentials::METADATA_DISABLED;
use super::profiles::AFTER_LOADING;
use super::{CONTAINER_PATH, CONTAINER_URI, KEY_ID, PROFILE, ROLE, SECRET_KEY, Setup, TOKEN_FILE};
use crate::backend::aws::profile::{Profile, SettingSlip};
use crate::backend::aws::unreached::RoleRefusal;
use crate::backend::aws::values::is_plain;

/// The keys that a profile gives itself.
const PAIR: [&str; 2] = ["aws_access_key_id", "aws_secret_access_key"];

/// The settings by which a profile gets credentials.
const WAYS: [&str; 9] = [
    PAIR[0],
    PAIR[1],
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
    "credential_process",
    "sso_session",
    "sso_start_url",
];

impl Setup {
    /// A profile that says how to get credentials, but not in a way that can work.
    pub(super) fn profile_content_slip(&self) -> Option<(String, String)> {
        let profiles = self.profiles();
        let name = self.environment.value(PROFILE).unwrap_or("default");
        let profile = profiles.get(name)?;
        let has = |key: &str| profile.keys.contains(key);
        let shown = shown(name);
        if !has(PAIR[0]) || !has(PAIR[1]) {
            if let Some(slip) = self.misnamed_setting(&WAYS) {
                return Some(slip);
            }
            if has(PAIR[0]) || has(PAIR[1]) {
                let missing = if has(PAIR[0]) { PAIR[1] } else { PAIR[0] };
                return Some((
                    format!("{shown} has no `{missing}`"),
                    "set both keys of the pair".to_owned(),
                ));
            }
        } else {
            return None;
        }
        feature_slip(profile, &shown)
            .or_else(|| sso_slip(&profiles, profile, &shown))
            .or_else(|| self.source_slip(profile, &shown))
            .or_else(|| chain_slip(&profiles, name))
            .or_else(|| {
                let is_late = |slip: &&SettingSlip| AFTER_LOADING.contains(&slip.key.as_str());
                let slip = profile.slips.iter().find(is_late)?;
                Some((
                    format!("`{}` of {shown}: expected {}", slip.key, slip.expected),
                    format!("correct or remove it, in {}", self.place(slip)),
                ))
            })
            .or_else(|| {
                (has("role_arn") && has("mfa_serial")).then(|| {
                    (
                        format!("{shown} has `mfa_serial`, and the SDK asks for no code"),
                        "use a role without MFA, or temporary keys, such as those of `aws \
                         configure export-credentials`"
                            .to_owned(),
                    )
                })
            })
    }

    /// What is wrong with where a role's first credentials come from.
    fn source_slip(&self, profile: &Profile, shown: &str) -> Option<(String, String)> {
        let has = |key: &str| profile.keys.contains(key);
        let slip = |what: &str, hint: &str| Some((format!("{shown} {what}"), hint.to_owned()));
        let sources = ["source_profile", "credential_source", "web_identity_token_file"];
        match (has("role_arn"), sources.iter().filter(|key| has(key)).count()) {
            (true, 0) => {
                return slip(
                    "has `role_arn`, but no source of credentials for it",
                    "add `source_profile` or `credential_source` to it",
                );
            }
            (true, 2..) if has("source_profile") && has("credential_source") => {
                return slip(
                    "has both `source_profile` and `credential_source`",
                    "remove one of the two",
                );
            }
            (false, _) if has("web_identity_token_file") => {
                return slip(
                    "has `web_identity_token_file`, but no `role_arn`",
                    "add the ARN of the role that the token is for",
                );
            }
            (false, _) if has("source_profile") => {
                return slip(
                    "has `source_profile`, but no `role_arn`",
                    "add the ARN of the role to assume, or the keys themselves",
                );
            }
            (false, _) => return None,
            _ => {}
        }
        if let Some(path) = &profile.token_file
            && let Some((what, _)) = self.file_slip("web_identity_token_file", path)
        {
            let hint = format!("correct it in {shown}, or mount the token where it points to");
            return Some((what, hint));
        }
        let is_set = |name: &str| self.process(name).is_some();
        match profile.credential_source.as_deref() {
            Some("Environment") if !is_set(KEY_ID) && !is_set(SECRET_KEY) => slip(
                "takes credentials from the environment (`credential_source`), which has none",
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name another source",
            ),
            Some("EcsContainer") if !is_set(CONTAINER_PATH) && !is_set(CONTAINER_URI) => slip(
                "takes credentials from the container (`credential_source`), which offers none",
                "give the ECS task a task role, or name another source",
            ),
            Some("Ec2InstanceMetadata") if self.is_without_metadata() => slip(
                "takes credentials from the instance (`credential_source`), whose metadata is off",
                &format!("unset `{METADATA_DISABLED}`, or name another source"),
            ),
            _ => None,
        }
    }

    /// What STS refuses, and what to do about it.
    pub(in crate::backend::aws) fn refused_role(&self, refusal: RoleRefusal) -> (String, String) {
        let profiles = self.profiles();
        let name = self.process(PROFILE).unwrap_or("default");
        let profile = profiles.get(name).filter(|profile| profile.keys.contains("role_arn"));
        let role = match profile {
            Some(_) => format!("`role_arn` of {}", shown(name)),
            None if self.process(ROLE).is_some() => format!("`{ROLE}`"),
            None => "the AWS configuration".to_owned(),
        };
        let of_web =
            profile.map_or(self.process(ROLE).is_some(), |profile| profile.token_file.is_some());
        match refusal {
            RoleRefusal::Token => (
                format!("STS does not accept the token for the role of {role}"),
                "check that the role's account has an IAM identity provider for the token's issuer \
                 and audience, that the token has not expired, and the machine's clock"
                    .to_owned(),
            ),
            RoleRefusal::Role if of_web => (
                format!("STS refuses the role of {role}"),
                "check that the role exists, and that its trust policy allows \
                 `sts:AssumeRoleWithWebIdentity` to the token's issuer, audience and subject (on \
                 EKS, `system:serviceaccount:<namespace>:<name>`)"
                    .to_owned(),
            ),
            RoleRefusal::Role => (
                format!("STS refuses the role of {role}"),
                "check that the role exists, that its trust policy allows `sts:AssumeRole` to the \
                 caller, and that the caller's own policy does"
                    .to_owned(),
            ),
        }
    }

    /// The server that is sure to be asked for credentials, at the start of a hint.
    pub(in crate::backend::aws) fn server_hint(&self, region: Option<&str>) -> String {
        let is_set = |name: &str| self.process(name).is_some();
        if is_set(TOKEN_FILE) && is_set(ROLE) {
            let region = region.unwrap_or("<region>");
            return format!(
                "STS gives the credentials for `{ROLE}`: check that it can be reached (a VPC \
                 without internet access needs the interface endpoint \
                 `com.amazonaws.{region}.sts`); "
            );
        }
        match [CONTAINER_URI, CONTAINER_PATH].into_iter().find(|name| is_set(name)) {
            Some(name) => format!(
                "the server that `{name}` names gives the credentials: check that it runs, and that \
                 the task or pod has a role; "
            ),
            None => String::new(),
        }
    }

    /// The profile in use gives no credentials: the default one is not there, or the one that a
    /// variable names has only other settings.
    pub(in crate::backend::aws) fn profile_without_credentials(&self) -> Option<(String, String)> {
        let profiles = self.profiles();
        if let Some(name) = self.process(PROFILE) {
            return self.profile_gives_none().then(|| {
                (
                    format!("{} that `{PROFILE}` names has no credentials", shown(name)),
                    format!(
                        "add its keys or `role_arn`, or set `{PROFILE}` to another profile of \
                         `~/.aws`"
                    ),
                )
            });
        }
        let is_profile = |name: &str| !name.contains(' ');
        let has_other = profiles.keys().any(|name| name != "default" && is_profile(name));
        let chosen = self.environment.value(PROFILE).is_some();
        (!chosen && has_other && !profiles.contains_key("default")).then(|| {
            (
                format!("`{PROFILE}` is not set, and no file has a profile `default`"),
                format!("set `{PROFILE}` to a profile of `~/.aws`"),
            )
        })
    }

    /// Whether a variable names a profile that has no way to credentials.
    pub(super) fn profile_gives_none(&self) -> bool {
        let gives = |key: &String| {
            WAYS.contains(&key.as_str()) || key.starts_with("sso_") || key.starts_with("login_")
        };
        let profiles = self.profiles();
        let profile = self.process(PROFILE).and_then(|name| profiles.get(name));
        profile.is_some_and(|profile| !profile.keys.iter().any(gives))
    }
}

fn shown(name: &str) -> String {
    match is_plain(name) {
        true => format!("the profile `{name}`"),
        false => "the profile".to_owned(),
    }
}

/// What the profile needs, and was not compiled in.
fn feature_slip(profile: &Profile, shown: &str) -> Option<(String, String)> {
    let has = |key: &str| profile.keys.contains(key);
    let needs = |feature: &str| {
        Some((
            format!("the feature `{feature}` is missing, which {shown} needs"),
            format!("add it in Cargo.toml: `secrets-provider = {{ features = [\"{feature}\"] }}`"),
        ))
    };
    let signs_in = || profile.keys.iter().any(|key| key.starts_with("sso_"));
    if !cfg!(feature = "sso") && signs_in() {
        return needs("sso");
    }
    if !cfg!(feature = "credentials-process") && has("credential_process") {
        return needs("credentials-process");
    }
    has("login_session").then(|| {
        (
            format!("{shown} signs in by `aws login`, which secrets-provider does not compile in"),
            "load a configuration by aws-config with its feature `credentials-login`, and give it \
             by `.aws_config(..)`"
                .to_owned(),
        )
    })
}

/// What is wrong with the profiles from which a role's credentials come.
fn chain_slip(profiles: &BTreeMap<String, Profile>, first: &str) -> Option<(String, String)> {
    let gives = |profile: &Profile| {
        let starts = ["aws_access_key_id", "credential_", "web_identity_", "sso_", "login_"];
        profile.keys.iter().any(|key| starts.iter().any(|start| key.starts_with(start)))
    };
    let mut seen = vec![first];
    loop {
        let name = *seen.last()?;
        let profile = profiles.get(name)?;
        if seen.len() > 1
            && let Some(slip) = key_slip(profile, name)
        {
            return Some(slip);
        }
        let has_keys = PAIR.iter().all(|key| profile.keys.contains(*key));
        let has_role = profile.keys.contains("role_arn") && !(has_keys && seen.len() > 1);
        let Some(source) = profile.source.as_deref().filter(|_| has_role) else {
            // Only of what a role needs, because a profile need not have credentials.
            return (seen.len() > 1 && !gives(profile)).then(|| {
                let what = format!(
                    "{}, from which {} takes them, has no credentials",
                    shown(name),
                    shown(first)
                );
                (what, "add its keys, or name another profile in `source_profile`".to_owned())
            });
        };
        let Some(next) = profiles.get(source) else {
            let what =
                format!("`source_profile` of {} names a profile that is in no file", shown(name));
            return Some((what, "correct `source_profile`, or add the profile".to_owned()));
        };
        if next.ignored.is_some() {
            let what = format!(
                "`source_profile` of {} names {}, whose heading the SDK ignores",
                shown(name),
                shown(source)
            );
            let hint = "write `[profile <name>]` in `~/.aws/config`, and `[<name>]` in \
                        `~/.aws/credentials`, without quotes";
            return Some((what, hint.to_owned()));
        }
        if source == name && gives(next) {
            return None;
        }
        if seen.contains(&source) {
            let what = format!("`source_profile` of {} leads back to it", shown(source));
            return Some((what, "name a profile with credentials in one of them".to_owned()));
        }
        seen.push(source);
    }
}

/// What is wrong with the keys of a profile that another one takes its credentials from.
fn key_slip(profile: &Profile, name: &str) -> Option<(String, String)> {
    let is_key = |slip: &&SettingSlip| slip.key.starts_with("aws_");
    if let Some(slip) = profile.slips.iter().find(is_key) {
        return Some((
            format!("`{}` of {}: expected {}", slip.key, shown(name), slip.expected),
            format!("correct line {}; its value is not shown because it may be secret", slip.line),
        ));
    }
    let has = |key: &str| profile.keys.contains(key);
    let missing = match (has(PAIR[0]), has(PAIR[1])) {
        (true, false) => PAIR[1],
        (false, true) => PAIR[0],
        _ => return None,
    };
    Some((format!("{} has no `{missing}`", shown(name)), "set both keys of the pair".to_owned()))
}

/// What is wrong with how a profile signs in by SSO.
fn sso_slip(
    profiles: &BTreeMap<String, Profile>,
    profile: &Profile,
    shown: &str,
) -> Option<(String, String)> {
    let has = |key: &str| profile.keys.contains(key);
    if !profile.keys.iter().any(|key| key.starts_with("sso_")) {
        return None;
    }
    let session = match &profile.sso_session {
        None => None,
        Some(section) => match profiles.get(section) {
            Some(session) => Some(session),
            None => {
                return Some((
                    format!("`sso_session` of {shown} names a section that is in no file"),
                    "add `[sso-session <name>]` to `~/.aws/config`, or correct the name".to_owned(),
                ));
            }
        },
    };
    let of_session = ["sso_region", "sso_start_url"];
    if let Some(key) = of_session.into_iter().find(|key| session.is_some() && has(key)) {
        return Some((
            format!("{shown} has both `sso_session` and `{key}`"),
            format!("write `{key}` only in the section `[sso-session <name>]`"),
        ));
    }
    let lacks = |key: &str| !session.unwrap_or(profile).keys.contains(key);
    let both = [("sso_account_id", "sso_role_name"), ("sso_role_name", "sso_account_id")];
    let missing = of_session.into_iter().find(|key| lacks(key)).or_else(|| {
        both.into_iter().find(|(one, other)| has(one) && !has(other)).map(|(_, other)| other)
    })?;
    let place = if session.is_some() && of_session.contains(&missing) {
        format!("the section `[sso-session <name>]` of {shown}")
    } else {
        shown.to_owned()
    };
    Some((
        format!("{place} has no `{missing}`"),
        "complete it, such as by `aws configure sso`".to_owned(),
    ))
}
