//! Both apps as their users run them: started with nothing configured, rotated over the wire, ended
//! by Ctrl-C.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use program::{Program, get, http, shell_words};
use serde_json::{Value, json};

const AXUM: &str = env!("CARGO_BIN_EXE_axum-app");
const ACTIX: &str = env!("CARGO_BIN_EXE_actix-app");

/// An app that is up, and its two addresses.
struct App {
    program: Program,
    app: String,
    embedded: String,
}

impl App {
    fn start(binary: &str) -> Self {
        let ports = [("PORT", "0"), ("EMBEDDED_PORT", "0"), ("RUST_LOG", "trace")];
        let mut program = Program::start(binary, &ports);
        let app = address(&program.stdout_line("Serving on http://"));
        let embedded = address(&program.stdout_line("Embedded Secrets Manager on http://"));
        Self { program, app, embedded }
    }

    fn report(&self) -> Value {
        serde_json::from_str(&get(&self.app, "/")).unwrap()
    }

    /// Waits until this generation is live, by the event that says so.
    fn generation(&mut self, number: u64) {
        self.program.stderr_line(&format!("settings_changed generation={number}"));
    }
}

/// The `127.0.0.1:port` that a line ends with.
fn address(line: &str) -> String {
    line.split_once("http://").unwrap().1.to_owned()
}

static TOKENS: AtomicU32 = AtomicU32::new(0);

fn put(embedded: &str, secret: &str, text: &str) -> String {
    let headers = "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: secretsmanager.PutSecretValue\r\n";
    // Any 32 characters that differ from put to put.
    let token = format!("{:0>32}", TOKENS.fetch_add(1, Ordering::Relaxed));
    let body = json!({"SecretId": secret, "SecretString": text, "ClientRequestToken": token});
    http(embedded, "POST", "/", headers, &body.to_string())
}

fn an_app_follows_a_rotation(binary: &str) {
    const PASSWORDS: [&str; 4] = [
        "seeded-database-password",
        "seeded-jwt-secret",
        "rotated-database-password",
        "rotated-jwt-secret",
    ];
    let mut app = App::start(binary);

    let first = app.report();
    assert_eq!(first["generation"], 1);
    let database =
        json!({"host": "db.internal", "port": 5432, "username": "gaara", "password": "[redacted]"});
    assert_eq!(first["database"], database);
    let names: Vec<&str> = first["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| secret["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["gaara/prod/database", "gaara/prod/jwt-secret"]);

    let login = json!({
        "host": "replica.internal", "port": 5433, "username": "gaara_next", "password": PASSWORDS[2],
    });
    let put_answer = put(&app.embedded, "gaara/prod/database", &login.to_string());
    let version: Value = serde_json::from_str(&put_answer).unwrap();
    app.generation(2);

    let second = app.report();
    assert_eq!(second["generation"], 2);
    let database = json!({"host": "replica.internal", "port": 5433, "username": "gaara_next", "password": "[redacted]"});
    assert_eq!(second["database"], database);
    assert_eq!(second["secrets"][0]["version_id"], version["VersionId"]);
    assert_eq!(second["secrets"][1], first["secrets"][1]);
    let whoami = get(&app.app, "/whoami");
    assert_eq!(whoami, "gaara_next@replica.internal");

    put(&app.embedded, "gaara/prod/jwt-secret", PASSWORDS[3]);
    app.generation(3);
    assert_eq!(app.report()["generation"], 3);

    let (status, output) = app.program.interrupt();
    assert!(status.success(), "{status}");
    assert!(output.contains("TRACE"), "the log is as chatty as it gets");
    let shown = format!("{output}{first}{second}{whoami}");
    for password in PASSWORDS {
        assert!(!shown.contains(password), "{password} is shown");
    }
}

#[test]
fn axum_follows_a_rotation_and_shows_no_password() {
    an_app_follows_a_rotation(AXUM);
}

#[test]
fn actix_follows_a_rotation_and_shows_no_password() {
    an_app_follows_a_rotation(ACTIX);
}

fn an_app_tells_how_it_stands(binary: &str) {
    let environment = [("PORT", "0"), ("REFRESH_TOKEN", "t0ken"), ("SECRET_CACHE_TTL", "3600")];
    let mut program = Program::start(binary, &environment);
    let app = address(&program.stdout_line("Serving on http://"));
    let embedded = address(&program.stdout_line("Embedded Secrets Manager on http://"));
    assert_eq!(program.stdout_line("/status").trim(), format!("http://{app}/status"));
    assert_eq!(get(&app, "/live"), r#"{"live":true}"#);
    assert_eq!(get(&app, "/ready"), r#"{"ready":true,"health":"fresh"}"#);
    let status: Value = serde_json::from_str(&get(&app, "/status")).unwrap();
    assert_eq!(
        (&status["generation"], &status["secrets"][1]["key_path"]),
        (&json!(1), &json!("jwt_secret"))
    );
    let page = http(&app, "GET", "/status", "Accept: text/html\r\n", "");
    assert!(page.contains("<title>fresh: Settings, generation 1</title>"));

    put(&embedded, "gaara/prod/jwt-secret", "rotated-jwt-secret");
    let refreshed = http(&app, "POST", "/refresh", "Authorization: Bearer t0ken\r\n", "");
    assert_eq!(refreshed, r#"{"generation":2,"changed":true}"#);
    let shown = format!("{status}{page}{}", program.interrupt().1);
    assert!(!shown.contains("seeded") && !shown.contains("rotated") && !shown.contains("t0ken"));
}

#[test]
fn axum_tells_how_it_stands() {
    an_app_tells_how_it_stands(AXUM);
}

#[test]
fn actix_tells_how_it_stands() {
    an_app_tells_how_it_stands(ACTIX);
}

/// The printed lines are for a shell, so a shell reads them here; what it would run is done over
/// the wire.
#[test]
fn the_printed_commands_rotate() {
    let ports = [("PORT", "0"), ("EMBEDDED_PORT", "0")];
    let mut program = Program::start(AXUM, &ports);
    let app = address(&program.stdout_line("Serving on http://"));
    let curl = shell_words("curl", &program.stdout_line("PutSecretValue"));
    let aws = shell_words("aws", &program.stdout_line("put-secret-value"));
    assert_eq!(
        shell_words("curl", &program.stdout_line("  curl "))[1..],
        [format!("http://{app}/")]
    );

    let [_, endpoint, h, content_type, h2, target, d, body] = curl.as_slice() else {
        panic!("{curl:?}")
    };
    assert_eq!([h.as_str(), h2, d], ["-H", "-H", "-d"]);
    let embedded = endpoint.strip_prefix("http://").unwrap();
    http(embedded, "POST", "/", &format!("{content_type}\r\n{target}\r\n"), body);
    program.stderr_line("settings_changed generation=2");
    assert_eq!(get(&app, "/whoami"), "gaara_2@db.internal");

    let [environment, e, url, service, operation, i, id, s, login] = aws.as_slice() else {
        panic!("{aws:?}")
    };
    assert_eq!(environment, "test test us-east-1");
    assert_eq!([e.as_str(), url, service], ["--endpoint-url", endpoint, "secretsmanager"]);
    assert_eq!([operation.as_str(), i, s], ["put-secret-value", "--secret-id", "--secret-string"]);
    let password =
        serde_json::from_str::<Value>(login).unwrap()["password"].as_str().unwrap().len();
    assert_eq!(password, 32, "the shell made one up");
    put(embedded, id, &login.replace("gaara_2", "gaara_3"));
    program.stderr_line("settings_changed generation=3");
    assert_eq!(get(&app, "/whoami"), "gaara_3@db.internal");
}

#[test]
fn a_port_that_cannot_be_had_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    for binary in [AXUM, ACTIX] {
        for (variable, value, said) in [
            ("PORT", taken.as_str(), "cannot listen on 127.0.0.1:"),
            ("PORT", "http", "PORT must be a port number"),
            ("PORT", "70000", "PORT must be a port number"),
            (
                "EMBEDDED_PORT",
                taken.as_str(),
                "cannot serve the embedded Secrets Manager on 127.0.0.1:",
            ),
            ("EMBEDDED_PORT", "-1", "EMBEDDED_PORT must be a port number"),
        ] {
            let mut environment = vec![("PORT", "0"), ("EMBEDDED_PORT", "0")];
            environment.push((variable, value));
            let (status, output) = Program::start(binary, &environment).wait();
            assert_eq!(status.code(), Some(1), "{variable}={value}: {output}");
            assert_eq!(output.lines().count(), 1, "{output}");
            assert!(output.starts_with("error: ") && output.contains(said), "{output}");
        }
    }
}

#[test]
fn with_a_prefix_the_sdk_reads_its_own_configuration_and_nothing_is_embedded() {
    let app = App::start(AXUM);
    put(&app.embedded, "gaara/prod/database", r#"{"port":"5432","username":"u","password":"p"}"#);
    let endpoint = format!("http://{}", app.embedded);
    let environment = [
        ("PORT", "0"),
        ("SECRETS_MANAGER_PREFIX", "gaara/prod"),
        // Below the secrets, so it serves what they do not have.
        ("DATABASE__HOST", "h"),
        ("DATABASE__USERNAME", "hidden"),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    for binary in [AXUM, ACTIX] {
        let mut program = Program::start(binary, &environment);
        let address = address(&program.stdout_line("Serving on http://"));
        assert_eq!(get(&address, "/whoami"), "u@h");
        let (status, output) = program.interrupt();
        assert!(status.success(), "{status}");
        assert!(!output.to_lowercase().contains("embedded"), "{output}");
    }
}

#[test]
fn figment_reads_once() {
    let (status, output) = Program::start(env!("CARGO_BIN_EXE_figment"), &[]).wait();
    assert!(status.success(), "{output}");
    assert!(output.contains("username: \"gaara\""), "{output}");
    assert!(!output.contains("seeded"), "{output}");
}

#[test]
fn push_prints_a_rotation_long_before_the_interval() {
    let mut program = Program::start(env!("CARGO_BIN_EXE_push"), &[]);
    let embedded = address(&program.stdout_line("Embedded Secrets Manager on http://"));
    program.stdout_line("The login is gaara.");
    put(
        &embedded,
        "gaara/prod/database",
        r#"{"host":"db.internal","port":5432,"username":"next","password":"rotated-password"}"#,
    );
    program.stdout_line("generation 2: database.password, database.username: the login is next.");
    let (status, output) = program.interrupt();
    assert!(status.success(), "{status}");
    assert!(!output.contains("seeded") && !output.contains("rotated-password"), "{output}");
}

#[test]
fn live_prints_each_rotation() {
    let mut program = Program::start(env!("CARGO_BIN_EXE_live"), &[]);
    let embedded = address(&program.stdout_line("Embedded Secrets Manager on http://"));
    program.stdout_line("The login is gaara.");
    put(
        &embedded,
        "gaara/prod/database",
        r#"{"host":"db.internal","port":5432,"username":"next","password":"rotated-password"}"#,
    );
    program.stdout_line("database.password, database.username: the login is next.");
    let (status, output) = program.interrupt();
    assert!(status.success(), "{status}");
    assert!(!output.contains("seeded") && !output.contains("rotated-password"), "{output}");
}
