//! Text as it may stand in HTML: escaped names, and times as people tell them.

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Text in an element or in a quoted attribute. Names are whatever their makers made them, so what could be taken for
/// markup is escaped, and what could not be seen, or would turn the text around it, is spelled out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escaped<'a> {
    text: &'a str,
    lines: bool,
}

/// On one line.
pub(super) fn name(text: &str) -> Escaped<'_> {
    Escaped { text, lines: false }
}

/// On as many lines as it has.
pub(super) fn lines(text: &str) -> Escaped<'_> {
    Escaped { text, lines: true }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.text.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' if self.lines => f.write_char(c)?,
                _ if c.is_control() || turns(c) => write!(f, "{}", c.escape_default())?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Marks that are not seen, or change the direction of what follows; not to be had in XML either.
fn turns(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        | '\u{fffe}' | '\u{ffff}')
}

/// A length of time in its two largest units.
pub(super) fn span(length: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = length.as_secs();
    let Some(first) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return match length.as_millis() {
            0 => "0 s".to_owned(),
            millis => format!("{millis} ms"),
        };
    };
    let (unit, name) = UNITS[first];
    let rest = UNITS.get(first + 1).map(|(smaller, name)| (seconds % unit / smaller, name));
    match rest {
        Some((count @ 1.., smaller)) => format!("{} {name} {count} {smaller}", seconds / unit),
        _ => format!("{} {name}", seconds / unit),
    }
}

/// How long ago.
pub(super) fn ago(at: SystemTime, now: SystemTime) -> String {
    match now.duration_since(at) {
        Ok(age) if age.as_secs() > 0 => format!("{} ago", span(Duration::from_secs(age.as_secs()))),
        _ => "just now".to_owned(),
    }
}

/// How long until then.
pub(super) fn ahead(at: SystemTime, now: SystemTime) -> String {
    match at.duration_since(now) {
        // Rounded up: `in 0 s` is none.
        Ok(wait) if !wait.is_zero() => {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            format!("in {}", span(Duration::from_secs(seconds)))
        }
        _ => "now".to_owned(),
    }
}

/// The moment in UTC, as an element that programs can read too.
pub(super) fn moment(at: SystemTime) -> String {
    let (date, time) = utc(at);
    format!(r#"<time datetime="{date}T{time}Z">{date} {time} UTC</time>"#)
}

/// Date and time of day.
fn utc(at: SystemTime) -> (String, String) {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that the leap day is their last: see Hinnant, "chrono-Compatible Low-Level Date
    // Algorithms", `civil_from_days`.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let date = format!("{year:04}-{month:02}-{day:02}");
    (date, format!("{:02}:{:02}:{:02}", time / 3_600, time / 60 % 60, time % 60))
}

/// A type's name without the modules.
pub(super) fn short_type(name: &str) -> String {
    let mut short = String::new();
    for c in name.chars() {
        short.push(c);
        if short.ends_with("::") {
            let module =
                short.trim_end_matches("::").rfind(|c: char| !c.is_alphanumeric() && c != '_');
            short.truncate(module.map_or(0, |end| end + 1));
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_markup_or_could_not_be_seen_is_spelled_out() {
        assert_eq!(name("a&b<c>\"d'").to_string(), "a&amp;b&lt;c&gt;&quot;d&#39;");
        assert_eq!(name("a\n\0\u{202e}b").to_string(), r"a\n\u{0}\u{202e}b");
        assert_eq!(lines("a\nb\r").to_string(), "a\nb\\r");
        assert_eq!(name("ключ/鍵").to_string(), "ключ/鍵");
    }

    #[test]
    fn lengths_of_time() {
        for (seconds, told) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3_600, "1 h"),
            (3_659, "1 h"),
            (7_320, "2 h 2 min"),
            (90_000, "1 d 1 h"),
            (86_400 * 400, "400 d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), told);
        }
        assert_eq!(span(Duration::from_millis(250)), "250 ms");
    }

    #[test]
    fn ages_never_point_the_wrong_way() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let second = Duration::from_secs(1);
        assert_eq!(ago(now - 90 * second, now), "1 min 30 s ago");
        assert_eq!(ago(now, now), "just now");
        assert_eq!(ago(now + second, now), "just now");
        assert_eq!(ahead(now + second / 2, now), "in 1 s");
        assert_eq!(ahead(now, now), "now");
        assert_eq!(ahead(now - second, now), "now");
    }

    #[test]
    fn moments_in_utc() {
        for (seconds, told) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_799, "2000-02-29 23:59:59"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_798_761_599, "2026-12-31 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            let (date, time) = utc(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(format!("{date} {time}"), told);
        }
        assert_eq!(
            moment(UNIX_EPOCH),
            r#"<time datetime="1970-01-01T00:00:00Z">1970-01-01 00:00:00 UTC</time>"#
        );
    }

    #[test]
    fn types_without_their_modules() {
        assert_eq!(short_type("shop::config::Settings"), "Settings");
        assert_eq!(short_type("u16"), "u16");
        assert_eq!(
            short_type("alloc::sync::Arc<(app::Pool, std::option::Option<a_b::C2>)>"),
            "Arc<(Pool, Option<C2>)>"
        );
    }
}
