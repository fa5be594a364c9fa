//! Keeps the Nexus Platform's users, Azure AD groups and product access equal to
//! what Microsoft Graph says.

pub mod chain;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod directory;
pub mod http;
pub mod metrics;
pub mod reconcile;
pub mod telemetry;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The source revision of this build, if whoever built it said so.
pub const REVISION: &str = match option_env!("DIRSYNC_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
