//! The table of slips in what is selected, and in what the secrets hold.
//!
//! Each is tried on the fake with the secrets of `seeded`, read into `Settings`.

use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Layers, SecretsManager};
use serde::Deserialize;

use crate::errors::{message, seeded};

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the table is about errors")]
struct Settings {
    database: Database,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the table is about errors")]
struct Database {
    password: String,
    port: u16,
}

/// A selection with a slip, and what its error contains.
struct Slip {
    of: fn(&FakeSecretsManager) -> SecretsManager,
    kind: &'static str,
    sentence: &'static str,
    hint: &'static str,
}

fn prefix(prefix: &str) -> SecretsManager {
    SecretsManager::prefix(prefix)
}

fn name(name: &str) -> SecretsManager {
    SecretsManager::names([name])
}

/// The secrets below `db`, with this text as the database.
fn holding(fake: &FakeSecretsManager, text: &str) -> SecretsManager {
    fake.put("db/database", text);
    prefix("db")
}

fn elsewhere(fake: &FakeSecretsManager, what: &str, other: &str) -> SecretsManager {
    name(&fake.arn("app/prod/database").replace(what, other))
}

const SLIPS: &[Slip] = &[
    Slip {
        of: |_| prefix("app/prod/*"),
        kind: "config",
        sentence: "wildcard",
        hint: "give `app/prod`",
    },
    Slip {
        of: |_| prefix("\"app/prod\""),
        kind: "config",
        sentence: "quotes",
        hint: "give `app/prod`",
    },
    Slip {
        of: |_| prefix("app/prod\n"),
        kind: "config",
        sentence: "white space",
        hint: "give `app/prod`",
    },
    Slip {
        of: |_| name("app/prod/database:password"),
        kind: "config",
        sentence: "secret `app/prod/database:password`: a name in AWS has no `:`",
        hint: "`:password` looks like the reference to a key, as ECS and CloudFormation write it: \
               give `app/prod/database`",
    },
    Slip {
        of: |_| prefix("app/prod").only(["database:password"]),
        kind: "config",
        sentence: "no `:`",
        hint: "give `app/prod/database`",
    },
    Slip {
        of: |_| name("app/prod/database").optional(["app/prod/database:password"]),
        kind: "config",
        sentence: "no `:`",
        hint: "give `app/prod/database`",
    },
    Slip {
        of: |_| prefix("app/prod:password"),
        kind: "config",
        sentence: "prefix `app/prod:password`: a name in AWS has no `:`",
        hint: "give `app/prod`",
    },
    Slip {
        of: |_| prefix("https://x/app"),
        kind: "config",
        sentence: "prefix `https://…`: it is a URL, not a name",
        hint: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    },
    Slip {
        of: |_| name("{{resolve:secretsmanager:app/prod/database:SecretString:password}}"),
        kind: "config",
        sentence: "CloudFormation",
        hint: "give `app/prod/database`",
    },
    Slip {
        of: |fake| holding(fake, "password: canary\nport: 1\n"),
        kind: "invalid",
        sentence: "database",
        hint: "looks like YAML",
    },
    Slip { of: |_| prefix("app/${ENV}"), kind: "config", sentence: "placeholder", hint: "format!" },
    Slip {
        of: |_| prefix("app\\prod"),
        kind: "config",
        sentence: "separated by `/`",
        hint: "give `app/prod`",
    },
    Slip {
        of: |fake| prefix(&fake.arn("app/prod/database")),
        kind: "config",
        sentence: "not an ARN",
        hint: "app/prod/database",
    },
    Slip {
        of: |_| prefix("APP/PROD"),
        kind: "not_found",
        sentence: "no secret at or below `APP/PROD`",
        hint: "case-sensitive",
    },
    Slip {
        of: |_| prefix("/app/prod"),
        kind: "not_found",
        sentence: "no secret at or below `/app/prod`",
        hint: "a `/` in front",
    },
    Slip {
        of: |_| prefix("app-prod"),
        kind: "not_found",
        sentence: "no secret at or below `app-prod`",
        hint: "`app/prod`",
    },
    Slip {
        of: |_| name("app/prod/databse"),
        kind: "not_found",
        sentence: "no such secret",
        hint: "`app/prod/database`",
    },
    Slip {
        of: |_| name(" app/prod/database"),
        kind: "config",
        sentence: "white space",
        hint: "give `app/prod/database`",
    },
    Slip {
        of: |_| name("app/prod/*"),
        kind: "config",
        sentence: "wildcard",
        hint: "SecretsManager::prefix",
    },
    Slip {
        of: |fake| elsewhere(fake, "us-east-1", "eu-west-1"),
        kind: "not_found",
        sentence: "no such secret in us-east-1",
        hint: "the ARN is of another region",
    },
    Slip {
        of: |fake| elsewhere(fake, "arn:aws:", "arn:aws-cn:"),
        kind: "not_found",
        sentence: "no such secret in us-east-1",
        hint: "the ARN is of the partition `aws-cn`",
    },
    Slip {
        of: |fake| elsewhere(fake, ":secretsmanager:", ":ssm:"),
        kind: "config",
        sentence: "another service",
        hint: "Secrets Manager",
    },
    Slip {
        of: |fake| name(&format!("{}:password::", fake.arn("app/prod/database"))),
        kind: "config",
        sentence: "ECS",
        hint: ":key:stage:version",
    },
    Slip {
        of: |fake| holding(fake, r#"{"passwrod": "canary", "port": 1}"#),
        kind: "invalid",
        sentence: "database.password",
        hint: "`passwrod`",
    },
    Slip {
        of: |fake| holding(fake, r#"{"password": "canary", "port": "canary"}"#),
        kind: "invalid",
        sentence: "database.port",
        hint: "",
    },
    Slip {
        of: |fake| holding(fake, "{'password': 'canary'}"),
        kind: "invalid",
        sentence: "database",
        hint: "",
    },
    Slip {
        of: |fake| {
            fake.put_binary("db/database", [0xff, 0xfe, b'{', 0, b'}', 0]);
            prefix("db")
        },
        kind: "invalid",
        sentence: "expected a table, found binary",
        hint: "",
    },
];

#[tokio::test]
async fn a_slip_in_the_selection_is_named_and_never_an_outage() {
    let mut wrong = Vec::new();
    for (row, Slip { of, kind, sentence, hint }) in SLIPS.iter().enumerate() {
        let fake = seeded();
        let read = async |manager: SecretsManager| {
            let snapshot = manager.client(fake.client()).fetch().await?;
            Layers::new().secrets(&snapshot).extract::<Settings>()
        };
        let Err(error) = read(of(&fake)).await else {
            wrong.push(format!("{row} ({sentence}): it starts"));
            continue;
        };
        let shown = format!("{}: {}", error.kind(), message(&error));
        if ![kind, sentence, hint].iter().all(|part| shown.contains(**part)) {
            wrong.push(format!("{row} ({sentence}): {shown}"));
        }
        if read(of(&fake).fallback_to_env()).await.is_ok() {
            wrong.push(format!("{row} ({sentence}): it falls back"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}
