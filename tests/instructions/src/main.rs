//! Counts the processor instructions of what programs do most, by valgrind's callgrind, and compares
//! them with `counts.txt`. Instructions, unlike time, are the same on a busy machine, so that 3 %
//! more is a change of the code.
//!
//! ```sh
//! cargo run --release -p instructions              # compares; fails if a count has moved
//! cargo run --release -p instructions -- accept    # writes counts.txt
//! cargo run --release -p instructions -- growth    # 100, 1,000 and 3,000 secrets or keys
//! ```
//!
//! The program runs itself under callgrind, once with `n` and once with `2 n` repetitions of a case.
//! The difference over `n` is the count of one, in all threads, without the start of the program.
//! That needs neither a marker in the code nor a name that survives the optimiser, which is why this
//! is not a benchmark of gungraun: its baselines are files below `target`, and what a repository can
//! keep is a table like this one.

mod cases;
mod count;
mod counts;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => counts::compare(),
        ["accept"] => counts::accept(),
        ["growth"] => counts::growth(),
        ["run", case, size, repetitions] => run(case, size, repetitions),
        _ => Err("usage: instructions [accept | growth | run CASE SIZE REPETITIONS]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            report(&message);
            ExitCode::FAILURE
        }
    }
}

/// What callgrind runs.
fn run(case: &str, size: &str, repetitions: &str) -> Result<(), String> {
    let number = |text: &str| text.parse().map_err(|_| format!("no number: {text}"));
    let known = cases::CASES.iter().find(|known| known.name == case);
    let known = known.ok_or_else(|| format!("no case {case}"))?;
    (known.run)(number(size)?, number(repetitions)?);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a program for the terminal")]
fn report(message: &str) {
    eprintln!("{message}");
}
