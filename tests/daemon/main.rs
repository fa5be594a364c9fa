//! The real binary from outside: processes, signals, HTTP, exit codes and what it prints.
//!
//! Every scenario ends by looking for secrets in all that was printed, at log level `trace`.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test that cannot go on should stop there"
)]

#[path = "../support/mod.rs"]
mod support;

mod plans;
mod process;
mod stage;
mod truth;

mod access;
mod audit;
mod beside;
mod check;
mod dashboard;
mod exits;
mod first;
mod killed;
mod metrics;
mod mirror;
mod one_run;
mod outages;
mod output;
mod pooler;
mod privacy;
mod registry;
mod reload;
mod replicas;
mod requests;
mod roles;
mod signals;
mod tls;
