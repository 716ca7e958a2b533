//! The private server ends with the process that started it, even if that is killed.

use std::io::{BufRead as _, BufReader};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rotation_rig::Cluster;
use sqlx::{Connection as _, PgConnection};

use rotation_rig::PATIENCE;

#[tokio::test]
async fn the_server_asks_for_passwords() {
    let cluster = Cluster::start().unwrap();
    let connection = PgConnection::connect_with(&cluster.admin()).await.unwrap();
    connection.close().await.unwrap();
    let error = PgConnection::connect_with(&cluster.admin().password("another")).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("28P01"));
}

#[test]
fn the_server_ends_with_its_handle_even_in_a_panic() {
    let cluster = Cluster::start().unwrap();
    let folder = cluster.folder().to_owned();
    assert!(folder.join("data/postmaster.pid").is_file());
    catch_unwind(move || {
        let _held = cluster;
        panic!("a test that fails");
    })
    .unwrap_err();
    assert!(!folder.exists());
}

#[tokio::test]
async fn the_server_ends_when_its_owner_is_killed() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cluster::an_owner", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let folder =
        lines.find_map(|line| Some(PathBuf::from(line.split_once("cluster in ")?.1))).unwrap();
    let process = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    let process = Path::new("/proc").join(process.lines().next().unwrap());
    assert!(process.exists());
    owner.kill().unwrap();
    owner.wait().unwrap();
    // The server is not our child, so its end can only be polled.
    let gone = async {
        while folder.exists() || process.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the server and its folder are gone");
}

#[test]
#[ignore = "the test above runs it, and kills it"]
#[allow(clippy::print_stdout, reason = "the test above reads it")]
fn an_owner() {
    let cluster = Cluster::start().unwrap();
    println!("\ncluster in {}", cluster.folder().display());
    std::io::stdin().lines().for_each(drop);
}
