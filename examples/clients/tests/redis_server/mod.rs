//! A private Redis whose users have access control, and the secret with a login for it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fake_secrets_manager::FakeSecretsManager;
use redis::aio::MultiplexedConnection;
use secrets_provider::{Layers, Live, SecretsManager};
use serde::de::DeserializeOwned;
use serde_json::json;
use tempfile::TempDir;

/// Far more than any step takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends with its test.
struct Server(Child);

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let spawn = |program: &str| {
            let mut command = Command::new(program);
            command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        };
        // Debian puts some servers where only root's PATH leads.
        let child = spawn("redis-server").or_else(|_| spawn("/usr/sbin/redis-server"));
        Self(child.expect("`apt-get install redis-server` installs it"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server, the secret, and who may log in.
pub(crate) struct Stage {
    pub(crate) fake: FakeSecretsManager,
    admin: MultiplexedConnection,
    url: String,
    pub(crate) username: String,
    password: String,
    rotations: usize,
    _server: Server,
    _folder: TempDir,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("redis.sock").display().to_string();
        let directory = folder.path().display().to_string();
        let server = Server::start(&[
            "--port",
            "0",
            "--unixsocket",
            &socket,
            "--save",
            "",
            "--dir",
            &directory,
        ]);
        let url = format!("redis+unix://{socket}");
        let client = redis::Client::open(url.as_str()).unwrap();
        let admin = until(async || client.get_multiplexed_async_connection().await.ok()).await;
        let mut stage = Self {
            fake: FakeSecretsManager::new(),
            admin,
            url,
            username: "app_0".to_owned(),
            password: "password_0".to_owned(),
            rotations: 0,
            _server: server,
            _folder: folder,
        };
        stage.set_user("app_0", &["on", "~*", "+@all", ">password_0"]).await;
        stage.put();
        stage
    }

    /// Settings that look past a refused login early and often.
    pub(crate) async fn settings<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Live<T> {
        Live::builder(SecretsManager::prefix("app").client(self.fake.client()))
            .layers(|secrets| Layers::new().secrets(secrets))
            .refresh_past_budget(8, Duration::from_secs(30))
            .start()
            .await
            .unwrap()
    }

    pub(crate) fn put(&self) {
        let (url, username, password) = (&self.url, &self.username, &self.password);
        let login = json!({"url": url, "username": username, "password": password});
        self.fake.put("app/redis", login.to_string());
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn call(&mut self, command: &[&str]) -> redis::Value {
        let mut call = redis::Cmd::new();
        for part in command {
            call.arg(part);
        }
        call.query_async(&mut self.admin).await.unwrap()
    }

    pub(crate) async fn set_user(&mut self, user: &str, rules: &[&str]) {
        self.call(&[&["ACL", "SETUSER", user], rules].concat()).await;
    }

    /// Ends the connections of the user.
    pub(crate) async fn disconnect(&mut self) {
        self.call(&["CLIENT", "KILL", "USER", &self.username.clone()]).await;
    }

    /// A new password, beside the old one, which stays valid until what is returned is removed.
    pub(crate) async fn second_password(&mut self) -> String {
        self.rotations += 1;
        let new = format!("password_{}", self.rotations);
        let old = std::mem::replace(&mut self.password, new.clone());
        self.set_user(&self.username.clone(), &[&format!(">{new}")]).await;
        old
    }

    /// Another user with another password. The old user is returned.
    pub(crate) async fn other_user(&mut self) -> String {
        self.rotations += 1;
        self.password = format!("password_{}", self.rotations);
        let new = format!("app_{}", self.rotations);
        let old = std::mem::replace(&mut self.username, new.clone());
        let rule = format!(">{}", self.password);
        self.set_user(&new, &["on", "~*", "+@all", &rule]).await;
        old
    }

    /// The only password changes, and every connection ends.
    pub(crate) async fn only_password(&mut self) {
        self.rotations += 1;
        self.password = format!("password_{}", self.rotations);
        let rule = format!(">{}", self.password);
        self.set_user(&self.username.clone(), &["resetpass", &rule]).await;
        self.disconnect().await;
    }

    /// Waits until the server has refused a login.
    pub(crate) async fn refusal(&mut self) {
        let admin = self.admin.clone();
        let log = async || {
            let mut log = redis::cmd("ACL");
            let log: Vec<redis::Value> =
                log.arg("LOG").query_async(&mut admin.clone()).await.unwrap();
            (!log.is_empty()).then_some(())
        };
        until(log).await;
        self.call(&["ACL", "LOG", "RESET"]).await;
    }
}

/// Calls this until it gives something: what another process does, it does not announce.
pub(crate) async fn until<T>(call: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = call().await {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "it did not come in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
