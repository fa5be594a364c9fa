//! The promises of the database side, held on SQLite and on PostgreSQL alike: schema,
//! transactions, audit, guard, removal, registry, scope.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod admins;
mod answered;
mod atomic;
mod behind;
mod by_hand;
mod chronicle;
mod counted;
mod cursor;
mod drift;
mod ending;
mod forgetting;
mod guard;
mod hard_cases;
mod history;
mod lead;
mod linked;
mod model;
mod overtaken;
mod owners;
mod people;
mod placeholder;
mod plans;
mod proof;
mod rebinding;
mod registry;
mod rehearsal;
mod removal;
mod replica;
mod returned;
mod schema;
mod scope;
mod silent;
mod stale;
mod standing;
mod surge;
mod takeover;

/// What the scenarios are written in.
mod prelude {
    pub(crate) use std::collections::BTreeSet;
    pub(crate) use std::time::Duration;

    pub(crate) use nexus_dirsync::directory::Mode::{Delta, Full};
    pub(crate) use nexus_dirsync::reconcile::report::Outcome;

    pub(crate) use crate::support::company::{
        Groups, address, company, found, guest, hire, id, person,
    };
    pub(crate) use crate::support::platform::{at_most, entry};
    pub(crate) use crate::support::world::{BOTH, Database, On, World, unlimited};
}
