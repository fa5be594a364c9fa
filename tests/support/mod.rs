//! What integration tests share: databases, a run against the simulator, and the truth.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test that cannot go on should stop there"
)]

pub mod company;
pub mod platform;
pub mod postgres;
pub mod proxy;
pub mod sql;
pub mod world;
