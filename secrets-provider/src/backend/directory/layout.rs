//! Which file holds a secret, and which secret a file holds. Pure: no file is touched here.
//!
//! Names are checked before they become paths, so that no name can lead out of the folder (links
//! are checked in `root`). The errors about names are here, beside the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::error::{Error, ErrorKind};
use crate::secret::id::{below, names_of};

/// The file of a secret whose name is also a folder. No secret can have this name itself.
pub(super) const OWN_FILE: &str = ".self";

/// How names become files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `a/b` is the file `b` in the folder `a`.
    Tree,
    /// `a/b` is the file `a_b`.
    Mounted,
}

/// The naming rules of one folder.
#[derive(Debug, Clone)]
pub(super) struct Names {
    layout: Layout,
    /// The file of each aliased secret, by the id that is asked for.
    aliases: BTreeMap<String, String>,
    binary: BTreeSet<String>,
}

/// A secret and its file, relative to the folder. The file need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

impl Names {
    pub(super) fn new(layout: Layout) -> Self {
        Self { layout, aliases: BTreeMap::new(), binary: BTreeSet::new() }
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn alias(&mut self, file: String, secret: String) {
        self.aliases.insert(secret, file);
    }

    pub(super) fn binary(&mut self, secret: String) {
        self.binary.insert(secret);
    }

    pub(super) fn is_binary(&self, id: &str, name: &str) -> bool {
        self.binary.contains(id) || self.binary.contains(name)
    }

    /// Where to look for a secret, at least one place. The first one that exists is used.
    pub(super) fn places(&self, id: &str) -> Result<Vec<Place>, Error> {
        // The longer name first: if no secret has it, its end was the random ending of an ARN, and
        // the shorter one is meant.
        let names: Vec<&str> = names_of(id).into_iter().rev().collect();
        if let (Some(file), Some(name)) = (self.aliases.get(id), names.last()) {
            let path = relative(file, |_| true).map_err(|why| {
                Error::new(ErrorKind::Config, format!("alias `{file}` of secret `{id}`: {why}"))
                    .with_secret(id)
                    .with_hint("give the file's name, or its path below the folder")
            })?;
            return Ok(vec![Place { name: (*name).to_owned(), path }]);
        }
        names
            .into_iter()
            .map(|name| Ok(Place { name: name.to_owned(), path: self.path(id, name)? }))
            .collect()
    }

    /// The file of a name, or the folder of a prefix.
    pub(super) fn path(&self, id: &str, name: &str) -> Result<PathBuf, Error> {
        let path = relative(name, allowed).map_err(|why| {
            Error::new(ErrorKind::Config, format!("secret `{id}` cannot be a file: {why}"))
                .with_secret(id)
                .with_hint("parts of a name are separated by one `/`, and none starts with a dot")
        })?;
        Ok(match self.layout {
            Layout::Tree => path,
            Layout::Mounted => PathBuf::from(translated(name)),
        })
    }

    /// The secrets at or below a prefix, by the files of a mount.
    pub(super) fn mounted(&self, prefix: &str, files: &[&str]) -> Vec<String> {
        let own = translated(prefix);
        let unaliased =
            files.iter().filter(|file| self.aliases.values().all(|alias| alias != **file));
        let names = unaliased.filter_map(|file| match file.strip_prefix(&own)? {
            "" => Some(prefix.to_owned()),
            rest => rest
                .strip_prefix('_')
                .filter(|rest| is_name(rest))
                .map(|rest| format!("{prefix}/{rest}")),
        });
        self.aliased(prefix, names.collect(), |alias| files.contains(&alias))
    }

    /// The listed names without the files that have an alias, and with the aliases at or below the
    /// prefix.
    pub(super) fn aliased(
        &self,
        prefix: &str,
        mut names: Vec<String>,
        exists: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        names.retain(|name| self.aliases.values().all(|file| file != name));
        let aliases = self
            .aliases
            .iter()
            .filter(|(name, file)| below(prefix, name).is_some() && exists(file));
        names.extend(aliases.map(|(name, _)| name.clone()));
        names
    }
}

/// Whether an entry of a folder can be part of a secret's name.
pub(super) fn is_name(entry: &str) -> bool {
    part(entry, allowed).is_ok()
}

/// A name as a path of its parts, each of which only leads down.
fn relative(name: &str, allowed: fn(char) -> bool) -> Result<PathBuf, &'static str> {
    name.split('/').map(|name| part(name, allowed).map(|()| name)).collect()
}

fn part(part: &str, allowed: fn(char) -> bool) -> Result<(), &'static str> {
    match part {
        "" => Err("a part of the name is empty"),
        part if part.starts_with('.') => Err("a part of the name starts with a dot"),
        // Separators and drive letters of other systems, and NUL, which no system allows.
        part if part.contains(['\\', ':', '\0']) || !part.chars().all(allowed) => {
            Err("it contains a character that is not allowed in names")
        }
        _ => Ok(()),
    }
}

/// The characters that AWS allows in names, apart from `/`
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>).
fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=.@-".contains(c)
}

/// The default `pathTranslation` of AWS's provider for the CSI driver.
fn translated(name: &str) -> String {
    name.replace('/', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &Names, id: &str) -> Vec<(String, String)> {
        let places = names.places(id).expect("places");
        places
            .into_iter()
            .map(|place| (place.name, place.path.to_string_lossy().into_owned()))
            .collect()
    }

    #[test]
    fn names_and_arns_become_files() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:";
        for (id, name, tree, mounted) in [
            ("database", "database", "database", "database"),
            (
                "gaara/prod/key.pem",
                "gaara/prod/key.pem",
                "gaara/prod/key.pem",
                "gaara_prod_key.pem",
            ),
            ("a_b", "a_b", "a_b", "a_b"),
            (
                "smtp+relay@eu=1/Pass-Word",
                "smtp+relay@eu=1/Pass-Word",
                "smtp+relay@eu=1/Pass-Word",
                "smtp+relay@eu=1_Pass-Word",
            ),
            (&format!("{arn}app/db-AbC123"), "app/db", "app/db", "app_db"),
            (&format!("{arn}app/jwt-secret"), "app/jwt", "app/jwt", "app_jwt"),
            (&format!("{arn}app/db"), "app/db", "app/db", "app_db"),
        ] {
            for (layout, path) in [(Layout::Tree, tree), (Layout::Mounted, mounted)] {
                let places = found(&Names::new(layout), id);
                assert_eq!(
                    places.last(),
                    Some(&(name.to_owned(), path.to_owned())),
                    "{id} {layout:?}"
                );
            }
        }
        let both = found(&Names::new(Layout::Tree), &format!("{arn}app/jwt-secret"));
        assert_eq!(both[0].0, "app/jwt-secret", "the longer name first");
    }

    #[test]
    fn names_that_lead_out_of_the_folder_are_refused() {
        for name in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "./a",
            "a/.",
            "a//b",
            "a/",
            "..data/a",
            ".self",
            "a/.self",
            "a/.hidden",
            "a\\..\\b",
            "C:/x",
            "a\0b",
            "a b",
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:../x-AbC123",
        ] {
            for layout in [Layout::Tree, Layout::Mounted] {
                let error = Names::new(layout).places(name).expect_err(name);
                assert_eq!(
                    (error.kind(), error.secret()),
                    (ErrorKind::Config, Some(name)),
                    "{name}"
                );
                assert!(error.hint().is_some());
            }
        }
        for file in ["", "..", "../x", "/x", "a/../b", "..data", "a\\b"] {
            let mut names = Names::new(Layout::Mounted);
            names.alias(file.into(), "app/db".into());
            let error = names.places("app/db").expect_err(file);
            assert_eq!(error.kind(), ErrorKind::Config, "{file}");
        }
    }

    #[test]
    fn the_files_of_a_mount_are_listed_as_secrets_below_a_prefix() {
        let mut names = Names::new(Layout::Mounted);
        names.alias("db".into(), "gaara/prod/database".into());
        names.alias("gaara_prod_other".into(), "elsewhere/other".into());
        let files = [
            "gaara_prod",
            "gaara_prod_jwt-secret",
            "gaara_prod_api-keys_clerk",
            "gaara_production",
            "gaara_prod-eu",
            "gaara_prod_",
            "gaara_prod_.x",
            "gaara_prod_other",
            "xgaara_prod_a",
            "db",
            "other",
        ];
        assert_eq!(
            names.mounted("gaara/prod", &files),
            [
                "gaara/prod",
                "gaara/prod/jwt-secret",
                "gaara/prod/api-keys_clerk",
                "gaara/prod/database"
            ]
        );
        assert_eq!(names.mounted("elsewhere", &files), ["elsewhere/other"]);
    }

    #[test]
    fn an_alias_overrides_the_name_also_for_an_arn() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-AbC123";
        let mut names = Names::new(Layout::Mounted);
        names.alias("old".into(), arn.into());
        names.alias("db.json".into(), arn.into());
        assert_eq!(found(&names, arn), [("app/db".to_owned(), "db.json".to_owned())]);
        assert_eq!(found(&names, "app/db"), [("app/db".to_owned(), "app_db".to_owned())]);
    }
}
