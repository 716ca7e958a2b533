//! What all suites in which something rotates share: private servers of PostgreSQL, MariaDB and
//! Redis, run from the installed programs; the rotation functions of AWS, which change their
//! passwords; and clients that send requests meanwhile, with a tally of what became of them.

mod cluster;
mod load;
#[cfg(feature = "mariadb")]
mod mariadb;
mod postgres;
mod programs;
#[cfg(feature = "redis")]
mod redis;
mod rotation;
mod stage;
mod supervised;

pub use cluster::Cluster;
pub use load::{Answer, Client, Load, PATIENCE, Tally};
#[cfg(feature = "mariadb")]
pub use mariadb::{MariaDb, MariaDbCluster};
pub use postgres::Postgres;
#[cfg(feature = "redis")]
pub use redis::{Redis, RedisCluster};
pub use rotation::{Login, RotationFunction, Server};
pub use stage::Stage;
