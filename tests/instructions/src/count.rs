//! One count: this program under callgrind.

use std::process::Command;

use crate::cases::Case;

/// The instructions of one repetition of a case.
pub(crate) fn count(case: &Case, size: usize) -> Result<u64, String> {
    let repetitions = (case.repetitions * 100 / size).max(1);
    let (once, twice) = (total(case, size, repetitions)?, total(case, size, 2 * repetitions)?);
    let repetitions = repetitions as u64;
    Ok((twice.saturating_sub(once) + repetitions / 2) / repetitions)
}

/// The instructions of a whole run.
fn total(case: &Case, size: usize, repetitions: usize) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["run", case.name, &size.to_string(), &repetitions.to_string()])
        .output()
        .map_err(|error| format!("cannot run valgrind ({error}): apt-get install valgrind"))?;
    let said = String::from_utf8_lossy(&run.stderr);
    if !run.status.success() {
        return Err(format!("{} failed under valgrind:\n{said}", case.name));
    }
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let collected = collected.and_then(|(_, count)| count.trim().parse().ok());
    collected.ok_or_else(|| format!("valgrind printed no count for {}:\n{said}", case.name))
}
