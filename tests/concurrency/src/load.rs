//! The answers' file, and what the others ask of `load`.

pub(crate) mod retry {
    pub(crate) use super::answer;

    pub(crate) mod task_runtime {
        /// Every task goes on here.
        #[derive(Debug, Clone)]
        pub(crate) struct TaskRuntime;

        impl TaskRuntime {
            pub(crate) fn current() -> Self {
                Self
            }

            pub(crate) fn without() -> Self {
                Self
            }

            pub(crate) async fn run_while_driven<F: Future>(&self, future: F) -> Option<F::Output> {
                Some(future.await)
            }
        }
    }
}

#[path = "../../../secrets-provider/src/load/retry/answer.rs"]
pub(crate) mod answer;

pub(crate) mod blocking {
    use crate::error::Error;

    /// There is no runtime of tokio here, so reads are started by this.
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        crate::spawn(task);
        Ok(())
    }
}

pub(crate) mod notify {
    use std::sync::Arc;

    use futures_util::future::BoxFuture;

    pub(crate) type Subscriber = dyn Fn(&str) -> BoxFuture<'static, ()> + Send + Sync;

    pub(crate) struct Notifier;

    impl Notifier {
        pub(crate) fn subscribe(&self, _: &Arc<Subscriber>) {}
    }
}
