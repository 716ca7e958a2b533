//! Chooses between HTML and JSON by a request's `Accept` header. Pure; `status` calls it.
//!
//! Browsers state a preference for HTML and most programs state none, so JSON is the default. A
//! malformed header never fails: ranges that cannot be parsed are ignored.

/// Whether the header prefers HTML to JSON. In a tie, such as `*/*`, it does not.
pub(super) fn prefers_html(accept: &str) -> bool {
    quality(accept, "text", "html") > quality(accept, "application", "json")
}

/// The weight of a media type in thousandths: that of the most specific range that matches it (RFC
/// 9110, section 12.5.1).
fn quality(accept: &str, kind: &str, subtype: &str) -> u16 {
    let mut best = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let Some((range_kind, range_subtype)) =
            parts.next().and_then(|range| range.split_once('/'))
        else {
            continue;
        };
        let specific = match (range_kind, range_subtype) {
            ("*", "*") => 1,
            (range, "*") if range.eq_ignore_ascii_case(kind) => 2,
            (range, sub)
                if range.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subtype) =>
            {
                3
            }
            _ => continue,
        };
        let weight = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or(1000, |(_, weight)| thousandths(weight.trim()));
        best = best.max((specific, weight));
    }
    best.1
}

/// Parses `0.8` as 800; an invalid weight counts as 0.
fn thousandths(weight: &str) -> u16 {
    let weight = weight.parse::<f64>().unwrap_or_default().clamp(0.0, 1.0);
    (weight * 1000.0).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_html() {
        for accept in [
            "text/html",
            "TEXT/HTML",
            "text/*",
            // Firefox, Chromium.
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            "application/json;q=0.5, text/html;q=0.9",
            "application/json;q=0.5 , text/html ; level=1 ; Q=0.501",
            "*/*;q=0.1, text/html;q=0.2",
            "text/html, application/json;q=0",
        ] {
            assert!(prefers_html(accept), "{accept}");
        }
    }

    #[test]
    fn other_clients_get_json() {
        for accept in [
            "",
            "*/*",
            "application/json",
            "application/*",
            "application/json, text/html",
            "text/html;q=0.5, application/json",
            "text/html;q=0",
            "text/html;q=0, text/*",
            "text/html;q=none",
            "text/plain",
            "image/png",
            "text",
            ";;,,/",
            "application/json, text/plain, */*",
        ] {
            assert!(!prefers_html(accept), "{accept}");
        }
    }
}
