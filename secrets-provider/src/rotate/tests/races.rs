//! Two programs rotate one secret at the same time: one wins, the other ends without harm.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_rotators_each_version_has_one_winner_and_the_other_is_superseded() {
    for (name, store) in stores() {
        let store = store(NAME, TEXT);
        let database = Database::with(&[("app", "the-first-one")], true);
        let (mut won, mut superseded) = (0, 0);
        for round in 0..100 {
            let before = labels(&store).await.current;
            let start = Arc::new(tokio::sync::Barrier::new(2));
            let rotators = [(); 2].map(|()| {
                let rotation = rotation(&store, &Gates::default(), &database);
                let start = start.clone();
                tokio::spawn(async move {
                    start.wait().await;
                    rotation.run().await
                })
            });
            let mut versions = Vec::new();
            for rotator in rotators {
                match rotator.await.expect("no panic") {
                    Ok(rotated) => versions.push(rotated.version_id().to_owned()),
                    Err(error) => {
                        assert!(error.is_superseded(), "{name}, round {round}: {error}");
                        assert_eq!(error.kind(), crate::ErrorKind::Conflict);
                        superseded += 1;
                    }
                }
            }
            won += versions.len();
            let now = labels(&store).await;
            assert!(versions.contains(&now.current), "{name}, round {round}: no one has won");
            versions.dedup();
            assert_ne!(before, now.current);
            assert!(
                works(&store, &database, Some(&now.current)).await,
                "{name}, round {round}: locked out"
            );
        }
        assert_eq!(won + superseded, 200);
        assert!(superseded > 0, "{name}: the rotators never met");
    }
}
