//! Keeps the Nexus Platform's users, Azure AD groups and product access equal to
//! what Microsoft Graph says.

pub mod chain;
pub mod directory;
pub mod graph;
pub mod reconcile;
pub mod registry;
pub mod store;
pub mod sync;
