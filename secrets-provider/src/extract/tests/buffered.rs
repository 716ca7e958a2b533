//! A value that serde reads into a buffer (`flatten`, tags) and that does not fit is reported where
//! it is, as far as T1 lets it be named.

use super::*;

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the errors are read")]
struct Pool {
    max_size: u16,
    label: Option<String>,
    #[serde(default)]
    tls: bool,
    inner: Option<Inner>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the errors are read")]
struct Inner {
    depth: Vec<i8>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the errors are read")]
struct Flat {
    name: String,
    #[serde(flatten)]
    pool: Pool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
#[allow(dead_code, reason = "the errors are read")]
enum Store {
    Disk { path: String, size: u32 },
}

/// The fields of secrets are hidden by serde; a variable's name vouches for itself.
#[test]
fn a_misfit_below_flatten_or_a_tag_names_its_source_and_what_can_be_named() {
    type Env = &'static [(&'static str, &'static str)];
    for (about, secret, env, message) in [
        (
            "a variable",
            r#"{"x": {"name": "n"}}"#,
            &[("X__MAX_SIZE", "hunter2")][..] as Env,
            "key `x.max_size`: expected u16, found text that does not fit; inside `flatten`",
        ),
        (
            "which variable",
            r#"{"x": {"name": "n"}}"#,
            &[("X__MAX_SIZE", "hunter2"), ("X__LABEL", "l")],
            "(environment variable `X__MAX_SIZE`)",
        ),
        (
            "a secret",
            r#"{"x": {"name": "n", "max_size": "hunter2"}}"#,
            &[],
            "key `x.*`: expected u16, found text that does not fit; inside `flatten`",
        ),
        (
            "a number for text",
            r#"{"x": {"name": "n", "max_size": 1, "label": 4711}}"#,
            &[],
            "key `x.*`: expected text, found a number that does not fit",
        ),
        (
            "a number that is too large",
            r#"{"x": {"name": "n", "max_size": 70000}}"#,
            &[],
            "key `x.*`: expected u16, found a number that does not fit",
        ),
        (
            "a fraction",
            r#"{"x": {"name": "n", "max_size": 1.50}}"#,
            &[],
            "key `x.*`: expected u16, found a number that does not fit",
        ),
        (
            "text for a bool",
            r#"{"x": {"name": "n", "max_size": 1, "tls": "hunter2"}}"#,
            &[],
            "key `x.*`: expected bool (`true` or `false`), found text that does not fit",
        ),
        (
            "further in",
            r#"{"x": {"name": "n", "max_size": 1, "inner": {"depth": [1, "hunter2"]}}}"#,
            &[],
            "key `x.*.1`: expected i8, found text that does not fit",
        ),
    ] {
        let error = layered::<X<Flat>>(secret, env, "").expect_err(about);
        assert!(error.to_string().contains(message), "{about}: {error}");
        let source =
            if env.is_empty() { "secret `app`" } else { "environment variable `X__MAX_SIZE`" };
        assert!(error.to_string().contains(source), "{about}: {error}");
        assert_eq!(error.secret().is_some(), env.is_empty(), "{about}");
        assert_eq!(error.errors().len(), 1, "{about}: {error}");
        for content in ["hunter2", "4711", "70000", "1.5", "depth"] {
            assert!(!format!("{error} {error:?}").contains(content), "{about}: {error}");
        }
    }
    let tagged = r#"{"x": {"type": "Disk", "path": "p", "size": "hunter2"}}"#;
    let error = layered::<X<Store>>(tagged, &[], "").expect_err("no number").to_string();
    assert!(error.contains("key `x.*`: expected u32, found text that does not fit"), "{error}");
    let root = layered::<Flat>(r#"{"name": "n"}"#, &[("MAX_SIZE", "hunter2")], "");
    let root = root.expect_err("no number").to_string();
    assert!(root.contains("key `max_size`: expected u16, found text"), "{root}");
}

/// Two values that are alike leave it open which one it is.
#[test]
fn a_misfit_that_is_there_twice_is_reported_at_the_struct() {
    let secret = r#"{"x": {"name": "n", "max_size": "hunter2", "label": "hunter2"}}"#;
    let error = layered::<X<Flat>>(secret, &[], "").expect_err("no number").to_string();
    assert!(error.contains("key `x`: expected Flat, which rejects the value; inside"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

/// The text of a type's own `Deserialize` may quote the value, also as what it expects.
#[test]
fn what_a_type_says_that_it_expects_is_not_repeated() {
    #[derive(Debug)]
    struct Chatty;
    impl<'de> Deserialize<'de> for Chatty {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            let expected = format!("something else than {text}");
            Err(serde::de::Error::invalid_value(
                serde::de::Unexpected::Str(&text),
                &expected.as_str(),
            ))
        }
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "the error is read")]
    struct Rest {
        chatty: Chatty,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "the error is read")]
    struct Outer {
        #[serde(flatten)]
        rest: Rest,
    }
    let error = layered::<X<Outer>>(r#"{"x": {"chatty": "hunter2"}}"#, &[], "").expect_err("no");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    assert!(error.to_string().contains("key `x.*`: its type rejects the value"), "{error}");
}
