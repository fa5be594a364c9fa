//! Keeps the Nexus Platform's users, Azure AD groups and product access equal to
//! what Microsoft Graph says.
//!
//! In reading order: [`directory`] names things, [`reconcile`] decides, [`graph`] reads,
//! [`store`] keeps, [`sync`] is one run, [`daemon`] is many, [`service`] puts them
//! together from a [`config`]. See ARCHITECTURE.md for the invariants.

pub mod chain;
pub mod cli;
pub mod config;
pub mod daemon;
#[cfg(feature = "demo")]
pub mod demo;
pub mod directory;
pub mod file;
pub mod graph;
pub mod http;
pub mod metrics;
pub mod reconcile;
pub mod registry;
pub mod service;
pub mod store;
pub mod sync;
pub mod telemetry;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The source revision of this build, if whoever built it said so.
pub const REVISION: &str = match option_env!("DIRSYNC_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
