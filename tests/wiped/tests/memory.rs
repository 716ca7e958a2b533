//! What is left of old values in the memory of a process, after each of 100 rotations.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use fake_secrets_manager::FakeSecretsManager;

const ROTATIONS: usize = 100;

/// `keeps`, which is a process of its own: the fake has all versions in its memory.
struct Keeps {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Copies of old values: in bodies of answers, in whole secrets, by themselves.
type Copies = [usize; 3];

impl Keeps {
    fn start(allocator: &str, endpoint: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keeps"))
            .env("KEEPS", allocator)
            .env("ENDPOINT", endpoint)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let asks = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        // It has read the first values.
        answers.read_line(&mut String::new()).expect("it starts");
        Self { child, asks, answers }
    }

    /// Has it refresh, and count the copies.
    fn refresh(&mut self) -> Copies {
        self.asks.write_all(b"\n").expect("it runs");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        let counts: Vec<_> = line.split_whitespace().map(|count| count.parse()).collect();
        let counts: Result<Vec<usize>, _> = counts.into_iter().collect();
        counts.ok().and_then(|counts| counts.try_into().ok()).expect("three counts")
    }

    /// Ends it. Returns what it says at its end.
    fn end(mut self) -> Vec<String> {
        drop(self.asks);
        let lines = self.answers.lines().map(|line| line.expect("text")).collect();
        assert!(self.child.wait().expect("it ends").success());
        lines
    }
}

fn rotate(fake: &FakeSecretsManager, number: usize) {
    let value = |kind: &str| format!("c4n4ry-in-memory{number:05}-{kind}");
    fake.put("app/token", value("token"));
    fake.put("app/database", format!(r#"{{"password":"{}"}}"#, value("password")));
}

/// The most copies at one time, of each kind, and what the program says at its end.
fn rotations(allocator: &str, rotations: usize) -> (Copies, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let fake = runtime.block_on(FakeSecretsManager::start()).expect("a socket");
    rotate(&fake, 0);
    let mut keeps = Keeps::start(allocator, &fake.endpoint_url());
    let (mut most, mut all) = (Copies::default(), Copies::default());
    for number in 1..=rotations {
        rotate(&fake, number);
        for (at, copies) in keeps.refresh().into_iter().enumerate() {
            most[at] = most[at].max(copies);
            all[at] += copies;
        }
    }
    let said = keeps.end();
    println!("{allocator}: at most {most:?} (answers, secrets, values), in all {all:?}");
    said.iter().for_each(|line| println!("  {line}"));
    (most, said)
}

#[test]
fn old_values_do_not_pile_up() {
    let (most, _) = rotations("system", ROTATIONS);
    println!("{most:?}");
}

#[test]
fn no_old_value_is_in_a_block_that_is_in_use() {
    let (most, _) = rotations("wiping", ROTATIONS);
    println!("{most:?}");
}

#[test]
fn no_block_of_ours_is_freed_with_a_value_in_it() {
    let (_, said) = rotations("tracing", 3);
    let ours: Vec<_> = said.iter().filter(|line| line.contains("secrets_provider")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}
