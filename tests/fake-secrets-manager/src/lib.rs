//! A fake of AWS Secrets Manager, to test against what it does and what goes wrong with it.
//!
//! [`FakeSecretsManager`] speaks the service's protocol over HTTP on a loopback port, for any
//! client, and hands out an SDK client that needs no socket. Secrets have versions and staging
//! labels that move as AWS documents; names, sizes and tokens are checked; errors carry AWS's
//! codes.
//!
//! A [queue](FakeSecretsManager::queue) gets the events that EventBridge has when a label moves; the
//! same endpoint answers for it as SQS does.
//!
//! What a test controls: an IAM policy to be enforced, denials of single actions or secrets, KMS
//! keys, [faults](Fault), quotas, how late a listing is, and a closure in place of a rotation
//! function. What it observes: how many calls of each operation arrived.
//!
//! # What differs from AWS
//!
//! - `RotateSecret` answers when the rotation is over, not while it runs.
//! - Every write is seen at once, except by a listing that is [late to
//!   order](FakeSecretsManager::delay_listing).
//! - A forced deletion is over when it is answered.
//! - There is one account, and one region unless there are [replicas](FakeSecretsManager::replica);
//!   signatures aren't checked, and every caller is the same one.
//! - Rotation schedules are kept and shown, but nothing rotates by itself.
//! - Of SQS, queues are made, tagged, listed and deleted, and messages received, deleted and sent.
//!   Of SNS, queues are subscribed and unsubscribed. Of a queue's own policy, only what lets a topic
//!   send is checked.
//! - Resource policies aren't there, and no call replicates: `UnknownOperationException`.

mod access;
mod controls;
mod error;
mod events;
mod fake;
mod fault;
mod filter;
mod history;
mod in_process;
mod operations;
mod paging;
mod password;
mod policy;
mod replica;
mod rotation;
mod secret;
mod server;
mod shared;
mod state;
mod topics;
mod wire;

pub use fake::FakeSecretsManager;
pub use fault::{Fault, FaultId};
pub use history::CurrentVersion;
pub use policy::PolicyError;
pub use rotation::{RotationStep, Step};
