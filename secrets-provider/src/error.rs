//! The one error type: what failed, for which key and secret, and what to do about it.
//!
//! Everything here may be logged: no error holds a value or a part of one. An error of another
//! crate is rebuilt as one of these, never wrapped, because its text may quote values. Each room
//! words its own errors; this module only joins and shows them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// How many of its failures an error shows; [`Error::errors`] has them all.
const MAX_SHOWN: usize = 100;

/// What went wrong while loading, extracting or refreshing settings.
///
/// An error names keys, secrets, variables and files, never a value nor a part of one, so `Display`
/// and `Debug` are safe to log. One error may hold several failures: [`errors`](Error::errors)
/// lists them, most severe first, and [`kind`](Error::kind) is that of the first. Cloning is cheap.
///
/// `Display` shows the message, the hint and the list of failures. `Debug` shows the same, so that
/// `unwrap` and a `main` that returns an error print what to do; `{:#?}` shows the structure. Both
/// show at most a hundred failures, and the number of the others. Names come from outside, so
/// control characters in them are escaped. The accessors return names as they are.
///
/// ```
/// use secrets_provider::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NotFound, "no such secret").with_secret("gaara/prod/database");
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.secret(), Some("gaara/prod/database"));
/// assert!(!error.is_transient());
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    key: Option<String>,
    secret: Option<String>,
    /// The caller's credentials were refused, so the error says nothing about what was asked for.
    of_caller: bool,
    /// Another rotation of the secret came first.
    superseded: bool,
    /// The secret's KMS key refuses the caller, and is not broken itself.
    key_denied: bool,
    parts: Vec<Error>,
}

/// The kinds of failure, most severe first: failures that someone must correct come before those
/// that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The provider is configured wrongly: an empty prefix, no region, a bad `rename`.
    Config,
    /// A secret's content has no place in the tree: a root secret that is not a JSON object, a key
    /// given twice, nesting that is too deep.
    Malformed,
    /// Two secrets define the same key, one layer gives a field twice (in two spellings, or by an
    /// alias), or two programs rotate one secret.
    Conflict,
    /// A value is missing or does not fit the type of its field.
    Invalid,
    /// A check of the application rejected the settings.
    Rejected,
    /// The secret's KMS key may not be used, is disabled, or is deleted.
    Kms,
    /// The caller may not make the call: in AWS, IAM does not allow it.
    AccessDenied,
    /// The secret, or the requested version, does not exist.
    NotFound,
    /// The secret is scheduled for deletion.
    PendingDeletion,
    /// The account's quota is used up for now.
    Throttled,
    /// The store could not be reached, did not answer in time, or answered unintelligibly.
    Unavailable,
}

#[cfg(feature = "metrics")]
impl ErrorKind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Config,
        Self::Malformed,
        Self::Conflict,
        Self::Invalid,
        Self::Rejected,
        Self::Kms,
        Self::AccessDenied,
        Self::NotFound,
        Self::PendingDeletion,
        Self::Throttled,
        Self::Unavailable,
    ];
}

impl ErrorKind {
    /// The kind's name as logs and metrics show it: `access_denied`, `not_found`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Malformed => "malformed",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::Kms => "kms",
            Self::AccessDenied => "access_denied",
            Self::NotFound => "not_found",
            Self::PendingDeletion => "pending_deletion",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    /// An error of a kind. In your own [`Backend`](crate::Backend), put no value into the message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            key: None,
            secret: None,
            of_caller: false,
            superseded: false,
            key_denied: false,
            parts: Vec::new(),
        }))
    }

    /// The same error with advice on what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).hint = Some(hint.into());
        self
    }

    /// The same error, marked as one about the caller's credentials.
    #[cfg(any(feature = "agent", feature = "aws", feature = "vault"))]
    pub(crate) fn of_caller(mut self) -> Self {
        Arc::make_mut(&mut self.0).of_caller = true;
        self
    }

    /// Whether the caller's credentials were refused, so that nothing is known about what was asked
    /// for.
    pub(crate) fn is_of_caller(&self) -> bool {
        self.0.of_caller
    }

    /// The same error, marked as one about a rotation that another one came before.
    pub(crate) fn superseded(mut self) -> Self {
        Arc::make_mut(&mut self.0).superseded = true;
        self
    }

    /// Whether a [rotation](crate::SecretsManager::rotation) ended because another one of the same
    /// secret came first. Nothing has to be done: the secret is rotated, or the other rotation
    /// finishes it.
    pub fn is_superseded(&self) -> bool {
        self.0.superseded
    }

    /// The same error, marked as a refusal of the KMS key, which a policy may allow.
    #[cfg(any(feature = "agent", feature = "aws"))]
    pub(crate) fn key_denied(mut self) -> Self {
        Arc::make_mut(&mut self.0).key_denied = true;
        self
    }

    /// Whether something was refused that a policy can allow: a call
    /// ([`AccessDenied`](ErrorKind::AccessDenied)), or the use of a secret's KMS key, which is
    /// [`Kms`](ErrorKind::Kms) as a key that is disabled or deleted is. If there are several
    /// failures, whether one of them is such a refusal.
    /// [`SecretsManager::iam_policy`](crate::SecretsManager::iam_policy) has the policy.
    ///
    /// It is false for credentials that are not accepted: no policy makes them valid.
    ///
    /// ```
    /// use secrets_provider::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::AccessDenied, "not allowed").is_denied());
    /// assert!(!Error::new(ErrorKind::Kms, "the key is disabled").is_denied());
    /// ```
    pub fn is_denied(&self) -> bool {
        self.errors().iter().any(|error| {
            let refused = error.0.kind == ErrorKind::AccessDenied && !error.0.of_caller;
            refused || error.0.key_denied
        })
    }

    /// The same error with the dotted key that it is about.
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).key = Some(key.into());
        self
    }

    /// The same error with the secret that it is about.
    pub fn with_secret(mut self, secret: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).secret = Some(secret.into());
        self
    }

    /// The same error with a note at the end of its message.
    pub(crate) fn with_note(mut self, note: &str) -> Self {
        Arc::make_mut(&mut self.0).message.push_str(note);
        self
    }

    /// The same error, in whose message each failure names this source of secrets.
    pub(crate) fn in_source(self, source: &str) -> Self {
        self.within(&format!("source `{source}`"))
    }

    /// The same, of this region.
    #[cfg(feature = "aws")]
    pub(crate) fn in_region(self, region: &str) -> Self {
        self.within(region)
    }

    fn within(mut self, place: &str) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        if inner.parts.is_empty() {
            inner.message.insert_str(0, &format!("{place}: "));
        }
        inner.parts = inner.parts.drain(..).map(|part| part.within(place)).collect();
        self
    }

    /// One error that holds all of these, most severe first. A single error is returned as it is;
    /// `None` if there is none.
    pub(crate) fn all(errors: impl IntoIterator<Item = Error>) -> Option<Self> {
        let mut parts: Vec<Error> =
            errors.into_iter().flat_map(|error| error.errors().to_vec()).collect();
        parts.sort_by_key(Error::kind);
        // One cause may occur many times: no region, for each of twenty secrets.
        let mut seen = BTreeSet::new();
        parts
            .retain(|part| seen.insert((part.kind(), part.0.message.clone(), part.0.hint.clone())));
        if parts.len() < 2 {
            return parts.pop();
        }
        let kind = parts[0].kind();
        let mut whole = Self::new(kind, format!("{} failures", parts.len()));
        Arc::make_mut(&mut whole.0).parts = parts;
        Some(whole)
    }

    /// This error together with one that may have caused it.
    pub(crate) fn beside(self, other: Option<Error>) -> Self {
        match other {
            None => self,
            Some(other) => Self::all([self, other.clone()]).unwrap_or(other),
        }
    }

    /// The kind of failure; if there are several, the kind of the most severe.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do about it, if there is advice; if there are several failures, the advice for the
    /// most severe.
    pub fn hint(&self) -> Option<&str> {
        self.first().0.hint.as_deref()
    }

    /// The dotted key path that it is about, such as `database.port`; if there are several
    /// failures, that of the most severe.
    pub fn key(&self) -> Option<&str> {
        self.first().0.key.as_deref()
    }

    /// The name (or ARN, as it was asked for) of the secret that it is about; if there are several
    /// failures, that of the most severe.
    pub fn secret(&self) -> Option<&str> {
        self.first().0.secret.as_deref()
    }

    /// Every failure in this error, most severe first. A single failure lists itself.
    pub fn errors(&self) -> &[Error] {
        if self.0.parts.is_empty() { std::slice::from_ref(self) } else { &self.0.parts }
    }

    /// Whether a later try may succeed without anyone changing anything: every failure is
    /// throttling or unavailability.
    pub fn is_transient(&self) -> bool {
        self.errors()
            .iter()
            .all(|error| matches!(error.kind(), ErrorKind::Throttled | ErrorKind::Unavailable))
    }

    /// A number that is the same for the same failures.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for part in self.errors() {
            (part.kind(), &part.0.message, part.secret()).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The most severe failure in one line, and the number of the others.
    pub(crate) fn summary(&self) -> String {
        let first = escape(&self.first().0.message).into_owned();
        match self.errors().len() - 1 {
            0 => first,
            1 => format!("{first} (and 1 other failure)"),
            others => format!("{first} (and {others} other failures)"),
        }
    }

    fn first(&self) -> &Self {
        &self.errors()[0]
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0.message))?;
        if let Some(hint) = &self.0.hint {
            write!(f, "\nhint: {}", escape(hint))?;
        }
        if !self.0.parts.is_empty() {
            f.write_str(":")?;
            for part in self.0.parts.iter().take(MAX_SHOWN) {
                write!(f, "\n- {}", part.to_string().replace('\n', "\n  "))?;
            }
            if let more @ 1.. = self.0.parts.len().saturating_sub(MAX_SHOWN) {
                write!(f, "\n- and {more} more")?;
            }
        }
        Ok(())
    }
}

/// Text on one line that drives no terminal: control characters, and characters that are invisible
/// or change the direction of text, by their code. Names come from outside, and one with a line
/// break in it must not look like a line of a log.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_unprintable(c) {
            true => escaped.extend(c.escape_default()),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Control characters, and those without a glyph: zero-width, line and direction marks, tags, and
/// two that XML does not allow.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{fffe}'
                | '\u{ffff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Reads as `Display`, because `unwrap`, `expect` and a `main` that returns an error print it so.
/// `{:#?}` shows the structure.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.0.message);
        for (name, value) in
            [("key", &self.0.key), ("secret", &self.0.secret), ("hint", &self.0.hint)]
        {
            if let Some(value) = value {
                debug.field(name, value);
            }
        }
        if !self.0.parts.is_empty() {
            let shown = &self.0.parts[..self.0.parts.len().min(MAX_SHOWN)];
            debug.field("errors", &shown);
            if let more @ 1.. = self.0.parts.len() - shown.len() {
                debug.field("more", &more);
            }
        }
        debug.finish()
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_forges_no_line_and_drives_no_terminal() {
        let name = "x\n2026-01-01 INFO audit: login=ok\r\u{1b}[2J\u{202e}\u{2028}";
        let error = Error::new(ErrorKind::Invalid, format!("key `{name}`"))
            .with_hint(format!("see `{name}`"))
            .with_key(name);
        let both = Error::all([error.clone(), Error::new(ErrorKind::Kms, name)]).expect("two");
        for shown in [error.to_string(), both.to_string(), format!("{error:?} {both:#?}")] {
            let lines = || shown.lines().map(str::trim_start);
            assert!(!lines().any(|line| line.starts_with("2026")), "{shown:?}");
            assert!(!shown.contains(|c| c != '\n' && is_unprintable(c)), "{shown:?}");
        }
        assert_eq!(error.key(), Some(name), "code gets the name as it is");
    }

    /// A `main` that returns the error prints its `Debug`.
    #[test]
    fn debug_reads_as_display_and_shows_the_structure_only_if_asked() {
        let bad = Error::new(ErrorKind::Malformed, "b is no object").with_hint("make it one");
        let both = Error::all([bad.clone(), Error::new(ErrorKind::NotFound, "c is gone")]);
        let both = both.expect("two errors");
        for error in [bad, both] {
            assert_eq!(format!("{error:?}"), error.to_string());
            let structure = format!("{error:#?}");
            assert!(structure.starts_with("Error {\n    kind: Malformed,"), "{structure}");
            assert!(structure.contains(r#"hint: "make it one""#), "{structure}");
        }
    }

    #[test]
    fn of_many_failures_a_hundred_are_shown_and_the_others_counted() {
        let failure = |n: u32| Error::new(ErrorKind::Unavailable, format!("no answer from {n}"));
        let error = Error::all((0..50_000).map(failure)).expect("many errors");
        assert_eq!(error.errors().len(), 50_000);
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(shown.starts_with("50000 failures:\n- no answer from 0\n"), "{shown}");
            assert!(shown.ends_with("\n- and 49900 more"), "{shown}");
            assert_eq!(shown.lines().count(), 102);
        }
        assert!(format!("{error:#?}").lines().count() < 1_000);
    }

    #[test]
    fn several_failures_are_listed_most_severe_first_and_each_once() {
        let slow = Error::new(ErrorKind::Unavailable, "no answer from a");
        let bad = Error::new(ErrorKind::Malformed, "b is no object").with_hint("make it one");
        let both = Error::all([slow.clone(), bad.clone()]).expect("two errors");
        let gone = Error::new(ErrorKind::NotFound, "c is gone");
        let slower = Error::new(ErrorKind::Unavailable, "no answer from d");
        let nested = Error::all([both, gone, slower, slow.clone(), bad.clone()])
            .expect("four errors, two of them twice");

        let kinds: Vec<_> = nested.errors().iter().map(Error::kind).collect();
        assert_eq!(kinds[..2], [ErrorKind::Malformed, ErrorKind::NotFound]);
        assert_eq!(kinds[2..], [ErrorKind::Unavailable; 2]);
        assert_eq!(nested.kind(), ErrorKind::Malformed);
        assert_eq!(nested.hint(), Some("make it one"));
        assert!(!nested.is_transient());
        assert_eq!(
            nested.to_string(),
            "4 failures:\n- b is no object\n  hint: make it one\n- c is gone\n- no answer from a\n- no answer from d"
        );
        assert!(Error::all([slow]).expect("one error").is_transient());
        assert!(Error::all([]).is_none());
    }
}
