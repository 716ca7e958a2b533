//! The status of settings as one HTML page for operators.
//!
//! `StatusPage` arranges the page, what needs attention first; `tables` and `keys` fill the tables,
//! `html` has the pieces of markup and `text` escapes every name. The `/status` route serves it,
//! and programs can print it themselves.
//!
//! The page shows names and versions, never a value. It needs no script, font or image, and its
//! policy allows only its own style.

mod html;
mod keys;
mod tables;
mod text;

use std::any::type_name;
use std::collections::BTreeSet;
use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::layers::explain::Explanation;
use crate::live::Live;
use crate::observe::status::{Health, Status};
use crate::secret::id::Arn;
use html::{card, gauge, section, tag};
use text::{ago, duration, multi_line, one_line, short_type, time_element, until};

const STYLE: &str = include_str!("style.css");

/// The default of [`StatusPage::reload_every`].
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// How many regions and accounts are shown.
const MAX_PLACES: usize = 5;

/// The shortest interval that [`StatusPage::reload_every`] accepts.
const MIN_RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// The [`Status`] and the [`Explanation`] of a [`Live`] at one moment, as a page for a browser:
/// what failed and what to do about it, what is live and since when, and where each key comes from.
/// `Display` writes the HTML.
///
/// The heading is the [title](crate::LiveBuilder::title) that the program gives, or else the name
/// of the settings type, with the region and account of the secrets below it. Keys are grouped by
/// secret. Of each secret, a hundred keys are shown, and the number of the others.
///
/// The page holds names and versions, no values. It is self-contained (no script, font or image)
/// and reloads itself every few seconds, with a link to pause that. Names are escaped; serve the
/// page with [`CONTENT_SECURITY_POLICY`](Self::CONTENT_SECURITY_POLICY), which also blocks anything
/// but its own style.
///
/// The status routes of `secrets-provider-axum` and `secrets-provider-actix` serve this page. Like
/// those routes, it is for operators and not for the public, because it names the secrets.
///
/// ```
/// use secrets_provider::{Live, StatusPage};
///
/// let html = StatusPage::of(&Live::constant(8080)).to_string();
/// assert!(html.starts_with("<!DOCTYPE html>"));
/// ```
#[derive(Debug, Clone)]
pub struct StatusPage {
    /// The program's title, or the name of the settings type.
    settings: String,
    status: Status,
    explanation: Arc<Explanation>,
    /// The refresher has stopped.
    ended: bool,
    reload: Option<Duration>,
}

impl StatusPage {
    /// The `Content-Security-Policy` to serve the page with. It allows the page's style and nothing
    /// else.
    pub const CONTENT_SECURITY_POLICY: &'static str = "default-src 'none'; \
        style-src 'sha256-07SvnYZoil/ENd8F6vFSDi+/SkkQHWSBTwtUKDMbUyI='; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    /// A page with the status and the explanation of these settings, as they are now.
    pub fn of<T>(live: &Live<T>) -> Self {
        let (status, explanation) = live.status_with_explanation();
        let title = status.title().map(str::to_owned);
        let settings = title.unwrap_or_else(|| short_type(type_name::<T>()));
        let reload = Some(RELOAD_INTERVAL);
        Self { settings, status, explanation, ended: live.has_ended(), reload }
    }

    /// Sets how often the page reloads itself, 5 s by default. The interval is cut to whole seconds
    /// and is at least 1 s; `None` turns reloading off.
    #[must_use]
    pub fn reload_every(mut self, interval: Option<Duration>) -> Self {
        self.reload = interval.map(|interval| interval.max(MIN_RELOAD_INTERVAL));
        self
    }

    /// What the health means for the readers of the settings.
    fn meaning(&self) -> &'static str {
        match self.status.health() {
            Health::Fresh if self.status.interval().is_none() => "These settings never change.",
            Health::Fresh => "The last refresh read every required secret.",
            Health::Stale if self.status.has_failed() => {
                "The last refresh failed, at least in part. The last good values are live."
            }
            Health::Stale if self.ended => {
                "The refresher has stopped. The live values may be out of date."
            }
            Health::Stale => "The next refresh is overdue. The live values may be out of date.",
            Health::Fallback => {
                "Lower layers serve the keys of required secrets that could not be read yet."
            }
            Health::Failing => {
                "No refresh has succeeded within the bound. The live values may be out of date."
            }
        }
    }

    fn head(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (settings, health) = (one_line(&self.settings), tables::health(self.status.health()).1);
        writeln!(f, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />")?;
        for (name, content) in [
            ("viewport", "width=device-width, initial-scale=1"),
            ("color-scheme", "light dark"),
            ("robots", "noindex"),
        ] {
            writeln!(f, r#"<meta name="{name}" content="{content}" />"#)?;
        }
        if let Some(every) = self.reload {
            writeln!(f, r#"<meta http-equiv="refresh" content="{}" />"#, every.as_secs())?;
        }
        let generation = self.status.generation();
        writeln!(f, "<title>{health}: {settings}, generation {generation}</title>")?;
        writeln!(f, "<style>{STYLE}</style>\n</head>")
    }

    fn header(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (class, health) = tables::health(self.status.health());
        let ready = match self.status.is_ready() {
            true => tag("good", "ready"),
            false => tag("bad", "not ready"),
        };
        writeln!(f, r#"<header class="{class}">"#)?;
        writeln!(f, "<h1>{}</h1>", one_line(&self.settings))?;
        writeln!(f, r#"<p class="badges">{} {ready}</p>"#, tag(class, health))?;
        if let Some(places) = self.places() {
            writeln!(f, r#"<p class="places">{}</p>"#, one_line(&places))?;
        }
        writeln!(f, r#"<p class="meaning">{}</p>"#, self.meaning())?;
        f.write_str("</header>\n")
    }

    /// The regions and accounts that the secrets are in, as far as their ARNs say.
    fn places(&self) -> Option<String> {
        let places: BTreeSet<_> = (self.status.secrets().iter())
            .filter_map(|secret| Arn::parse(secret.arn()?))
            .map(|arn| format!("{}, account {}", arn.region, arn.account))
            .collect();
        let mut shown: Vec<_> = places.iter().take(MAX_PLACES).cloned().collect();
        if let more @ 1.. = places.len().saturating_sub(MAX_PLACES) {
            shown.push(format!("{more} more"));
        }
        (!shown.is_empty()).then(|| shown.join("; "))
    }

    fn summary(&self, f: &mut Formatter<'_>, now: SystemTime) -> fmt::Result {
        f.write_str("<dl class=\"cards\">\n")?;
        self.generation_card(f, now)?;
        self.success_card(f, now)?;
        self.next_refresh_card(f, now)?;
        self.calls_card(f)?;
        #[cfg(feature = "sqs")]
        self.push_card(f, now)?;
        #[cfg(feature = "sqs")]
        self.peers_card(f)?;
        f.write_str("</dl>\n")
    }

    fn generation_card(&self, f: &mut Formatter<'_>, now: SystemTime) -> fmt::Result {
        let since = self.status.changed_at();
        let age = now.duration_since(since).unwrap_or_default();
        let age = duration(Duration::from_secs(age.as_secs()));
        let html = format!("live for {age}<br />since {}", time_element(since));
        card(f, "Generation", &self.status.generation().to_string(), &html)
    }

    fn success_card(&self, f: &mut Formatter<'_>, now: SystemTime) -> fmt::Result {
        let status = &self.status;
        let success = status.last_success();
        let (value, mut html) = match status.has_succeeded() {
            true => (ago(success, now), time_element(success)),
            false => ("never".to_owned(), format!("started {}", ago(success, now))),
        };
        if let Some(bound) = status.max_staleness() {
            if status.was_checked_since_success() {
                let checked = ago(status.last_check(), now);
                html += &format!("<br />secrets in use checked {checked}");
            }
            html += &format!("<br />failing after {}", duration(bound));
            html += &gauge(status.last_success_age(), bound);
        }
        card(f, "Last success", &value, &html)
    }

    fn next_refresh_card(&self, f: &mut Formatter<'_>, now: SystemTime) -> fmt::Result {
        const TITLE: &str = "Next refresh";
        let Some(interval) = self.status.interval() else {
            return card(f, TITLE, "never", "a constant has no secrets");
        };
        let mut every = format!("every {}", duration(interval));
        if let Some(ttl) = self.status.cache_ttl() {
            every += &format!("<br />from a cache, up to {} old", duration(ttl));
        }
        if let Some((failover, since)) = self.status.failover().and_then(|f| Some((f, f.since()?)))
        {
            let region = one_line(failover.region());
            every += &format!("<br />from replicas in {region} since {}", time_element(since));
        }
        match self.status.next_attempt() {
            _ if self.ended => card(f, TITLE, "never", "the refresher has stopped"),
            Some(next) => {
                let html = format!("{every}<br />{}", time_element(next));
                card(f, TITLE, &until(next, now), &html)
            }
            None => card(f, TITLE, "in progress", &every),
        }
    }

    fn calls_card(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let calls = self.status.calls();
        if calls.is_empty() {
            return Ok(());
        }
        let of_operation = |(name, count): (&&str, &u64)| format!("{count} {}", one_line(name));
        let by_operation: Vec<_> = calls.iter().map(of_operation).collect();
        card(f, "Calls", &calls.values().sum::<u64>().to_string(), &by_operation.join("<br />"))
    }

    /// The queue that changes are pushed through, if there is one.
    #[cfg(feature = "sqs")]
    fn push_card(&self, f: &mut Formatter<'_>, now: SystemTime) -> fmt::Result {
        use crate::observe::status::PushState;
        let Some(push) = self.status.push() else { return Ok(()) };
        let mut lines = Vec::new();
        if matches!(push.state(), PushState::Retrying | PushState::Denied)
            && let Some(error) = push.last_error()
        {
            lines.push(tag("bad", error.kind().as_str()));
            lines.push(format!(r#"<span class="words">{}</span>"#, multi_line(error.message())));
        }
        match push.last_hint() {
            Some(at) => lines.push(format!("last hint {}", ago(at, now))),
            None => lines.push("no hint yet".to_owned()),
        }
        if let Some(lag) = push.lag() {
            lines.push(format!("live {} after its event", duration(lag)));
        }
        if let more @ 1.. = push.unknown() {
            lines.push(format!("{more} other messages"));
        }
        if let dropped @ 1.. = push.dropped() {
            lines.push(format!("{dropped} hints dropped"));
        }
        card(f, "Push", push.state().as_str(), &lines.join("<br />"))
    }

    /// The peers that hints are passed on to, if there are any.
    #[cfg(feature = "sqs")]
    fn peers_card(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(peers) = self.status.peers() else { return Ok(()) };
        let mut lines = Vec::new();
        if let Some(error) = peers.last_error().filter(|_| peers.is_failing()) {
            lines.push(tag("bad", error.kind().as_str()));
            lines.push(format!(r#"<span class="words">{}</span>"#, multi_line(error.message())));
        }
        lines.push(format!("{} hints arrived", peers.delivered()));
        if let failed @ 1.. = peers.failed() {
            lines.push(format!("{failed} did not"));
        }
        card(f, "Peers", &peers.peers().to_string(), &lines.join("<br />"))
    }

    /// The last error. It is highlighted while it persists, and still shown after a success.
    fn last_error(&self, f: &mut Formatter<'_>, now: SystemTime) -> fmt::Result {
        let Some(error) = self.status.last_error() else { return Ok(()) };
        let (class, heading) = match self.status.error_persists() {
            true => ("failure", "Last error"),
            false => ("failure over", "Last error (resolved)"),
        };
        section(f, class, ("failure", heading), |f| {
            let (at, kind) = (error.at(), tag("bad", error.kind().as_str()));
            writeln!(f, "<p>{kind} {}, {}</p>", ago(at, now), time_element(at))?;
            writeln!(f, "<pre>{}</pre>", multi_line(error.message()))
        })
    }

    fn footer(&self, f: &mut Formatter<'_>, now: SystemTime) -> fmt::Result {
        let reload = match self.reload {
            Some(every) => {
                format!(r#"Reloads every {} (<a href="?paused">pause</a>)."#, duration(every))
            }
            None => r#"Paused (<a href="?">resume</a>)."#.to_owned(),
        };
        writeln!(f, "<footer>\n<p>As of {}. {reload}", time_element(now))?;
        writeln!(f, "Names and versions, no values.</p>\n</footer>")
    }
}

impl fmt::Display for StatusPage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let now = SystemTime::now();
        let error_first = self.status.error_persists();
        self.head(f)?;
        f.write_str("<body>\n<main>\n")?;
        self.header(f)?;
        if error_first {
            self.last_error(f, now)?;
        }
        self.summary(f, now)?;
        tables::sources(f, &self.status, now)?;
        tables::secrets(f, &self.status, now)?;
        tables::derived(f, &self.status, now)?;
        keys::keys(f, &self.explanation)?;
        if !error_first {
            self.last_error(f, now)?;
        }
        f.write_str("</main>\n")?;
        self.footer(f, now)?;
        f.write_str("</body>\n</html>\n")
    }
}

#[cfg(test)]
mod tests;
