//! A small fleet holds the aims of the large one.

use std::time::Duration;

use fleet::{Client, Result, Scenario, Selection, Setup, run};

fn fleet(replicas: usize, secrets: usize) -> Setup {
    Setup {
        client: Client::Product,
        selection: Selection::Names,
        replicas,
        secrets,
        every: Duration::from_secs(300),
        push: None,
        timeout: Duration::from_secs(30),
    }
}

#[test]
fn a_rotation_by_push() {
    let n = std::env::var("N").map_or(500, |n| n.parse().expect("a number"));
    let setup = Setup {
        every: Duration::from_secs(900),
        push: Some(Duration::from_millis(1500)),
        ..fleet(n, 1)
    };
    let begun = std::time::Instant::now();
    let result: Result = run(Scenario::Rotation, setup);
    println!("{result:#?} {:?}", begun.elapsed());
}
