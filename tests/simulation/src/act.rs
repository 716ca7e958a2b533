//! What each action of a schedule does in a world.

use std::time::Duration;

use secrets_provider::{Error, Rejected, SecretsManager, Trigger};
use tokio::time::Instant;

use crate::invariants::{check_lookup, check_shown, check_shown_error};
use crate::model::BUILD_BOUND;
use crate::replica::{below, manager, selected};
use crate::schedule::{Action, Rotators, Sabotage, Version};
use crate::settings::{Shape, Table, member_port};
use crate::world::{Violation, World};

impl World {
    pub async fn act(&mut self, action: &Action) -> Result<(), Violation> {
        match action {
            Action::Put(secrets) => {
                for secret in secrets {
                    let secret = self.secret(*secret);
                    if !self.is_managed(secret) {
                        self.put_again(secret, None);
                    }
                }
            }
            Action::PutBad(secret, poison) => {
                let secret = self.secret(*secret);
                if !self.is_managed(secret) {
                    self.put_again(secret, Some(*poison));
                }
            }
            Action::RollBack(secret) => {
                let secret = self.secret(*secret);
                if !self.is_managed(secret) {
                    self.roll_back(secret).await;
                }
            }
            Action::Delete(secret, at_once) => {
                let secret = self.secret(*secret);
                if !self.is_managed(secret) {
                    self.delete(secret, *at_once).await;
                }
            }
            Action::Deny(secret) => {
                let secret = self.secret(*secret);
                self.fake.deny_secret(&self.names[secret]);
                self.disturbances.begin_of(secret, "denied");
            }
            Action::DenyListing => {
                self.fake.deny_action("ListSecrets");
                self.disturbances.begin("listing denied");
            }
            Action::DenyBatches => self.fake.deny_action("BatchGetSecretValue"),
            Action::AllowAll => self.allow_all(),
            Action::Trouble(trouble, share, operation) => {
                self.begin_trouble(*trouble, *share, *operation);
            }
            Action::Quota(per_second) => {
                self.fake.throttle_quota("GetSecretValue", *per_second);
                self.disturbances.begin("quota");
            }
            Action::EndTroubles => self.end_troubles(),
            Action::LateListing(by) => {
                self.fake.delay_listing(*by);
                self.names_changed_at = Instant::now() + *by;
            }
            Action::Hint { replica, secret, version, copies, late } => {
                self.hint(*replica, *secret, *version, *copies, *late);
            }
            Action::DeliverLate => {
                while let Some((replica, trigger)) = self.late.pop() {
                    self.send(replica, trigger);
                }
            }
            Action::Jump(by) => {
                let from = Instant::now();
                tokio::time::advance(*by).await;
                self.jumped = Some((from, Instant::now()));
                self.disturbances.pass();
            }
            Action::Refresh(replica) => self.refresh(*replica, None),
            Action::DropRefresh(replica, after) => self.refresh(*replica, Some(*after)),
            Action::RefreshPast(replica) => self.refresh_past(*replica, None),
            Action::DropRefreshPast(replica, after) => self.refresh_past(*replica, Some(*after)),
            Action::Restart(replica, gracefully) => self.restart(*replica, *gracefully).await?,
            Action::LookUp { replica, secret, refresh } => {
                self.look_up(*replica, *secret, *refresh, None);
            }
            Action::DropLookUp(replica, secret, after) => {
                self.look_up(*replica, *secret, false, Some(*after));
            }
            Action::Rotate(secret, rotators) => self.rotate(*secret, *rotators),
            Action::Sabotage(replica, what, times) => {
                let replica = self.replica(*replica);
                self.replicas[replica].record.sabotage(*what, *times);
                match what {
                    Sabotage::ValidatePanics | Sabotage::ValidateRefuses | Sabotage::ProbeHangs => {
                        self.disturbances.begin("sabotage")
                    }
                    // The settings are served all the same.
                    _ => {}
                }
            }
            Action::Wait => {}
        }
        Ok(())
    }

    fn hint(&mut self, replica: usize, secret: usize, version: Version, copies: usize, late: bool) {
        let (replica, secret) = (self.replica(replica), self.secret(secret));
        self.look();
        let trigger = Trigger::secret(self.names[secret].clone());
        let current = self.history.of(secret).last().and_then(|moment| moment.version_id.clone());
        let trigger = match version {
            Version::Unnamed => trigger,
            Version::Current => trigger.version(current.unwrap_or_default()),
            Version::Forged => trigger.version("00000000-0000-4000-8000-000000000000"),
        };
        for _ in 0..copies {
            match late {
                true => self.late.push((replica, trigger.clone())),
                false => self.send(replica, trigger.clone()),
            }
        }
    }

    fn send(&mut self, replica: usize, trigger: Trigger) {
        if let Some(running) = &mut self.replicas[replica].running {
            // One whose replica ended meanwhile is lost.
            let _ = running.hints.send(trigger);
            running.partial_until = Some(Instant::now() + Duration::from_secs(660));
        }
    }

    fn refresh(&mut self, replica: usize, dropped_after: Option<Duration>) {
        let replica = self.replica(replica);
        let Some(running) = &self.replicas[replica].running else { return };
        let (live, wrong) = (running.live.clone(), self.wrong.clone());
        let (fake, names, called) = (self.fake.clone(), self.names.clone(), Instant::now());
        let refresh = async move {
            match live.refresh().await {
                Ok(_) => {
                    // What it read is at most as old as the call.
                    let mut history = crate::model::History::default();
                    history.read_on(&fake, &names);
                    for (secret, stamp) in live.load().stamps().unwrap_or_default() {
                        if !history.was_current(secret, Some(stamp), called, Instant::now()) {
                            let what = format!("refresh() succeeded, and s{secret} is older");
                            wrong.add("refreshed", what);
                        }
                    }
                }
                Err(error) => check_shown_error(&error, &wrong),
            }
        };
        self.spawn(refresh, dropped_after);
    }

    fn refresh_past(&mut self, replica: usize, dropped_after: Option<Duration>) {
        let replica = self.replica(replica);
        let Some(running) = &self.replicas[replica].running else { return };
        let (live, wrong) = (running.live.clone(), self.wrong.clone());
        let seen = live.current();
        let refresh = async move {
            match live.refresh_past(&seen).await {
                Ok(newer) if newer.built > seen.built => {}
                Ok(_) => wrong.add("monotone", "refresh_past returned no newer settings"),
                Err(error) => check_shown_error(&error, &wrong),
            }
        };
        self.spawn(refresh, dropped_after);
    }

    /// Runs a caller, who may go away.
    fn spawn(
        &mut self,
        caller: impl Future<Output = ()> + Send + 'static,
        dropped_after: Option<Duration>,
    ) {
        self.tasks.spawn(async move {
            match dropped_after {
                Some(after) => drop(tokio::time::timeout(after, caller).await),
                None => caller.await,
            }
        });
    }

    pub async fn restart(&mut self, replica: usize, gracefully: bool) -> Result<(), Violation> {
        let replica = self.replica(replica);
        self.stop(replica, gracefully).await?;
        self.start(replica).await;
        Ok(())
    }

    /// Ends a replica.
    pub async fn stop(&mut self, replica: usize, gracefully: bool) -> Result<(), Violation> {
        let Some(running) = self.replicas[replica].running.take() else { return Ok(()) };
        if gracefully {
            running.live.shutdown().await;
            let status = running.live.status();
            if status.next_attempt().is_some() {
                let what = "after a shutdown, the status promises another attempt".to_owned();
                return Err(Violation { invariant: "status", what });
            }
        }
        drop(running);
        self.disturbances.pass();
        Ok(())
    }

    pub async fn start(&mut self, replica: usize) {
        let Self { replicas, fake, plan, ledger, wrong, .. } = self;
        if let Err(error) = replicas[replica].start(fake, plan, ledger).await {
            check_shown_error(&error, wrong);
        }
        self.disturbances.pass();
    }

    pub fn look_up(
        &mut self,
        replica: usize,
        secret: usize,
        refresh: bool,
        dropped_after: Option<Duration>,
    ) {
        let (replica, secret) = (self.replica(replica), self.secret(secret));
        let Self { replicas, plan, wrong, fake, names, disturbances, .. } = self;
        let Some(running) = &replicas[replica].running else { return };
        if plan.shapes[secret] == Shape::Root {
            return;
        }
        if !selected(plan, &replicas[replica].plan).any(|selected| selected == secret) {
            return;
        }
        let (lookup, wrong) = (running.lookup.clone(), wrong.clone());
        let (fake, names, name) = (fake.clone(), names.clone(), below(plan, secret));
        let (shape, ttl, quiet) = (plan.shapes[secret], plan.interval, disturbances.quiet_since());
        let caller = async move {
            let called = Instant::now();
            let found = match shape {
                Shape::Text => {
                    let get = lookup.get::<String>(name);
                    let get = if refresh { get.refresh() } else { get };
                    get.await.map(|text| crate::settings::Stamp::parse(&text))
                }
                Shape::Binary => {
                    let get = lookup.get::<Vec<u8>>(name);
                    let get = if refresh { get.refresh() } else { get };
                    get.await.map(|bytes| {
                        crate::settings::Stamp::parse(std::str::from_utf8(&bytes).ok()?)
                    })
                }
                _ => {
                    let get = lookup.get::<Table>(name);
                    let get = if refresh { get.refresh() } else { get };
                    get.await.map(|table| table.whole())
                }
            };
            match found {
                Ok(stamp) => {
                    let mut history = crate::model::History::default();
                    history.read_on(&fake, &names);
                    let from = match (refresh, quiet) {
                        (true, _) => called,
                        (false, Some(since)) if since + ttl + BUILD_BOUND < called => called - ttl,
                        _ => called - Duration::from_secs(100 * 24 * 3600),
                    };
                    check_lookup(&history, secret, stamp, from, &wrong);
                }
                Err(error) => check_shown_error(&error, &wrong),
            }
            check_shown("lookup stats", &format!("{:?}", lookup.stats()), &wrong);
        };
        self.spawn(caller, dropped_after);
    }

    fn rotate(&mut self, secret: usize, rotators: Rotators) {
        let Some(count) = self.plan.managed.len().checked_sub(1) else { return };
        let secret = self.plan.managed[secret % (count + 1)];
        // What reads it may be of the replica's own manager, which is then read at once.
        let of_replica = self.replicas[0].running.as_mut().map(|running| {
            running.partial_until = Some(Instant::now() + Duration::from_secs(1000));
            running.manager.clone()
        });
        let own = || manager(&self.fake, &self.plan, &self.plan.replicas[0]);
        let first = of_replica.unwrap_or_else(own);
        let second = own();
        let (one, two) = match rotators {
            Rotators::One => (Some(None), None),
            Rotators::Two => (Some(None), Some(None)),
            Rotators::Crashing(after) => (None, Some(Some(after))),
            Rotators::TwoOfWhichOneCrashes(after) => (Some(Some(after)), Some(None)),
        };
        for (manager, crashes) in [(first, one), (second, two)] {
            if let Some(crashes) = crashes {
                let (rotation, wrong) = (self.rotation(&manager, secret), self.wrong.clone());
                let run = async move {
                    if let Err(error) = rotation.await {
                        check_shown_error(&error, &wrong);
                    }
                };
                self.spawn(run, crashes);
            }
        }
    }

    /// One run of a rotation.
    pub fn rotation(
        &self,
        manager: &SecretsManager,
        secret: usize,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (issued, set, tested) = (self.ledger.clone(), self.ledger.clone(), self.ledger.clone());
        let rotation = manager
            .rotation(below(&self.plan, secret))
            .generate("stamp", move || {
                let stamp = issued.next(secret, None).text();
                async move { Ok(stamp) }
            })
            .also("nested.stamp", |table: &Table| table.stamp.clone())
            .also("check", |table: &Table| table.stamp.clone())
            .also("port", |table: &Table| {
                crate::settings::Stamp::parse(&table.stamp).map(member_port).unwrap_or_default()
            })
            .set(move |change: secrets_provider::RotationChange<Table>| {
                let pending = change.pending().whole();
                let set = set.clone();
                async move {
                    tokio::time::sleep(Duration::from_millis(11)).await;
                    let pending = pending.ok_or_else(|| Rejected::new("the pending is a mix"))?;
                    set.lock().database.insert(secret, pending);
                    tokio::time::sleep(Duration::from_millis(11)).await;
                    Ok(())
                }
            })
            .test(move |table: Table| {
                let taken = tested.lock().database.get(&secret).copied();
                let works = taken.is_some() && taken == table.whole();
                async move {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    if works { Ok(()) } else { Err(Rejected::new("the login was refused")) }
                }
            });
        async move { rotation.run().await.map(drop) }
    }
}
