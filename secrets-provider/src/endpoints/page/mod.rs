//! The status as a page for people: one piece of HTML, names and versions alone, no values.

mod tables;
mod text;

use std::any::type_name;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::layers::explain::Explanation;
use crate::live::Live;
use crate::observe::status::{Health, Status};
use text::{ago, ahead, lines, moment, name, short_type, span};

const STYLE: &str = include_str!("style.css");

/// How often a page loads itself again, unless [`StatusPage::reload_every`] says otherwise.
const RELOAD: Duration = Duration::from_secs(5);

/// What is live, since when, which key comes from where, and what failed: the [`Status`] and the [`Explanation`] of a
/// [`Live`] at one moment, as a page for a browser. `Display` is the HTML.
///
/// It holds names and versions, no values. It stands alone: no script, no font, no image; and it loads itself again every
/// few seconds, with a link that stops that. Names are escaped, whatever they hold; serve it with
/// [`CONTENT_SECURITY_POLICY`](Self::CONTENT_SECURITY_POLICY), and nothing but its own style counts, even so.
///
/// The status routes of `secrets-provider-axum` and `secrets-provider-actix` serve it. Like them it is for operators,
/// not for the public: it tells which secrets there are.
///
/// ```
/// use secrets_provider::{Live, StatusPage};
///
/// let html = StatusPage::of(&Live::constant(8080)).to_string();
/// assert!(html.starts_with("<!DOCTYPE html>"));
/// ```
#[derive(Debug, Clone)]
pub struct StatusPage {
    settings: String,
    status: Status,
    explanation: Arc<Explanation>,
    /// Nothing refreshes the settings any more.
    ended: bool,
    reload: Option<Duration>,
}

impl StatusPage {
    /// The `Content-Security-Policy` to serve it with: its own style, and nothing else.
    pub const CONTENT_SECURITY_POLICY: &'static str = "default-src 'none'; \
        style-src 'sha256-/3oq5ST+RjnqdrcmCu2JjPJ1A8NupfkEo1r1+YSIv/M='; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    /// How these settings stand now.
    pub fn of<T>(live: &Live<T>) -> Self {
        let (status, explanation) = live.status_with_explanation();
        let settings = short_type(type_name::<T>());
        Self { settings, status, explanation, ended: live.has_ended(), reload: Some(RELOAD) }
    }

    /// How often the page loads itself again, in whole seconds, at least one; `None` for not at all. Default 5 s.
    #[must_use]
    pub fn reload_every(mut self, interval: Option<Duration>) -> Self {
        self.reload = interval.map(|interval| interval.max(Duration::from_secs(1)));
        self
    }

    /// What the health means for those who read the settings.
    fn meaning(&self) -> &'static str {
        match self.status.health() {
            Health::Fresh if self.status.interval().is_none() => "These settings never change.",
            Health::Fresh => "The last refresh found all that is needed.",
            Health::Stale if self.status.has_failed() => {
                "The last refresh failed, wholly or in part. What was last good is live."
            }
            Health::Stale if self.ended => {
                "Nothing refreshes it any more. What is live may be out of date."
            }
            Health::Stale => "The next refresh is overdue. What is live may be out of date.",
            Health::Fallback => {
                "Lower layers stand in for secrets that could not be read, until they can: see below."
            }
            Health::Failing => {
                "The last success is longer ago than allowed. What was last good is live, and may be out of date."
            }
        }
    }

    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (settings, health) = (name(&self.settings), tables::health(self.status.health()).1);
        f.write_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n")?;
        f.write_str(
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n",
        )?;
        f.write_str("<meta name=\"color-scheme\" content=\"light dark\" />\n")?;
        f.write_str("<meta name=\"robots\" content=\"noindex\" />\n")?;
        if let Some(every) = self.reload {
            writeln!(f, "<meta http-equiv=\"refresh\" content=\"{}\" />", every.as_secs())?;
        }
        let generation = self.status.generation();
        writeln!(f, "<title>{health}: {settings}, generation {generation}</title>")?;
        writeln!(f, "<style>{STYLE}</style>\n</head>")
    }

    fn header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, health) = tables::health(self.status.health());
        writeln!(f, "<header class=\"{class}\">\n<h1>{}</h1>", name(&self.settings))?;
        write!(f, "<p class=\"badges\">{}", tables::tag(class, health))?;
        let (class, ready) =
            if self.status.is_ready() { ("good", "ready") } else { ("bad", "not ready") };
        writeln!(f, " {}</p>", tables::tag(class, ready))?;
        writeln!(f, "<p class=\"meaning\">{}</p>\n</header>", self.meaning())
    }

    fn summary(&self, f: &mut fmt::Formatter<'_>, now: SystemTime) -> fmt::Result {
        let status = &self.status;
        f.write_str("<dl class=\"cards\">\n")?;
        let changed = status.changed_at();
        let age = now.duration_since(changed).unwrap_or_default();
        let since = format!(
            "live for {}<br />since {}",
            span(Duration::from_secs(age.as_secs())),
            moment(changed)
        );
        card(f, "Generation", &status.generation().to_string(), &since)?;

        let success = status.last_success();
        let mut detail = moment(success);
        if let Some(bound) = status.max_staleness() {
            if status.was_checked_since_success() {
                detail +=
                    &format!("<br />what is in use checked {}", ago(status.last_check(), now));
            }
            detail += &format!(
                "<br />failing after {}{}",
                span(bound),
                gauge(status.last_success_age(), bound)
            );
        }
        card(f, "Last success", &ago(success, now), &detail)?;

        let often = status.interval().map(|interval| format!("every {}", span(interval)));
        let often = often.unwrap_or_else(|| "made of no secrets".to_owned());
        match status.next_attempt() {
            _ if status.interval().is_none() => card(f, "Next attempt", "never", &often),
            _ if self.ended => card(f, "Next attempt", "never", "refreshing has ended"),
            Some(next) => card(
                f,
                "Next attempt",
                &ahead(next, now),
                &format!("{often}<br />{}", moment(next)),
            ),
            None => card(f, "Next attempt", "under way", &often),
        }?;

        let calls = status.calls();
        if !calls.is_empty() {
            let each: Vec<_> =
                calls.iter().map(|(name, count)| format!("{count} {}", text::name(name))).collect();
            card(f, "Calls", &calls.values().sum::<u64>().to_string(), &each.join("<br />"))?;
        }
        f.write_str("</dl>\n")
    }

    /// The last error: loud as long as it holds, told all the same when it is over.
    fn failure(&self, f: &mut fmt::Formatter<'_>, now: SystemTime) -> fmt::Result {
        let Some(error) = self.status.last_error() else { return Ok(()) };
        let (class, title) = match self.status.error_persists() {
            true => ("failure", "What failed"),
            false => ("failure over", "What failed, and is over"),
        };
        let (at, kind) = (error.at(), tables::tag("bad", error.kind().as_str()));
        writeln!(f, "<section class=\"{class}\" aria-labelledby=\"failure\">")?;
        writeln!(
            f,
            "<h2 id=\"failure\">{title}</h2>\n<p>{kind} {}, {}</p>",
            ago(at, now),
            moment(at)
        )?;
        writeln!(f, "<pre>{}</pre>\n</section>", lines(error.summary()))
    }

    fn footer(&self, f: &mut fmt::Formatter<'_>, now: SystemTime) -> fmt::Result {
        write!(f, "<footer>\n<p>As of {}. ", moment(now))?;
        match self.reload {
            Some(every) => {
                write!(f, "Loads again every {} (<a href=\"?paused\">pause</a>). ", span(every))?
            }
            None => f.write_str("Paused (<a href=\"?\">go on</a>). ")?,
        }
        f.write_str("Names and versions, no values.</p>\n</footer>\n")
    }
}

impl fmt::Display for StatusPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = SystemTime::now();
        self.head(f)?;
        f.write_str("<body>\n<main>\n")?;
        self.header(f)?;
        if self.status.error_persists() {
            self.failure(f, now)?;
        }
        self.summary(f, now)?;
        tables::secrets(f, &self.status)?;
        tables::derived(f, &self.status, now)?;
        tables::keys(f, &self.explanation)?;
        if !self.status.error_persists() {
            self.failure(f, now)?;
        }
        f.write_str("</main>\n")?;
        self.footer(f, now)?;
        f.write_str("</body>\n</html>\n")
    }
}

/// `detail` is HTML.
fn card(f: &mut fmt::Formatter<'_>, title: &str, value: &str, detail: &str) -> fmt::Result {
    writeln!(f, "<div><dt>{title}</dt><dd><strong>{value}</strong><span>{detail}</span></dd></div>")
}

/// How much of the time is used up until settings count as failing.
fn gauge(age: Duration, bound: Duration) -> String {
    let used = if bound.is_zero() { 1.0 } else { age.as_secs_f64() / bound.as_secs_f64() };
    let percent = (used * 100.0).clamp(0.0, 100.0).round();
    let class = match percent {
        ..60.0 => "good",
        ..100.0 => "warn",
        _ => "bad",
    };
    format!(
        "<svg class=\"gauge {class}\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{percent} % of that\"><rect width=\"100\" height=\"4\" />\
         <rect class=\"used\" width=\"{percent}\" height=\"4\" /></svg>"
    )
}

#[cfg(test)]
mod tests;
