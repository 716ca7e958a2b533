//! The calls about database credentials: reading, renewing and revoking them.
//!
//! `leases` decides when; what an answer means is here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::MAX_CONCURRENT_CALLS;
use super::address::encoded;
use super::answer::Answer;
use super::core::{Core, wiped};
use super::database::{DatabaseRole, Fixed, Kind, Leased, Renewed};
use super::error::Call;
use super::leases::{Granted, Task, What};
use super::terms::Refusal;
use crate::error::{Error, ErrorKind};
use crate::observe::events;
use crate::secret::Fetched;

const RENEW: &str = "sys/leases/renew";
const REVOKE: &str = "sys/leases/revoke";

/// How long a renewal or revocation may take, if the lease has that long.
const LEASE_CALL_TIMEOUT: Duration = Duration::from_secs(10);

impl Core {
    /// A role's credential: the one that is kept, if it is good for a while.
    pub(super) async fn credential(&self, role: &DatabaseRole) -> Result<Fetched, Error> {
        if role.kind()? == Kind::Static {
            return self.read_fixed(role).await;
        }
        let name = role.name();
        let turn = self.leases.turn(&name).lock_owned().await;
        // A task of another runtime may have ended with it.
        self.leases.ensure(&self.this);
        if let Some(kept) = self.leases.kept(&name, Instant::now()) {
            return kept;
        }
        let (core, role) = (self.this.upgrade(), role.clone());
        let Some(core) = core else { return Err(stopped()) };
        let read = tokio::spawn(async move {
            let _turn = turn;
            core.read_leased(&role).await
        });
        read.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Makes a database user.
    async fn read_leased(&self, role: &DatabaseRole) -> Result<Fetched, Error> {
        let (name, path) = (role.name(), role.full_path());
        let subject = format!("secret `{name}`: ");
        let call = Call { mount: role.mounted_at(), ..self.call(&subject, "read", &path) };
        let answer = self.authorized_as("VaultCredentials", "GET", &encoded(&path), None).await;
        let lost = |error: Error| {
            self.leases.lost(&name, &error, Instant::now());
            error
        };
        let (answer, session) = match answer {
            Ok(answered) => answered,
            // There is no answer: there may be a user.
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(lost(error)),
            Err(error) => return Err(error),
        };
        let now = Instant::now();
        match answer.status {
            200 => {
                let leased = Leased::of(&answer).filter(|leased| !leased.lease_id.0.is_empty());
                let granted = leased.and_then(|mut leased| {
                    Some(Granted {
                        payload: leased.payload()?,
                        lease_id: std::mem::take(&mut leased.lease_id.0),
                        term: Duration::from_secs(leased.lease_duration),
                        renewable: leased.renewable,
                        token: session.end.clone(),
                    })
                });
                let granted = granted.ok_or_else(|| lost(call.unintelligible()))?;
                Ok(self.leases.keep(role, granted, now))
            }
            // Vault or a proxy gave up on the way; not 503, by which it refuses to begin.
            500 | 502 | 504 => Err(lost(no_credential(&call, role, &answer))),
            _ => Err(no_credential(&call, role, &answer)),
        }
    }

    /// Reads a static role's credential, which makes nothing.
    async fn read_fixed(&self, role: &DatabaseRole) -> Result<Fetched, Error> {
        let (name, path) = (role.name(), role.full_path());
        let subject = format!("secret `{name}`: ");
        let call = Call { mount: role.mounted_at(), ..self.call(&subject, "read", &path) };
        let answer = self.authorized("VaultCredentials", "GET", &encoded(&path)).await?;
        if answer.status != 200 {
            return Err(no_credential(&call, role, &answer));
        }
        let fixed: Fixed<'_> = answer.data().ok_or_else(|| call.unintelligible())?;
        Ok(self.leases.keep_fixed(&name, &fixed))
    }

    /// Renews and revokes.
    pub(super) async fn carry_out(&self, tasks: Vec<Task>) {
        let calls = tasks.into_iter().map(|task| async move {
            match task.what {
                What::Renew(term, left) => self.renew_lease(&task, term, left).await,
                What::Revoke => self.revoke(&task).await,
            }
        });
        stream::iter(calls).buffer_unordered(MAX_CONCURRENT_CALLS).collect::<()>().await;
    }

    async fn renew_lease(&self, task: &Task, term: Duration, left: Duration) {
        let subject = format!("secret `{}`: ", task.name);
        let call = self.call(&subject, "update", RENEW);
        let limit = LEASE_CALL_TIMEOUT.min(left / 2).max(Duration::from_secs(1));
        let answer = timeout(limit, self.lease_call("VaultRenewLease", RENEW, task, term)).await;
        let now = Instant::now();
        let (why, error) = match answer {
            Ok(Ok(answer)) => match answer.status {
                200 => {
                    let renewed = serde_json::from_slice::<Renewed>(&answer.body);
                    if let Ok(Renewed { lease_duration }) = renewed {
                        let granted = Duration::from_secs(lease_duration);
                        return self.leases.renewed(task, granted, now);
                    }
                    (Refusal::Unanswered, call.unintelligible())
                }
                400 | 404 => match refusal(&answer) {
                    Refusal::Gone => {
                        events::vault_lease_gone(&task.name, &task.version_id);
                        return self.leases.not_renewed(task, Refusal::Gone, now);
                    }
                    // It has been given all that it may have.
                    why => return self.leases.not_renewed(task, why, now),
                },
                403 => (Refusal::NotRenewable, call.denied()),
                _ => (Refusal::Unanswered, call.not_served(&answer)),
            },
            Ok(Err(error)) => (Refusal::Unanswered, error),
            Err(_) => (Refusal::Unanswered, late(&subject, limit)),
        };
        events::vault_lease_not_renewed(&task.name, &task.version_id, &error, left);
        self.leases.not_renewed(task, why, now);
    }

    async fn revoke(&self, task: &Task) {
        let subject = format!("secret `{}`: ", task.name);
        let call = self.call(&subject, "update", REVOKE);
        let answer = self.lease_call("VaultRevokeLease", REVOKE, task, Duration::ZERO);
        let error = match timeout(LEASE_CALL_TIMEOUT, answer).await {
            Ok(Ok(answer)) => match answer.status {
                200..=299 => {
                    events::vault_lease_revoked(&task.name, &task.version_id);
                    return self.leases.forget(task);
                }
                // It has ended, which is all that was wanted.
                400 | 404 if refusal(&answer) == Refusal::Gone => return self.leases.forget(task),
                403 => call.denied(),
                _ => call.not_served(&answer),
            },
            Ok(Err(error)) => error,
            Err(_) => late(&subject, LEASE_CALL_TIMEOUT),
        };
        let is_denied = error.kind() == ErrorKind::AccessDenied;
        if is_denied || !self.leases.not_revoked(task, Instant::now()) {
            events::vault_lease_not_revoked(&task.name, &task.version_id, &error);
            self.leases.forget(task);
        }
    }

    async fn lease_call(
        &self,
        operation: &'static str,
        path: &'static str,
        task: &Task,
        term: Duration,
    ) -> Result<Answer, Error> {
        let lease_id = task.lease_id.as_str();
        let body = wiped(match task.what {
            What::Renew(..) => json!({ "lease_id": lease_id, "increment": term.as_secs() }),
            // Otherwise Vault answers before the user is gone.
            What::Revoke => json!({ "lease_id": lease_id, "sync": true }),
        });
        Ok(self.authorized_as(operation, "POST", path, Some(body)).await?.0)
    }

    /// Revokes what these secrets' settings have let go of.
    pub(super) async fn release(self: &Arc<Self>, names: &[String]) {
        let tasks = self.leases.release(names, Instant::now());
        self.carry_out(tasks).await;
    }
}

/// What Vault's refusal of a lease says about it.
fn refusal(answer: &Answer) -> Refusal {
    let is_gone = ["lease not found", "lease expired", "invalid lease"]
        .iter()
        .any(|text| answer.complains_of(text));
    if is_gone { Refusal::Gone } else { Refusal::NotRenewable }
}

/// The error of a role that gave no credential.
fn no_credential(call: &Call<'_>, role: &DatabaseRole, answer: &Answer) -> Error {
    let (mount, name) = (role.mounted_at(), role.role());
    let list = match role.kind() {
        Ok(Kind::Static) => "static-roles",
        _ => "roles",
    };
    match answer.status {
        400 if answer.complains_of("unknown role") => call
            .error(ErrorKind::NotFound, format!("Vault has no role `{name}` at `{mount}/{list}`"))
            .with_hint(format!("list them with `vault list {mount}/{list}`")),
        404 => match call.failed(answer) {
            error if error.kind() == ErrorKind::NotFound => error.with_hint(format!(
                "check that `{mount}` is a database engine (`vault secrets list`), and the role: \
                 `vault list {mount}/{list}`"
            )),
            error => error,
        },
        // A role that is not for this connection, or statements that the database refuses.
        400 => call
            .error(ErrorKind::Config, format!("Vault refuses credentials of the role `{name}`"))
            .with_hint(format!(
                "check the role with `vault read {mount}/{list}/{name}`, and that its connection \
                 allows it: `allowed_roles`"
            )),
        500 => {
            let problem = "Vault could not make credentials in the database";
            call.error(ErrorKind::Unavailable, problem).with_hint(format!(
                "check that Vault reaches the database and may make users there: `vault read \
                 {mount}/{list}/{name}` has the connection's name, `vault write -f \
                 {mount}/reset/NAME` opens it again, and Vault's log has the database's words"
            ))
        }
        _ => call.failed(answer),
    }
}

fn late(subject: &str, limit: Duration) -> Error {
    let message = format!("{subject}Vault did not answer within {limit:?}");
    Error::new(ErrorKind::Unavailable, message).with_hint("check `vault status`")
}

fn stopped() -> Error {
    Error::new(ErrorKind::Unavailable, "the tokio runtime is shutting down")
}
