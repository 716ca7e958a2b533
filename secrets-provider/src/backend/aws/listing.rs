//! ListSecrets, page by page, to an end that does not depend on the server.
//!
//! A server that repeats its tokens, or invents new ones for ever, would be called as fast as it
//! answers, against a quota that the whole account shares. So tokens are remembered and pages
//! counted. What a listing reports along with the names is kept only when it is complete.
//!
//! Before the first values, a throttled page is asked for again at the [`Pace`] at which values are
//! read: the quota is 100 a second, so a fleet that starts by a prefix waits for it here.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_secretsmanager::operation::list_secrets::ListSecretsOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use tokio::time::{Instant, sleep_until};

use super::error::{Call, NOT_AWS};
use super::pace::Pace;
use super::rotation::{self, Listed};
use super::unretried::unretried;
use super::{Aws, location, slip};
use crate::error::{Error, ErrorKind};

/// How many names one ListSecrets returns at most.
const PAGE_SIZE: i32 = 100;

/// How many pages a listing has at most: an account has up to 500,000 secrets in a region
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>).
const MAX_PAGES: usize = 5000;

impl Aws {
    /// All names that start with `prefix`.
    pub(super) async fn listed(&self, prefix: &str) -> Result<Vec<String>, Error> {
        if let Some(error) = slip::of_prefix(prefix) {
            return Err(error);
        }
        let begun = Instant::now();
        let (listed, is_all) = self.pages(prefix, MAX_PAGES, self.patience_to_list()).await?;
        self.listed_within(begun.elapsed());
        if !is_all {
            let message = format!("ListSecrets: the list has not ended after {MAX_PAGES} pages");
            return Err(Error::new(ErrorKind::Unavailable, message).with_hint(NOT_AWS));
        }
        let names = listed.keys().cloned().collect();
        self.rotation_dates.replace(listed);
        Ok(names)
    }

    /// The names of the first page. Nothing waits for the quota to get them.
    pub(super) async fn some_listed(&self, prefix: &str) -> Result<Vec<String>, Error> {
        Ok(self.pages(prefix, 1, Duration::ZERO).await?.0.into_keys().collect())
    }

    /// At most so many pages, and whether they are all.
    async fn pages(
        &self,
        prefix: &str,
        most: usize,
        patience: Duration,
    ) -> Result<(Listed, bool), Error> {
        // Without a slash at the end, which would hide the secret whose name is the prefix.
        let filter = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
        let mut listed = Listed::new();
        let mut tokens = Tokens::default();
        let mut token = None;
        let mut pace = Pace::new(patience, Instant::now());
        for _ in 0..most {
            let page = self.page(&filter, token, &mut pace).await?;
            // An answer without a list is not one that says that there are no secrets.
            let secrets = page.secret_list.ok_or_else(|| {
                let message = "ListSecrets: the answer lacks its list of secrets";
                Error::new(ErrorKind::Unavailable, message).with_hint(NOT_AWS)
            })?;
            for secret in secrets {
                let Some(name) = secret.name else { continue };
                let (next, rules) = (secret.next_rotation_date, secret.rotation_rules);
                let window =
                    rotation::window(secret.rotation_enabled, next.as_ref(), rules.as_ref());
                listed.insert(name, window);
            }
            token = tokens.next(page.next_token);
            if token.is_none() {
                return Ok((listed, true));
            }
        }
        Ok((listed, false))
    }

    /// One page, for which a patient pace waits while it is throttled.
    async fn page(
        &self,
        filter: &Filter,
        token: Option<String>,
        pace: &mut Pace,
    ) -> Result<ListSecretsOutput, Error> {
        let client = self.client().await?;
        let location = location(client);
        let call = Call { action: "ListSecrets", id: None, stage: None, location: &location };
        loop {
            let list = client.list_secrets().filters(filter.clone()).max_results(PAGE_SIZE);
            let mut list = list.set_next_token(token.clone()).customize();
            if pace.is_patient() {
                list = list.config_override(unretried());
            }
            let answer = list.interceptor(self.counter.of("ListSecrets")).send().await;
            let answer = answer.map_err(|error| call.failed(&error));
            let now = Instant::now();
            match answer {
                Err(error) if error.kind() == ErrorKind::Throttled => {
                    pace.throttled(now, fastrand::f64());
                    if pace.gives_up(now) {
                        return Err(error);
                    }
                    sleep_until(pace.resumes_at().unwrap_or(now)).await;
                    pace.resume();
                }
                answer => {
                    pace.answered(now);
                    return answer;
                }
            }
        }
    }
}

/// The tokens of a listing so far.
#[derive(Debug, Default)]
struct Tokens(HashSet<String>);

impl Tokens {
    /// The token of the next page, unless that page has been read already.
    fn next(&mut self, token: Option<String>) -> Option<String> {
        token.filter(|token| !token.is_empty() && self.0.insert(token.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_once() {
        let mut tokens = Tokens::default();
        let mut next = |token: &str| tokens.next(Some(token.to_owned())).is_some();
        assert_eq!(["x", "y", "z", "x"].map(&mut next), [true, true, true, false]);
        assert_eq!(["y", ""].map(&mut next), [false, false]);
        assert_eq!(tokens.next(None), None);
    }
}
