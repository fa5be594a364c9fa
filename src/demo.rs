//! The demonstration: a simulated company built around the product registry, which
//! keeps changing while the real daemon follows.
//!
//! Owns the company, the folder in which it all happens, and how it reads on a
//! terminal. Must not reach into the daemon: it is configured by a file, asked for runs
//! by signals, and believed no more than what its database holds. The only module that
//! names the simulator.

mod company;
mod editor;
mod proof;
mod screen;
mod show;
mod stage;
mod wording;

pub use show::{Show, ShowError, Watched, watch};
pub use stage::{Stage, StageError};

/// The registry that the company is built around: the one that ships.
const REGISTRY: &str = include_str!("../config/registry.toml");
