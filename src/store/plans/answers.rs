//! What people say about held plans, and whose word counts.
//!
//! Records only: an answer applies nothing.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::{ITEMS, ItemStatus, items, plans};
use crate::directory::{ObjectId, fold_case};
use crate::reconcile::plan::Item;
use crate::store::bulk;
use crate::store::lookup::lower;
use crate::store::schema::users;
use crate::store::types::{Id, Label, Time};
use crate::store::{Doing, Error, Tx};

/// What a person says about a plan.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Let these items through, by number.
    Approve(BTreeSet<i32>),
    /// Let nothing through, and why.
    Reject(String),
}

/// Who says it.
#[derive(Clone, Debug)]
pub struct Decider {
    /// The address, or who broke the glass.
    pub by: String,
    /// The admin's row.
    pub user_id: Option<i32>,
    /// Why the glass was broken.
    pub break_glass: Option<String>,
}

impl Tx<'_> {
    /// Records what a person says about the items of a pending plan that are still held;
    /// returns how many it was said about. Nothing is applied by it.
    ///
    /// # Errors
    /// [`Error::Decided`] if nothing of the plan waits for an answer.
    pub fn decide_plan(
        &mut self,
        hash: &str,
        decider: &Decider,
        decision: &Decision,
        now: DateTime<Utc>,
    ) -> Result<usize, Error> {
        let Decider { by, user_id, break_glass } = decider;
        let (status, reason) = match decision {
            Decision::Approve(_) => ("approved", None),
            Decision::Reject(reason) => ("rejected", Some(reason.as_str())),
        };
        let pending = plans::table.find(hash).filter(plans::status.eq("pending"));
        let decided = diesel::update(pending)
            .set((
                plans::status.eq(status),
                plans::decided_at.eq(Some(Time(now))),
                plans::decided_by.eq(Some(by.as_str())),
                plans::decided_by_user_id.eq(*user_id),
                plans::break_glass.eq(break_glass.as_deref()),
                plans::reason.eq(reason),
            ))
            .execute(self.conn)
            .doing("recording a decision")?;
        if decided == 0 {
            return Err(Error::Decided(hash.to_owned()));
        }
        let held = items::plan_hash.eq(hash).and(items::status.eq("held"));
        let open: BTreeSet<i32> = items::table
            .filter(held)
            .select(items::number)
            .load(self.conn)
            .doing("reading a held plan's items")?
            .into_iter()
            .collect();
        let otherwise = match decision {
            Decision::Approve(_) => "left_over",
            Decision::Reject(_) => "rejected",
        };
        diesel::update(items::table.filter(held))
            .set(items::status.eq(otherwise))
            .execute(self.conn)
            .doing("recording a decision")?;
        let Decision::Approve(numbers) = decision else { return Ok(open.len()) };
        // What is gone by now was not held any more, and is nobody's to approve.
        let chosen: BTreeSet<i32> = numbers.intersection(&open).copied().collect();
        if chosen.is_empty() {
            return Err(Error::Decided(hash.to_owned()));
        }
        {
            let rows: Vec<ItemStatus<'_>> = chosen
                .iter()
                .map(|number| ItemStatus { plan_hash: hash, number: *number, status: "approved" })
                .collect();
            bulk::update(self.conn, &ITEMS, &rows, "recording a decision")?;
        }
        Ok(chosen.len())
    }

    /// The live admin with this address: row and address as it is written there.
    pub fn live_admin(&mut self, email: &str) -> Result<Option<(i32, String)>, Error> {
        let admins = self.live_admins(Some(email))?;
        Ok(admins.into_iter().next())
    }

    /// Whether the platform has a live admin at all.
    pub fn has_live_admin(&mut self) -> Result<bool, Error> {
        Ok(!self.live_admins(None)?.is_empty())
    }

    fn live_admins(&mut self, email: Option<&str>) -> Result<Vec<(i32, String)>, Error> {
        use crate::store::schema::{
            dirsync_observed_users as observed, dirsync_user_identities as identities,
        };
        // Somebody whose own end is held is no longer one whose word counts, and neither is
        // whoever is an admin only because that is held.
        let seen = observed::object_id.is_null().or(observed::presence
            .eq("present")
            .and(observed::enabled.is_null().or(observed::enabled.eq(true))));
        let mut query = users::table
            .left_join(identities::table.on(identities::user_id.eq(users::id)))
            .left_join(
                observed::table
                    .on(observed::object_id.nullable().eq(identities::object_id.nullable())),
            )
            .filter(users::role.eq(Label::of("admin")))
            .filter(identities::state.is_null().or(identities::state.eq("live")))
            .filter(seen)
            .select((users::id, users::email, identities::object_id.nullable()))
            .into_boxed();
        if let Some(email) = email {
            query = query.filter(lower(users::email).eq(fold_case(email)));
        }
        let admins: Vec<(i32, String, Option<Id>)> =
            query.load(self.conn).doing("looking for an admin")?;
        let ending = self.ending_roles()?;
        let stays = |id: &Option<Id>| id.is_none_or(|id| !ending.contains(&id.into()));
        let admins = admins.into_iter().filter(|(.., id)| stays(id));
        Ok(admins.map(|(row, email, _)| (row, email)).collect())
    }

    /// Whose role is to be taken back, and was not refused.
    fn ending_roles(&mut self) -> Result<BTreeSet<ObjectId>, Error> {
        let roles = self.items_of_kind("role_removal", &["held", "approved", "left_over"])?;
        let people = roles.into_iter().filter_map(|item| match item {
            Item::Role(user) => Some(user),
            _ => None,
        });
        Ok(people.collect())
    }
}
