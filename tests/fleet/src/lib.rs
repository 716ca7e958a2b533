//! A fleet of real refreshers against AWS's quotas, in one process and without waiting.
//!
//! Thousands of [`Live`](secrets_provider::Live) settings, as a service has them, run on one thread
//! under tokio's paused clock. They call the in-process fake of Secrets Manager, which enforces the
//! account's quotas, so that what many replicas do to each other is seen: throttling, stampedes, and
//! how long it takes until all have a new value. Nothing of the product is modelled.
//!
//! `fleet` starts replicas and notes what each has, `meter` counts calls by the second, `scenario`
//! says what happens, `baseline` is the loop that services have without the product, and `report`
//! makes rows of it. The binary prints a table; the tests run a small fleet with quotas as small.

mod baseline;
mod fleet;
mod meter;
mod report;
mod scenario;

pub use fleet::{Client, Currency, Selection, Setup};
pub use meter::{OPERATIONS, Rates};
pub use report::{HEADER, Row, dollars_a_month};
pub use scenario::{Result, Scenario, run};
