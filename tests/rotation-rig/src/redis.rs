//! A private Redis whose users have access control, and how rotations see it.

use std::fmt;
use std::io;

use redis::aio::MultiplexedConnection;
use redis::{Client, IntoConnectionInfo as _, RedisError};
use uuid::Uuid;

use crate::programs::find;
use crate::rotation::{Login, Server};
use crate::supervised::{Home, Supervised};

/// The end of the line that the server logs when it is ready, before the path of its socket.
const READY: &str = "now ready to accept connections at";

const ADMIN: &str = "admin";

/// A running private server, in a temporary folder. It listens only on a Unix socket in that
/// folder, and knows no one but its administrator. The server ends, and its folder is removed, when
/// this is dropped or when the process is killed.
pub struct RedisCluster {
    server: Supervised,
    password: String,
}

impl RedisCluster {
    /// Starts a server.
    ///
    /// # Errors
    /// If Redis is not installed, with the command that installs it; if it does not start, with its
    /// log.
    pub fn start() -> io::Result<Self> {
        let program = find("redis-server", "redis-server")?;
        let home = Home::new("redis-", &["redis"])?;
        let (password, settings) = (Uuid::new_v4().to_string(), home.path().join("redis.conf"));
        // From a file, because other processes can read arguments.
        let text = format!(
            "port 0\nunixsocket {}\ndir {}\nsave \"\"\nuser default off\nuser {ADMIN} on >{password} ~* &* +@all\n",
            home.path().join("socket").display(),
            home.path().display(),
        );
        home.write(&settings, &text)?;
        let server = home.supervise(&program, READY, "TERM", |redis| {
            redis.arg(&settings);
        })?;
        Ok(Self { server, password })
    }

    /// The server, with its administrator.
    pub fn server(&self) -> Redis {
        let url = format!("redis+unix://{}", self.server.folder().join("socket").display());
        Redis { url, password: self.password.clone() }
    }
}

impl fmt::Debug for RedisCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCluster")
            .field("folder", &self.server.folder())
            .finish_non_exhaustive()
    }
}

/// A Redis server, with the login of an administrator.
#[derive(Clone)]
pub struct Redis {
    url: String,
    password: String,
}

impl Redis {
    /// The address, without a login.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a command as the administrator.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses the command. The error shows no argument.
    pub async fn call(&self, command: &[&str]) -> Result<redis::Value, String> {
        let mut connection = connect(&self.url, ADMIN, &self.password).await?;
        let mut call = redis::Cmd::new();
        for part in command {
            call.arg(part);
        }
        call.query_async(&mut connection).await.map_err(|error| said(&error))
    }

    /// Makes a user.
    pub(crate) async fn prepare(&self, user: &str) -> Result<Login, String> {
        let login = Login {
            engine: "redis".to_owned(),
            host: String::new(),
            port: 0,
            username: user.to_owned(),
            password: Uuid::new_v4().to_string(),
            dbname: String::new(),
            url: Some(self.url.clone()),
        };
        self.set_password(None, &login, &login).await?;
        Ok(login)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Server for Redis {
    async fn log_in(&self, login: &Login) -> Result<(), String> {
        connect(&self.url, &login.username, &login.password).await.map(drop)
    }

    /// Redis lets a user set its own password, where it may run `ACL SETUSER`, as these may.
    async fn set_password(&self, by: Option<&Login>, new: &Login, _: &Login) -> Result<(), String> {
        let (user, password) =
            by.map_or((ADMIN, &self.password), |it| (&it.username, &it.password));
        let mut connection = connect(&self.url, user, password).await?;
        let (user, password) = (&new.username, format!(">{}", new.password));
        let mut set = redis::cmd("ACL");
        set.arg("SETUSER").arg(user).arg(&["on", "~*", "&*", "+@all", "resetpass"]).arg(password);
        set.exec_async(&mut connection).await.map_err(|error| said(&error))
    }

    async fn disconnect(&self, user: &str) -> Result<i64, String> {
        match self.call(&["CLIENT", "KILL", "USER", user]).await? {
            redis::Value::Int(ended) => Ok(ended),
            _ => Err("CLIENT KILL gave no number".to_owned()),
        }
    }
}

async fn connect(url: &str, user: &str, password: &str) -> Result<MultiplexedConnection, String> {
    let address = url.into_connection_info().map_err(|error| said(&error))?;
    let login = address.redis_settings().clone().set_username(user).set_password(password);
    let client = Client::open(address.set_redis_settings(login)).map_err(|error| said(&error))?;
    client.get_multiplexed_async_connection().await.map_err(|error| said(&error))
}

/// Its kind only: the text may quote a command.
fn said(error: &RedisError) -> String {
    format!("Redis: {:?}, {}", error.kind(), error.code().unwrap_or("without a code"))
}
