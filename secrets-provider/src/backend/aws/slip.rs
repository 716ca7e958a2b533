//! Names and prefixes that no secret of AWS can have: a slip, and never an outage.
//!
//! AWS allows ASCII letters, digits and `/_+=.@!-` in a name. A `:` is from a reference to one key
//! of a secret, as ECS, CloudFormation and others write it. Checked before a call is made, because
//! the answer would be that there is no such secret, for which lower layers may serve the keys.
//! Pure.

use crate::error::{Error, ErrorKind};
use crate::secret::id::is_arn;

/// What is wrong with the name of a secret, if it is not one of AWS's.
pub(super) fn of_name(id: &str) -> Option<Error> {
    let hint = hint(id)?;
    let message = format!("secret `{id}`: a name in AWS has no `:`");
    Some(Error::new(ErrorKind::Config, message).with_secret(id).with_hint(hint))
}

/// What is wrong with a prefix of names, in the same way.
pub(super) fn of_prefix(prefix: &str) -> Option<Error> {
    let hint = hint(prefix)?;
    let message = format!("prefix `{prefix}`: a name in AWS has no `:`");
    Some(Error::new(ErrorKind::Config, message).with_hint(hint))
}

fn hint(id: &str) -> Option<String> {
    let (name, reference) = id.split_once(':').filter(|_| !is_arn(id))?;
    let key = reference.split(':').next().unwrap_or_default();
    let is_part_of_an_arn = matches!(name, "" | "secret" | "secretsmanager" | "aws");
    Some(match (is_part_of_an_arn, key) {
        (true, _) => "give the secret's name, or its whole ARN".to_owned(),
        (false, "") => format!("give `{name}`"),
        (false, key) => format!(
            "`:{key}` looks like the reference to a key, as ECS and CloudFormation write it: give \
             `{name}`, which is read whole, so that its JSON keys become settings; a lookup reads \
             one of them with `.key(\"{key}\")`"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_a_key_is_no_name() {
        for (id, expected) in [
            ("app/database:password", &["`:password` looks", "give `app/database`", ".key("][..]),
            ("app/database:password::", &["`:password` looks", "give `app/database`"]),
            ("app/database:password:AWSCURRENT:", &["give `app/database`"]),
            ("app/database:SecretString:password", &["`:SecretString`", "give `app/database`"]),
            ("app/database:", &["give `app/database`"]),
            ("app/database:::", &["give `app/database`"]),
            ("secret:app/database-AbCdEf", &["its whole ARN"]),
            (":app", &["its whole ARN"]),
        ] {
            for error in [of_name(id), of_prefix(id)] {
                let error = error.unwrap_or_else(|| panic!("{id}"));
                assert_eq!(error.kind(), ErrorKind::Config);
                let hint = error.hint().unwrap_or_default();
                assert!(expected.iter().all(|part| hint.contains(part)), "{id}: {hint}");
            }
        }
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-AbCdEf";
        for id in [arn, "app/database", "rds!db-1", "a@b"] {
            assert!(of_name(id).is_none(), "{id}");
        }
    }
}
