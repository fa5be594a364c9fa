//! What a plan must say, row by row, and what must hold of every plan.
//!
//! A row is a small story in the notation of [`script`]; the platform that it plays on
//! is [`model`]: maps instead of tables, and a loader that keeps the promises of
//! [`World`](crate::reconcile::world::World) to the letter.

mod access;
mod addresses;
mod adoption;
mod closed;
mod furnished;
mod groups;
mod held;
mod model;
mod properties;
mod registry;
mod roles;
mod script;
mod tenants;
mod times;
mod users;

use script::check;
