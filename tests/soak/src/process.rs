//! What this process uses, by Linux.

use std::fmt;

use tokio::runtime::Handle;

#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
    pub(crate) tasks: usize,
}

impl Usage {
    /// Of this process, with the tasks of the current runtime.
    pub(crate) fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).expect("a number")
        };
        Self {
            resident_kib: field("VmRSS:"),
            descriptors: std::fs::read_dir("/proc/self/fd").expect("Linux").count(),
            threads: field("Threads:"),
            tasks: Handle::current().metrics().num_alive_tasks(),
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident_kib, descriptors, threads, tasks } = self;
        write!(f, "{resident_kib} | {descriptors} | {tasks} | {threads}")
    }
}
