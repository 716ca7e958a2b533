//! The order of a merge, as a property. What else holds for several sources is in the suite of
//! `end-to-end`.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::backend::Memory;

/// Objects of a few names, so that they often meet.
fn object() -> impl Strategy<Value = Value> {
    let leaf = (0..100_u8).prop_map(Value::from);
    let node = leaf.prop_recursive(3, 12, 3, |inner| {
        prop::collection::btree_map("[a-c]", inner, 0..3)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    });
    prop::collection::btree_map("[a-c]", node, 0..3)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn overlay(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                overlay(below.entry(name).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn sources_merge_as_json_does(objects in prop::collection::vec(object(), 1..4)) {
        let of = |object: &Value| {
            let memory = Memory::new();
            memory.put("app", object.to_string());
            Sources::from(SecretsManager::prefix("app").backend(memory))
        };
        let sources = objects.iter().map(of).reduce(|below, above| below.and(above)).expect("a source");
        let mut expected = json!({});
        objects.iter().for_each(|object| overlay(&mut expected, object));
        prop_assert_eq!(sources.fetch_blocking().expect("a snapshot").extract::<Value>().expect("a tree"), expected);
    }
}

#[test]
fn names_of_sources_are_distinct() {
    let prefix = SecretsManager::prefix;
    let names =
        |sources: Sources| sources.names().iter().map(ToString::to_string).collect::<Vec<_>>();
    let several = SecretsManager::names(["a/b", "c", "d"]);
    assert_eq!(names(prefix("app/").and(several)), ["app", "a/b and 2 more"]);
    assert_eq!(names(prefix("app").and(prefix("app"))), ["app (1)", "app (2)"]);
    let named = prefix("app").source_name("eu").and(prefix("app").source_name("us"));
    assert_eq!(names(named), ["eu", "us"]);
}

/// Parameters have statements of their own, which are of the same policy.
#[cfg(feature = "ssm")]
#[test]
fn statements_for_parameters_join_those_for_secrets() {
    let secrets = || SecretsManager::prefix("app");
    let parameters = secrets().backend(crate::ParameterStore::new());
    let policy = secrets().and(parameters.clone()).and(parameters).iam_policy();
    let policy: Value = serde_json::from_str(&policy).expect("one policy");
    assert_eq!(policy["Version"], "2012-10-17");
    let statements = policy["Statement"].as_array().expect("statements");
    let of = |member: &str| {
        let values = statements.iter().filter_map(|statement| statement[member].as_str());
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    let actions = [
        "secretsmanager:GetSecretValue",
        "secretsmanager:BatchGetSecretValue",
        "secretsmanager:ListSecrets",
        "kms:Decrypt",
        "ssm:GetParametersByPath",
        "ssm:GetParameters",
        "kms:Decrypt",
    ];
    assert_eq!(of("Action"), actions);
    let ids = of("Sid");
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), distinct.len(), "IAM refuses an id that occurs twice: {ids:?}");
}

#[cfg(feature = "vault")]
#[test]
fn a_policy_that_is_not_of_iam_comes_after_a_comment() {
    let vault = crate::Vault::new("https://vault:8200").token("t");
    let own = SecretsManager::prefix("own").backend(vault);
    let policy = SecretsManager::prefix("shared").and(own).iam_policy();
    assert!(
        policy.contains("# shared\n{")
            && policy.contains("\n\n# own\n")
            && policy.contains("\npath "),
        "{policy}"
    );
}
