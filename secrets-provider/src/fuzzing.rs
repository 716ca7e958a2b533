//! What the fuzz targets in `tests/fuzz` call.
//!
//! Compiled only under `cfg(fuzzing)`, which cargo-fuzz sets, so it is not part of the public API.
//! Each function takes any bytes and checks that parsing them neither panics nor shows parts of a
//! value.
//!
//! The parsers of features are compiled here once more, by their files, so that no client of theirs
//! has to be: `push/envelope.rs` and the stores' `answer.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::endpoints::{MAX_REFRESH_BODY, RefreshToken};
use crate::load::mapping::{Mapping, Rename, assemble};
use crate::secret::id::below;
use crate::secret::{Fetched, Payload, Text};
use crate::tree::names::Names;
use crate::tree::payload as payloads;
use crate::tree::{Origin, Value};
use crate::{Key, Layers, Rotating, extract};

/// Any bytes as a payload: a value or a problem, never a panic; and the value extracts by any type
/// or says why not.
pub fn payload(data: &[u8]) {
    let origin =
        Arc::new(Origin::Secret { name: "s".to_owned(), version_id: "v".to_owned(), source: None });
    let payload = match std::str::from_utf8(data) {
        Ok(text) => Payload::text(text),
        Err(_) => Payload::binary(data),
    };
    if let Ok(node) = payloads::parse(&payload, &origin) {
        if let Value::Table(table) = &node.value {
            settings(table);
        }
        let parsed = node.value.kind();
        assert!(["a table", "text", "binary"].contains(&parsed), "{parsed}");
    }
    let _ = payloads::parse_root(&payload, &origin);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = payloads::parse_json(&Text::new(text), &origin);
    }
}

/// Lines of names, `name=payload`, `>from=to` for renames and `^prefix`: a tree or errors,
/// deterministic.
pub fn mapping(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut mapping = Mapping::default();
    let mut secrets = Vec::new();
    for line in text.lines() {
        if let Some(prefix) = line.strip_prefix('^') {
            mapping.prefix = Some(prefix.to_owned());
        } else if let Some((from, to)) =
            line.strip_prefix('>').and_then(|line| line.split_once('='))
        {
            mapping.renames.extend(Rename::parse(from, to));
        } else {
            let (name, payload) = line.split_once('=').unwrap_or((line, ""));
            let _ = below(mapping.prefix.as_deref().unwrap_or_default(), name);
            secrets.push(Fetched::text(name, "v", payload));
        }
    }
    let first = assemble(&secrets, &mapping).map_err(|error| error.to_string());
    let second = assemble(&secrets, &mapping).map_err(|error| error.to_string());
    match (first, second) {
        (Ok(first), Ok(second)) => assert!(first == second),
        (Err(first), Err(second)) => assert_eq!(first, second),
        _ => panic!("one mapping, two outcomes"),
    }
}

/// A `.env` file, read and extracted: errors show no value of eight characters or more.
pub fn dotenv(data: &[u8]) {
    let Ok(variables) = crate::env::dotenv::parse(data) else { return };
    let layers = Layers::new().environment_from(variables.clone());
    let Ok(table) = layers.merged() else { return };
    let Some(error) = settings(&table) else { return };
    for (_, value) in variables {
        // Ours are of plain words; a value of such a character can only stand there as itself.
        let foreign = value.len() >= 8
            && value.contains(['@', '#', '$', '%', '&', '*', '+', '=', '<', '>', '!', '^', '~']);
        assert!(!foreign || !error.contains(&value), "a value in an error");
    }
}

#[allow(dead_code, reason = "the agent's client uses the rest")]
#[path = "backend/agent/answer.rs"]
mod agent_answer;
#[path = "push/envelope.rs"]
mod envelope;
#[path = "endpoints/accept.rs"]
mod negotiation;
#[path = "endpoints/hint.rs"]
mod refresh_body;
#[allow(dead_code, reason = "Vault's client uses the rest")]
#[path = "backend/vault/answer.rs"]
mod vault_answer;

/// A queue's message, and the body of a `POST /refresh`: a hint names a secret that is in it,
/// and SNS's envelope changes nothing.
pub fn hints(data: &[u8]) {
    use envelope::{Said, read};

    if let Ok(Some(hint)) = refresh_body::parse(Some(data)) {
        assert!(!hint.secret.is_empty() && hint.version.as_deref() != Some(""));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let said = read(text, "AWSCURRENT");
    if let Said::Changed(hint) = &said {
        assert!(!hint.secret.is_empty() && hint.version.as_deref() != Some(""));
        let _ = hint.is_possible();
    }
    let is_enveloped = text.contains("Notification") || text.contains("\\u");
    if !is_enveloped {
        let wrapped = serde_json::json!({"Type": "Notification", "Message": text}).to_string();
        assert_eq!(read(&wrapped, "AWSCURRENT"), said, "one event, two meanings");
    }
}

/// An answer of Vault's: what is read of it is what it says, and any text comes back as itself.
pub fn vault(data: &[u8]) {
    use vault_answer::{Answer, Keys, Mount, Versioned, payload};

    let answer = |body: &[u8]| Answer { status: 200, body: Zeroizing::new(body.to_vec()) };
    let given = answer(data);
    let _ = given.complains_of("sealed");
    let _ = (given.data::<Keys>().is_some(), given.data::<Mount>().is_some());
    if let Some(raw) = given.data::<Versioned<'_>>().and_then(|version| version.data) {
        assert!(payload(raw).is_none() || raw.get().starts_with('{'));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let version = serde_json::json!({
            "data": {"data": {"value": text}, "metadata": {"version": 1}},
        });
        let written = answer(version.to_string().as_bytes());
        let version: Versioned<'_> = written.data().expect("a version");
        let found = payload(version.data.expect("data"));
        assert!(found == Some(Payload::text(text)), "text that is not what was written");
    }
}

/// An answer of the agent's: a value is of the secret that was asked for, and any text comes back as
/// itself.
pub fn agent(data: &[u8]) {
    use agent_answer::{Answer, MAX_VALUE_BYTES};

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-AbCdEf";
    let answer = |status, body: &[u8]| Answer { status, body: Zeroizing::new(body.to_vec()) };
    for id in ["app/db", ARN] {
        if let Ok(secret) = answer(200, data).secret(id) {
            assert!(secret.payload().len() <= MAX_VALUE_BYTES);
            assert!(id != "app/db" || secret.name() == id, "another secret");
        }
    }
    for status in [400, 403, 429, 500] {
        let _ = answer(status, data).refusal();
    }
    if let Ok(text) = std::str::from_utf8(data)
        && text.len() <= MAX_VALUE_BYTES
    {
        let value = serde_json::json!({"Name": "app/db", "VersionId": "v", "SecretString": text});
        let found = answer(200, value.to_string().as_bytes()).secret("app/db").expect("a value");
        assert!(*found.payload() == Payload::text(text), "text that is not what was written");
    }
}

/// A bearer token, and a header that should have it: only the whole token is let in, and none is
/// shown.
pub fn tokens(data: &[u8]) {
    let known = RefreshToken::new("s3cr3t-t0ken").expect("a token");
    if known.allows(data) {
        let (scheme, given) = data.split_at(7);
        assert!(scheme.eq_ignore_ascii_case(b"bearer "));
        assert_eq!(given.trim_ascii_start(), b"s3cr3t-t0ken");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    match RefreshToken::new(text) {
        Ok(token) => {
            assert!(token.allows(format!("Bearer {text}").as_bytes()));
            assert!(token.allows(format!("bEARER  {text}").as_bytes()));
            assert!(!token.allows(format!("Bearer {text}x").as_bytes()));
            assert!(!token.allows(format!("Bearer {}", &text[1..]).as_bytes()));
            assert!(text == "s3cr3t-t0ken" || !token.allows(b"Bearer s3cr3t-t0ken"));
            assert_eq!(format!("{token:?}"), "RefreshToken([redacted])");
        }
        Err(error) => {
            let foreign = text.len() >= 8 && text.contains(['@', '#', '$', '%', '&', '*', '+']);
            assert!(!foreign || !format!("{error} {error:?}").contains(text));
        }
    }
}

/// An `Accept` header: one choice, whatever the case of its letters, and JSON for whoever accepts
/// neither HTML nor anything.
pub fn accept(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let html = negotiation::prefers_html(text);
    assert_eq!(html, negotiation::prefers_html(&text.to_ascii_uppercase()), "by case");
    assert_eq!(html, negotiation::prefers_html(&format!("image/png, {text}")), "by another type");
    let accepts = |range: &str| text.to_ascii_lowercase().contains(range);
    assert!(!html || accepts("text/") || accepts("*/*"), "HTML that was not asked for");
}

/// Types of every sort, under names that the corpus can hit. Returns the error's text.
fn settings(table: &crate::tree::Table) -> Option<String> {
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    struct Settings {
        #[serde(default)]
        a: Option<u16>,
        #[serde(default, alias = "bee")]
        b: Option<Level>,
        #[serde(default)]
        c: BTreeMap<String, Rotating<String>>,
        #[serde(default)]
        d: Vec<Option<f64>>,
        e: Option<Nested>,
        #[serde(default)]
        k: Option<Key<4>>,
    }
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    struct Nested {
        url: String,
        wait: Option<Duration>,
        pair: Option<(char, bool)>,
    }
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    enum Level {
        Low,
        High(u8),
        Custom { name: String },
    }
    extract::extract::<Settings>(table, Names::default())
        .err()
        .map(|error| format!("{error} {error:?}"))
}
