//! What the values of the SDK's variables have to look like.
//!
//! The SDK takes any text and fails later, with an error about something else. `setup` asks here
//! for the process environment, `variables` for `.env`, `connect` for the profile. Pure; no value
//! is shown.

/// Whether this is a URL of HTTP with a host and, if any, a port that is a number.
pub(super) fn is_http(url: &str) -> bool {
    let rest = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let Some(rest) = rest.filter(|rest| !rest.contains(char::is_whitespace)) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let address = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match address.strip_prefix('[').map(|address| address.split_once(']')) {
        Some(None) => return false,
        Some(Some((host, port))) => (host, port),
        None => address.split_at(address.find(':').unwrap_or(address.len())),
    };
    let number = |port: &str| port.parse::<u16>().is_ok();
    // A placeholder such as `${HOST}` is no host.
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~%:".contains(&byte);
    !host.is_empty()
        && host.bytes().all(is_of_host)
        && (port.is_empty() || port.strip_prefix(':').is_some_and(number))
}

/// What is expected instead of a region that cannot be one.
pub(super) fn region_slip(text: &str) -> Option<&'static str> {
    match () {
        () if is_quoted(text) => Some(NO_QUOTES),
        () if is_zone(text) => Some("a region such as `us-east-1`, not an availability zone"),
        () if text.ends_with("global") => Some("a region such as `us-east-1`, not all of them"),
        () if !is_region(text) => Some("a region such as `us-east-1`: lower case, digits and `-`"),
        () => None,
    }
}

/// What is expected instead of a key, its id or a session token that cannot be one. The SDK panics
/// on some of them, and signs with the others.
pub(super) fn key_slip(text: &str) -> Option<&'static str> {
    match () {
        () if is_quoted(text) => Some(NO_QUOTES),
        () if ["${", "$(", "{{", "<", "%"].iter().any(|start| text.starts_with(start)) => {
            Some("a value, found a placeholder that nothing replaced")
        }
        () if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Some("visible ASCII characters, without white space or a line's end")
        }
        () => None,
    }
}

/// What is expected instead of a setting of a profile that cannot be right.
pub(super) fn setting_slip(key: &str, value: &str) -> Option<&'static str> {
    let (is_right, expected) = match key {
        "region"
        | "role_arn"
        | "source_profile"
        | "endpoint_url"
        | "aws_access_key_id"
        | "aws_secret_access_key"
            if value.contains('\n') =>
        {
            (false, "one line, found an indented one below, which the SDK adds to it")
        }
        "aws_access_key_id" | "aws_secret_access_key" if value.is_empty() => {
            (false, "a value, found none")
        }
        "aws_secret_access_key" if is_key_id(value) => (false, SECRET_KEY),
        "aws_access_key_id" | "aws_secret_access_key" | "aws_session_token" => {
            return key_slip(value);
        }
        "role_arn" => (is_role(value), ROLE),
        "credential_source" => (
            ["Ec2InstanceMetadata", "EcsContainer", "Environment"].contains(&value),
            "`Ec2InstanceMetadata`, `EcsContainer` or `Environment`",
        ),
        "retry_mode" => (is_retry_mode(value), RETRY_MODES),
        "max_attempts" => (is_attempts(value), ATTEMPTS),
        "endpoint_url" => (is_http(value), URL),
        "use_fips_endpoint" | "use_dualstack_endpoint" | "ignore_configured_endpoint_urls" => {
            (is_flag(value), FLAG)
        }
        "region" if !value.is_empty() => return region_slip(value),
        _ => return None,
    };
    (!is_right).then_some(expected)
}

/// What a key's id in the place of the secret key should be.
pub(super) const SECRET_KEY: &str = "the secret key, found a key's id (are the two swapped?)";
pub(super) const URL: &str = "a URL that starts with the scheme `https://` or `http://`";
pub(super) const RETRY_MODES: &str = "`standard` or `adaptive`";
pub(super) const ATTEMPTS: &str = "a whole number of at least 1";
pub(super) const FLAG: &str = "`true` or `false`";
pub(super) const ROLE: &str = "the ARN of a role, such as `arn:aws:iam::123456789012:role/app`";

pub(super) fn is_retry_mode(text: &str) -> bool {
    ["standard", "adaptive"].iter().any(|mode| text.eq_ignore_ascii_case(mode))
}

pub(super) fn is_attempts(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|attempts| attempts > 0)
}

pub(super) fn is_flag(text: &str) -> bool {
    ["true", "false"].iter().any(|flag| text.eq_ignore_ascii_case(flag))
}

/// Whether this is the id of a key, as AWS makes them
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>).
pub(super) fn is_key_id(text: &str) -> bool {
    let rest = ["AKIA", "ASIA"].iter().find_map(|start| text.strip_prefix(start));
    let is_part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    rest.is_some_and(|rest| rest.len() == 16 && rest.bytes().all(is_part))
}

/// Whether this is the id of a temporary key, which only works with its token.
pub(super) fn is_temporary(key_id: &str) -> bool {
    is_key_id(key_id) && key_id.starts_with("ASIA")
}

/// Whether this may be a role's ARN.
pub(super) fn is_role(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    matches!(parts[..], ["arn", _, "iam", "", account, resource]
        if account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && resource.starts_with("role/"))
}

/// Whether a header may hold this.
pub(super) fn is_header(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte))
}

/// The regions of AWS when this was written, for hints only: another one may be new.
const REGIONS: [&str; 39] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// The region that is most like this one, if it is not one of AWS itself.
pub(super) fn near_region(text: &str) -> Option<&'static str> {
    let distances = REGIONS.into_iter().map(|region| (strsim::osa_distance(region, text), region));
    let (distance, region) = distances.min()?;
    (1..=2).contains(&distance).then_some(region)
}

/// Whether AWS may have such a region, now or later: words and a number. What is nearly one of
/// AWS's is left for when its host is not found.
pub(super) fn looks_like_region(text: &str) -> bool {
    let is_word = |word: &str| word.len() > 1 && word.bytes().all(|b| b.is_ascii_lowercase());
    let mut parts = text.rsplit('-');
    let number = parts.next().unwrap_or_default();
    let words: Vec<_> = parts.collect();
    let has_shape = words.len() > 1
        && words.into_iter().all(is_word)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit());
    has_shape || near_region(text).is_some()
}

const NO_QUOTES: &str = "a value without quotes around it";

/// Whether there are quotes around it, which `docker run --env-file` and Kubernetes keep.
fn is_quoted(text: &str) -> bool {
    let text = text.trim();
    let quoted = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    quoted('"') || quoted('\'')
}

/// Whether this is an availability zone: a region and a letter.
fn is_zone(text: &str) -> bool {
    let Some(region) = text.strip_suffix(|c: char| c.is_ascii_lowercase()) else { return false };
    region.ends_with(|c: char| c.is_ascii_digit()) && region.matches('-').count() >= 2
}

/// Whether this may be a region's name, of AWS or an emulator.
fn is_region(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether a profile's name may be shown.
pub(super) fn is_plain(name: &str) -> bool {
    name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_of_http_with_a_host() {
        for url in ["http://a", "https://a.b:4566/c?d#e", "http://u:p@a:1", "http://[::1]:80"] {
            assert!(is_http(url), "{url}");
        }
        for url in [
            "",
            "a:1",
            "ftp://a",
            "http://",
            "http://a:b",
            "http://[a",
            "http://:1",
            "http://a b",
            "http://${A}:1",
        ] {
            assert!(!is_http(url), "{url}");
        }
    }

    #[test]
    fn a_region_with_a_slip_is_like_one_of_aws() {
        for (text, near) in [
            ("us-esat-1", Some("us-east-1")),
            ("eu-wst-1", Some("eu-west-1")),
            ("useast1", Some("us-east-1")),
            ("us-west-2", None),
            ("local", None),
            ("xx-nowhere-1", None),
        ] {
            assert_eq!(near_region(text), near, "{text}");
        }
    }

    #[test]
    fn a_region_of_aws_has_words_and_a_number() {
        for text in REGIONS.into_iter().chain(["us-isob-east-1", "xx-nowhere-1", "useast1"]) {
            assert!(looks_like_region(text), "{text}");
        }
        for text in ["virginia", "changeme", "local", "1", "a-b-1", ""] {
            assert!(!looks_like_region(text), "{text}");
        }
    }

    #[test]
    fn a_setting_of_a_profile_is_what_the_sdk_takes() {
        for (key, right, wrong) in [
            ("aws_secret_access_key", "wJalr/K7+=", ""),
            ("aws_access_key_id", "AKIA", "'AKIA'"),
            (
                "role_arn",
                "arn:aws-cn:iam::123456789012:role/a/b",
                "arn:aws:iam::123456789012:user/a",
            ),
            ("credential_source", "EcsContainer", "ecs"),
            ("retry_mode", "Adaptive", "legacy"),
            ("max_attempts", "3", "0"),
            ("endpoint_url", "http://localhost:4566", "localhost:4566"),
            ("use_fips_endpoint", "TRUE", "1"),
            ("region", "us-east-1", "us-east-1a"),
            ("region", "", "us-east-1\noutput = json"),
        ] {
            assert_eq!(setting_slip(key, right), None, "{key}");
            assert!(setting_slip(key, wrong).is_some(), "{key}");
        }
    }

    #[test]
    fn a_zone_is_not_a_region() {
        assert!(["us-east-1a", "us-gov-west-1b"].into_iter().all(is_zone));
        assert!(!["us-east-1", "local", "a", ""].into_iter().any(is_zone));
    }

    #[test]
    fn a_region_is_a_code_in_lower_case_and_a_key_is_visible() {
        for (text, expected) in [
            ("US-EAST-1", "lower case"),
            ("us_east_1", "lower case"),
            ("us-east-1 ", "lower case"),
            ("${AWS_REGION}", "lower case"),
            ("N. Virginia", "lower case"),
            ("\"us-east-1\"", "quotes"),
            ("'us-east-1'", "quotes"),
            ("us-east-1a", "zone"),
        ] {
            assert!(region_slip(text).is_some_and(|slip| slip.contains(expected)), "{text}");
        }
        for text in ["us-east-1", "us-gov-west-1", "local", "xx-nowhere-1"] {
            assert_eq!(region_slip(text), None, "{text}");
        }
        for (text, expected) in
            [("a b", "white space"), ("a\n", "line's end"), ("é", "ASCII"), ("'a'", "quotes")]
        {
            assert!(key_slip(text).is_some_and(|slip| slip.contains(expected)), "{text}");
        }
        assert_eq!(key_slip("wJalr/K7MDENG+bPx=="), None);
    }
}
