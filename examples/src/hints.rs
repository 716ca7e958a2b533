//! Hints from other queues than SQS: what to copy for Redis, PostgreSQL and NATS. Each message is
//! the name or ARN of a secret that changed.

use futures_util::{Stream, StreamExt as _};
use secrets_provider::Trigger;

use crate::Failure;

/// The messages of a channel of Redis.
///
/// # Errors
///
/// If Redis cannot be reached.
pub async fn of_redis(url: &str) -> Result<impl Stream<Item = Trigger> + Send + 'static, Failure> {
    let mut messages = redis::Client::open(url)?.get_async_pubsub().await?;
    messages.subscribe("secrets").await?;
    let names = messages.into_on_message().map(|message| message.get_payload::<String>());
    Ok(names.filter_map(async |name| name.ok().map(Trigger::secret)))
}

/// The notifications of a channel of PostgreSQL: `NOTIFY secrets, 'gaara/prod/database'`. The
/// listener connects again when its connection is lost.
///
/// # Errors
///
/// If PostgreSQL cannot be reached.
pub async fn of_postgres(
    pool: &sqlx::PgPool,
) -> Result<impl Stream<Item = Trigger> + Send + 'static, Failure> {
    let mut listener = sqlx::postgres::PgListener::connect_with(pool).await?;
    listener.listen("secrets").await?;
    let notes = listener.into_stream();
    Ok(notes.filter_map(async |note| note.ok().map(|note| Trigger::secret(note.payload()))))
}

/// The messages of a subject of NATS.
///
/// # Errors
///
/// If NATS cannot be reached.
pub async fn of_nats(url: &str) -> Result<impl Stream<Item = Trigger> + Send + 'static, Failure> {
    let messages = async_nats::connect(url).await?.subscribe("secrets").await?;
    Ok(messages.map(|message| Trigger::secret(String::from_utf8_lossy(&message.payload))))
}
