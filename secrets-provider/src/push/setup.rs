//! The rule, the queue, the topic and their policies, as a template for CloudFormation: what has to
//! exist in AWS for [`Push::queue`](super::Push::queue) and [`Push::topic`](super::Push::topic). No
//! call is made.

use serde_json::{Value, json};

use super::own::PREFIX;
use super::topic::RETENTION;
use crate::error::{Error, ErrorKind};
use crate::load::manager::SecretsManager;
use crate::secret::id::names_of;

/// How long an event pattern may be
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>).
const MAX_PATTERN: usize = 2_048;

impl SecretsManager {
    /// A template for CloudFormation, as JSON, with what [`Push`](crate::Push) needs for this very
    /// description (feature `sqs`): the rule of EventBridge that matches the selected secrets, a
    /// queue for one replica and a topic for any number of them, and the policies that let the rule
    /// send to both.
    ///
    /// | output | what it is for |
    /// | --- | --- |
    /// | `TopicArn` | [`Push::topic`](crate::Push::topic) |
    /// | `TopicReaderPolicy` | what the role of a program with `Push::topic` must be allowed |
    /// | `QueueUrl` | [`Push::queue`](crate::Push::queue) |
    /// | `ReaderPolicy` | what the role of a program with `Push::queue` must be allowed |
    ///
    /// ```sh
    /// aws cloudformation deploy --stack-name gaara-secret-changes --template-file push.json
    /// ```
    ///
    /// The topic is called as the stack is; `TopicReaderPolicy` fits names of up to
    /// [`Push::MAX_OF_TOPIC`](crate::Push::MAX_OF_TOPIC) characters.
    /// What is not used, the queue or the topic, costs nothing and may be deleted from the template.
    /// If so many secrets are named that the pattern would be longer than EventBridge allows, it
    /// matches every secret, and what is not selected is ignored.
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
    let arn = |resource: &str| json!({"Fn::GetAtt": [resource, "Arn"]});
    let topic = json!({"Ref": "Topic"});
    // Without a role for the targets: their own policies allow the rule.
    let rule_may = |action: &str, resource: &Value| {
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": action,
                "Resource": resource,
                "Condition": {"ArnEquals": {"aws:SourceArn": arn("Rule")}},
            }],
        })
    };
    let output = |description: &str, value: &Value| {
        json!({
            "Description": description,
            "Value": value,
        })
    };
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Announces changes of secrets in a queue and on a topic, for secrets-provider.",
        "Resources": {
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "Description": "A label of a secret moved.",
                    "EventPattern": events,
                    "Targets": [
                        {"Id": "queue", "Arn": arn("Changes")},
                        {"Id": "topic", "Arn": topic},
                    ],
                },
            },
            "Changes": {
                "Type": "AWS::SQS::Queue",
                "Properties": {
                    "MessageRetentionPeriod": RETENTION,
                    "ReceiveMessageWaitTimeSeconds": 20,
                    "SqsManagedSseEnabled": true,
                },
            },
            "RuleMaySend": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {
                    "Queues": [{"Ref": "Changes"}],
                    "PolicyDocument": rule_may("sqs:SendMessage", &arn("Changes")),
                },
            },
            "Topic": {
                "Type": "AWS::SNS::Topic",
                "Properties": {"TopicName": {"Ref": "AWS::StackName"}},
            },
            "RuleMayPublish": {
                "Type": "AWS::SNS::TopicPolicy",
                "Properties": {
                    "Topics": [topic],
                    "PolicyDocument": rule_may("sns:Publish", &topic),
                },
            },
        },
        "Outputs": {
            "TopicArn": output("For Push::topic.", &topic),
            "TopicReaderPolicy": output(
                "For the role of a program with Push::topic.",
                &json!({"Fn::Sub": topic_reader().to_string()}),
            ),
            "QueueUrl": output("For Push::queue.", &json!({"Ref": "Changes"})),
            "ReaderPolicy": output(
                "For the role of a program with Push::queue.",
                &json!({"Fn::Sub": queue_reader().to_string()}),
            ),
        },
    })
}

/// What the receiver of the queue must be allowed.
fn queue_reader() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage"],
            "Resource": "${Changes.Arn}",
        }],
    })
}

/// What a replica must be allowed that makes a queue of its own. IAM accepts two of the actions only
/// on `*` (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html>).
fn topic_reader() -> Value {
    let own = format!(
        "arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{PREFIX}${{AWS::StackName}}-*"
    );
    let statement = |sid: &str, actions: &[&str], resource: &str| json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource});
    json!({
        "Version": "2012-10-17",
        "Statement": [
            statement(
                "UseOwnQueue",
                &[
                    "sqs:CreateQueue",
                    "sqs:TagQueue",
                    "sqs:ReceiveMessage",
                    "sqs:DeleteMessage",
                    "sqs:DeleteQueue",
                    "sqs:ListQueueTags",
                ],
                &own,
            ),
            statement("Subscribe", &["sns:Subscribe"], "${Topic}"),
            statement("SweepAndUnsubscribe", &["sqs:ListQueues", "sns:Unsubscribe"], "*"),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(manager: &SecretsManager) -> Value {
        let template = manager.push_setup().expect("a template");
        let template: Value = serde_json::from_str(&template).expect("JSON");
        for name in ["ReaderPolicy", "TopicReaderPolicy"] {
            let policy = template["Outputs"][name]["Value"]["Fn::Sub"].as_str();
            serde_json::from_str::<Value>(policy.expect("text")).expect("a policy");
        }
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
