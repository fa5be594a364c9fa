//! Keeps the Nexus Platform's users, Azure AD groups and product access equal to
//! what Microsoft Graph says.

pub mod config;
pub mod directory;
pub mod reconcile;
