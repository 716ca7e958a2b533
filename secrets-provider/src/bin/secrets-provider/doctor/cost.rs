//! What a configuration costs, and how near it comes to AWS's quotas. Pure.
//!
//! The prices are those that AWS publishes on <https://aws.amazon.com/secrets-manager/pricing/>, without
//! tax, as they were quoted by others on 2026-11-22. The quotas are those of
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>, for an account
//! and region. Change numbers and date together. AWS does not say whether BatchGetSecretValue is billed
//! as one call; it is counted as one here.

use super::{Line, Mark};

/// When the prices were looked up.
const AS_OF: &str = "2026-11-22";
/// US dollars for a secret and a month.
const SECRET: f64 = 0.40;
/// US dollars for ten thousand calls.
const TEN_THOUSAND_CALLS: f64 = 0.05;
/// Secrets that one call of BatchGetSecretValue reads.
const BATCH: u64 = 20;
/// Names that one call of ListSecrets returns.
const PAGE: u64 = 100;
/// BatchGetSecretValue and ListSecrets, each, for an account and region in a second.
const QUOTA: u64 = 100;
/// GetSecretValue. AWS has also stated it as a quota that DescribeSecret shares.
const QUOTA_OF_SINGLES: u64 = 10_000;
/// The seconds of an average month.
const MONTH: u64 = 2_629_800;

/// What is used.
pub(super) struct Use {
    pub(super) secrets: u64,
    /// Whether their names are listed.
    pub(super) lists: bool,
    /// Whether they are read in batches.
    pub(super) batches: bool,
    pub(super) replicas: u64,
    pub(super) interval: u64,
}

/// The calls of one action that a replica makes at its start and at each refresh.
struct Calls {
    action: &'static str,
    number: u64,
    quota: u64,
    note: &'static str,
}

impl Use {
    fn calls(&self) -> Vec<Calls> {
        let calls = |action, number, quota| Calls { action, number, quota, note: "" };
        // A single secret is no batch.
        let reads = match self.batches && self.secrets > 1 {
            true => calls("BatchGetSecretValue", self.secrets.div_ceil(BATCH), QUOTA),
            false => Calls {
                note: ", which DescribeSecret may share",
                ..calls("GetSecretValue", self.secrets, QUOTA_OF_SINGLES)
            },
        };
        let lists = calls("ListSecrets", self.secrets.div_ceil(PAGE), QUOTA);
        std::iter::once(reads).chain(self.lists.then_some(lists)).collect()
    }

    fn calls_of_a_refresh(&self) -> u64 {
        self.calls().iter().map(|calls| calls.number).sum()
    }

    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    fn dollars_a_month(&self) -> f64 {
        let refreshes = MONTH as f64 / self.interval as f64;
        let calls = self.calls_of_a_refresh() as f64 * refreshes * self.replicas as f64;
        self.secrets as f64 * SECRET + calls / 10_000.0 * TEN_THOUSAND_CALLS
    }
}

pub(super) fn lines(used: &Use) -> Vec<Line> {
    let Use { secrets, replicas, interval, .. } = used;
    let cost = format!(
        "about {:.2} USD a month; secrets: {secrets}, replicas: {replicas}, calls of a replica: {} \
         every {interval} s; by AWS's public prices of {AS_OF}",
        used.dollars_a_month(),
        used.calls_of_a_refresh()
    );
    vec![Line::good("cost", cost), quota(used)]
}

/// The calls of a start beside what AWS allows in a second.
fn quota(used: &Use) -> Line {
    let calls = used.calls();
    let burst = |calls: &Calls| calls.number * used.replicas;
    let said: Vec<String> = calls
        .iter()
        .map(|it| format!("{} {} (AWS allows {}{})", burst(it), it.action, it.quota, it.note))
        .collect();
    let text = format!("calls if all replicas start in one second: {}", said.join("; "));
    match calls.iter().any(|calls| burst(calls) > calls.quota) {
        true => Line::new(Mark::Warn, "quota", text + "; AWS throttles what is more").todo(
            "start replicas in groups, or select fewer secrets; throttled calls are repeated",
        ),
        false => Line::good("quota", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_follow_from_secrets_replicas_and_interval() {
        for (secrets, lists, batches, replicas, interval, dollars) in [
            (1, false, true, 1, 300, 0.44),
            (20, false, true, 1, 300, 8.04),
            (20, false, false, 1, 300, 8.88),
            (21, true, true, 10, 300, 9.71),
            (20, false, true, 1, MONTH, 8.00),
        ] {
            let used = Use { secrets, lists, batches, replicas, interval };
            let found = used.dollars_a_month();
            assert!((found - dollars).abs() < 0.01, "{secrets} {replicas}: {found}");
        }
    }

    #[test]
    fn a_start_of_many_replicas_is_near_each_quota_that_applies() {
        for (secrets, lists, batches, replicas, mark, said) in [
            (20, false, true, 100, Mark::Good, &["100 BatchGetSecretValue (AWS allows 100)"][..]),
            (20, false, true, 101, Mark::Warn, &["101 BatchGetSecretValue (AWS allows 100)"]),
            (
                20,
                true,
                false,
                101,
                Mark::Warn,
                &["2020 GetSecretValue (AWS allows 10000", "101 ListSecrets"],
            ),
            (
                101,
                true,
                true,
                50,
                Mark::Warn,
                &["300 BatchGetSecretValue", "100 ListSecrets (AWS allows 100)"],
            ),
            (20, false, false, 501, Mark::Warn, &["10020 GetSecretValue (AWS allows 10000"]),
            (
                1,
                false,
                true,
                1,
                Mark::Good,
                &["1 GetSecretValue (AWS allows 10000", "DescribeSecret"],
            ),
        ] {
            let line = quota(&Use { secrets, lists, batches, replicas, interval: 300 });
            assert_eq!(line.mark, mark, "{}", line.text);
            assert!(said.iter().all(|said| line.text.contains(said)), "{}", line.text);
        }
    }
}
