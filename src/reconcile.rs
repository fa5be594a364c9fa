//! The verbs: fold, plan, guard, report. Pure and synchronous.
//!
//! Decides everything and does nothing: no clock, no I/O, no async, no tokio, no
//! diesel, no serde, no tracing. The same input gives the same plan, byte for byte.

pub mod fold;
pub mod guard;
pub mod placeholder;
pub mod plan;
pub mod report;
pub mod world;
