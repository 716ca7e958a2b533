//! `rotate --database-url-key`: the role of a PostgreSQL gets a new password, and the URL in the
//! secret, too.
//!
//! The library's rotation decides what happens when, and what a crash leaves; this file has its
//! closures. The role sets its own password, as a verifier that is computed here, so that the log of
//! the database cannot show it. What the driver says may quote a login, so errors are rebuilt.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr as _;

use aws_sdk_secretsmanager::Client;
use postgres_protocol::password::scram_sha_256;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Error, ErrorKind, NewValue, Rejected, Rotation, RotationChange};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use super::url;
use crate::output::printable;
use crate::store::{self, Payload};

/// Adds the database's part to a rotation of this secret. `key` is that of the URL, or empty if the
/// secret is the URL; `password` a key that has the same password, if there is one.
///
/// # Errors
///
/// If there is no URL with a password, or the password is somewhere else in the secret, too.
pub(super) async fn with_url(
    rotation: Rotation,
    client: &Client,
    id: &str,
    key: &str,
    password: Option<&str>,
) -> Result<Rotation, Error> {
    check(&current(client, id).await?, id, key, password)?;
    let rotation = match password {
        Some(member) => {
            let (place, member_place) = (key.to_owned(), member.to_owned());
            rotation.password(member).also(key, move |new: &Held| {
                let (url, password) = (new.text(&place), new.text(&member_place));
                let made = url.zip(password).and_then(|(url, it)| url::with_password(url, it));
                // Without one, the old password stays in it, which is an error of the rotation.
                made.unwrap_or_default()
            })
        }
        None => {
            let (client, id, place) = (client.clone(), id.to_owned(), key.to_owned());
            rotation.generate(key, move || {
                let (client, id, place) = (client.clone(), id.clone(), place.clone());
                async move {
                    let lost = |_| Rejected::new("the secret could not be read again");
                    let held = current(&client, &id).await.map_err(lost)?;
                    let password = NewValue::password()
                        .map_err(|_| Rejected::new("there are no random numbers"))?;
                    let url = held.text(&place).and_then(|url| url::with_password(url, &password));
                    url.ok_or_else(|| Rejected::new("the secret has no URL with a password"))
                }
            })
        }
    };
    let (place, tested) = (key.to_owned(), key.to_owned());
    Ok(rotation
        .set(move |change: RotationChange<Held>| {
            let place = place.clone();
            async move { set(&change, &place).await }
        })
        .test(move |pending: Held| {
            let place = tested.clone();
            async move { close(connect(&login(&pending, &place)?).await?).await }
        }))
}

/// The current value of the secret.
async fn current(client: &Client, id: &str) -> Result<Held, Error> {
    let wrong = |kind, what: &str| {
        Error::new(kind, format!("secret `{}` {what}", printable(id))).with_secret(id)
    };
    match store::current(client, id).await? {
        Some((_, Payload::Text(text))) => {
            let text = text.expose_secret();
            Ok(match serde_json::from_str(text) {
                Ok(held @ Held::Table(_)) => held,
                _ => Held::Text(text.into()),
            })
        }
        Some((_, Payload::Binary(_))) => Err(wrong(ErrorKind::Malformed, "is binary")),
        None => Err(wrong(ErrorKind::NotFound, "does not exist").with_hint("check the name")),
    }
}

fn check(held: &Held, id: &str, key: &str, password: Option<&str>) -> Result<(), Error> {
    let secret = printable(id);
    let wrong = |what: String, hint: &str| {
        Error::new(ErrorKind::Invalid, format!("secret `{secret}` {what}"))
            .with_secret(id)
            .with_hint(hint)
    };
    let shown = printable(key);
    let Some(url) = held.text(key) else {
        return Err(match (held, key) {
            (Held::Table(_), "") => wrong(
                "is a JSON object, and no URL".to_owned(),
                "give the key of the URL with --database-url-key; `get NAME --keys` lists keys",
            ),
            (Held::Table(_), _) => wrong(
                format!("has no text at key `{shown}`"),
                "keys are compared to the letter; `get NAME --keys` lists them",
            ),
            _ => wrong(
                format!("has no key `{shown}`: it is one text"),
                "if it is the URL itself, give --database-url-key \"\"",
            ),
        });
    };
    let old = login_of(url).ok();
    let Some(old) = old else {
        return Err(wrong(
            "has no URL of PostgreSQL with a user and a password there".to_owned(),
            "it is postgres://user:password@host:port/database",
        ));
    };
    if let Some(member) = password {
        if held.text(member).is_none() {
            return Err(wrong(
                format!("has no text at key `{}`", printable(member)),
                "correct --password, or leave it out if only the URL has the password",
            ));
        }
        return Ok(());
    }
    let old = old.password;
    let also = held.texts().into_iter().filter(|(path, _)| path != key);
    match also.map(|(_, text)| text).any(|text| text.expose_secret() == old.expose_secret()) {
        true => Err(wrong(
            "has the password at another key, too".to_owned(),
            "give that key with --password; nothing was stored",
        )),
        false => Ok(()),
    }
}

/// A login, and its password as it is.
struct Login {
    options: PgConnectOptions,
    password: SecretString,
}

fn login(held: &Held, key: &str) -> Result<Login, Rejected> {
    let url = held.text(key).ok_or_else(|| Rejected::new("the secret has no URL there"))?;
    login_of(url)
}

fn login_of(url: &SecretString) -> Result<Login, Rejected> {
    let wrong = |_| Rejected::new("the secret's URL is not valid for PostgreSQL");
    let parsed = url::password(url).ok_or_else(|| wrong(()))?;
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| wrong(()))?;
    Ok(Login { options: options.disable_statement_logging(), password: parsed })
}

/// The role sets its own password. It may run twice with the same one.
async fn set(change: &RotationChange<Held>, key: &str) -> Result<(), Rejected> {
    let pending = login(change.pending(), key)?;
    // An earlier run may have set the new password, and a rotation that was rolled back the one
    // before.
    let known = [Some(change.current()), Some(change.pending()), change.previous()];
    let mut refused = Rejected::new("no login is known");
    for held in known.into_iter().flatten() {
        let connected = match login(held, key) {
            Ok(login) => connect(&login).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(mut connection) => {
                let verifier = scram_sha_256(pending.password.expose_secret().as_bytes());
                let role = pending.options.get_username().replace('"', "\"\"");
                let statement = format!("ALTER ROLE \"{role}\" PASSWORD '{verifier}'");
                connection.execute(statement.as_str()).await.map_err(rejected)?;
                return close(connection).await;
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

async fn connect(login: &Login) -> Result<PgConnection, Rejected> {
    login.options.connect().await.map_err(rejected)
}

async fn close(connection: PgConnection) -> Result<(), Rejected> {
    connection.close().await.map_err(rejected)
}

fn rejected(error: sqlx::Error) -> Rejected {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default().into_owned();
            Rejected::new(match code.as_str() {
                "28P01" | "28000" => format!("the database refuses the login (SQLSTATE {code})"),
                _ => format!("the database answered SQLSTATE {code}"),
            })
        }
        sqlx::Error::Io(error) => {
            Rejected::new(format!("the database cannot be reached: {}", error.kind()))
        }
        sqlx::Error::Tls(_) => Rejected::new("the database's certificate is not accepted"),
        _ => Rejected::new("the database cannot be connected to"),
    }
}

/// What a secret holds: texts, by their keys.
enum Held {
    Text(SecretString),
    Table(BTreeMap<String, Held>),
    Other,
}

impl Held {
    /// The text at a dotted key path; the whole at an empty one.
    fn text(&self, path: &str) -> Option<&SecretString> {
        match self {
            Self::Text(text) if path.is_empty() => Some(text),
            Self::Table(members) => match members.get(path) {
                Some(Self::Text(text)) => Some(text),
                Some(_) => None,
                None => path.match_indices('.').find_map(|(at, _)| {
                    members.get(&path[..at]).and_then(|inner| inner.text(&path[at + 1..]))
                }),
            },
            _ => None,
        }
    }

    fn texts(&self) -> Vec<(String, &SecretString)> {
        match self {
            Self::Text(text) => vec![(String::new(), text)],
            Self::Table(members) => members
                .iter()
                .flat_map(|(name, member)| {
                    let inner = member.texts().into_iter();
                    inner.map(move |(path, text)| match path.is_empty() {
                        true => (name.clone(), text),
                        false => (format!("{name}.{path}"), text),
                    })
                })
                .collect(),
            Self::Other => Vec::new(),
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held([redacted])")
    }
}

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeldVisitor)
    }
}

struct HeldVisitor;

/// Methods of a visitor for what is no text.
macro_rules! others {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E>(self, _: $type) -> Result<Held, E> {
            Ok(Held::Other)
        })*
    };
}

impl<'de> Visitor<'de> for HeldVisitor {
    type Value = Held;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    others!(visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128);
    others!(visit_f64: f64, visit_bytes: &[u8]);

    fn visit_str<E>(self, text: &str) -> Result<Held, E> {
        Ok(Held::Text(text.into()))
    }

    fn visit_unit<E>(self) -> Result<Held, E> {
        Ok(Held::Other)
    }

    fn visit_none<E>(self) -> Result<Held, E> {
        Ok(Held::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Held, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Held::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Held, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, member)) = map.next_entry::<String, Held>()? {
            members.insert(name, member);
        }
        Ok(Held::Table(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str, key: &str, password: Option<&str>) -> String {
        let held = match serde_json::from_str(text) {
            Ok(held @ Held::Table(_)) => held,
            _ => Held::Text(text.into()),
        };
        check(&held, "app/database", key, password)
            .err()
            .map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn what_cannot_be_rotated_is_said_before_anything_is_stored() {
        let url = "postgres://app:hunter2@db/app";
        let object = |more: &str| format!(r#"{{"url": "{url}", "port": 5432{more}}}"#);
        for (text, key, password, expected) in [
            (url.to_owned(), "", None, ""),
            (object(""), "url", None, ""),
            (object(r#", "password": "hunter2""#), "url", Some("password"), ""),
            (object(r#", "password": "hunter2""#), "url", None, "at another key, too"),
            (object(""), "", None, "is a JSON object, and no URL"),
            (object(""), "uri", None, "has no text at key `uri`"),
            (object(""), "port", None, "has no text at key `port`"),
            (object(""), "url", Some("password"), "has no text at key `password`"),
            (url.to_owned(), "url", None, "it is one text"),
            ("hunter2".to_owned(), "", None, "no URL of PostgreSQL"),
            ("postgres://app@db/app".to_owned(), "", None, "no URL of PostgreSQL"),
        ] {
            let said = checked(&text, key, password);
            assert_eq!(said.is_empty(), expected.is_empty(), "{said}");
            assert!(said.contains(expected) && !said.contains("hunter2"), "{said}");
        }
    }
}
