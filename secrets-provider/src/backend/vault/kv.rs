//! The key-value engine: reading values, listing names, and which of its two versions is mounted.
//!
//! Version 2 has versions of its own; a value of version 1 gets one by a hash with a key that this
//! process has made. `core` makes the calls.

use std::collections::{BTreeSet, hash_map::RandomState};
use std::hash::BuildHasher as _;

use futures_util::{StreamExt as _, stream};

use super::MAX_CONCURRENT_CALLS;
use super::address::{encoded, slip};
use super::answer::{Answer, Keys, Metadata, Mount, Versioned, payload};
use super::core::Core;
use crate::error::{Error, ErrorKind};
use crate::secret::Fetched;
use crate::unwind::lock;

/// How many folders a listing visits at most: a server that always answers with one more would be
/// asked for ever.
const MAX_FOLDERS: usize = 10_000;

/// What is mounted.
#[derive(Debug)]
pub(super) enum Engine {
    /// Without versions: the key of the hash that makes them.
    V1(RandomState),
    V2,
}

impl Core {
    /// The engine at the mount, asked for once.
    async fn engine(&self) -> Result<&Engine, Error> {
        self.engine.get_or_try_init(|| self.detect()).await
    }

    async fn detect(&self) -> Result<Engine, Error> {
        let mount = &self.settings.mount;
        if let Some(error) = slip("mount", mount) {
            return Err(error);
        }
        let path = format!("sys/internal/ui/mounts/{mount}");
        let call = self.call("", "read", &path);
        let answer = self.authorized("VaultMount", "GET", &encoded(&path)).await?;
        match answer.status {
            200 => {}
            403 => {
                let problem = format!("Vault shows this token no mount `{mount}`");
                let hint = "no policy of it gives a right below the mount, or there is no such \
                            mount: `vault secrets list`; set `mount(..)` or `namespace(..)`";
                return Err(Error::new(ErrorKind::AccessDenied, problem).with_hint(hint));
            }
            404 => return Err(call.no_mount()),
            _ => return Err(call.failed(&answer)),
        }
        let found: Mount = answer.data().ok_or_else(|| call.unintelligible())?;
        let path = found.path.trim_matches('/');
        if !path.is_empty() && path != mount {
            let problem = format!("`{mount}` is no mount of Vault, but a path below `{path}`");
            let hint = format!("call `mount(\"{path}\")`; what follows is part of the names");
            return Err(Error::new(ErrorKind::Config, problem).with_hint(hint));
        }
        if !matches!(&*found.kind, "kv" | "generic") {
            let problem = format!("the engine at Vault's mount `{mount}` is not a key-value one");
            return Err(Error::new(ErrorKind::Config, problem)
                .with_hint("`vault secrets list` shows the engines: choose one of type `kv`"));
        }
        let version = found.options.and_then(|options| options.version);
        Ok(match version.as_deref() {
            Some("2") => Engine::V2,
            _ => Engine::V1(RandomState::new()),
        })
    }

    /// The current value of a secret.
    pub(super) async fn read(&self, id: &str) -> Result<Fetched, Error> {
        if let Some(error) = slip("secret", id) {
            return Err(error);
        }
        let mount = &self.settings.mount;
        let subject = format!("secret `{id}`: ");
        match self.engine().await? {
            Engine::V2 => {
                let path = format!("{mount}/data/{id}");
                let answer = self.authorized("VaultRead", "GET", &encoded(&path)).await?;
                let read = self.versioned(id, &path, &answer);
                let mut numbering = lock(&self.numbering);
                let (payload, metadata) = read.inspect_err(|error| {
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PendingDeletion) {
                        numbering.gone(id);
                    }
                })?;
                let version = numbering.current(id, metadata.version, &metadata.created_time);
                Ok(Fetched::new(id.to_owned(), version, payload))
            }
            Engine::V1(key) => {
                let path = format!("{mount}/{id}");
                let call = self.call(&subject, "read", &path);
                let answer = self.authorized("VaultRead", "GET", &encoded(&path)).await?;
                if answer.status != 200 {
                    return Err(call.failed(&answer));
                }
                let envelope = answer.envelope().and_then(|envelope| envelope.data);
                let data = envelope.ok_or_else(|| call.unintelligible())?;
                let payload = payload(data).ok_or_else(|| call.unintelligible())?;
                // Two hashes of 64 bits, so that two values do not share one.
                let part = |n: u8| key.hash_one((n, data.get()));
                let version = format!("{:016x}{:016x}", part(0), part(1));
                Ok(Fetched::new(id.to_owned(), version, payload))
            }
        }
    }

    /// A version of a secret that an answer holds.
    fn versioned(
        &self,
        id: &str,
        path: &str,
        answer: &Answer,
    ) -> Result<(crate::secret::Payload, Metadata), Error> {
        let subject = format!("secret `{id}`: ");
        let call = self.call(&subject, "read", path);
        match (answer.status, answer.data::<Versioned<'_>>()) {
            (200, Some(Versioned { data: Some(data), metadata })) => {
                let payload = payload(data).ok_or_else(|| call.unintelligible())?;
                Ok((payload, metadata))
            }
            (200 | 404, Some(Versioned { metadata, .. })) => Err(match metadata.destroyed {
                true => call.destroyed(metadata.version),
                false => call.deleted(id, metadata.version),
            }),
            (404, None) => Err(match call.failed(answer) {
                error if error.kind() == ErrorKind::NotFound => error.with_hint(format!(
                    "put it: `vault kv put -mount={} {id} value=…`, or check its name",
                    self.settings.mount
                )),
                error => error,
            }),
            _ => Err(call.failed(answer)),
        }
    }

    /// The version before the current one.
    pub(super) async fn read_previous(&self, id: &str) -> Result<Fetched, Error> {
        let none = || super::no_previous(id);
        if let Some(error) = slip("secret", id) {
            return Err(error);
        }
        if let Engine::V1(_) = self.engine().await? {
            return Err(none());
        }
        // What was read last may be replaced by now.
        self.read(id).await?;
        let current = lock(&self.numbering).number(id).unwrap_or_default();
        let Some(number @ 1..) = current.checked_sub(1) else { return Err(none()) };
        let path = format!("{}/data/{id}", self.settings.mount);
        let call = format!("{}?version={number}", encoded(&path));
        let answer = self.authorized("VaultRead", "GET", &call).await?;
        // A deleted or destroyed one is not there either.
        if answer.status == 404 {
            return Err(none());
        }
        let (payload, metadata) = self.versioned(id, &path, &answer)?;
        let version = lock(&self.numbering).previous(id, metadata.version, &metadata.created_time);
        Ok(Fetched::new(id.to_owned(), version, payload))
    }

    /// The names at and below a prefix, without those of deleted secrets.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        if let Some(error) = slip("prefix", prefix) {
            return Err(error);
        }
        let is_v2 = matches!(self.engine().await?, Engine::V2);
        let mut names = BTreeSet::new();
        let (mut folders, mut visited) = (vec![prefix.to_owned()], 0);
        while !folders.is_empty() {
            visited += folders.len();
            if visited > MAX_FOLDERS {
                let message = format!("prefix `{prefix}` has more than {MAX_FOLDERS} folders");
                return Err(Error::new(ErrorKind::Unavailable, message)
                    .with_hint("choose a longer prefix, or give names"));
            }
            let lists = folders.into_iter().map(|folder| async move { self.folder(&folder).await });
            let mut lists = stream::iter(lists).buffer_unordered(MAX_CONCURRENT_CALLS);
            let mut deeper = Vec::new();
            while let Some(keys) = lists.next().await {
                for name in keys? {
                    match name.strip_suffix('/') {
                        Some(folder) => deeper.push(folder.to_owned()),
                        None => _ = names.insert(name),
                    }
                }
            }
            drop(lists);
            folders = deeper;
        }
        // The secret of the prefix's own name is in the folder above, which may not be listed.
        names.insert(prefix.to_owned());
        let checks = names.into_iter().map(|name| async {
            let is_listed = name != prefix;
            let is_there =
                match is_listed && !is_v2 || lock(&self.numbering).number(&name).is_some() {
                    true => Ok(true),
                    false => self.has_value(&name, is_listed).await,
                };
            is_there.map(|is_there| (name, is_there))
        });
        let checked: Vec<_> =
            stream::iter(checks).buffer_unordered(MAX_CONCURRENT_CALLS).collect().await;
        let mut names = Vec::with_capacity(checked.len());
        for checked in checked {
            let (name, is_there) = checked?;
            names.extend(is_there.then_some(name));
        }
        Ok(names)
    }

    /// Whether a secret has a value, as far as that decides about its name: what fails for another
    /// reason is for the fetch to report.
    async fn has_value(&self, name: &str, is_listed: bool) -> Result<bool, Error> {
        match self.read(name).await {
            Ok(_) => Ok(true),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::PendingDeletion => Ok(false),
                ErrorKind::AccessDenied | ErrorKind::Config => Ok(is_listed),
                _ if is_listed => Ok(true),
                _ => Err(error),
            },
        }
    }

    /// Names at the prefix, or in its first folder.
    pub(super) async fn list_folder(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let all = self.folder(prefix).await?;
        let names: Vec<String> = all.iter().filter(|name| !name.ends_with('/')).cloned().collect();
        match all.first().and_then(|name| name.strip_suffix('/')) {
            Some(folder) if names.is_empty() => {
                let deeper = self.folder(folder).await?;
                Ok(deeper.into_iter().filter(|name| !name.ends_with('/')).collect())
            }
            _ => Ok(names),
        }
    }

    /// What is in a folder, by full names; a folder in it ends with a slash.
    async fn folder(&self, folder: &str) -> Result<Vec<String>, Error> {
        let mount = &self.settings.mount;
        let path = match self.engine().await? {
            Engine::V2 => format!("{mount}/metadata/{folder}/"),
            Engine::V1(_) => format!("{mount}/{folder}/"),
        };
        let subject = format!("prefix `{folder}`: ");
        let call = self.call(&subject, "list", &path);
        let answer = self.authorized("VaultList", "LIST", &encoded(&path)).await?;
        match answer.status {
            200 => {
                let Keys { keys } = answer.data().ok_or_else(|| call.unintelligible())?;
                let keys = keys.into_iter().filter(|key| !key.trim_matches('/').is_empty());
                Ok(keys.map(|key| format!("{folder}/{key}")).collect())
            }
            404 => match call.failed(&answer) {
                error if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
                error => Err(error),
            },
            _ => Err(call.failed(&answer)),
        }
    }
}
