//! Which generation a handler sees, and when.

use std::sync::Barrier;
use std::thread;

use super::{Framework, Rotation, constant};

async fn get<F: Framework>(app: &F::App, path: &str) -> String {
    let answer = F::call(app, "GET", path, &[]).await;
    assert_eq!(answer.status, 200, "{path}");
    answer.body
}

/// The next request after a rotation sees it.
pub async fn a_handler_sees_a_rotation<F: Framework>() {
    let rotation = Rotation::start().await;
    let app = F::index(rotation.settings.clone()).await;
    assert_eq!(get::<F>(&app, "/").await, "user-1/pass-1");

    rotation.rotate(2).await;
    assert_eq!(get::<F>(&app, "/").await, "user-2/pass-2");
}

/// All extractors of one request see the generation of the first.
pub async fn a_swap_between_two_extractors_shows_in_the_next_request<F: Framework>() {
    let rotation = Rotation::start().await;
    let app = F::rotating_handler(rotation.clone()).await;

    assert_eq!(get::<F>(&app, "/both").await, "user-1/pass-1 user-1/pass-1");
    assert_eq!(rotation.settings.load().database.to_string(), "user-2/pass-2");
    assert_eq!(get::<F>(&app, "/").await, "user-2/pass-2");
}

/// Middleware pins the generation for the handler after it.
pub async fn middleware_and_the_handler_after_it_see_one_generation<F: Framework>() {
    let rotation = Rotation::start().await;
    let app = F::rotating_middleware(rotation.clone()).await;
    for generation in 1..=3 {
        let answer = F::call(&app, "GET", "/", &[]).await;
        assert_eq!(answer.header("middleware"), format!("user-{generation}"));
        assert_eq!(answer.body, format!("user-{generation}/pass-{generation}"));
    }
    assert_eq!(rotation.settings.status().generation(), 4);
}

/// Each `Live` is pinned for itself, even if their types are the same.
pub async fn two_lives_of_one_type_do_not_mix<F: Framework>() {
    let app = F::two_lives(constant("outer"), constant("inner")).await;
    assert_eq!(get::<F>(&app, "/").await, "outer/-");
    assert_eq!(get::<F>(&app, "/inner").await, "inner/-");
}

/// The `Live` itself can be taken too, beside `Current`.
pub async fn a_live_can_be_taken_itself<F: Framework>() {
    let app = F::index(constant("plain")).await;
    assert_eq!(get::<F>(&app, "/plain").await, "plain/-");

    let rotation = Rotation::start().await;
    let app = F::index(rotation.settings.clone()).await;
    rotation.rotate(2).await;
    assert_eq!(get::<F>(&app, "/plain").await, "user-2/pass-2");
    assert_eq!(get::<F>(&app, "/").await, "user-2/pass-2");
}

/// One app per thread over one `Live`, while it is swapped.
pub fn concurrent_requests_see_whole_generations_while_settings_swap<F: Framework>() {
    const READERS: usize = 8;
    const REQUESTS: usize = 200;
    const SWAPS: u64 = 200;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rotation = runtime.block_on(Rotation::start());
    let ready = Barrier::new(READERS + 1);

    let read = || {
        F::block_on(async {
            let app = F::pair(rotation.settings.clone()).await;
            ready.wait();
            for _ in 0..REQUESTS {
                let seen = get::<F>(&app, "/").await;
                let n = seen[5..].split('/').next().unwrap();
                assert_eq!(seen, format!("user-{n}/pass-{n} user-{n}/pass-{n}"));
            }
        });
    };
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(read);
        }
        ready.wait();
        runtime.block_on(async {
            for n in 2..=SWAPS {
                rotation.rotate(n).await;
            }
        });
    });
    assert_eq!(rotation.settings.status().generation(), SWAPS);
    let last = F::block_on(async {
        let app = F::pair(rotation.settings.clone()).await;
        get::<F>(&app, "/").await
    });
    assert_eq!(last, "user-200/pass-200 user-200/pass-200");
}
