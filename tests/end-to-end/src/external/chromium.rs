//! A headless browser.

use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::run;

/// The names of the program.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The window and the colours for a page.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The width of the window, at least 500.
    pub width: u32,
    /// The height of the window.
    pub height: u32,
    /// Whether `prefers-color-scheme` is dark.
    pub dark: bool,
}

/// Chromium, with a new profile for each page that it opens.
#[derive(Debug)]
pub struct Chromium {
    program: &'static str,
}

impl Chromium {
    /// The installed browser.
    ///
    /// # Panics
    /// If it is not installed: no test is skipped.
    pub fn installed() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let there =
            |name: &&&str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
        let program =
            NAMES.iter().find(there).unwrap_or_else(|| panic!("no Chromium: run .ci/external"));
        Self { program }
    }

    /// Opens a page, and runs its scripts on a clock that is fast-forwarded by so many
    /// milliseconds. Returns the document at that time.
    ///
    /// # Panics
    /// If it fails, or the page writes to its console.
    pub async fn document(&self, url: &str, look: Look, milliseconds: u32) -> String {
        let clock = format!("--virtual-time-budget={milliseconds}");
        self.open(url, look, &["--dump-dom", &clock]).await
    }

    /// Opens a page and saves a screenshot as a PNG file.
    ///
    /// # Panics
    /// As [`document`](Self::document), and if there is no picture afterwards.
    pub async fn screenshot(&self, url: &str, look: Look, file: &Path) {
        // A picture of an earlier run proves nothing.
        let _ = std::fs::remove_file(file);
        self.open(url, look, &[&format!("--screenshot={}", file.display())]).await;
        let size = std::fs::metadata(file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
            .len();
        assert!(size > 10_000, "{} is almost empty", file.display());
    }

    /// Opens a page, and keeps it open until it is closed or dropped.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn keep_open(&self, url: &str, look: Look) -> OpenPage {
        let (mut command, profile) = self.command(url, look, &["--remote-debugging-port=0"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("Chromium");
        OpenPage { child, _profile: profile }
    }

    async fn open(&self, url: &str, look: Look, arguments: &[&str]) -> String {
        let (command, _profile) = self.command(url, look, arguments);
        let (success, stdout, stderr) = run(command).await;
        assert!(success, "{stderr}");
        let complaints: Vec<&str> =
            stderr.lines().filter(|line| line.contains(":CONSOLE")).collect();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        stdout
    }

    fn command(&self, url: &str, look: Look, arguments: &[&str]) -> (Command, TempDir) {
        let profile = TempDir::new().expect("a temporary folder");
        let mut command = Command::new(self.program);
        command
            // The sandbox does not work as root, and the page is our own.
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args(["--disable-dev-shm-usage", "--hide-scrollbars", "--enable-logging=stderr"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--window-size={},{}", look.width, look.height))
            .args(look.dark.then_some("--force-dark-mode"))
            .args(arguments)
            .arg(url)
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        (command, profile)
    }
}

/// An open page.
#[derive(Debug)]
pub struct OpenPage {
    child: Child,
    _profile: TempDir,
}

impl OpenPage {
    /// Ends the browser, and then removes its profile: the browser writes to it until its end.
    pub async fn close(mut self) {
        // The process may have ended already.
        let _ = self.child.kill().await;
    }
}
