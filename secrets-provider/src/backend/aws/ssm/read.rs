//! Listing names by GetParametersByPath, and reading values by GetParameters, ten at a time.
//!
//! Names are listed without decryption: one parameter whose key is disabled would fail the page
//! that it is on. For the same reason, a group of ten that fails as a whole for what may be one
//! parameter's fault is read one by one.

use aws_sdk_ssm::types::Parameter;
use futures_util::{StreamExt as _, stream};

use super::error::Failure;
use super::names::{listed, parameter, path, slip};
use super::{ParameterStore, error, location, values};
use crate::backend::{BoxStream, Outcome};
use crate::error::{Error, ErrorKind};

/// What an answer says about a name.
type Found = (String, Result<Parameter, Error>);

/// How many names one GetParameters takes, and how many parameters one page has
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html>).
const BATCH_SIZE: usize = 10;
/// How many calls run at once. `quota` says how many a second.
const MAX_CONCURRENT_CALLS: usize = 5;
/// How many pages a listing has at most. An account has 100,000 parameters, and pages may be empty.
pub(super) const MAX_PAGES: usize = 20_000;

impl ParameterStore {
    /// The names at and below a prefix, from so many pages.
    pub(super) async fn listed(
        &self,
        prefix: &str,
        max_pages: usize,
    ) -> Result<Vec<String>, Error> {
        if let Some(error) = slip(prefix) {
            return Err(error);
        }
        let client = self.connected().await?;
        let path = path(prefix);
        let mut names = Vec::new();
        let mut token = None;
        for page in 0.. {
            let call = client.get_parameters_by_path().path(&path).recursive(true);
            let call = call.with_decryption(false).set_next_token(token).customize();
            let counter = self.core.counter.of("GetParametersByPath");
            self.core.quota.turn().await;
            let answer = call.interceptor(counter).send().await;
            let answer = answer.map_err(|error| {
                error::Call { action: "GetParametersByPath", name: &path, by_path: true }
                    .failed(&location(client), &error)
            })?;
            let found = answer.parameters.unwrap_or_default().into_iter();
            names.extend(found.filter_map(|found| Some(listed(prefix, &found.name?))));
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
            if page + 1 == max_pages {
                if max_pages < MAX_PAGES {
                    break;
                }
                let message = format!("path `{path}`: its listing has more than {MAX_PAGES} pages");
                return Err(Error::new(ErrorKind::Unavailable, message)
                    .with_hint("choose a longer prefix, or give names"));
            }
        }
        // The parameter of the path's own name is not below it. Whoever may not read it has none.
        match self.one(prefix, false, None).await {
            Ok(_) => names.push(prefix.to_owned()),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::AccessDenied | ErrorKind::Config => {}
                _ => return Err(error),
            },
        }
        Ok(names)
    }

    pub(super) fn current<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let (slips, ids): (Vec<&String>, Vec<&String>) =
            ids.iter().partition(|id| slip(id).is_some());
        let slips: Vec<Outcome> =
            slips.into_iter().filter_map(|id| Some((id.clone(), Err(slip(id)?)))).collect();
        let ids: Vec<String> = ids.into_iter().cloned().collect();
        let batches: Vec<Vec<String>> = ids.chunks(BATCH_SIZE).map(<[String]>::to_vec).collect();
        let reads = stream::iter(batches)
            .map(move |batch| self.batch(batch))
            .buffer_unordered(MAX_CONCURRENT_CALLS)
            .flat_map(stream::iter);
        Box::pin(stream::iter(slips).chain(reads))
    }

    /// Reads a group: together, or one by one.
    async fn batch(&self, ids: Vec<String>) -> Vec<Outcome> {
        let Failure { error, of_one } = match self.read(&ids, true, None).await {
            Ok(found) => return found.into_iter().map(secret).collect(),
            Err(failure) => failure,
        };
        if ids.len() == 1 || !of_one {
            let failed = |id: String| (id.clone(), Err(error.clone().with_secret(id)));
            return ids.into_iter().map(failed).collect();
        }
        let reads = stream::iter(ids).map(async |id| {
            let found = self.one(&id, true, None).await;
            secret((id, found))
        });
        reads.buffer_unordered(MAX_CONCURRENT_CALLS).collect().await
    }

    /// The versions before the current ones. What was read last may be replaced by now, so the
    /// current number is asked for first. Of a version that was deleted, there is none.
    pub(super) fn previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let reads = stream::iter(ids).map(async move |id| {
            let read = async {
                if let Some(slip) = slip(id) {
                    return Err(slip);
                }
                match self.one(id, false, None).await?.version {
                    number @ 2.. => self.one(id, true, Some(number - 1)).await,
                    _ => Err(error::absent(id)),
                }
            };
            secret((id.clone(), read.await))
        });
        Box::pin(reads.buffer_unordered(MAX_CONCURRENT_CALLS))
    }

    /// One parameter by one call.
    async fn one(
        &self,
        id: &str,
        decrypted: bool,
        version: Option<i64>,
    ) -> Result<Parameter, Error> {
        let read = self.read(&[id.to_owned()], decrypted, version).await;
        let found = read.map_err(|failure| failure.error.with_secret(id))?.pop();
        found.map_or_else(|| Err(error::left_out(id)), |(_, found)| found)
    }

    /// One GetParameters, with what it says about each name; of this version, if one is given.
    async fn read(
        &self,
        ids: &[String],
        decrypted: bool,
        version: Option<i64>,
    ) -> Result<Vec<Found>, Failure> {
        let client = self.connected().await.map_err(|error| Failure { error, of_one: false })?;
        let asked = |id: &String| match version {
            Some(version) => format!("{}:{version}", parameter(id)),
            None => parameter(id),
        };
        // Two spellings of one name are one parameter, and AWS refuses a name that is given twice.
        let mut names: Vec<String> = ids.iter().map(asked).collect();
        names.sort_unstable();
        names.dedup();
        let call = client.get_parameters().with_decryption(decrypted).set_names(Some(names));
        let call = call.customize().interceptor(self.core.counter.of("GetParameters"));
        self.core.quota.turn().await;
        let answer = call.send().await.map_err(|error| {
            let name = ids.first().map(String::as_str).unwrap_or_default();
            let call = error::Call { action: "GetParameters", name, by_path: false };
            call.failed_group(&location(client), &error)
        })?;
        let found = answer.parameters.unwrap_or_default();
        let invalid = answer.invalid_parameters.unwrap_or_default();
        let of = |id: &String| {
            let name = parameter(id);
            match found.iter().find(|found| found.name.as_deref() == Some(&name)) {
                Some(found) => Ok(found.clone()),
                None if invalid.contains(&asked(id)) => Err(error::absent(id)),
                None => Err(error::left_out(id)),
            }
        };
        Ok(ids.iter().map(|id| (id.clone(), of(id))).collect())
    }
}

/// The outcome of what an answer says.
fn secret((id, found): Found) -> Outcome {
    let outcome = found.and_then(|found| values::secret(&id, found));
    (id.clone(), outcome.map_err(|error| error.with_secret(id)))
}
