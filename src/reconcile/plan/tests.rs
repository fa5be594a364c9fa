//! What a plan must say, row by row, and what must hold of every plan.
//!
//! A row is a small story in the notation of [`script`]; the platform that it plays on
//! is [`model`]: maps instead of tables, and a loader that keeps the promises of
//! [`World`](crate::reconcile::world::World) to the letter.

mod access;
mod addresses;
mod adoption;
mod groups;
mod model;
mod registry;
mod script;
mod users;

use script::check;
