//! One read for a lookup: the sources that may have the secret, the highest first, and what is made
//! of the answer.

use std::sync::Arc;
use std::time::Duration;

use super::{Inner, REMEMBERED, Read};
use crate::error::{Error, ErrorKind};
use crate::load::fetch::{Known, Scope};
use crate::load::required::Verdict;
use crate::lookup::entry::Entry;
use crate::lookup::name::Target;
use crate::secret::{Fetched, Lease};
use crate::tree::origin::Source;
use crate::tree::{Origin, payload};

impl Inner {
    /// One read of the store, or of the variables where it is off.
    /// `fresh` reads past caches on the way to the store.
    pub(in crate::lookup) async fn read_now(&self, name: &str, fresh: bool) -> Result<Read, Error> {
        if self.is_off() {
            let (target, variables) = (self.target(name)?, &self.options.variables);
            let entry = variables.entry(name, &target, self.next_generation())?;
            let entry = entry.ok_or_else(|| variables.unset(name, &target, &[]))?;
            return Ok(Read { entry, lasts: self.options.ttl, fallback: None });
        }
        let mut absent = Vec::new();
        let mut targets = self.targets(name)?.into_iter().peekable();
        while let Some((index, target)) = targets.next() {
            match self.read_of(index, name, target, (targets.peek().is_none(), fresh)).await {
                // Another source may have it.
                Err(error) if error.kind() == ErrorKind::NotFound => absent.push(error),
                found => return found,
            }
        }
        Err(Error::all(absent).unwrap_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("secret `{name}` is in no source"))
        }))
    }

    /// One read of one source, which may be the last one that has the secret; past caches if
    /// `fresh`.
    async fn read_of(
        &self,
        index: usize,
        name: &str,
        target: Target,
        (is_last, fresh): (bool, bool),
    ) -> Result<Read, Error> {
        let variables = &self.options.variables;
        let fetcher = self.options.sources.fetcher(index)?;
        let scope = Scope::only([target.id.clone()]);
        let known = Known { past_caches: fresh, ..Known::default() };
        let mut result = fetcher.read(&scope, &known).await?;
        match result.outcomes.remove(&target.id) {
            Some(Ok(fetched)) => {
                let entry = self.entry(&target, &fetched, fetcher.source())?;
                // A value with an end is read again in time.
                let lasts = fetched.lease().and_then(Lease::fresh_for).unwrap_or(Duration::MAX);
                let lasts = lasts.min(self.options.ttl);
                Ok(Read { entry, lasts, fallback: None })
            }
            Some(Err(unread)) => {
                let has_value =
                    || self.cache.peek(name).is_some_and(|(known, _)| known.found.is_ok());
                let is_final = is_last || unread.error.kind() != ErrorKind::NotFound;
                if unread.verdict == Verdict::Fallback
                    && is_final
                    && !has_value()
                    && let Some(entry) = variables.entry(name, &target, self.next_generation())?
                {
                    let lasts = REMEMBERED.min(self.options.ttl);
                    return Ok(Read { entry, lasts, fallback: Some(unread.error) });
                }
                Err(unread.error)
            }
            None => {
                let message = format!("secret `{}`: the manager did not read it", target.id);
                Err(Error::new(ErrorKind::Unavailable, message).with_secret(target.id))
            }
        }
    }

    fn entry(
        &self,
        target: &Target,
        fetched: &Fetched,
        source: Option<&Source>,
    ) -> Result<Entry, Error> {
        let origin = |secret: &Fetched| {
            Arc::new(Origin::Secret {
                name: secret.name().to_owned(),
                version_id: secret.version_id().to_owned(),
                source: source.cloned(),
            })
        };
        let malformed = |error: payload::PayloadError| {
            Error::new(ErrorKind::Malformed, format!("secret `{}`: {error}", target.id))
                .with_secret(&target.id)
        };
        let mut node = payload::parse(fetched.payload(), &origin(fetched)).map_err(malformed)?;
        if let Some(previous) = fetched.previous() {
            // One that has no place is left out without an error.
            if let Ok(previous) = payload::parse(previous.payload(), &origin(previous)) {
                node.set_previous(previous);
            }
        }
        let generation = self.next_generation();
        let mut entry = Entry::new(target.id.clone(), target.path.clone(), generation, node);
        let (version, previous) = fetched.versions();
        entry.source = fetched.lease().map(|_| fetched.clone());
        entry.version_id = Some(version.to_owned());
        entry.previous_version_id = previous.map(str::to_owned);
        Ok(entry)
    }
}
