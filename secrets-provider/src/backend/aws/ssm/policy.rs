//! The least IAM policy for reading parameters. Pure.

use serde_json::{Value, json};

use super::names::{parameter, path};
use crate::backend::iam::Location;

/// The policy, as indented JSON: for what is at and below a prefix, or for these names.
pub(super) fn json(location: &Location, prefix: Option<&str>, ids: &[String]) -> String {
    let arn = |name: &str| location.parameter(name.trim_start_matches('/'));
    let resources: Vec<String> = match prefix {
        Some(prefix) => {
            let own = arn(&path(prefix));
            vec![own.clone(), format!("{own}/*")]
        }
        None => ids.iter().map(|id| arn(&parameter(id))).collect(),
    };
    let mut statements = Vec::new();
    if !resources.is_empty() {
        if prefix.is_some() {
            statements.push(json!({
                "Sid": "FindNames", "Effect": "Allow",
                "Action": "ssm:GetParametersByPath", "Resource": resources,
            }));
        }
        statements.push(json!({
            "Sid": "ReadParameters", "Effect": "Allow",
            "Action": "ssm:GetParameters", "Resource": resources,
        }));
        statements.push(json!({
            "Sid": "OnlyForSecureStrings", "Effect": "Allow",
            "Action": "kms:Decrypt", "Resource": location.key(),
            "Condition": { "StringLike": {
                "kms:EncryptionContext:PARAMETER_ARN": resources,
                "kms:ViaService": location.via("ssm"),
            } },
        }));
    }
    let policy: Value = json!({ "Version": "2012-10-17", "Statement": statements });
    serde_json::to_string_pretty(&policy).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_exactly_what_is_read() {
        let location = Location::new(Some("eu-central-1"), Some("123456789012"));
        let policy = |prefix, ids: &[&str]| -> Value {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            serde_json::from_str(&json(&location, prefix, &ids)).expect("JSON")
        };
        let arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/gaara/prod";
        let of_prefix = policy(Some("gaara/prod"), &[]);
        let actions: Vec<&Value> = (0..3).map(|at| &of_prefix["Statement"][at]["Action"]).collect();
        assert_eq!(actions, ["ssm:GetParametersByPath", "ssm:GetParameters", "kms:Decrypt"]);
        for statement in [0, 1] {
            let resource = &of_prefix["Statement"][statement]["Resource"];
            assert_eq!(*resource, json!([arn, format!("{arn}/*")]));
        }
        let of_names = policy(None, &["gaara/prod"]);
        assert_eq!(of_names["Statement"][0]["Action"], "ssm:GetParameters");
        assert_eq!(of_names["Statement"][0]["Resource"], json!([arn]));
        assert_eq!(policy(None, &[])["Statement"], json!([]));
    }
}
