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
/// BatchGetSecretValue and ListSecrets, each, for an account and region in a second.
const QUOTA: u64 = 100;
/// The seconds of an average month.
const MONTH: u64 = 2_629_800;

/// What is used.
pub(super) struct Use {
    pub(super) secrets: u64,
    pub(super) lists: bool,
    pub(super) replicas: u64,
    pub(super) interval: u64,
}

impl Use {
    fn calls_of_a_refresh(&self) -> u64 {
        self.secrets.div_ceil(BATCH) + u64::from(self.lists)
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
    let burst = secrets.div_ceil(BATCH) * replicas;
    let start = format!("{burst} BatchGetSecretValue calls if all replicas start in one second");
    let quota = match burst > QUOTA {
        true => Line::new(Mark::Warn, "quota", format!("{start}; AWS allows {QUOTA}")).todo(
            "start replicas in groups, or select fewer secrets; throttled calls are repeated",
        ),
        false => Line::good("quota", format!("{start}, of {QUOTA}")),
    };
    vec![Line::good("cost", cost), quota]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_follow_from_secrets_replicas_and_interval() {
        for (secrets, lists, replicas, interval, dollars) in [
            (1, false, 1, 300, 0.44),
            (20, false, 1, 300, 8.04),
            (21, true, 10, 300, 9.71),
            (20, false, 1, MONTH, 8.00),
        ] {
            let used = Use { secrets, lists, replicas, interval };
            let found = used.dollars_a_month();
            assert!((found - dollars).abs() < 0.01, "{secrets} {replicas}: {found}");
        }
    }

    #[test]
    fn a_start_of_many_replicas_is_near_the_quota() {
        for (replicas, mark) in [(100, Mark::Good), (101, Mark::Warn)] {
            let used = Use { secrets: 20, lists: false, replicas, interval: 300 };
            assert_eq!(lines(&used)[1].mark, mark, "{replicas}");
        }
    }
}
