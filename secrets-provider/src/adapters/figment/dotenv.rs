//! A `.env` file as a figment provider with the interface of figment's own `Env`.
//!
//! `env::dotenv` finds and parses the file; this adds filters, names, nesting and figment's typing
//! of values. Programs merge it. It reads the file on every merge and never touches the process
//! environment.
//!
//! figment keeps only parsed values, so the text goes through the metadata, as a fetch does in
//! `side_channel`: `metadata` leaves an empty cell in a thread-local, `data` fills it, and `tree`
//! takes it back by [`texts_of`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use figment::value::{Dict, Map, Uncased, UncasedStr, Value};
use figment::{Metadata, Profile, Provider};

use crate::error::Error;
use crate::secret::Text;
use crate::unwind;

/// The values of a file as text, by dotted name. Wiped when dropped.
pub(super) type Texts = BTreeMap<String, Text>;

/// A key that no settings have.
const TEXTS: &str = "\0secrets-provider texts\0";

/// What reading the file has come to.
type Read = Result<Arc<Texts>, Error>;

/// Metadata whose data have not been asked for yet.
struct Announced {
    /// Identifies the provider: another one may be asked in between.
    filter_map: FilterMap,
    read: Arc<OnceLock<Read>>,
}

thread_local! {
    /// The metadata that a `Dotenv` made last on this thread.
    static ANNOUNCED: RefCell<Option<Announced>> = const { RefCell::new(None) };

    /// What an interpolater was just asked for.
    static ASKED: RefCell<Option<Read>> = const { RefCell::new(None) };
}

/// The texts behind a provider's metadata; `None` if it is not a `Dotenv` that was read.
pub(super) fn texts_of(metadata: &Metadata) -> Option<Arc<Texts>> {
    read_of(metadata)?.ok()
}

/// Why the file behind a provider's metadata could not be read, if it is a `Dotenv`.
pub(super) fn error_of(metadata: &Metadata) -> Option<Error> {
    read_of(metadata)?.err()
}

fn read_of(metadata: &Metadata) -> Option<Read> {
    ASKED.take();
    // Another provider's interpolater may panic on such a key.
    let _ = unwind::catch(|| metadata.interpolate(&Profile::Default, &[TEXTS]));
    ASKED.take()
}

type FilterMap = Arc<dyn Fn(&UncasedStr) -> Option<Uncased<'static>> + Send + Sync>;

/// A figment provider for the variables of a `.env` file. It does not change the process
/// environment, so nothing leaks into child processes and no `unsafe` is needed.
///
/// Its methods and its typing of values are those of figment's `Env`, so a variable means the same
/// in both: names are lowercased, values are parsed (`PORT=8080` is a number, `X=[1, 2]` an array),
/// and [`split`](Self::split) nests. Parsing can change a secret: for figment's own `extract`,
/// `PIN=0042` is 42. [`settings`](crate::FigmentExt::settings), [`Live`](crate::Live) and
/// [`Layers`](crate::Layers) keep the text `0042` for a field that is text.
///
/// The file is parsed by dotenvy: `export`, comments, quotes and `$NAME` work as before (`$NAME` is
/// taken from the process environment first, then from the lines above). A relative path is
/// searched for in the working directory and its parents. A file that does not exist has no
/// variables.
///
/// - **Profile**: selects none. The values are in `default` unless [`profile`](Self::profile) sets
///   another.
/// - **Metadata**: the path of the file; keys are shown as variable names.
/// - **Data**: read from the file on every merge.
///
/// ```
/// use figment::{Figment, providers::Env};
/// use secrets_provider::Dotenv;
///
/// #[derive(serde::Deserialize)]
/// struct Smtp { host: String, port: u16 }
/// #[derive(serde::Deserialize)]
/// struct Settings { smtp: Smtp }
///
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join(".env");
/// std::fs::write(&file, "APP_SMTP__HOST=mail.local\nAPP_SMTP__PORT=2525\n")?;
///
/// let settings: Settings = Figment::new()
///     .merge(Dotenv::file(&file).prefixed("APP_").split("__"))
///     .merge(Env::prefixed("APP_").split("__"))
///     .extract()?;
/// assert_eq!(settings.smtp.port, 2525);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Dotenv {
    file: PathBuf,
    filter_map: FilterMap,
    prefix: Option<String>,
    lowercase: bool,
    profile: Profile,
}

impl Dotenv {
    /// All variables of a file, whose path is absolute or relative to the working directory or one
    /// of its parents.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self {
            file: path.as_ref().to_owned(),
            filter_map: Arc::new(|name| Some(owned(name.as_str()))),
            prefix: None,
            lowercase: true,
            profile: Profile::Default,
        }
    }

    /// All variables under their own names: undoes everything chained so far but the profile.
    pub fn raw(self) -> Self {
        Self { profile: self.profile, ..Self::file(self.file) }
    }

    /// Keeps the variables whose name starts with `prefix`, in any case, and removes the prefix.
    pub fn prefixed(self, prefix: &str) -> Self {
        let text = prefix.to_owned();
        let mut prefixed = self.filter_map(move |name| match name.starts_with(text.as_str()) {
            true => Some(owned(&name.as_str()[text.len()..])),
            false => None,
        });
        prefixed.prefix = Some(prefix.to_owned());
        prefixed
    }

    /// Keeps the variables whose name passes. The filter sees the names as changed so far.
    pub fn filter(self, filter: impl Fn(&UncasedStr) -> bool + Send + Sync + 'static) -> Self {
        self.filter_map(move |name| filter(name).then(|| owned(name.as_str())))
    }

    /// Renames the variables.
    pub fn map<F>(self, map: F) -> Self
    where
        F: for<'a> Fn(&'a UncasedStr) -> Uncased<'a> + Send + Sync + 'static,
    {
        self.filter_map(move |name| Some(map(name).into_owned()))
    }

    /// Renames the variables; those for which `map` returns `None` are left out.
    pub fn filter_map<F>(mut self, map: F) -> Self
    where
        F: for<'a> Fn(&'a UncasedStr) -> Option<Uncased<'a>> + Send + Sync + 'static,
    {
        let before = self.filter_map;
        self.filter_map = Arc::new(move |name| {
            let name = before(name)?;
            map(&name).map(Uncased::into_owned)
        });
        self
    }

    /// Nests at each `pattern`: with `"__"`, `SMTP__HOST` becomes `smtp.host`.
    pub fn split(self, pattern: impl Into<String>) -> Self {
        let pattern = pattern.into();
        self.map(move |name| name.as_str().replace(&pattern, ".").into())
    }

    /// Leaves these names out, in any case.
    pub fn ignore(self, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.filter(move |name| !names.iter().any(|ignored| name == ignored.as_str()))
    }

    /// Keeps only these names, in any case.
    pub fn only(self, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.filter(move |name| names.iter().any(|only| name == only.as_str()))
    }

    /// Sets whether names are lowercased at the end; they are by default. Unlike in figment's
    /// `Env`, methods chained afterwards do not reset it.
    pub fn lowercase(mut self, lowercase: bool) -> Self {
        self.lowercase = lowercase;
        self
    }

    /// Sets the figment profile of the values, `default` if not set.
    pub fn profile(mut self, profile: impl Into<Profile>) -> Self {
        self.profile = profile.into();
        self
    }

    /// Puts the values into figment's `global` profile, which overrides all others.
    pub fn global(self) -> Self {
        self.profile(Profile::Global)
    }

    /// Reads the file: each name as figment will see it, with its value as text.
    ///
    /// # Errors
    ///
    /// `Invalid` if the file cannot be read or a line is not an assignment.
    pub fn variables(&self) -> Result<Vec<(String, String)>, Error> {
        let variables = crate::env::dotenv::read(&self.file)?.into_iter();
        let named = variables.filter_map(|(name, value)| {
            let name = (self.filter_map)(UncasedStr::new(&name))?;
            let name = name.as_str().trim();
            let name = if self.lowercase { name.to_ascii_lowercase() } else { name.to_owned() };
            name.split('.').all(|part| !part.is_empty()).then_some((name, value))
        });
        Ok(named.collect())
    }
}

impl Provider for Dotenv {
    fn metadata(&self) -> Metadata {
        let name = match &self.prefix {
            Some(prefix) => format!("`{}` variable(s)", prefix.to_ascii_uppercase()),
            None => "variable(s)".to_owned(),
        };
        let read = Arc::<OnceLock<Read>>::default();
        let filter_map = self.filter_map.clone();
        ANNOUNCED.set(Some(Announced { filter_map, read: read.clone() }));
        Metadata::from(name, self.file.as_path()).interpolater(move |_, keys| {
            if keys == [TEXTS] {
                ASKED.set(read.get().cloned());
                return String::new();
            }
            keys.iter().map(|key| key.to_ascii_uppercase()).collect::<Vec<_>>().join(".")
        })
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let ours = |announced: &Announced| Arc::ptr_eq(&announced.filter_map, &self.filter_map);
        let announced = ANNOUNCED.take().filter(ours);
        // `metadata` made the cell, and each cell is filled once.
        let note = |read: Read| _ = announced.map(|announced| announced.read.set(read));
        let variables = match self.variables() {
            Ok(variables) => variables,
            Err(error) => {
                let text = error.to_string();
                note(Err(error));
                return Err(text.into());
            }
        };
        let mut merged = Dict::new();
        let mut texts = Texts::new();
        for (name, value) in variables {
            texts.insert(name.clone(), Text::new(value.as_str()));
            // Never fails: text that is nothing else is a string.
            let value: Value = value.parse().unwrap_or_else(|never| match never {});
            if let Some(dict) = figment::util::nest(&name, value).into_dict() {
                merge(&mut merged, dict);
            }
        }
        note(Ok(Arc::new(texts)));
        Ok(self.profile.collect(merged))
    }
}

fn owned(name: &str) -> Uncased<'static> {
    Uncased::from_owned(name.to_owned())
}

/// Later variables override earlier ones, table by table, as in `Env`.
fn merge(merged: &mut Dict, over: Dict) {
    for (name, value) in over {
        match (merged.get_mut(&name), value) {
            (Some(Value::Dict(_, below)), Value::Dict(_, above)) => merge(below, above),
            (_, value) => {
                merged.insert(name, value);
            }
        }
    }
}

impl fmt::Debug for Dotenv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dotenv")
            .field("file", &self.file)
            .field("prefix", &self.prefix)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}
