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
    !host.is_empty() && (port.is_empty() || port.strip_prefix(':').is_some_and(number))
}

/// What is expected instead of a region that cannot be one.
pub(super) fn region_slip(text: &str) -> Option<&'static str> {
    match () {
        () if is_quoted(text) => Some(NO_QUOTES),
        () if is_zone(text) => Some("a region such as `us-east-1`, not an availability zone"),
        () if !is_region(text) => Some("a region such as `us-east-1`: lower case, digits and `-`"),
        () => None,
    }
}

/// What is expected instead of a key, its id or a session token that cannot be one. The SDK panics
/// on some of them, and signs with the others.
pub(super) fn key_slip(text: &str) -> Option<&'static str> {
    match () {
        () if is_quoted(text) => Some(NO_QUOTES),
        () if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Some("visible ASCII characters, without white space or a line's end")
        }
        () => None,
    }
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
        for url in
            ["", "a:1", "ftp://a", "http://", "http://a:b", "http://[a", "http://:1", "http://a b"]
        {
            assert!(!is_http(url), "{url}");
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
