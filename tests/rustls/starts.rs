//! What the tests of all three programs share: the program, run in an environment of its own.
//!
//! A program reads the secret `greeting`, and then connects by TLS to the port in its argument with
//! another crate. It is run with a store that answers, by HTTP; with one that it must reach by TLS;
//! and with a proxy. Nothing speaks TLS there; the first byte shows that the client was made.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;

use fake_secrets_manager::FakeSecretsManager;

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// Runs a program in the three ways, and panics with its output unless it ends well.
pub(crate) fn starts(program: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let fake = runtime.block_on(FakeSecretsManager::start()).expect("a port");
    fake.put("greeting", "hello");

    let (port, first_bytes) = first_bytes();
    let output = run(program, &[("AWS_ENDPOINT_URL", &fake.endpoint_url())], port);
    assert!(output.contains("read: hello"), "{output}");
    let seen: Vec<u8> = first_bytes.try_iter().collect();
    assert_eq!(seen, [HANDSHAKE], "the other crate's client: {output}");

    let endpoint = format!("https://127.0.0.1:{port}");
    let output = run(program, &[("AWS_ENDPOINT_URL", &endpoint)], port);
    assert!(output.contains("not read: unavailable"), "{output}");
    let seen: Vec<u8> = first_bytes.try_iter().collect();
    assert!(seen.len() > 1 && seen.iter().all(|byte| *byte == HANDSHAKE), "{seen:?}: {output}");

    let proxy = format!("http://127.0.0.1:{port}");
    let output = run(program, &[("HTTPS_PROXY", &proxy)], port);
    assert!(output.contains("not read: unavailable"), "{output}");
    let seen: Vec<u8> = first_bytes.try_iter().collect();
    assert!(seen.len() > 1 && seen.starts_with(b"C"), "`CONNECT` of a proxy: {seen:?}: {output}");
}

fn run(program: &str, variables: &[(&str, &str)], port: u16) -> String {
    let output = Command::new(program)
        .arg(port.to_string())
        .env_clear()
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_MAX_ATTEMPTS", "1")
        .envs(variables.iter().copied())
        .output()
        .expect("the program runs");
    let texts = [output.stdout, output.stderr];
    let text = texts.map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{text}");
    text
}

/// A port, and the first byte of each connection to it. It is sent before the connection closes.
fn first_bytes() -> (u16, mpsc::Receiver<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut byte = [0];
            if connection.expect("a connection").read_exact(&mut byte).is_ok() {
                let _ = sender.send(byte[0]);
            }
        }
    });
    (port, receiver)
}
