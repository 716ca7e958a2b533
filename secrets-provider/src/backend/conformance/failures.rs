//! What a store must say of a secret that it cannot return. The kind of the error decides what the
//! engine does: absent, denied and undecodable secrets are treated differently.
//!
//! Called by `run`, one function per case. Most have a good secret beside the bad one, because one
//! failure must not hide the others; errors and `Debug` are searched for the values.

use super::Harness;
use super::report::Mismatch;
use super::trial::{Trial, is_of};
use crate::error::ErrorKind;

/// A value made of tokens that occur nowhere else. Each is looked for.
const MARKED: &str = "qXv7Zt31 {\"password\": \"wK94Rm0s\"} hJ62Lp8d";
const MARKS: [&str; 3] = ["qXv7Zt31", "wK94Rm0s", "hJ62Lp8d"];

pub(super) async fn reports_absent_as_not_found<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let good = trial.put("a", "text").await;
    trial.fails_alone(&trial.name("missing"), &good, &[ErrorKind::NotFound]).await
}

pub(super) async fn reports_similar_names_as_not_found<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let good = trial.put("token", "text").await;
    for similar in ["toke", "tokens", "token-2", "token.txt", "oken"] {
        trial.fails_alone(&trial.name(similar), &good, &[ErrorKind::NotFound]).await?;
    }
    Ok(())
}

pub(super) async fn names_the_secret_in_errors<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let id = trial.name("missing");
    let error = trial.error(&id, "an error that names it").await?;
    match error.secret() == Some(&id) {
        true => Ok(()),
        false => Err(Mismatch::new(
            format!("`Error::secret` of the error is `{id}`"),
            match error.secret() {
                Some(other) => format!("it is `{other}`"),
                None => "the error names no secret".to_owned(),
            },
        )),
    }
}

pub(super) async fn reports_deleted_as_not_found<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let good = trial.put("a", "text").await;
    let gone = trial.put("gone", "text").await;
    trial.read(&gone).await?;
    trial.harness().delete(&gone).await;
    trial.fails_alone(&gone, &good, &[ErrorKind::NotFound, ErrorKind::PendingDeletion]).await
}

pub(super) async fn reports_denied<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let good = trial.put("a", "text").await;
    let denied = trial.put("denied", "text").await;
    trial.harness().deny(&denied).await;
    trial.fails_alone(&denied, &good, &[ErrorKind::AccessDenied, ErrorKind::Kms]).await
}

pub(super) async fn reports_denied_list<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    trial.put("a", "text").await;
    trial.harness().deny_list().await;
    let listed = trial.within("list", trial.store().list(trial.prefix())).await;
    // The cases that follow list names too.
    trial.harness().allow_list().await;
    match listed? {
        Err(error) => is_of(&error, &[ErrorKind::AccessDenied], "`list` that is denied"),
        Ok(names) => Err(Mismatch::new(
            "`list` that is denied fails with the kind `access_denied`",
            format!("a listing of {} names", names.len()),
        )),
    }
}

pub(super) async fn reports_malformed<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let good = trial.put("a", "text").await;
    let bad = trial.put("malformed", "text").await;
    trial.harness().corrupt(&bad).await;
    trial.fails_alone(&bad, &good, &[ErrorKind::Malformed, ErrorKind::Unavailable]).await
}

pub(super) async fn shows_no_value_in_errors<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let id = trial.put("malformed", MARKED).await;
    trial.harness().corrupt(&id).await;
    let error = trial.error(&id, "an error").await?;
    hides(&format!("{error}\n{error:?}\n{error:#?}"), "the error of a malformed secret")
}

pub(super) async fn shows_no_value_in_debug<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let id = trial.put("a", MARKED).await;
    trial.read(&id).await?;
    hides(&format!("{:?}\n{0:#?}", trial.store()), "`Debug` of the store")
}

fn hides(shown: &str, what: &str) -> Result<(), Mismatch> {
    match MARKS.iter().any(|mark| shown.contains(mark)) {
        true => Err(Mismatch::new(format!("{what} shows no value"), "a part of the value")),
        false => Ok(()),
    }
}
