//! A program may die at any await: what is left is a login that works, and the next run finishes.

use super::*;

/// More gates than a run passes.
const MAX_GATES: usize = 60;

/// Runs that die at each gate, then one that does not. Returns how many gates a whole run passes.
async fn die_everywhere(store: NewStore, by_itself: bool) -> usize {
    for last in 0..MAX_GATES {
        let store = store(NAME, TEXT);
        let database = Database::with(&[("app", "the-first-one")], by_itself);
        let gates = Gates::closing_at(last);
        let outcome = gates.until_stopped(rotation(&store, &gates, &database).run()).await;
        let left = labels(&store).await;
        let current_works = works(&store, &database, Some(&left.current)).await;
        let pending_works = works(&store, &database, left.pending.as_deref()).await;
        assert!(current_works || pending_works, "gate {last}: locked out");
        if let Some(rotated) = outcome {
            assert!(!rotated.expect("a rotation").resumed());
            return last;
        }
        let was_pending = left.pending.is_some_and(|pending| pending != left.current);

        let rotated = rotation(&store, &Gates::default(), &database).run().await;
        let rotated = rotated.unwrap_or_else(|error| panic!("gate {last}: {error}"));
        assert_eq!(rotated.resumed(), was_pending, "gate {last}");
        let now = labels(&store).await;
        assert_eq!(now.current, rotated.version_id(), "gate {last}");
        assert_eq!(now.previous.as_deref(), Some(rotated.previous_version_id()), "gate {last}");
        assert_eq!(now.pending, None, "gate {last}");
        assert!(works(&store, &database, Some(&now.current)).await, "gate {last}: locked out");
        let (login, text) = version(&store, Some(&now.current)).await.expect("a version");
        assert_eq!(text, TEXT.replace("the-first-one", login.password.expose_secret()));
    }
    panic!("a run passes more than {MAX_GATES} gates");
}

#[tokio::test(start_paused = true)]
async fn after_a_death_at_any_await_a_login_works_and_the_next_run_finishes() {
    for (name, store) in stores() {
        for by_itself in [true, false] {
            let gates = die_everywhere(store, by_itself).await;
            assert!(gates > 12, "{name}: a whole run passes {gates} gates");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_two_deaths_leave_a_login_that_works() {
    let [(_, store), _] = stores();
    for first in 0..MAX_GATES {
        let mut whole = false;
        for second in 0..MAX_GATES {
            let store = store(NAME, TEXT);
            let database = Database::with(&[("app", "the-first-one")], true);
            for last in [first, second] {
                let gates = Gates::closing_at(last);
                let outcome = gates.until_stopped(rotation(&store, &gates, &database).run()).await;
                whole = outcome.is_some();
                let left = labels(&store).await;
                let works = works(&store, &database, Some(&left.current)).await
                    || works(&store, &database, left.pending.as_deref()).await;
                assert!(works, "gates {first}, {second}: locked out");
            }
            rotation(&store, &Gates::default(), &database).run().await.expect("a rotation");
            let now = labels(&store).await;
            assert!(works(&store, &database, Some(&now.current)).await, "gates {first}, {second}");
            if whole {
                break;
            }
        }
        assert!(whole, "the second run never ended by itself");
    }
}

/// The user of the current version is not touched, so its login is valid at any moment.
#[tokio::test(start_paused = true)]
async fn two_users_who_take_turns_leave_no_window() {
    let users = [("app", "the-first-one"), ("app_clone", "another")];
    let mut ended = false;
    for last in 0..MAX_GATES {
        let [(_, store), _] = stores();
        let store = store(NAME, TEXT);
        let database = Database::with(&users, false);
        let gates = Gates::closing_at(last);
        let run = rotation(&store, &gates, &database).alternate("app", "app_clone").run();
        ended = gates.until_stopped(run).await.is_some();
        let left = labels(&store).await;
        assert!(works(&store, &database, Some(&left.current)).await, "gate {last}: locked out");

        let rotation = rotation(&store, &Gates::default(), &database);
        let rotated = rotation.alternate("app", "app_clone").run().await.expect("a rotation");
        let (login, _) = version(&store, Some(rotated.version_id())).await.expect("a version");
        assert!(database.takes(&login));
        let (current, _) = version(&store, Some(&left.current)).await.expect("a version");
        assert_ne!(login.username, current.username, "gate {last}: they take turns");
        let (before, _) = version(&store, Some(rotated.previous_version_id())).await.expect("one");
        assert!(database.takes(&before), "the login before stays valid");
        if ended {
            break;
        }
    }
    assert!(ended);
}
