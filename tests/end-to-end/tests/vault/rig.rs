//! OpenBao's database engine over a private PostgreSQL, and what the tests ask both.

use std::collections::BTreeSet;
use std::time::Duration;

use end_to_end::external::OpenBao;
use rotation_rig::Cluster;
use secrets_provider::{Backend as _, DatabaseRole, SecretsManager, Vault};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

/// Far more than any step takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const NAME: &str = "gaara/prod/database";

/// Sessions end with their user, as an operator may want it.
const REVOCATION: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = \
                          '{{name}}'; DROP ROLE IF EXISTS \"{{name}}\"";

/// OpenBao, with a database engine over a private PostgreSQL.
pub(crate) struct Rig {
    pub(crate) server: OpenBao,
    pub(crate) cluster: Cluster,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let (server, cluster) = (OpenBao::start(), Cluster::start().unwrap());
        let mut admin = cluster.admin().connect().await.unwrap();
        admin.execute("CREATE ROLE vault SUPERUSER LOGIN PASSWORD 'of-the-test'").await.unwrap();
        server.must("POST", "sys/mounts/database", json!({ "type": "database" })).await;
        let folder = cluster.folder().display().to_string();
        let connection = json!({
            "plugin_name": "postgresql-database-plugin",
            "allowed_roles": "*",
            "connection_url": format!("postgresql://{{{{username}}}}:{{{{password}}}}@/postgres?host={folder}"),
            "username": "vault",
            "password": "of-the-test",
        });
        server.must("POST", "database/config/pg", connection).await;
        // What a login needs besides user and password is beside it in the key-value engine.
        for (name, value) in [("host", &*folder), ("port", "5432"), ("dbname", "postgres")] {
            server.put(&format!("{NAME}/{name}"), json!({ "value": value })).await;
        }
        Self { server, cluster }
    }

    /// A role that makes users for so many seconds, and for so many at most.
    pub(crate) async fn role(&self, name: &str, term: u32, maximal: u32) {
        let role = json!({
            "db_name": "pg",
            "creation_statements": "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'",
            "revocation_statements": REVOCATION,
            "default_ttl": term,
            "max_ttl": maximal,
        });
        self.server.must("POST", &format!("database/roles/{name}"), role).await;
    }

    /// A service's manager, with a token of its own that has exactly the manager's policy.
    pub(crate) async fn manager(&self, role: &DatabaseRole) -> (SecretsManager, Vault) {
        let vault = Vault::new(self.server.url()).database(role.clone());
        let manager = |vault: &Vault| SecretsManager::prefix("gaara/prod").backend(vault.clone());
        self.server.policy("app", &manager(&vault).iam_policy()).await;
        let vault = vault.token(self.server.token(&["app"]).await);
        (manager(&vault), vault)
    }

    /// The users that Vault made and has not dropped.
    pub(crate) async fn users(&self) -> BTreeSet<String> {
        let mut admin = self.cluster.admin().connect().await.unwrap();
        let users =
            sqlx::query_scalar("SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'v-%'");
        let users: Vec<String> = users.fetch_all(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        users.into_iter().collect()
    }

    /// How many leases Vault knows of a role.
    pub(crate) async fn leases(&self, role: &str) -> usize {
        let path = format!("sys/leases/lookup/database/creds/{role}");
        let (_, answer) = self.server.call("LIST", &path, Value::Null).await;
        answer["data"]["keys"].as_array().map_or(0, Vec::len)
    }
}

/// The role, as the secret that a login is in.
pub(crate) fn role() -> DatabaseRole {
    DatabaseRole::new("creds/readonly").named(NAME)
}

/// How many credentials were asked for: each is a user.
pub(crate) fn credentials(vault: &Vault) -> u64 {
    vault.calls().get("VaultCredentials").copied().unwrap_or_default()
}

/// Waits until this is so.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    let reached = async {
        while !holds().await {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("never: {what}"));
}
