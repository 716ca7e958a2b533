//! The rule, the queue and its policy, as a template for CloudFormation: what has to exist in AWS
//! for [`Push::queue`](super::Push::queue). No call is made.

use serde_json::{Value, json};

use crate::error::{Error, ErrorKind};
use crate::load::manager::SecretsManager;
use crate::secret::id::names_of;

/// How long an event pattern may be
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>).
const MAX_PATTERN: usize = 2_048;

/// How long messages are kept, in seconds. A hint is worth nothing later: the interval has found
/// the change by then.
const RETENTION: u32 = 300;

impl SecretsManager {
    /// A template for CloudFormation, as JSON, with what [`Push::queue`](crate::Push::queue) needs
    /// for this very description (feature `sqs`): the rule of EventBridge that matches the selected
    /// secrets, the queue, and the policy that lets the rule send to it. The output `QueueUrl` is
    /// what to give to `Push::queue`; `ReaderPolicy` is what the program's role must be allowed.
    ///
    /// ```sh
    /// aws cloudformation deploy --stack-name gaara-secret-changes --template-file push.json
    /// ```
    ///
    /// Each replica needs a stack of its own, because SQS gives a message to one receiver only; a
    /// rule has five targets at most. If so many secrets are named that the pattern would be longer
    /// than EventBridge allows, it matches every secret, and what is not selected is ignored.
    ///
    /// ```
    /// # use secrets_provider::SecretsManager;
    /// let template = SecretsManager::prefix("gaara/prod").push_setup()?;
    /// assert!(template.contains(r#""prefix": "gaara/prod/""#));
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Config` if the description is contradictory, or selects nothing.
    pub fn push_setup(&self) -> Result<String, Error> {
        let plan = self.description().choice.plan()?;
        let names: Vec<Value> = match (&plan.ids, &plan.mapping.prefix) {
            _ if plan.off => Vec::new(),
            (Some(ids), _) => {
                let mut names: Vec<&str> = ids.iter().flat_map(|id| names_of(id)).collect();
                names.sort_unstable();
                names.dedup();
                names.into_iter().map(Value::from).collect()
            }
            // The secret whose name is the prefix itself is selected too.
            (None, Some(prefix)) => {
                vec![json!({"prefix": format!("{prefix}/")}), prefix.as_str().into()]
            }
            (None, None) => Vec::new(),
        };
        if names.is_empty() {
            let message = "no secret is selected, so there is nothing to announce";
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("select secrets by a prefix or by names"));
        }
        let template = serde_json::to_string_pretty(&template(&names, self.label()));
        Ok(template.unwrap_or_default())
    }
}

fn pattern(names: Option<&[Value]>, label: &str) -> Value {
    let mut detail = json!({"labelUpdated": [label]});
    if let Some(names) = names {
        detail["name"] = names.into();
    }
    json!({
        "source": ["aws.secretsmanager"],
        "detail-type": ["Secret Label Updated"],
        "detail": detail,
    })
}

fn template(names: &[Value], label: &str) -> Value {
    let mut events = pattern(Some(names), label);
    if events.to_string().len() > MAX_PATTERN {
        events = pattern(None, label);
    }
    let of = |resource: &str, attribute: &str| json!({"Fn::GetAtt": [resource, attribute]});
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Announces changes of secrets in a queue, for secrets-provider.",
        "Resources": {
            "Changes": {
                "Type": "AWS::SQS::Queue",
                "Properties": {
                    "MessageRetentionPeriod": RETENTION,
                    "ReceiveMessageWaitTimeSeconds": 20,
                    "SqsManagedSseEnabled": true,
                },
            },
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "Description": "A label of a secret moved.",
                    "EventPattern": events,
                    "Targets": [{"Id": "queue", "Arn": of("Changes", "Arn")}],
                },
            },
            // Without a role for the target: the queue's own policy allows it.
            "RuleMaySend": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {
                    "Queues": [{"Ref": "Changes"}],
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [{
                            "Effect": "Allow",
                            "Principal": {"Service": "events.amazonaws.com"},
                            "Action": "sqs:SendMessage",
                            "Resource": of("Changes", "Arn"),
                            "Condition": {"ArnEquals": {"aws:SourceArn": of("Rule", "Arn")}},
                        }],
                    },
                },
            },
        },
        "Outputs": {
            "QueueUrl": {
                "Description": "For Push::queue.",
                "Value": {"Ref": "Changes"},
            },
            "ReaderPolicy": {
                "Description": "For the role of the program.",
                "Value": {"Fn::Sub": READER},
            },
        },
    })
}

/// What the receiver must be allowed.
const READER: &str = "{\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\", \
                      \"Action\": [\"sqs:ReceiveMessage\", \"sqs:DeleteMessage\"], \
                      \"Resource\": \"${Changes.Arn}\"}]}";

#[cfg(test)]
mod tests {
    use super::*;

    fn names(manager: &SecretsManager) -> Value {
        let template = manager.push_setup().expect("a template");
        let template: Value = serde_json::from_str(&template).expect("JSON");
        let reader = template["Outputs"]["ReaderPolicy"]["Value"]["Fn::Sub"].as_str();
        serde_json::from_str::<Value>(reader.expect("text")).expect("a policy");
        let rule = &template["Resources"]["Rule"]["Properties"]["EventPattern"];
        assert!(rule.to_string().len() <= MAX_PATTERN);
        assert_eq!(rule["detail"]["labelUpdated"], json!([manager.label()]));
        rule["detail"]["name"].clone()
    }

    #[test]
    fn the_rule_matches_what_is_selected() {
        const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a/b-AbCdEf";
        let many: Vec<String> = (0..200).map(|n| format!("app/secret-{n:03}")).collect();
        for (manager, expected) in [
            (
                SecretsManager::prefix("gaara/prod/"),
                json!([{"prefix": "gaara/prod/"}, "gaara/prod"]),
            ),
            (SecretsManager::prefix("p").stage("blue"), json!([{"prefix": "p/"}, "p"])),
            (
                SecretsManager::prefix("p").only(["a", "b"]).optional(["c"]),
                json!(["p/a", "p/b", "p/c"]),
            ),
            // One that looks like an ARN with an ending may be of two names.
            (SecretsManager::names([ARN, "x", "x"]), json!(["a/b", "a/b-AbCdEf", "x"])),
            (SecretsManager::names(many), Value::Null),
        ] {
            assert_eq!(names(&manager), expected);
        }
        for manager in [SecretsManager::names(Vec::<String>::new()), SecretsManager::prefix("")] {
            assert_eq!(manager.push_setup().expect_err("nothing").kind(), ErrorKind::Config);
        }
    }
}
