//! The hard cases: one story each, in tables, on both databases.
//!
//! Every story is played on SQLite and on PostgreSQL, and each time with its turns as
//! delta runs and as full runs: what must hold afterwards is the same. `story` tells the
//! notation and what holds after every story.

mod addresses;
mod lives;
mod memberships;
mod names;
mod purges;
mod registry;
mod scope;
mod story;
mod tenant;
