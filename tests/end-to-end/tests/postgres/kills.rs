//! Programs that rotate a password are killed (SIGKILL): one by one at each of their awaits, and at
//! random moments. Another program finishes the rotation. A login works after each kill, and no
//! request of a service under load fails. Then two programs rotate at once, again and again.
//!
//! `KILLS` and `RACES` say how often.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::pin::pin;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use examples::postgres::{self, Database, connect, log_in};
use rotation_rig::{Load, Stage};
use secrets_provider::{Live, RotationChange, SecretsManager};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::load::load;
use crate::service::Framework;
use crate::{manager, number, report};

/// What the rotating program gets: the address of the fake, and whether users take turns.
const ENDPOINT: &str = "SECRETS_PROVIDER_TEST_ENDPOINT";
const ALTERNATE: &str = "SECRETS_PROVIDER_TEST_ADMIN";

/// At which of its awaits the program stops. It is killed there.
const STOP_AT: &str = "SECRETS_PROVIDER_TEST_STOP_AT";

const CLONE: &str = "app_clone";

/// A program that rotates: this binary, with the test below.
struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts a program, which waits for `go`.
    fn start(stage: &Stage, alternate: bool, stop_at: Option<u32>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "kills::a_program", "--ignored", "--nocapture"])
            .env(ENDPOINT, stage.secrets().endpoint_url())
            .env_remove(ALTERNATE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if alternate {
            let url = stage.admin().to_url_lossy();
            command.env(ALTERNATE, url.as_str());
        }
        if let Some(stop_at) = stop_at {
            command.env(STOP_AT, stop_at.to_string());
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut program = Self { child, lines };
        assert_eq!(program.says().as_deref(), Some("ready"));
        program
    }

    fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// The next thing that it says; `None` if it is gone.
    fn says(&mut self) -> Option<String> {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        lines.find_map(|line| Some(line.split_once("program: ")?.1.to_owned()))
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for what a program says, on a thread of its own: the service goes on.
async fn said(mut program: Program) -> (Program, Option<String>) {
    tokio::task::spawn_blocking(move || {
        let said = program.says();
        (program, said)
    })
    .await
    .unwrap()
}

async fn started(stage: &Stage, alternate: bool, stop_at: Option<u32>) -> Program {
    tokio::task::block_in_place(|| Program::start(stage, alternate, stop_at))
}

/// Rotates once, undisturbed. Returns what the program says.
async fn finish(stage: &Stage, alternate: bool) -> String {
    let mut program = started(stage, alternate, None).await;
    program.go();
    said(program).await.1.expect("an outcome")
}

#[tokio::test]
#[ignore = "the tests below run it, and kill it"]
#[allow(clippy::print_stdout, reason = "the tests below read it")]
async fn a_program() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else { return };
    let stop_at: Option<u32> = std::env::var(STOP_AT).ok().map(|text| text.parse().unwrap());
    let client = aws_sdk_secretsmanager::Client::from_conf(end_to_end::config(&endpoint).build());
    let secrets = SecretsManager::prefix("app").client(client);
    let rotation = secrets.rotation("database").password("password").test(postgres::test);
    let rotation = match std::env::var(ALTERNATE) {
        Ok(admin) => {
            let admin: PgConnectOptions = admin.parse().unwrap();
            let set = move |change: RotationChange<Database>| {
                let admin = admin.clone();
                async move { postgres::set_as(&admin, change.pending()).await }
            };
            rotation.alternate(Stage::ROLE, CLONE).set(set)
        }
        Err(_) => rotation.set(postgres::set),
    };
    println!("program: ready");
    std::io::stdin().lines().next();
    let mut run = pin!(rotation.run());
    let mut awaits = 0;
    let outcome = std::future::poll_fn(|context| {
        let polled = run.as_mut().poll(context);
        if polled.is_pending() {
            awaits += 1;
            if stop_at == Some(awaits) {
                println!("program: stops");
                // Nothing else of it runs: its runtime has this thread only.
                loop {
                    std::thread::park();
                }
            }
        }
        polled
    })
    .await;
    match outcome {
        Ok(rotated) if rotated.resumed() => println!("program: resumed after {awaits}"),
        Ok(_) => println!("program: rotated after {awaits}"),
        Err(error) if error.is_superseded() => println!("program: superseded"),
        Err(error) => println!("program: failed: {error}"),
    }
}

/// Whether the database takes the login of the version with this label.
async fn works(stage: &Stage, label: &str) -> bool {
    let client = stage.secrets().client();
    let get = client.get_secret_value().secret_id(Stage::SECRET).version_stage(label);
    let Ok(answer) = get.send().await else { return false };
    let login: Database = serde_json::from_str(&answer.secret_string.unwrap()).unwrap();
    postgres::test(login).await.is_ok()
}

async fn assert_usable(stage: &Stage, when: &str) {
    let usable = works(stage, "AWSCURRENT").await || works(stage, "AWSPENDING").await;
    assert!(usable, "{when}: locked out");
}

/// The second user, and the service's pool.
async fn service(stage: &Stage) -> Live<sqlx::PgPool> {
    let mut connection = PgConnection::connect_with(stage.admin()).await.unwrap();
    connection.execute("CREATE ROLE app_clone LOGIN").await.unwrap();
    connection.close().await.unwrap();
    let settings = Live::builder(manager(stage))
        .probe(log_in)
        .refresh_every(Duration::from_millis(200))
        // Rotations are a second apart here, and weeks in production.
        .refresh_past_budget(1_000, Duration::from_secs(30))
        .start()
        .await
        .unwrap();
    settings.derive("database", connect).await.unwrap()
}

/// Returns once the service uses the current login, and no request that began before still runs.
///
/// A replaced login of two users stays valid until the next rotation, so a service must learn of
/// each rotation before the next. Rotations are weeks apart in production; here a busy machine can
/// start the next one within the interval.
async fn follows(pool: &Live<sqlx::PgPool>, load: &Load) {
    pool.refresh().await.unwrap();
    load.round().await;
}

async fn kill_and_resume(alternate: bool, kills: u32) {
    let about = if alternate { "two users" } else { "one user" };
    let stage = Stage::start().await.unwrap();
    let pool = service(&stage).await;
    let server = Framework::Axum.serve(pool.clone());
    // With two users nothing is ever refused, so nothing needs to be tried again.
    let load = load(server.address, if alternate { "/plain" } else { "/fresh" });
    load.round().await;

    let said_first = finish(&stage, alternate).await;
    let awaits = said_first.strip_prefix("rotated after ").expect("a rotation");
    let awaits: u32 = awaits.parse().unwrap();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut stopped, mut ended, mut resumed) = (0, 0, 0);
    for kill in 0..kills {
        // Every other kill is at an await: each in turn, or spread over them if there are fewer
        // kills.
        let at_awaits = kills.div_ceil(2).max(1);
        let place = kill / 2;
        let await_number =
            if at_awaits >= awaits { place % awaits } else { place * awaits / at_awaits };
        let stop_at = (kill % 2 == 0).then_some(await_number + 1);
        let mut program = started(&stage, alternate, stop_at).await;
        program.go();
        let mut program = match stop_at {
            Some(_) => {
                let (program, said) = said(program).await;
                let said = said.expect("a program that stops or ends");
                // The number of awaits differs a little from run to run.
                *(if said == "stops" { &mut stopped } else { &mut ended }) += 1;
                program
            }
            None => {
                tokio::time::sleep(Duration::from_micros(random.u64(..120_000))).await;
                program
            }
        };
        tokio::task::block_in_place(|| program.kill());
        let when = format!("{about}, kill {kill} at {stop_at:?}, seed {seed}");
        assert_usable(&stage, &when).await;
        if alternate {
            // The killed program may have been done, and another rotation follows.
            follows(&pool, &load).await;
        } else {
            // Every request needs a new connection, and the database may have the new password.
            Stage::disconnect_role(stage.admin()).await.unwrap();
        }
        let said = finish(&stage, alternate).await;
        assert!(said.starts_with("rotated") || said.starts_with("resumed"), "{when}: {said}");
        resumed += u32::from(said.starts_with("resumed"));
        assert!(works(&stage, "AWSCURRENT").await, "{when}: locked out after {said}");
        follows(&pool, &load).await;
    }
    let tally = load.finish().await;
    report(&format!(
        "{about}: {kills} kills ({stopped} at awaits of {awaits}, {ended} of ended programs), \
         {resumed} resumed, 0 lock-outs; {tally}"
    ));
    assert!(tally.failures.is_empty(), "{tally}");
    assert!(stopped * 3 > kills, "only {stopped} programs stopped at an await");
    assert!(alternate || !tally.waits.is_empty(), "no request met a window");
    assert!(resumed > 0, "no program was killed between its first and its last write");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_rotation_of_one_user_locks_no_one_out_and_fails_no_request() {
    kill_and_resume(false, number("KILLS", 30)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_rotation_of_two_users_refuses_no_login() {
    kill_and_resume(true, number("KILLS", 20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_programs_that_rotate_at_once_one_wins() {
    let races = number("RACES", 10);
    let stage = Stage::start().await.unwrap();
    let pool = service(&stage).await;
    let server = Framework::Axum.serve(pool.clone());
    let load = load(server.address, "/fresh");
    let mut superseded = 0;
    for race in 0..races {
        let mut programs = [started(&stage, false, None).await, started(&stage, false, None).await];
        programs.iter_mut().for_each(Program::go);
        let [first, second] = programs.map(said);
        let ((_first, one), (_second, other)) = tokio::join!(first, second);
        let outcomes = [one.expect("an outcome"), other.expect("an outcome")];
        let won = |said: &&String| said.starts_with("rotated") || said.starts_with("resumed");
        let winners = outcomes.iter().filter(won).count();
        let losers = outcomes.iter().filter(|said| *said == "superseded").count();
        assert!(winners >= 1 && winners + losers == 2, "race {race}: {outcomes:?}");
        superseded += losers;
        assert!(works(&stage, "AWSCURRENT").await, "race {race}: locked out");
        load.round().await;
    }
    let tally = load.finish().await;
    report(&format!("{races} races, {superseded} superseded, 0 lock-outs; {tally}"));
    assert!(tally.failures.is_empty(), "{tally}");
    assert!(superseded > 0, "the programs never met");
}

/// The database gets a verifier, never a password: one that is sent as it is would be stored as MD5
/// here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_gets_no_password() {
    let stage = Stage::start().await.unwrap();
    let mut admin = PgConnection::connect_with(stage.admin()).await.unwrap();
    admin.execute("ALTER SYSTEM SET password_encryption = 'md5'").await.unwrap();
    admin.execute("SELECT pg_reload_conf()").await.unwrap();
    let setting = async |admin: &mut PgConnection| -> String {
        sqlx::query_scalar("SHOW password_encryption").fetch_one(admin).await.unwrap()
    };
    while setting(&mut admin).await != "md5" {
        tokio::task::yield_now().await;
    }
    assert!(finish(&stage, false).await.starts_with("rotated"));
    let stored = sqlx::query_scalar("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'");
    let stored: String = stored.fetch_one(&mut admin).await.unwrap();
    assert!(stored.starts_with("SCRAM-SHA-256$4096:"));
    assert!(works(&stage, "AWSCURRENT").await);
}
