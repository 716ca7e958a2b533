//! `policy`: the least IAM policy for what is selected, as JSON or as the resource of a template.
//!
//! The statements are the library's; this file puts them together and into a form. Vault has policies
//! of its own, in HCL. Pure, apart from printing.

use std::collections::BTreeSet;

use clap::Args;
use secrets_provider::{Error, ErrorKind, Push};
use serde_json::{Value, json};

use crate::backend::Store;
use crate::output::Output;
use crate::select::Selection;
use crate::{Ended, WELL};

/// Print the least IAM policy for these secrets, or the policy of Vault.
///
/// No call is made. AWS_ACCOUNT_ID gives the account, which is `*` otherwise.
#[derive(Debug, Args)]
pub(crate) struct Policy {
    /// Also allow receiving the push: by the ARN of its queue, or of its topic.
    #[arg(long, value_name = "ARN")]
    push: Option<String>,
    /// Print the template of the push itself (rule and queue) for CloudFormation, and no policy.
    #[arg(long, conflicts_with_all = ["push", "rotate", "terraform", "cloudformation"])]
    push_setup: bool,
    /// Also allow rotating this secret, by its name below the prefix; may be given several times.
    #[arg(long, value_name = "NAME")]
    rotate: Vec<String>,
    /// As a resource for Terraform.
    #[arg(long, conflicts_with = "cloudformation")]
    terraform: bool,
    /// As a template for CloudFormation.
    #[arg(long)]
    cloudformation: bool,
}

impl Policy {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        let manager = selection.manager().await?;
        if selection.store() == Store::Agent {
            self.check_for_agent()?;
        } else if !selection.is_aws() {
            return self.elsewhere(selection.store(), &manager.iam_policy(), output);
        }
        if self.push_setup {
            output.text(&manager.push_setup()?)?;
            return Ok(WELL);
        }
        let mut documents = vec![manager.iam_policy()];
        for name in &self.rotate {
            // A name that is not valid is an error here, and an empty policy there.
            manager.secret_id(name)?;
            documents.push(manager.rotation(name).iam_policy());
        }
        if let Some(arn) = &self.push {
            // What is not known here may be anything, as in the policy of the secrets.
            let account = selection.variable("AWS_ACCOUNT_ID").unwrap_or_else(|| "*".to_owned());
            documents.push(receiver(arn, &account, &manager.push_setup()?)?);
        }
        if let ([document], false) = (&documents[..], self.terraform || self.cloudformation) {
            output.text(document)?;
            return Ok(WELL);
        }
        let policy = joined(&documents)?;
        match (self.terraform, self.cloudformation) {
            (true, _) if output.json() => output.value(&json!({ "terraform": terraform(&policy) })),
            (true, _) => output.text(&terraform(&policy)),
            (_, true) => output.text(&pretty(&cloudformation(&policy))),
            _ => output.text(&pretty(&policy)),
        }?;
        Ok(WELL)
    }
}

impl Policy {
    /// The agent's role needs a policy of IAM. The agent does not rotate, and hears of no changes.
    fn check_for_agent(&self) -> Result<(), Error> {
        if self.push.is_none() && !self.push_setup && self.rotate.is_empty() {
            return Ok(());
        }
        let message = "--push, --push-setup and --rotate are for `--backend aws`";
        Err(Error::new(ErrorKind::Config, message)
            .with_hint("leave them out, or leave out `--backend`"))
    }

    /// The policy of another store.
    fn elsewhere(&self, store: Store, policy: &str, output: &Output) -> Result<Ended, Error> {
        let wrong =
            |message: &str, hint: &str| Err(Error::new(ErrorKind::Config, message).with_hint(hint));
        if store == Store::Directory {
            return wrong(
                "a folder has no policy",
                "the permissions of its files decide who reads them: `chmod`, `chown`",
            );
        }
        let of_aws = self.push.is_some() || self.push_setup || !self.rotate.is_empty();
        if of_aws || self.cloudformation {
            return wrong(
                "--push, --push-setup, --rotate and --cloudformation are for AWS",
                "leave them out: the policy of Vault is HCL, and --terraform makes a resource of it",
            );
        }
        match (self.terraform, output.json()) {
            (true, true) => output.value(&json!({ "terraform": vault_terraform(policy) }))?,
            (true, false) => output.text(&vault_terraform(policy))?,
            (false, true) => output.value(&json!({ "policy": policy }))?,
            (false, false) => output.text(policy)?,
        }
        Ok(WELL)
    }
}

/// What may be received, as the library's template of the push has it: of the queue with this ARN, or
/// of an own queue on the topic with this ARN.
fn receiver(arn: &str, account: &str, template: &str) -> Result<String, Error> {
    let parts: Vec<&str> = arn.split(':').collect();
    let is_plain = arn.bytes().all(|c| c.is_ascii_alphanumeric() || b":-_.".contains(&c));
    let ["arn", partition, service @ ("sqs" | "sns"), region, _, name] = parts[..] else {
        return Err(no_push());
    };
    if !is_plain || name.is_empty() {
        return Err(no_push());
    }
    let output = if service == "sqs" { "ReaderPolicy" } else { "TopicReaderPolicy" };
    let template: Value = serde_json::from_str(template).map_err(|_| no_json())?;
    let policy = template["Outputs"][output]["Value"]["Fn::Sub"].as_str().ok_or_else(no_json)?;
    // An own queue has the beginning of the topic's name.
    let own = name.get(..Push::MAX_OF_TOPIC).unwrap_or(name);
    let known = [
        ("${Changes.Arn}", arn),
        ("${Topic}", arn),
        ("${AWS::Partition}", partition),
        ("${AWS::Region}", region),
        ("${AWS::AccountId}", account),
        ("${AWS::StackName}", own),
    ];
    Ok(known.iter().fold(policy.to_owned(), |text, (name, value)| text.replace(name, value)))
}

fn no_push() -> Error {
    Error::new(ErrorKind::Config, "--push is no ARN of a queue of SQS or a topic of SNS").with_hint(
        "give it as arn:aws:sqs:eu-central-1:123456789012:name, or with `sns` for a topic",
    )
}

fn no_json() -> Error {
    Error::new(ErrorKind::Invalid, "the library's policy is not JSON")
}

/// One policy of several, in which each statement has an id of its own, as IAM wants it.
fn joined(documents: &[String]) -> Result<Value, Error> {
    let mut statements: Vec<Value> = Vec::new();
    for document in documents {
        let document: Value = serde_json::from_str(document).map_err(|_| no_json())?;
        for statement in document["Statement"].as_array().into_iter().flatten() {
            if !statements.contains(statement) {
                statements.push(statement.clone());
            }
        }
    }
    let mut taken = BTreeSet::new();
    for statement in &mut statements {
        let Some(sid) = statement["Sid"].as_str().map(str::to_owned) else { continue };
        let numbered = (2..).map(|number| format!("{sid}{number}"));
        let free = std::iter::once(sid.clone()).chain(numbered).find(|sid| !taken.contains(sid));
        let free = free.unwrap_or(sid);
        statement["Sid"] = free.as_str().into();
        taken.insert(free);
    }
    Ok(json!({ "Version": "2012-10-17", "Statement": statements }))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A resource for Terraform.
fn terraform(policy: &Value) -> String {
    resource("aws_iam_policy", &pretty(policy))
}

/// The same for Vault's policy.
fn vault_terraform(policy: &str) -> String {
    resource("vault_policy", policy)
}

/// Terraform's strings must not take a part of the policy for a variable.
fn resource(kind: &str, policy: &str) -> String {
    let policy = policy.replace("${", "$${").replace("%{", "%%{");
    let policy = policy.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "resource \"{kind}\" \"secrets\" {{\n  name   = \"read-secrets\"\n  policy = \
         <<-POLICY\n{policy}  POLICY\n}}\n"
    )
}

/// A template for CloudFormation. `Ref` of the resource is the policy's ARN, for a role.
fn cloudformation(policy: &Value) -> Value {
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The least policy for reading secrets",
        "Resources": {
            "ReadSecrets": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": { "PolicyDocument": policy },
            },
        },
        "Outputs": {
            "PolicyArn": {
                "Description": "To attach to the role that the service runs as",
                "Value": { "Ref": "ReadSecrets" },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_has_an_id_of_its_own() {
        let document = |resource: &str| {
            json!({"Statement": [{"Sid": "Keys", "Resource": resource}]}).to_string()
        };
        let policy = joined(&[document("a"), document("b"), document("a")]).expect("JSON");
        let sids: Vec<_> = policy["Statement"].as_array().into_iter().flatten().collect();
        assert_eq!(sids.len(), 2);
        assert_eq!((&sids[0]["Sid"], &sids[1]["Sid"]), (&json!("Keys"), &json!("Keys2")));
    }

    #[test]
    fn terraform_takes_no_part_of_a_name_for_a_variable() {
        let text = terraform(&json!({"Resource": "a/${b}%{c}"}));
        assert!(text.contains("a/$${b}%%{c}"), "{text}");
    }

    fn statements(arn: &str) -> Vec<Value> {
        let template = secrets_provider::SecretsManager::prefix("app").push_setup();
        let policy = receiver(arn, "*", &template.expect("a template")).expect("a policy");
        assert!(!policy.contains("${"), "{policy}");
        let policy: Value = serde_json::from_str(&policy).expect("JSON");
        policy["Statement"].as_array().expect("statements").clone()
    }

    #[test]
    fn a_push_is_a_queue_or_a_topic() {
        let queue = "arn:aws:sqs:eu-central-1:123456789012:changes";
        let [statement] = &statements(queue)[..] else { panic!("one statement") };
        assert_eq!(statement["Resource"], queue);
        let topic = format!(
            "arn:aws-cn:sns:cn-north-1:123456789012:{}",
            "x".repeat(Push::MAX_OF_TOPIC + 8)
        );
        let of_topic = statements(&topic);
        let resource = |at: usize| of_topic[at]["Resource"].as_str().expect("a resource");
        let own = format!(
            "arn:aws-cn:sqs:cn-north-1:*:secrets-provider-{}-*",
            "x".repeat(Push::MAX_OF_TOPIC)
        );
        assert_eq!((resource(0), resource(1), resource(2)), (own.as_str(), topic.as_str(), "*"));
    }

    #[test]
    fn what_is_no_arn_of_either_is_an_error() {
        for wrong in [
            "https://sqs.eu-central-1.amazonaws.com/1/q",
            "arn:aws:sns:r:a:t:subscription",
            "arn:aws:s3:::bucket",
            "arn:aws:sqs:r:a:",
            "arn:aws:sqs:r:a:q\"",
            "",
        ] {
            assert!(receiver(wrong, "*", "{}").is_err(), "{wrong}");
        }
    }
}
