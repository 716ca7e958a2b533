//! A `.env` file as a figment provider, after the manner of figment's own `Env`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use figment::value::{Dict, Map, Uncased, UncasedStr, Value};
use figment::{Metadata, Profile, Provider};

use crate::error::Error;

type FilterMap = Arc<dyn Fn(&UncasedStr) -> Option<Uncased<'static>> + Send + Sync>;

/// A figment provider of the variables of a `.env` file, which reads the file alone: the process environment is not
/// touched, so nothing leaks into child processes and no `unsafe` is needed.
///
/// Its methods and the typing of its values are those of figment's `Env`, so a variable means the same in both:
/// names are lowercased, values are parsed (`PORT=8080` is a number, `X=[1, 2]` an array), and
/// [`split`](Self::split) nests. Where that gets in the way of a secret (`PIN=0042` becomes 42), read the file by
/// [`Layers`](crate::Layers), which keeps text.
///
/// The file is parsed by dotenvy, so it may say all that it may say today: `export`, comments, quotes, `$NAME`
/// substitution (from the process environment first, then from lines above). A relative path is looked for in the
/// working directory and its parents; a file that does not exist has no variables.
///
/// - **Profile**: none is selected; the values are in `default` unless [`profile`](Self::profile) says otherwise.
/// - **Metadata**: the file's path; keys as variable names.
/// - **Data**: read at each merge.
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
    /// All variables of a file.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self {
            file: path.as_ref().to_owned(),
            filter_map: Arc::new(|name| Some(owned(name.as_str()))),
            prefix: None,
            lowercase: true,
            profile: Profile::Default,
        }
    }

    /// All variables under their own names: takes back whatever was chained before, as `Env::raw` starts afresh.
    pub fn raw(self) -> Self {
        Self { profile: self.profile, ..Self::file(self.file) }
    }

    /// Only variables whose name starts with `prefix`, in any case, and without it.
    pub fn prefixed(self, prefix: &str) -> Self {
        let text = prefix.to_owned();
        let mut prefixed = self.filter_map(move |name| match name.starts_with(text.as_str()) {
            true => Some(owned(&name.as_str()[text.len()..])),
            false => None,
        });
        prefixed.prefix = Some(prefix.to_owned());
        prefixed
    }

    /// Only variables whose name, as chained so far, passes.
    pub fn filter(self, filter: impl Fn(&UncasedStr) -> bool + Send + Sync + 'static) -> Self {
        self.filter_map(move |name| filter(name).then(|| owned(name.as_str())))
    }

    /// Other names.
    pub fn map<F>(self, map: F) -> Self
    where
        F: for<'a> Fn(&'a UncasedStr) -> Uncased<'a> + Send + Sync + 'static,
    {
        self.filter_map(move |name| Some(map(name).into_owned()))
    }

    /// Other names, or none.
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

    /// Nests at each `pattern`, commonly `"__"`: `SMTP__HOST` is then `smtp.host`.
    pub fn split(self, pattern: impl Into<String>) -> Self {
        let pattern = pattern.into();
        self.map(move |name| name.as_str().replace(&pattern, ".").into())
    }

    /// Without these names, in any case.
    pub fn ignore(self, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.filter(move |name| !names.iter().any(|ignored| name == ignored.as_str()))
    }

    /// Only these names, in any case.
    pub fn only(self, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.filter(move |name| names.iter().any(|only| name == only.as_str()))
    }

    /// Whether names are lowercased in the end; they are unless this says otherwise. Unlike that of figment's `Env`,
    /// this switch stays as it is set whatever is chained after it.
    pub fn lowercase(mut self, lowercase: bool) -> Self {
        self.lowercase = lowercase;
        self
    }

    /// The figment profile that the values are in.
    pub fn profile(mut self, profile: impl Into<Profile>) -> Self {
        self.profile = profile.into();
        self
    }

    /// The values in figment's `global` profile, which lies over all others.
    pub fn global(self) -> Self {
        self.profile(Profile::Global)
    }

    /// The names, as figment will see them, with their values as the file has them.
    ///
    /// # Errors
    ///
    /// `Invalid`, if the file cannot be read or a line is no assignment.
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
        Metadata::from(name, self.file.as_path()).interpolater(|_, keys| {
            keys.iter().map(|key| key.to_ascii_uppercase()).collect::<Vec<_>>().join(".")
        })
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let variables =
            self.variables().map_err(|error| figment::Error::from(error.to_string()))?;
        let mut merged = Dict::new();
        for (name, value) in variables {
            // Never fails: text that reads as nothing else is a string.
            let value: Value = value.parse().unwrap_or_else(|never| match never {});
            if let Some(dict) = figment::util::nest(&name, value).into_dict() {
                merge(&mut merged, dict);
            }
        }
        Ok(self.profile.collect(merged))
    }
}

fn owned(name: &str) -> Uncased<'static> {
    Uncased::from_owned(name.to_owned())
}

/// Later variables over earlier ones, table by table, as `Env` lays them.
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
