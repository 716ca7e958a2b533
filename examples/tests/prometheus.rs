//! The alarms of `prometheus/secrets-provider.rules.yml`: parsed as Prometheus parses them, and
//! evaluated over counters of healthy and of failing services.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;

use promql_parser::parser::token::{T_ADD, T_DIV, T_EQLC, T_GTR, T_LOR, T_LSS, T_MUL, T_SUM};
use promql_parser::parser::{Expr, LabelModifier, VectorSelector, parse};
use promql_parser::util::parse_duration;

const RULES: &str = include_str!("../prometheus/secrets-provider.rules.yml");

/// The kinds of errors.
const KINDS: [&str; 11] = [
    "not_found",
    "access_denied",
    "kms",
    "pending_deletion",
    "throttled",
    "unavailable",
    "malformed",
    "conflict",
    "invalid",
    "rejected",
    "config",
];

type Labels = BTreeMap<String, String>;

/// What a service does, or a gauge: the name, its label, and how often in an hour, or its value.
type Rate = (&'static str, &'static str, f64);

/// How often Prometheus evaluates its rules.
const INTERVAL: f64 = 30.0;
/// Longer than every range and `for` of the rules.
const LATER: f64 = 3.0 * 3600.0;

/// One series of a service in which something begins: the value of a gauge before and since then, or
/// by how much a counter grows in each second.
struct Series {
    name: &'static str,
    labels: Labels,
    value: [f64; 2],
    per_second: [f64; 2],
}

impl Series {
    /// By how much it grew in the last `range` seconds, so many seconds after the beginning.
    fn increase(&self, at: f64, range: f64) -> f64 {
        let [before, since] = self.per_second;
        let new = at.clamp(0.0, range);
        since * new + before * (range - new)
    }
}

struct Rule {
    expr: Expr,
    /// For how many seconds it has to be true until it fires.
    hold: f64,
}

/// A value for each set of labels.
enum Value {
    Number(f64),
    Vector(BTreeMap<Labels, f64>),
}

/// The rules of the file, alarms and recordings, by name.
fn rules() -> BTreeMap<&'static str, Rule> {
    let mut rules = BTreeMap::new();
    let mut lines = RULES.lines().peekable();
    let mut name = "";
    while let Some(line) = lines.next() {
        let line = line.trim_start().trim_start_matches("- ");
        if let Some(("alert" | "record", found)) = line.split_once(": ") {
            name = found;
        }
        if let Some(hold) = line.strip_prefix("for: ") {
            let rule: &mut Rule = rules.get_mut(name).unwrap();
            rule.hold = parse_duration(hold).unwrap().as_secs_f64();
        }
        let Some(expr) = line.strip_prefix("expr: ") else { continue };
        let mut expr = expr.to_owned();
        if expr == "|" {
            expr.clear();
            // The block is indented deeper than the keys of a rule.
            while let Some(more) = lines.next_if(|line| line.starts_with("          ")) {
                expr += more;
            }
        }
        let expr = parse(&expr).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(rules.insert(name, Rule { expr, hold: 0.0 }).is_none(), "{name} comes twice");
    }
    rules
}

struct Prometheus<'a> {
    rules: &'a BTreeMap<&'static str, Rule>,
    series: &'a [Series],
    /// How many seconds after the beginning it is; before that, it is negative.
    now: f64,
}

impl Prometheus<'_> {
    fn evaluate(&self, expr: &Expr) -> Value {
        match expr {
            Expr::NumberLiteral(number) => Value::Number(number.val),
            Expr::Paren(inner) => self.evaluate(&inner.expr),
            Expr::VectorSelector(selector) => match selector.name.as_deref() {
                Some(name) if self.rules.contains_key(name) => {
                    self.evaluate(&self.rules[name].expr)
                }
                _ => self.select(selector, |series| series.value[usize::from(self.now >= 0.0)]),
            },
            Expr::Call(call) => {
                let Some(Expr::MatrixSelector(matrix)) = call.args.args.first().map(|arg| &**arg)
                else {
                    panic!("{expr}: a range is expected")
                };
                let seconds = matrix.range.as_secs_f64();
                match call.func.name {
                    "rate" => self
                        .select(&matrix.vs, |series| series.increase(self.now, seconds) / seconds),
                    "increase" => {
                        self.select(&matrix.vs, |series| series.increase(self.now, seconds))
                    }
                    other => panic!("{other} is not known here"),
                }
            }
            Expr::Aggregate(sum) if sum.op.id() == T_SUM => {
                let Some(LabelModifier::Include(by)) = &sum.modifier else { panic!("{expr}") };
                let Value::Vector(vector) = self.evaluate(&sum.expr) else { panic!("{expr}") };
                let mut sums = BTreeMap::new();
                for (mut labels, value) in vector {
                    labels.retain(|name, _| by.labels.contains(name));
                    *sums.entry(labels).or_insert(0.0) += value;
                }
                Value::Vector(sums)
            }
            Expr::Binary(binary) => {
                let (left, right) = (self.evaluate(&binary.lhs), self.evaluate(&binary.rhs));
                self.binary(binary.op.id(), left, right)
            }
            other => panic!("{other} is not known here"),
        }
    }

    fn select(&self, selector: &VectorSelector, value: impl Fn(&Series) -> f64) -> Value {
        let name = selector.name.as_deref().unwrap();
        let matches = |series: &&Series| {
            let label = |name: &str| series.labels.get(name).map_or("", String::as_str);
            let matchers = &selector.matchers.matchers;
            series.name == name
                && matchers.iter().all(|matcher| matcher.is_match(label(&matcher.name)))
        };
        let found = self.series.iter().filter(matches);
        Value::Vector(found.map(|series| (series.labels.clone(), value(series))).collect())
    }

    /// Between vectors, only equal sets of labels meet; a comparison keeps what is true.
    fn binary(&self, op: u16, left: Value, right: Value) -> Value {
        let Value::Vector(left) = left else { panic!("a vector is expected on the left") };
        if op == T_LOR {
            let Value::Vector(mut all) = right else { panic!("`or` is between vectors") };
            all.extend(left);
            return Value::Vector(all);
        }
        let met = left.into_iter().filter_map(|(labels, left)| {
            let right = match &right {
                Value::Number(number) => *number,
                Value::Vector(right) => *right.get(&labels)?,
            };
            let value = match op {
                T_ADD => Some(left + right),
                T_DIV => Some(left / right),
                T_MUL => Some(left * right),
                T_GTR => (left > right).then_some(left),
                T_LSS => (left < right).then_some(left),
                T_EQLC => (left == right).then_some(left),
                _ => panic!("an operator that is not known here"),
            };
            Some((labels, value?))
        });
        Value::Vector(met.collect())
    }

    /// The alarms that fire, in order: those that were true at each evaluation of their `for`.
    fn firing(&self) -> Vec<&'static str> {
        let is_true = |expr: &Expr, ago: f64| match (Prometheus { now: self.now - ago, ..*self })
            .evaluate(expr)
        {
            Value::Vector(vector) => !vector.is_empty(),
            Value::Number(_) => panic!("an alarm is a vector"),
        };
        let fires = |rule: &Rule| {
            let evaluations = 0..=(rule.hold / INTERVAL).ceil() as u32;
            evaluations.into_iter().all(|n| is_true(&rule.expr, f64::from(n) * INTERVAL))
        };
        let alarms = self.rules.iter().filter(|(name, _)| name.starts_with("Secrets"));
        alarms.filter(|(_, rule)| fires(rule)).map(|(name, _)| *name).collect()
    }
}

fn service<const N: usize>(labels: [(&str, &str); N]) -> Labels {
    let own = [("job", "gaara"), ("instance", "one")].into_iter().chain(labels);
    own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What a healthy service has: a counter of each kind of failure, and of hits and misses, from the
/// start; these rates in an hour, and what is added to them at the beginning.
fn series(healthy: &[Rate], also: &[Rate]) -> Vec<Series> {
    let rate = |name: &str, label: &str| {
        let of_it = |rates: &[Rate]| {
            let of_it = rates.iter().filter(|(other, of, _)| (*other, *of) == (name, label));
            of_it.map(|(.., rate)| rate).sum::<f64>() / 3600.0
        };
        [of_it(healthy), of_it(healthy) + of_it(also)]
    };
    let mut all = Vec::new();
    let mut add = |name, labels, value, per_second| {
        all.push(Series { name, labels, value, per_second });
    };
    for kind in KINDS {
        add("secrets_failed_total", service([("kind", kind)]), [1.0; 2], rate("failed", kind));
    }
    for (name, short) in
        [("secrets_cache_hits_total", "hits"), ("secrets_cache_misses_total", "misses")]
    {
        add(name, service([]), [1.0; 2], rate(short, ""));
    }
    for result in ["new", "unchanged"] {
        let per_second = rate("access", result);
        if per_second != [0.0; 2] {
            let labels = service([("secret", "app/a"), ("result", result)]);
            add("secrets_access_total", labels, [1.0; 2], per_second);
        }
    }
    // Only a program that rotates has these.
    for result in ["rotated", "failed"] {
        let per_second = rate("rotations", result);
        if per_second != [0.0; 2] {
            add("secrets_rotations_total", service([("result", result)]), [1.0; 2], per_second);
        }
    }
    for (name, healthy) in [
        ("secrets_ready", 1.0),
        ("secrets_age_seconds", 10.0),
        ("secrets_fallback", 0.0),
        ("secrets_failover", 0.0),
    ] {
        let given = also.iter().find(|(other, ..)| *other == name);
        add(name, service([]), [healthy, given.map_or(healthy, |(.., value)| *value)], [0.0; 2]);
    }
    // Only settings of several sources have these.
    for (name, source, age) in
        also.iter().filter(|(name, ..)| *name == "secrets_source_age_seconds")
    {
        add(name, service([("source", source)]), [10.0, *age], [0.0; 2]);
    }
    all
}

#[test]
fn an_alarm_fires_for_what_it_names_and_for_nothing_else() {
    let rules = rules();
    let live = [("access", "unchanged", 12.0)];
    let lookups = [("hits", "", 900.0), ("misses", "", 12.0), ("access", "unchanged", 12.0)];
    for (case, healthy, also, expected) in [
        ("a healthy service", &live[..], &[][..], &[][..]),
        ("healthy lookups", &lookups, &[], &[]),
        ("nothing at all", &[], &[], &[]),
        ("four percent fail", &lookups, &[("failed", "not_found", 37.0)], &[]),
        ("six percent fail", &lookups, &[("failed", "not_found", 60.0)], &["SecretsFailureRatio"]),
        ("four percent, of a live service", &live, &[("failed", "unavailable", 0.5)], &[]),
        (
            "everything fails, and nothing was ever read",
            &[],
            &[("failed", "unavailable", 20.0), ("misses", "", 20.0)],
            &["SecretsFailureRatio", "SecretsLookupHitRatioLow"],
        ),
        (
            "eleven in five minutes",
            &[("hits", "", 100_000.0)],
            &[("failed", "unavailable", 11.0 * 12.0)],
            &["SecretsRetrievalFailing"],
        ),
        (
            "nine in five minutes",
            &[("hits", "", 100_000.0)],
            &[("failed", "unavailable", 9.0 * 12.0)],
            &[],
        ),
        (
            "one denial",
            &[("hits", "", 100_000.0)],
            &[("failed", "access_denied", 1.0)],
            &["SecretsAccessDenied"],
        ),
        (
            "one use of a key that is denied",
            &[("hits", "", 100_000.0)],
            &[("failed", "kms", 1.0)],
            &["SecretsKmsFailed"],
        ),
        (
            "a rotation that brought what is refused",
            &[("hits", "", 100_000.0)],
            &[("failed", "rejected", 1.0)],
            &["SecretsRotationRefused"],
        ),
        ("rotations that succeed", &live, &[("rotations", "rotated", 1.0)], &[]),
        (
            "a rotation by the program that failed",
            &live,
            &[("rotations", "failed", 1.0)],
            &["SecretsRotationFailed"],
        ),
        (
            "throttled",
            &[("hits", "", 100_000.0)],
            &[("failed", "throttled", 1.0)],
            &["SecretsThrottled"],
        ),
        ("hits of 81 %", &[("hits", "", 81.0), ("misses", "", 19.0)], &[], &[]),
        (
            "hits of 79 %",
            &[("hits", "", 79.0), ("misses", "", 21.0)],
            &[],
            &["SecretsLookupHitRatioLow"],
        ),
        (
            "new versions all the time",
            &[("access", "new", 3.0)],
            &[("access", "unchanged", 9.0)],
            &["SecretsCacheHitRatioLow"],
        ),
        ("read all the time", &[("access", "unchanged", 101.0)], &[], &["SecretsExcessiveAccess"]),
        ("not ready", &live, &[("secrets_ready", "", 0.0)], &["SecretsNotReady"]),
        ("old", &live, &[("secrets_age_seconds", "", 901.0)], &["SecretsFailing"]),
        (
            "one of two sources is old",
            &live,
            &[
                ("secrets_source_age_seconds", "shared/prod", 901.0),
                ("secrets_source_age_seconds", "gaara/prod", 10.0),
            ],
            &["SecretsSourceFailing"],
        ),
        ("failed over", &live, &[("secrets_failover", "", 1.0)], &["SecretsFailedOver"]),
        ("on fallback", &live, &[("secrets_fallback", "", 1.0)], &["SecretsOnFallback"]),
    ] {
        let series = series(healthy, also);
        let prometheus = Prometheus { rules: &rules, series: &series, now: LATER };
        assert_eq!(prometheus.firing(), expected, "{case}");
    }
}

/// What is over soon wakes no one, and what lasts is not missed.
#[test]
fn an_alarm_fires_once_it_was_true_for_its_time() {
    let rules = rules();
    let lookups = [("hits", "", 900.0), ("misses", "", 12.0), ("access", "unchanged", 12.0)];
    let ratio = ["SecretsFailureRatio"];
    let hits = ["SecretsLookupHitRatioLow"];
    for (case, also, minutes, expected) in [
        ("before it began", ("secrets_ready", "", 0.0), -1.0, &[][..]),
        ("not ready for half a minute", ("secrets_ready", "", 0.0), 0.5, &[]),
        ("not ready for a minute", ("secrets_ready", "", 0.0), 1.0, &["SecretsNotReady"]),
        ("on fallback for four minutes", ("secrets_fallback", "", 1.0), 4.0, &[]),
        (
            "on fallback for five minutes",
            ("secrets_fallback", "", 1.0),
            5.0,
            &["SecretsOnFallback"],
        ),
        ("old, without a time", ("secrets_age_seconds", "", 901.0), 0.0, &["SecretsFailing"]),
        (
            "a denial, without a time",
            ("failed", "access_denied", 1.0),
            0.5,
            &["SecretsAccessDenied"],
        ),
        // Five percent of what 15 minutes had are reached after six of them.
        ("one of nine fails for ten minutes", ("failed", "not_found", 120.0), 10.0, &[]),
        ("one of nine fails for twelve", ("failed", "not_found", 120.0), 12.0, &ratio),
        // A fifth of what 15 minutes had is reached after four of them.
        ("half are no hits for 33 minutes", ("misses", "", 900.0), 33.0, &[]),
        ("half are no hits for 35 minutes", ("misses", "", 900.0), 35.0, &hits),
    ] {
        let series = series(&lookups, &[also]);
        let prometheus = Prometheus { rules: &rules, series: &series, now: minutes * 60.0 };
        assert_eq!(prometheus.firing(), expected, "{case}");
    }
}
