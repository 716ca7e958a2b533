//! [`Rotation`]: which members of a secret change, how, and by which steps; then
//! [`run`](Rotation::run).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::checked::{self, Check};
use super::plan::RotationPlan;
use super::random;
use super::rotated::Rotated;
use super::run::Run;
use super::steps::{self, Also, Generate, RotationChange, Set, Test};
use super::value::NewValue;
use crate::backend::iam;
use crate::error::Error;
use crate::load::manager::{MAX_DURATION, SecretsManager};
use crate::load::rejected::Rejected;
use crate::observe::events;

/// How long each closure may take unless [`Rotation::step_timeout`] says otherwise.
const DEFAULT_STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// A rotation of one secret by this program: which members change, and how the new value is set
/// where it is used. [`SecretsManager::rotation`] makes one, [`run`](Self::run) carries it out.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), secrets_provider::Error> {
/// use secrecy::SecretString;
/// use secrets_provider::{Memory, Rejected, RotationChange, SecretsManager};
///
/// #[derive(serde::Deserialize)]
/// struct Login { username: String, password: SecretString }
///
/// async fn alter_role(change: RotationChange<Login>) -> Result<(), Rejected> {
///     // Log in as `change.current()`, and set the password of `change.pending()`. This may be
///     // called twice with the same password.
///     # let _ = (&change.pending().username, &change.pending().password);
///     Ok(())
/// }
///
/// async fn log_in(pending: Login) -> Result<(), Rejected> {
///     # let _ = pending;
///     Ok(())
/// }
///
/// # let secrets = Memory::new();
/// # let text = r#"{"username": "gaara", "password": "old-password", "rotated_at": ""}"#;
/// # secrets.put("gaara/prod/database/primary", text);
/// let manager = SecretsManager::prefix("gaara/prod").backend(secrets);
/// let rotated = manager
///     .rotation("database/primary")
///     .password("password")
///     .stamp("rotated_at")
///     .set(alter_role)
///     .test(log_in)
///     .run()
///     .await?;
/// println!("{} is in use", rotated.version_id());
/// # Ok(()) }
/// ```
///
/// # What happens
///
/// 1. The secret gets a pending version (AWSPENDING) with the new value. What does not change stays
///    as it is to the byte.
/// 2. `set` makes the new value valid where it is used, such as by `ALTER ROLE`.
/// 3. `test` finds out whether the new value works.
/// 4. The label of the current version (AWSCURRENT) moves to the new one, if it is still where it
///    was at the start.
///
/// **If the program dies at any point**, the current version works, or the pending one does, and
/// the next run, on any machine, takes it up at step 3 and finishes. So call
/// [`run`](Self::run) again after an error, too.
///
/// **If two programs rotate at the same time**, both work on the same new value. One of them
/// finishes, and the other one gets an error that [is superseded](Error::is_superseded).
///
/// **`set` may be called twice with the same value**, also by two programs at once, and again after
/// it succeeded. Between steps 2 and 4, readers may meet a password that is no longer valid:
/// `Live::with_fresh` waits for the new one. [`alternate`](Self::alternate) avoids that.
///
/// # Members
///
/// A member is named by its key in the JSON object, with dots for an object within it. A secret
/// that is no JSON object (text, or binary that is no JSON) is replaced as a whole, under any
/// name, such as `""`.
#[must_use = "nothing is rotated before `run`"]
pub struct Rotation {
    pub(super) manager: SecretsManager,
    pub(super) name: String,
    pub(super) members: Vec<(String, Make)>,
    pub(super) also: Vec<(String, Also)>,
    pub(super) stamps: Vec<String>,
    pub(super) kept: Vec<String>,
    pub(super) alternate: Option<[String; 2]>,
    pub(super) set: Option<Set>,
    pub(super) test: Option<Test>,
    pub(super) checks: Vec<Check>,
    pub(super) step_timeout: Duration,
}

/// How a member's new value is made.
pub(super) enum Make {
    Password,
    Key(fn() -> Result<NewValue, Error>),
    Closure(Generate),
}

impl Rotation {
    fn new(manager: SecretsManager, name: String) -> Self {
        Self {
            manager,
            name,
            members: Vec::new(),
            also: Vec::new(),
            stamps: Vec::new(),
            kept: Vec::new(),
            alternate: None,
            set: None,
            test: None,
            checks: Vec::new(),
            step_timeout: DEFAULT_STEP_TIMEOUT,
        }
    }

    /// Gives this member a new password: 32 letters and digits, which are safe in URLs, SQL and
    /// shells, from the operating system's randomness.
    pub fn password(mut self, member: impl Into<String>) -> Self {
        self.members.push((member.into(), Make::Password));
        self
    }

    /// Gives this member a new key of `N` random bytes, for a [`Key<N>`](crate::Key): in base64, or
    /// as bytes in a binary secret.
    pub fn key<const N: usize>(mut self, member: impl Into<String>) -> Self {
        let make = || Ok(random::bytes::<N>()?.to_vec().into());
        self.members.push((member.into(), Make::Key(make)));
        self
    }

    /// Gives this member the value that the closure makes, such as a new API key of a provider. The
    /// closure is called at most once per run, and not if a pending value is taken up. If the
    /// program dies between the closure and the store's answer, or another program is faster, its
    /// value is lost.
    pub fn generate<F, Fut, V>(mut self, member: impl Into<String>, closure: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, Rejected>> + Send + 'static,
        V: Into<NewValue> + 'static,
    {
        self.members.push((member.into(), Make::Closure(steps::generate(closure))));
        self
    }

    /// Writes the time of the rotation (RFC 3339, UTC: `2026-11-25T14:21:59Z`) into this member, if
    /// the secret has it.
    pub fn stamp(mut self, member: impl Into<String>) -> Self {
        self.stamps.push(member.into());
        self
    }

    /// Makes this member again, by a closure that gets the secret with its new values: for a
    /// connection string that contains the password. Without it, a new secret in which the old
    /// value still occurs is an error, before anything is stored.
    pub fn also<T, F, V>(mut self, member: impl Into<String>, closure: F) -> Self
    where
        T: DeserializeOwned,
        F: Fn(&T) -> V + Send + Sync + 'static,
        V: Into<NewValue>,
    {
        self.also.push((member.into(), steps::also(closure)));
        self
    }

    /// Allows this member to contain the old value, such as a user's name that was the first
    /// password as well.
    pub fn keep(mut self, member: impl Into<String>) -> Self {
        self.kept.push(member.into());
        self
    }

    /// Two users who take turns: the new version has the user who is not in the current one, so the
    /// login of the current version stays valid until the next rotation, and readers meet no window
    /// at all. The user is the member `username` or `user`. `set` then sets the password of the
    /// user of [`pending`](RotationChange::pending).
    pub fn alternate(mut self, user: impl Into<String>, clone: impl Into<String>) -> Self {
        self.alternate = Some([user.into(), clone.into()]);
        self
    }

    /// Makes the new value valid where it is used. May be called twice with the same value; see
    /// [above](Self#what-happens).
    pub fn set<T, F, Fut>(mut self, closure: F) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        F: Fn(RotationChange<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Rejected>> + Send + 'static,
    {
        self.set = Some(steps::set(closure));
        self
    }

    /// Finds out whether a value works, such as by a login. It is called with the new value; after
    /// a failure, also with the current one, so that the error can say what still works.
    pub fn test<T, F, Fut>(mut self, closure: F) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Rejected>> + Send + 'static,
    {
        self.test = Some(steps::test(closure));
        self
    }

    /// Extracts the settings from `.env`, environment and the manager's secrets with the new value
    /// in place, before anything is stored. A value that the readers' own type refuses never
    /// becomes current. What is wrong with the current value as well does not count.
    pub fn checked_by<S: DeserializeOwned + Send + 'static>(mut self) -> Self {
        self.checks.push(checked::by::<S>());
        self
    }

    /// How long each closure may take. Default 60 s, at most a year. Calls of the store have the
    /// manager's [`timeout`](SecretsManager::timeout).
    pub fn step_timeout(mut self, timeout: Duration) -> Self {
        self.step_timeout = timeout.min(MAX_DURATION);
        self
    }

    /// What [`run`](Self::run) would do, by name. Reads the secret and calls no closure.
    ///
    /// # Errors
    ///
    /// Those of `run` that are known before anything is made or stored.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn plan(&self) -> Result<RotationPlan, Error> {
        Run::plan(self).await
    }

    /// Rotates the secret.
    ///
    /// Afterwards, each [`Live`](crate::Live) and [`Lookup`](crate::Lookup) of the same manager or
    /// its clones reads the secret at once; this waits for that, ten seconds at most. It is logged
    /// as `secret_rotated`, `secret_rotation_failed` or `secret_rotation_superseded`.
    ///
    /// # Errors
    ///
    /// After any error, the rotation may be run again. The current version is what it was, unless
    /// another program has finished a rotation, the answer of the last step was lost, or the test
    /// that follows the move of the label has failed. In doubt, read the secret; don't set the old
    /// value again by hand.
    ///
    /// - `Conflict` if another rotation of the secret came first: see
    ///   [`is_superseded`](Error::is_superseded). Also if the pending version is of a rotation of
    ///   other members, which has to be finished first;
    /// - `Invalid` if a member is missing, or the new secret does not fit a closure's type or the
    ///   settings of [`checked_by`](Self::checked_by);
    /// - `Rejected` if a closure fails, panics or takes too long, or the old value still occurs in
    ///   the new secret;
    /// - `Config` if the description is contradictory, the store has no [`Writer`](crate::Writer),
    ///   or the switches turn secrets off;
    /// - those of the store.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn run(self) -> Result<Rotated, Error> {
        let outcome = Run::run(&self).await;
        let secret = || self.manager.id_of(&self.name).unwrap_or_else(|_| self.name.clone());
        match &outcome {
            Ok(rotated) => {
                let Rotated { version_id, previous_version_id, resumed } = rotated;
                events::secret_rotated(&secret(), version_id, previous_version_id, *resumed);
            }
            Err(error) if error.is_superseded() => events::secret_rotation_superseded(&secret()),
            Err(error) => events::secret_rotation_failed(&secret(), error),
        }
        outcome
    }

    /// The least IAM policy for this rotation, as JSON. It allows writing the secret, so give it to
    /// the role that rotates and not to the ones that only read.
    ///
    /// - `DescribeSecret`, `GetSecretValue`, `PutSecretValue` and `UpdateSecretVersionStage` on the
    ///   secret;
    /// - `kms:Decrypt` and `kms:GenerateDataKey`, through Secrets Manager and for this secret only.
    ///   They are needed for a customer managed key; otherwise leave them out;
    /// - with [`checked_by`](Self::checked_by), the manager's own
    ///   [`iam_policy`](SecretsManager::iam_policy) is needed as well, and not contained.
    ///
    /// The secret's name and location are found as for `SecretsManager::iam_policy`. Its
    /// `Statement` is empty if the description is contradictory.
    ///
    /// ```
    /// # use secrets_provider::SecretsManager;
    /// let manager = SecretsManager::prefix("gaara/prod");
    /// let policy = manager.rotation("database").password("password").iam_policy();
    /// assert!(policy.contains("secretsmanager:UpdateSecretVersionStage"));
    /// assert!(policy.contains("secret:gaara/prod/database-??????"));
    /// ```
    pub fn iam_policy(&self) -> String {
        let id = self.manager.id_of(&self.name).ok();
        iam::rotation_policy(&self.manager.location(), id.as_deref())
    }
}

impl SecretsManager {
    /// A rotation of one secret by this program, for stores without a rotation of their own for it:
    /// see [`Rotation`]. Give the name below the prefix, or a name or ARN with
    /// [`names`](Self::names).
    pub fn rotation(&self, name: impl Into<String>) -> Rotation {
        Rotation::new(self.clone(), name.into())
    }
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |members: Vec<&String>| members.into_iter().cloned().collect::<Vec<_>>();
        f.debug_struct("Rotation")
            .field("name", &self.name)
            .field("members", &names(self.members.iter().map(|(name, _)| name).collect()))
            .field("also", &names(self.also.iter().map(|(name, _)| name).collect()))
            .field("stamps", &self.stamps)
            .field("kept", &self.kept)
            .field("alternate", &self.alternate.is_some())
            .field("set", &self.set.is_some())
            .field("test", &self.test.is_some())
            .field("checks", &self.checks.len())
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}

// Shared with a task, and kept in a struct.
const _: fn() = || {
    fn is_send_and_sync<T: Send + Sync + 'static>() {}
    is_send_and_sync::<Rotation>();
    is_send_and_sync::<Arc<Rotation>>();
};
