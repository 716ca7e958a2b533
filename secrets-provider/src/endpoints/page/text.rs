//! Text for the page: escaped names, times and durations for people, and short type names. Pure.
//!
//! Nothing here trusts a name: secrets, variables, files and error messages may hold any character.

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::is_unprintable;

/// Text for an element or a quoted attribute. Markup is escaped; characters that are invisible or
/// change the direction of text are shown by their code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escaped<'a> {
    text: &'a str,
    keeps_lines: bool,
}

/// Shows line breaks as `\n`.
pub(super) fn one_line(text: &str) -> Escaped<'_> {
    Escaped { text, keeps_lines: false }
}

/// Keeps line breaks.
pub(super) fn multi_line(text: &str) -> Escaped<'_> {
    Escaped { text, keeps_lines: true }
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
                '\n' if self.keeps_lines => f.write_char(c)?,
                _ if is_unprintable(c) => write!(f, "{}", c.escape_default())?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A duration in its two largest units: `1 min 40 s`.
pub(super) fn duration(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = duration.as_secs();
    let Some(first) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return match duration.as_millis() {
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

/// How long ago a time was: `1 min 40 s ago`.
pub(super) fn ago(at: SystemTime, now: SystemTime) -> String {
    match now.duration_since(at) {
        Ok(age) if age.as_secs() > 0 => {
            format!("{} ago", duration(Duration::from_secs(age.as_secs())))
        }
        _ => "just now".to_owned(),
    }
}

/// How long until a time: `in 1 min 40 s`.
pub(super) fn until(at: SystemTime, now: SystemTime) -> String {
    match at.duration_since(now) {
        // Rounded up, so that it never says `in 0 s`.
        Ok(wait) if !wait.is_zero() => {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            format!("in {}", duration(Duration::from_secs(seconds)))
        }
        _ => "now".to_owned(),
    }
}

/// A time in UTC, as an element that programs can read too.
pub(super) fn time_element(at: SystemTime) -> String {
    let (date, time) = utc(at);
    format!(r#"<time datetime="{date}T{time}Z">{date} {time} UTC</time>"#)
}

/// The date and the time of day.
fn utc(at: SystemTime) -> (String, String) {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Hinnant's `civil_from_days` ("chrono-Compatible Low-Level Date Algorithms"): years start in
    // March, so that a leap day is the last day of its year.
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

/// A type's name without its modules.
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
    fn markup_and_invisible_characters_are_escaped() {
        assert_eq!(one_line("a&b<c>\"d'").to_string(), "a&amp;b&lt;c&gt;&quot;d&#39;");
        assert_eq!(one_line("a\n\0\u{202e}b").to_string(), r"a\n\u{0}\u{202e}b");
        assert_eq!(multi_line("a\nb\r").to_string(), "a\nb\\r");
        assert_eq!(one_line("ключ/鍵").to_string(), "ключ/鍵");
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, expected) in [
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
            assert_eq!(duration(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(duration(Duration::from_millis(250)), "250 ms");
    }

    #[test]
    fn a_time_is_never_negative() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let second = Duration::from_secs(1);
        assert_eq!(ago(now - 90 * second, now), "1 min 30 s ago");
        assert_eq!(ago(now, now), "just now");
        assert_eq!(ago(now + second, now), "just now");
        assert_eq!(until(now + second / 2, now), "in 1 s");
        assert_eq!(until(now, now), "now");
        assert_eq!(until(now - second, now), "now");
    }

    #[test]
    fn times_are_in_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_799, "2000-02-29 23:59:59"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_798_761_599, "2026-12-31 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            let (date, time) = utc(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(format!("{date} {time}"), expected);
        }
        assert_eq!(
            time_element(UNIX_EPOCH),
            r#"<time datetime="1970-01-01T00:00:00Z">1970-01-01 00:00:00 UTC</time>"#
        );
    }

    #[test]
    fn type_names_lose_their_modules() {
        assert_eq!(short_type("shop::config::Settings"), "Settings");
        assert_eq!(short_type("u16"), "u16");
        assert_eq!(
            short_type("alloc::sync::Arc<(app::Pool, std::option::Option<a_b::C2>)>"),
            "Arc<(Pool, Option<C2>)>"
        );
    }
}
