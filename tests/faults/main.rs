//! Proof by attack: the real binary between a PostgreSQL behind a proxy and a simulated
//! tenant, and everything that can go wrong, drawn from a seed.
//!
//! After every step the safety invariants are checked from outside; in the end the faults
//! stop and the database must equal the tenant. `DIRSYNC_SEED=7` lives one seed again,
//! `DIRSYNC_SEEDS=200` lives so many of them, `DIRSYNC_SEED_FIRST=1000` says from where.
//! The schedule follows from the seed; which of two processes is faster does not.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test that cannot go on should stop there"
)]

#[path = "../daemon/process.rs"]
#[allow(dead_code, reason = "shared with the tests of the daemon")]
mod process;
#[path = "../daemon/stage.rs"]
#[allow(dead_code, reason = "shared with the tests of the daemon")]
mod stage;
#[path = "../support/mod.rs"]
mod support;
#[path = "../daemon/truth.rs"]
#[allow(dead_code, reason = "shared with the tests of the daemon")]
mod truth;

mod attack;
mod chronicle;
mod every_fault;
mod every_message;
mod life;
mod liveness;
mod proxy;
mod safety;
mod schedule;
mod seeds;
