//! A parameter as a secret. Pure.

use aws_sdk_ssm::types::{Parameter, ParameterType};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::secret::{Fetched, Payload, Text};
use crate::tree::json;

/// The secret of a parameter that was asked for by this name.
///
/// # Errors
///
/// `Unavailable` if the answer lacks the value.
pub(super) fn secret(id: &str, parameter: Parameter) -> Result<Fetched, Error> {
    let Some(value) = parameter.value.map(Zeroizing::new) else {
        let message = format!("parameter `{id}`: the answer lacks its value");
        return Err(Error::new(ErrorKind::Unavailable, message).with_secret(id));
    };
    let text = match parameter.r#type {
        Some(ParameterType::StringList) => sequence(&value),
        _ => value,
    };
    let number = parameter.version;
    // After a deletion, numbers start again.
    let version = match parameter.last_modified_date.and_then(|at| at.to_millis().ok()) {
        Some(at) => format!("{number}.{at}"),
        None => number.to_string(),
    };
    let secret = Fetched::new(id.to_owned(), version, Payload::Text(Text::wiped(text)));
    Ok(match parameter.arn {
        Some(arn) => secret.with_arn(arn),
        None => secret,
    })
}

/// A list as a JSON array of text: the store joins items with commas, and has no way to escape one.
fn sequence(value: &str) -> Zeroizing<String> {
    // A byte becomes six at most, and each item has two quotes and a comma.
    let mut array = Zeroizing::new(String::with_capacity(value.len() * 8 + 4));
    array.push('[');
    for (at, item) in value.split(',').enumerate() {
        if at > 0 {
            array.push(',');
        }
        array.push_str(&json::string(item));
    }
    array.push(']');
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_an_array_of_text() {
        for (list, expected) in [
            ("a,b", r#"["a","b"]"#),
            ("a", r#"["a"]"#),
            ("1, \"x\"", r#"["1"," \"x\""]"#),
            ("a,,b", r#"["a","","b"]"#),
        ] {
            assert_eq!(*sequence(list), expected);
        }
    }

    #[test]
    fn a_version_is_the_number_and_the_time_of_the_change() {
        let parameter = |seconds: i64| {
            let at = aws_smithy_types::DateTime::from_secs(seconds);
            Parameter::builder().name("/a").value("x").version(1).last_modified_date(at).build()
        };
        let version = |seconds| secret("a", parameter(seconds)).map(|s| s.version_id().to_owned());
        assert_eq!(version(5).expect("a secret"), "1.5000");
        assert_ne!(version(5).ok(), version(6).ok(), "created again");
        let without = Parameter::builder().name("/a").version(1).build();
        assert_eq!(secret("a", without).expect_err("no value").kind(), ErrorKind::Unavailable);
    }
}
