//! The client: calls with the token, in the words of the key-value engine.
//!
//! A denial may mean a bad token or a missing right. The token is looked up; if it is bad, one
//! login follows and the call is made once more. A dropped future releases the lock of the session.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use http::Method as Verb;
use serde_json::json;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Settings;
use super::address::encoded;
use super::answer::Answer;
use super::error::{self, Call};
use super::http::{Body, Http};
use super::keeper::Keeper;
use super::kv::Engine;
use super::leases::Leases;
use super::numbering::Numbering;
use super::session::{Grant, Method, Session, Zeroized};
use crate::error::{Error, ErrorKind};
use crate::observe::status::Calls;
use crate::observe::{events, metrics};
use crate::unwind::lock;

/// Where a token is looked up by itself: the policy `default` permits it.
const LOOK_UP: &str = "auth/token/lookup-self";

/// What is shared by the clones of a [`Vault`](super::Vault).
pub(super) struct Core {
    pub(super) settings: Settings,
    http: Http,
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
    pub(super) engine: tokio::sync::OnceCell<Engine>,
    pub(super) numbering: Mutex<Numbering>,
    calls: Mutex<Calls>,
    keeper: Keeper,
    pub(super) leases: Leases,
    pub(super) this: Weak<Self>,
}

impl Core {
    /// # Errors
    ///
    /// `Config` for an address or a namespace that cannot be one.
    pub(super) fn new(settings: Settings) -> Result<Arc<Self>, Error> {
        let http = Http::new(settings.clone())?;
        Ok(Arc::new_cyclic(|this| Self {
            http,
            settings,
            session: tokio::sync::Mutex::default(),
            engine: tokio::sync::OnceCell::new(),
            numbering: Mutex::default(),
            calls: Mutex::default(),
            keeper: Keeper::default(),
            leases: Leases::default(),
            this: this.clone(),
        }))
    }

    pub(super) fn calls(&self) -> Calls {
        lock(&self.calls).clone()
    }

    /// A call for the words of errors.
    pub(super) fn call<'a>(
        &'a self,
        subject: &'a str,
        capability: &'a str,
        path: &'a str,
    ) -> Call<'a> {
        let Settings { mount, namespace, .. } = &self.settings;
        Call { subject, capability, path, mount, namespace: namespace.as_deref() }
    }

    async fn send(
        &self,
        operation: &'static str,
        verb: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Body>,
    ) -> Result<Answer, Error> {
        *lock(&self.calls).entry(operation).or_default() += 1;
        metrics::record_call(operation);
        let verb = Verb::from_bytes(verb.as_bytes()).unwrap_or(Verb::GET);
        self.http.send(verb, path, token, body).await
    }

    /// Makes a call with the token: path and query, encoded. A denial that is the token's is
    /// answered by one login and one more call.
    pub(super) async fn authorized(
        &self,
        operation: &'static str,
        verb: &str,
        path: &str,
    ) -> Result<Answer, Error> {
        Ok(self.authorized_as(operation, verb, path, None).await?.0)
    }

    /// The same with a body, and with the session that the answer is for.
    pub(super) async fn authorized_as(
        &self,
        operation: &'static str,
        verb: &str,
        path: &str,
        body: Option<Body>,
    ) -> Result<(Answer, Arc<Session>), Error> {
        let session = self.session().await?;
        let answer = self.send(operation, verb, path, Some(&session.token), body.clone()).await?;
        if answer.status != 403 {
            return Ok((answer, session));
        }
        match self.after_denial(&session).await? {
            None => Ok((answer, session)),
            Some(session) => {
                let answer = self.send(operation, verb, path, Some(&session.token), body).await?;
                Ok((answer, session))
            }
        }
    }

    /// The token to use now: renewed or new if it is due.
    pub(super) async fn session(&self) -> Result<Arc<Session>, Error> {
        let mut current = self.session.lock().await;
        let now = Instant::now();
        let known = current.clone().filter(|session| !session.has_expired(now));
        let session = match known {
            None => Arc::new(self.log_in().await?),
            Some(session) if !session.is_due(now) => session,
            Some(session) => Arc::new(self.renewed(&session).await?),
        };
        let before = current.replace(session.clone());
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(&before.end, &session.end)) {
            before.end.replaced(None);
            self.leases.token_ended(&before.end, now);
        }
        if let Some(due) = session.due {
            self.keeper.ensure(&self.this, due);
        }
        Ok(session)
    }

    /// What a denial of this token's call calls for: another token, if this one is bad, and nothing
    /// if the right is missing.
    async fn after_denial(&self, denied: &Arc<Session>) -> Result<Option<Arc<Session>>, Error> {
        let mut current = self.session.lock().await;
        match &*current {
            Some(session) if !Arc::ptr_eq(session, denied) => return Ok(Some(session.clone())),
            _ if denied.trusted => return Ok(None),
            _ => {}
        }
        match self.look_up(&denied.token).await?.status {
            403 if self.settings.method.logs_in() => {
                *current = None;
                denied.end.replaced(Some(Instant::now()));
                self.leases.token_ended(&denied.end, Instant::now());
                let session = self.log_in().await?;
                // A new token that may not be looked up either: the next denial would look like
                // this one, and there would be a login for each.
                let trusted = self.look_up(&session.token).await?.status == 403;
                Ok(Some(current.insert(Arc::new(Session { trusted, ..session })).clone()))
            }
            403 => Err(error::token_refused(
                "give a valid token; one that is valid lacks the policy `default`, which lets it \
                 be looked up",
            )),
            // Good, or nothing is known about it.
            _ => Ok(None),
        }
    }

    async fn look_up(&self, token: &str) -> Result<Answer, Error> {
        self.send("VaultLookup", "GET", LOOK_UP, Some(token), None).await
    }

    /// A new session.
    async fn log_in(&self) -> Result<Session, Error> {
        let (mount, body) = match &self.settings.method {
            Method::Missing => {
                let message = "Vault needs a token or a login";
                return Err(Error::new(ErrorKind::Config, message)
                    .of_caller()
                    .with_hint("call `token(..)`, `app_role(..)` or `kubernetes(..)` on `Vault`"));
            }
            Method::Token(token) => return self.looked_up(token).await,
            Method::AppRole { mount, role_id, secret_id } => {
                (mount, json!({ "role_id": role_id, "secret_id": ***secret_id }))
            }
            Method::Kubernetes { mount, role, file } => {
                let path = file.clone();
                let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path));
                let jwt = Zeroizing::new(read.await.ok().and_then(Result::ok).unwrap_or_default());
                if jwt.trim().is_empty() {
                    let message = format!(
                        "the service account's token in `{}` cannot be read",
                        file.display()
                    );
                    return Err(Error::new(ErrorKind::Config, message)
                        .of_caller()
                        .with_hint("Kubernetes mounts it: check `automountServiceAccountToken`"));
                }
                (mount, json!({ "role": role, "jwt": jwt.trim() }))
            }
        };
        let path = format!("auth/{mount}/login");
        let body = wiped(body);
        let answer = self.send("VaultLogin", "POST", &encoded(&path), None, Some(body)).await?;
        match answer.status {
            200 => {
                let grant = grant(&answer).filter(|grant| !grant.client_token.0.is_empty());
                let Some(mut grant) = grant else {
                    return Err(self.call("", "update", &path).unintelligible());
                };
                let token = std::mem::take(&mut grant.client_token.0);
                Ok(Session::new(token, &grant, Instant::now(), fastrand::f64()))
            }
            400 | 401 | 403 | 404 => Err(self.login_refused(&path, answer.status)),
            _ => Err(self.call("", "update", &path).failed(&answer)),
        }
    }

    fn login_refused(&self, path: &str, status: u16) -> Error {
        let place = match &self.settings.namespace {
            Some(namespace) => format!(" in the namespace `{namespace}`"),
            None => String::new(),
        };
        let hint = match (&self.settings.method, status) {
            (_, 403 | 404) => {
                "check that the method is enabled there (`vault auth list`), the namespace, and \
                 that this address may log in"
            }
            (Method::AppRole { .. }, _) => {
                "check role id and secret id: a secret id may have expired or be used up"
            }
            _ => "check the role, and that it is bound to this service account and namespace",
        };
        let message = format!("Vault refuses the login at `{path}`{place}");
        Error::new(ErrorKind::AccessDenied, message).of_caller().with_hint(hint)
    }

    /// The session of a token that was given.
    async fn looked_up(&self, token: &Zeroizing<String>) -> Result<Session, Error> {
        let answer = self.look_up(token).await?;
        let grant = match answer.status {
            200 => answer.data::<Grant>(),
            // Perhaps it only may not look itself up. The first read will say.
            403 => None,
            404 => return Err(self.call("", "read", LOOK_UP).failed(&answer)),
            _ => return Err(self.call("", "read", LOOK_UP).not_served(&answer)),
        };
        let unknown =
            Grant { client_token: Zeroized::default(), lease_duration: 0, renewable: false };
        let grant = grant.unwrap_or(unknown);
        Ok(Session::new(token.clone(), &grant, Instant::now(), fastrand::f64()))
    }

    /// The session that follows one whose token is due. As long as the token has not expired, a
    /// failure leaves it in use.
    async fn renewed(&self, session: &Session) -> Result<Session, Error> {
        let logs_in = self.settings.method.logs_in();
        let renewed = match session.renewable {
            true => self.renew(session).await,
            false => Err(error::token_refused("it cannot be renewed")),
        };
        let next = match renewed {
            Ok((renewed, is_last)) if is_last && logs_in => {
                // A secret id may be used up: then the token serves to its end.
                return Ok(self.log_in().await.unwrap_or(renewed));
            }
            Ok((renewed, _)) => return Ok(renewed),
            Err(error) if error.is_of_caller() && logs_in => self.log_in().await,
            Err(error) => Err(error),
        };
        next.or_else(|error| {
            let left = session.expires.map(|end| end.saturating_duration_since(Instant::now()));
            let Some(left) = left.filter(|left| !left.is_zero()) else { return Err(error) };
            events::vault_token_not_renewed(&error, left);
            let due = Instant::now() + (left / 3).max(Duration::from_secs(1));
            Ok(Session {
                token: session.token.clone(),
                due: Some(due),
                trusted: session.trusted,
                end: session.end.clone(),
                ..*session
            })
        })
    }

    /// The session of a renewed token, and whether this was its last renewal.
    async fn renew(&self, session: &Session) -> Result<(Session, bool), Error> {
        let path = "auth/token/renew-self";
        let body = wiped(json!({}));
        let answer =
            self.send("VaultRenew", "POST", path, Some(&session.token), Some(body)).await?;
        match answer.status {
            200 => {
                let Some(grant) = grant(&answer) else {
                    return Err(self.call("", "update", path).unintelligible());
                };
                // Vault rounds down: there is less than a second left.
                if grant.lease_duration == 0 && session.life.is_some() {
                    return Err(error::token_refused("it can no longer be renewed"));
                }
                let is_last = session.is_near_its_end(&grant);
                let token = session.token.clone();
                let renewed = Session::new(token, &grant, Instant::now(), fastrand::f64());
                let end = session.end.clone();
                end.renewed(renewed.expires);
                let (life, trusted) = (session.life, session.trusted);
                Ok((Session { life, trusted, end, ..renewed }, is_last))
            }
            400 | 403 => Err(error::token_refused("it can no longer be renewed")),
            _ => Err(self.call("", "update", path).failed(&answer)),
        }
    }
}

/// What an answer grants.
fn grant(answer: &Answer) -> Option<Grant> {
    serde_json::from_str(answer.envelope()?.auth?.get()).ok()
}

/// The body of a request.
pub(super) fn wiped(json: serde_json::Value) -> Body {
    let bytes = Zeroizing::new(serde_json::to_vec(&json).unwrap_or_default());
    wipe(json);
    bytes
}

/// Wipes the texts of a JSON value.
fn wipe(json: serde_json::Value) {
    use serde_json::Value;
    match json {
        Value::String(text) => drop(Zeroizing::new(text)),
        Value::Object(members) => members.into_iter().for_each(|(_, value)| wipe(value)),
        Value::Array(items) => items.into_iter().for_each(wipe),
        _ => {}
    }
}
