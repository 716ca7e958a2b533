//! The table of slips in the variables for proxies.
//!
//! `PORT` in a value is that of a server that reads the head of each request and gives the row's
//! answer.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::with_set_up;

struct Slip {
    variables: &'static [(&'static str, &'static str)],
    /// The content of `.env`.
    dotenv: &'static str,
    answer: &'static str,
    kind: &'static str,
    sentence: &'static str,
    hint: &'static str,
}

const KEYS: [(&str, &str); 3] = [
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "canary"),
    ("AWS_SECRET_ACCESS_KEY", "canary"),
];

const ASKS: &str =
    "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const FORBIDS: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// An endpoint without TLS, as emulators have it.
const PLAIN: (&str, &str) = ("AWS_ENDPOINT_URL", "http://canary.invalid:4566");

const NONE: Slip =
    Slip { variables: &[], dotenv: "", answer: "", kind: "", sentence: "", hint: "NO_PROXY" };

const SLIPS: &[Slip] = &[
    Slip {
        variables: &[("HTTPS_PROXY", "http://canary:canary@127.0.0.1:1")],
        kind: "unavailable",
        sentence: "the proxy of `HTTPS_PROXY` refuses connections",
        ..NONE
    },
    Slip {
        variables: &[("https_proxy", "http://canary.invalid:3128")],
        kind: "unavailable",
        sentence: "the name of the proxy of `https_proxy` is not found by DNS",
        ..NONE
    },
    Slip {
        variables: &[("ALL_PROXY", "127.0.0.1:PORT")],
        answer: ASKS,
        kind: "config",
        sentence: "the proxy of `ALL_PROXY` asks for credentials",
        hint: "percent-encoded",
        ..NONE
    },
    Slip {
        variables: &[("all_proxy", "http://canary:canary@127.0.0.1:PORT")],
        answer: FORBIDS,
        kind: "unavailable",
        sentence: "the proxy of `all_proxy` does not connect to the endpoint",
        ..NONE
    },
    Slip {
        variables: &[("HTTPS_PROXY", "http://127.0.0.1:PORT")],
        kind: "unavailable",
        sentence: "the proxy of `HTTPS_PROXY` cannot be reached, or is no HTTP proxy",
        ..NONE
    },
    Slip {
        variables: &[("HTTPS_PROXY", "https://127.0.0.1:PORT")],
        answer: FORBIDS,
        kind: "config",
        sentence: "the proxy of `HTTPS_PROXY` does not speak TLS",
        hint: "write `http://` in `HTTPS_PROXY`",
        ..NONE
    },
    Slip {
        variables: &[("HTTPS_PROXY", "socks5://127.0.0.1:PORT")],
        kind: "config",
        sentence: "variable `HTTPS_PROXY` names a SOCKS proxy",
        ..NONE
    },
    Slip {
        variables: &[("HTTPS_PROXY", "canary canary")],
        kind: "config",
        sentence: "variable `HTTPS_PROXY` does not name a proxy",
        hint: "`http://host:port`",
        ..NONE
    },
    Slip {
        variables: &[("HTTPS_PROXY", "ftp://canary")],
        kind: "config",
        sentence: "variable `HTTPS_PROXY` does not name a proxy",
        hint: "`http://host:port`",
        ..NONE
    },
    Slip {
        variables: &[
            ("HTTPS_PROXY", "http://canary"),
            ("no_proxy", ".invalid"),
            ("AWS_ENDPOINT_URL", "https://canary.invalid"),
        ],
        kind: "unavailable",
        sentence: "name is not found by DNS",
        hint: "because `no_proxy` excepts the endpoint's host",
        ..NONE
    },
    Slip {
        variables: &[("AWS_ENDPOINT_URL", "https://canary.invalid")],
        dotenv: "HTTPS_PROXY=http://canary",
        kind: "unavailable",
        sentence: "name is not found by DNS",
        hint: "`HTTPS_PROXY` is set only in `.env`",
        ..NONE
    },
    Slip {
        variables: &[PLAIN, ("HTTP_PROXY", "http://canary:canary@127.0.0.1:1")],
        kind: "unavailable",
        sentence: "the proxy of `HTTP_PROXY` refuses connections",
        ..NONE
    },
    Slip {
        variables: &[PLAIN, ("HTTP_PROXY", "http://127.0.0.1:PORT")],
        answer: ASKS,
        kind: "config",
        sentence: "the proxy of `HTTP_PROXY` asks for credentials",
        ..NONE
    },
    Slip {
        variables: &[PLAIN, ("http_proxy", "socks5h://127.0.0.1:PORT")],
        kind: "config",
        sentence: "variable `http_proxy` names a SOCKS proxy",
        ..NONE
    },
    // The token is sent to STS, by the same proxy.
    Slip {
        variables: &[
            ("HTTPS_PROXY", "http://127.0.0.1:PORT"),
            ("AWS_ACCESS_KEY_ID", ""),
            ("AWS_SECRET_ACCESS_KEY", ""),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "HOME/.env"),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/app"),
        ],
        dotenv: "TOKEN=canary",
        answer: ASKS,
        kind: "config",
        sentence: "the proxy of `HTTPS_PROXY` asks for credentials",
        hint: "write them into `HTTPS_PROXY`",
    },
    // The container's credentials come from beside the program, where no proxy reaches.
    Slip {
        variables: &[
            ("HTTP_PROXY", "http://127.0.0.1:PORT"),
            ("AWS_ACCESS_KEY_ID", ""),
            ("AWS_SECRET_ACCESS_KEY", ""),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/canary"),
        ],
        answer: FORBIDS,
        kind: "config",
        sentence: "AWS credentials could not be loaded",
        hint: "`HTTP_PROXY` also applies to the server of credentials: add `169.254.170.2`",
        ..NONE
    },
];

#[test]
fn a_slip_in_a_variable_for_proxies_is_named_and_no_password_is_shown() {
    let mut wrong = Vec::new();
    for Slip { variables, dotenv, answer, kind, sentence, hint } in SLIPS {
        let port = server(answer).to_string();
        let set = KEYS.iter().filter(|(name, _)| variables.iter().all(|(other, _)| name != other));
        let values: Vec<_> =
            set.chain(*variables).map(|(n, value)| (*n, value.replace("PORT", &port))).collect();
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let output = with_set_up("errors::slips::with_a_slip", &values, &[(".env", dotenv)]);
        let all = [kind, sentence, hint].iter().all(|part| output.contains(**part));
        let starts = output.contains("fallback starts: true");
        if !all || !output.contains("1 passed") || starts != (*kind == "unavailable") {
            wrong.push(format!("{variables:?}: {output}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}

/// A server that gives this answer to each connection, and closes it.
fn server(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let _ = connection.and_then(|connection| give(connection, answer));
        }
    });
    port
}

fn give(mut connection: TcpStream, answer: &str) -> std::io::Result<()> {
    let mut read = [0; 4096];
    // One read: nothing that is asked here is longer, and TLS begins with less.
    let _ = connection.read(&mut read)?;
    connection.write_all(answer.as_bytes())?;
    // A socket that is closed with unread data is reset, and its answer may be lost.
    connection.shutdown(Shutdown::Write)?;
    std::io::copy(&mut connection, &mut std::io::sink()).map(drop)
}
