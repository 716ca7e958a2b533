//! `policy`: the least IAM policy for what is selected, as JSON or as the resource of a template.
//!
//! The statements are the library's; this file puts them together and into a form. Vault has policies
//! of its own, in HCL. Pure, apart from printing.

use std::collections::BTreeSet;

use clap::Args;
use secrets_provider::{Error, ErrorKind};
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
    /// Also allow receiving the queue of the push, by its ARN.
    #[arg(long, value_name = "QUEUE-ARN")]
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
        let queue = self.push.as_deref().map(queue).transpose()?;
        if let ([document], None, false) =
            (&documents[..], &queue, self.terraform || self.cloudformation)
        {
            output.text(document)?;
            return Ok(WELL);
        }
        let policy = joined(&documents, queue)?;
        output.text(&match (self.terraform, self.cloudformation) {
            (true, _) => terraform(&policy),
            (_, true) => pretty(&cloudformation(&policy)),
            _ => pretty(&policy),
        })?;
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
            (true, _) => output.text(&vault_terraform(policy))?,
            (false, true) => output.value(&json!({ "policy": policy }))?,
            (false, false) => output.text(policy)?,
        }
        Ok(WELL)
    }
}

/// The statement for a queue.
fn queue(arn: &str) -> Result<Value, Error> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if !matches!(parts[..], ["arn", _, "sqs", _, _, _]) {
        let message = "the queue of --push is not an ARN of SQS";
        return Err(Error::new(ErrorKind::Config, message)
            .with_hint("give it as arn:aws:sqs:eu-central-1:123456789012:name"));
    }
    Ok(json!({
        "Sid": "ReceivePush",
        "Effect": "Allow",
        "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage"],
        "Resource": arn,
    }))
}

/// One policy of several, in which each statement has an id of its own, as IAM wants it.
fn joined(documents: &[String], more: Option<Value>) -> Result<Value, Error> {
    let mut statements: Vec<Value> = Vec::new();
    for document in documents {
        let document: Value = serde_json::from_str(document)
            .map_err(|_| Error::new(ErrorKind::Invalid, "the library's policy is not JSON"))?;
        for statement in document["Statement"].as_array().into_iter().flatten() {
            if !statements.contains(statement) {
                statements.push(statement.clone());
            }
        }
    }
    statements.extend(more);
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
        let policy = joined(&[document("a"), document("b"), document("a")], None).expect("JSON");
        let sids: Vec<_> = policy["Statement"].as_array().into_iter().flatten().collect();
        assert_eq!(sids.len(), 2);
        assert_eq!((&sids[0]["Sid"], &sids[1]["Sid"]), (&json!("Keys"), &json!("Keys2")));
    }

    #[test]
    fn terraform_takes_no_part_of_a_name_for_a_variable() {
        let text = terraform(&json!({"Resource": "a/${b}%{c}"}));
        assert!(text.contains("a/$${b}%%{c}"), "{text}");
    }

    #[test]
    fn a_queue_is_given_by_its_arn() {
        assert!(queue("arn:aws:sqs:eu-central-1:123456789012:changes").is_ok());
        for wrong in ["https://sqs.eu-central-1.amazonaws.com/1/q", "arn:aws:sns:r:a:t", ""] {
            assert!(queue(wrong).is_err(), "{wrong}");
        }
    }
}
