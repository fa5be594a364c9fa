//! Held plans: stored once, never changed, answered by people, carried out by runs.
//!
//! Owns where items and answers are kept. What is held and what may be let through is
//! the guard's to decide; here nothing is applied.

mod answers;
mod document;
mod ledger;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;
use uuid::Uuid;

pub use answers::{Decider, Decision};
pub use document::{Counts, PlanHeader, PlanItem};

use super::bulk::{self, ROWS_MAX, Target, insert_rows};
use super::lookup::{UsersBy, load_users};
use super::schema::{dirsync_plan_items as items, dirsync_plans as plans};
use super::types::{Id, Time};
use super::{Doing, Error, RunInfo, Tx};
use crate::directory::{Evidence, ObjectId};
use crate::reconcile::guard::{
    Answer, Approval, Cost, Fate, Held, HeldItem, Losses, NewItem, Outlook, Verdict, weigh_held,
};
use crate::reconcile::plan::{Item, Plan};
use crate::reconcile::report::PendingPlans;
use crate::reconcile::world::World;

/// Item states that runs meet again.
const OPEN: [&str; 4] = ["held", "approved", "left_over", "rejected"];

const ITEMS: Target =
    Target { name: "dirsync_plan_items", key: &["plan_hash", "number"], set: &["status"] };

#[derive(Queryable, Insertable)]
#[diesel(table_name = plans, treat_none_as_default_value = false)]
struct PlanRow {
    hash: String,
    run_id: Id,
    created_at: Time,
    header: String,
    status: String,
    decided_at: Option<Time>,
    decided_by: Option<String>,
    decided_by_user_id: Option<i32>,
    break_glass: Option<String>,
    reason: Option<String>,
    closed_at: Option<Time>,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = items, treat_none_as_default_value = false)]
struct ItemRow {
    plan_hash: String,
    number: i32,
    document: String,
    status: String,
}

#[derive(Serialize)]
struct ItemStatus<'a> {
    plan_hash: &'a str,
    number: i32,
    status: &'static str,
}

/// A plan with what people said about it.
#[derive(Clone, Debug)]
pub struct StoredPlan {
    /// Its hash.
    pub hash: String,
    /// What it is about.
    pub header: PlanHeader,
    /// `pending`, `approved`, `rejected`, or `cleared` because the directory came back.
    pub status: String,
    /// When people answered.
    pub decided_at: Option<DateTime<Utc>>,
    /// Who answered.
    pub decided_by: Option<String>,
    /// Why the glass was broken.
    pub break_glass: Option<String>,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// Since when nothing of it is open.
    pub closed_at: Option<DateTime<Utc>>,
    /// Items by status.
    pub statuses: BTreeMap<String, u64>,
}

/// A stored plan and its items, each with its status.
#[derive(Clone, Debug)]
pub struct PlanDetail {
    /// The plan.
    pub plan: StoredPlan,
    /// The items, by number.
    pub items: Vec<(PlanItem, String)>,
    /// Whether the hash is that of the lines.
    pub intact: bool,
    /// The lines that the hash was taken of.
    pub lines: Vec<String>,
    /// Addresses, as they are now, of people who lose a product by an item that is not
    /// about them alone.
    pub people: BTreeMap<Uuid, String>,
}

/// What a run holds for the first time.
pub struct Holding<'a> {
    /// The run.
    pub info: &'a RunInfo,
    /// The guard's word.
    pub verdict: &'a Verdict,
    /// The plan that it was said about.
    pub plan: &'a Plan,
    /// What of it is carried out.
    pub part: &'a Plan,
    /// The world of that plan.
    pub world: &'a World,
}

impl Tx<'_> {
    /// Every open item, and what people said about it. A yes counts if it was said before the
    /// run read the directory, which is to be observed again after it: `approved` has the
    /// plans of which that is so.
    pub fn held_items(&mut self, approved: &BTreeSet<String>) -> Result<Held, Error> {
        let rows: Vec<(ItemRow, PlanRow)> = items::table
            .inner_join(plans::table)
            .filter(items::status.eq_any(OPEN))
            .order((plans::created_at, items::plan_hash, items::number))
            .load(self.conn)
            .doing("reading held plans")?;
        let altered = self.altered(&rows)?;
        let mut held = Held::new();
        let mut approvals: BTreeMap<String, Arc<Approval>> = BTreeMap::new();
        let mut outlooks: BTreeMap<String, Arc<Outlook>> = BTreeMap::new();
        for (row, plan) in rows {
            let item: PlanItem = document::read(&row.document, &row.plan_hash)?;
            let answer = match row.status.as_str() {
                // What was approved is not what stands there: it is asked anew.
                "approved" if altered.contains(&row.plan_hash) => Answer::LeftOver,
                "approved" if !approved.contains(&row.plan_hash) => Answer::Pending,
                "approved" => Answer::Approved(Arc::clone(
                    approvals.entry(plan.hash.clone()).or_insert_with(|| Arc::new(approval(&plan))),
                )),
                "rejected" => Answer::Rejected,
                "left_over" => Answer::LeftOver,
                _ => Answer::Pending,
            };
            let outlook = match outlooks.entry(plan.hash.clone()) {
                Entry::Occupied(known) => Arc::clone(known.get()),
                Entry::Vacant(place) => Arc::clone(place.insert(Arc::new(outlook(&plan)?))),
            };
            let known = HeldItem {
                plan: row.plan_hash,
                number: row.number,
                answer,
                cost: item.people(),
                evidence: item.evidence.as_deref().and_then(Evidence::parse),
                seen: item.seen(),
                outlook,
            };
            held.insert(item.item()?, known);
        }
        Ok(held)
    }

    /// Plans of which something is approved and not done yet.
    pub fn approved_plans(&mut self) -> Result<BTreeSet<String>, Error> {
        let hashes = items::table
            .filter(items::status.eq("approved"))
            .select(items::plan_hash)
            .distinct()
            .load(self.conn)
            .doing("reading approved plans")?;
        Ok(hashes.into_iter().collect())
    }

    /// Registry names, folded, that somebody approved to be bound anew.
    pub fn approved_names(&mut self) -> Result<BTreeSet<String>, Error> {
        let rebindings = self.items_of_kind("rebinding", &["approved"])?;
        let names = rebindings.into_iter().filter_map(|item| match item {
            Item::Rebinding(name, _) => Some(name),
            _ => None,
        });
        Ok(names.collect())
    }

    /// The items of one kind that are in one of these states.
    fn items_of_kind(&mut self, kind: &str, statuses: &[&str]) -> Result<Vec<Item>, Error> {
        let rows: Vec<(String, String)> = items::table
            .filter(items::status.eq_any(statuses))
            .filter(items::document.like(format!("%\"kind\":\"{kind}\"%")))
            .select((items::plan_hash, items::document))
            .load(self.conn)
            .doing("reading held items")?;
        rows.iter().map(|(hash, text)| document::read::<PlanItem>(text, hash)?.item()).collect()
    }

    /// Approved plans whose lines do not have their hash any more.
    fn altered(&mut self, rows: &[(ItemRow, PlanRow)]) -> Result<BTreeSet<String>, Error> {
        let approved = rows.iter().filter(|(row, _)| row.status == "approved");
        let hashes: BTreeSet<String> = approved.map(|(row, _)| row.plan_hash.clone()).collect();
        let mut altered = BTreeSet::new();
        for hash in hashes {
            if !self.plan(&hash)?.is_some_and(|detail| detail.intact) {
                altered.insert(hash);
            }
        }
        Ok(altered)
    }

    /// Stores what is held for the first time as one plan; returns its hash.
    pub fn hold(&mut self, holding: &Holding<'_>) -> Result<Option<String>, Error> {
        let Holding { info, verdict, plan, part, world } = holding;
        if verdict.held.is_empty() {
            return Ok(None);
        }
        let all: BTreeSet<Item> = verdict.held.keys().cloned().collect();
        let people = people_of(&verdict.held);
        let [lost, gained] = people.map(|people| {
            people.into_iter().map(|(product, who)| (product, who.len() as u64)).collect::<Losses>()
        });
        let mut removals = weigh_held(plan, part, world, &all);
        removals.access = lost.values().sum();
        let document = document::write(
            (info.id, info.now),
            &verdict.held,
            (&verdict.trips, [lost, gained], removals.into()),
            world,
        )?;
        let row = PlanRow {
            hash: document.hash.clone(),
            run_id: Id(info.id),
            created_at: Time(info.now),
            header: document.header,
            status: "pending".to_owned(),
            decided_at: None,
            decided_by: None,
            decided_by_user_id: None,
            break_glass: None,
            reason: None,
            closed_at: None,
        };
        insert_rows!(self.conn, plans::table, [row], "storing a held plan")?;
        let numbered: Vec<(i32, String)> = (1..).zip(document.items).collect();
        for slice in numbered.chunks(ROWS_MAX) {
            let rows: Vec<ItemRow> = slice
                .iter()
                .map(|(number, document_line)| ItemRow {
                    plan_hash: document.hash.clone(),
                    number: *number,
                    document: document_line.clone(),
                    status: "held".to_owned(),
                })
                .collect();
            insert_rows!(self.conn, items::table, &rows, "storing a held plan")?;
        }
        Ok(Some(document.hash))
    }

    /// Notes what became of open items in this run, and closes plans that have none left.
    pub fn settle_items(
        &mut self,
        held: &Held,
        verdict: &Verdict,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let fate = |fate: Fate| match fate {
            Fate::Applied => "applied",
            Fate::Gone => "gone",
            Fate::Changed => "changed",
        };
        let applied = verdict.approved.keys().map(|item| (item, "applied"));
        let dropped = verdict.dropped.iter().map(|(item, became)| (item, fate(*became)));
        let gone = verdict.gone.iter().map(|item| (item, "gone"));
        let moved = verdict
            .held
            .keys()
            .filter(|item| held.get(*item).is_some_and(|known| known.answer == Answer::LeftOver))
            .map(|item| (item, "moved"));
        let rows: Vec<ItemStatus<'_>> = applied
            .chain(dropped)
            .chain(gone)
            .chain(moved)
            .filter_map(|(item, status)| {
                let known = held.get(item)?;
                Some(ItemStatus { plan_hash: &known.plan, number: known.number, status })
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        bulk::update(self.conn, &ITEMS, &rows, "settling held items")?;
        let open = items::table.filter(items::status.eq_any(OPEN)).select(items::plan_hash);
        let over = plans::closed_at.is_null().and(plans::hash.ne_all(open));
        diesel::update(plans::table.filter(over.and(plans::status.eq("pending"))))
            .set((plans::status.eq("cleared"), plans::closed_at.eq(Time(now))))
            .execute(self.conn)
            .doing("clearing held plans")?;
        let open = items::table.filter(items::status.eq_any(OPEN)).select(items::plan_hash);
        diesel::update(
            plans::table.filter(plans::closed_at.is_null().and(plans::hash.ne_all(open))),
        )
        .set(plans::closed_at.eq(Time(now)))
        .execute(self.conn)
        .doing("closing held plans")?;
        Ok(())
    }

    /// Plans, newest first; with `closed`, those that are over as well.
    pub fn plans(&mut self, closed: bool) -> Result<Vec<StoredPlan>, Error> {
        let rows: Vec<PlanRow> = if closed {
            plans::table.order(plans::created_at.desc()).load(self.conn)
        } else {
            plans::table
                .filter(plans::closed_at.is_null())
                .order(plans::created_at.desc())
                .load(self.conn)
        }
        .doing("reading held plans")?;
        let counts: Vec<(String, String, i64)> = items::table
            .group_by((items::plan_hash, items::status))
            .select((items::plan_hash, items::status, diesel::dsl::count_star()))
            .load(self.conn)
            .doing("counting held items")?;
        let mut statuses: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for (hash, status, count) in counts {
            statuses.entry(hash).or_default().insert(status, count.unsigned_abs());
        }
        rows.into_iter()
            .map(|row| {
                let counts = statuses.remove(&row.hash).unwrap_or_default();
                stored(row, counts)
            })
            .collect()
    }

    /// The plan whose hash begins so, with its items; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] where several plans begin so.
    pub fn plan(&mut self, prefix: &str) -> Result<Option<PlanDetail>, Error> {
        let mut rows: Vec<PlanRow> = plans::table
            .filter(plans::hash.like(format!("{}%", prefix.replace(['%', '_'], ""))))
            .limit(2)
            .load(self.conn)
            .doing("reading a held plan")?;
        if rows.len() > 1 {
            return Err(Error::Ambiguous(prefix.to_owned()));
        }
        let Some(row) = rows.pop() else { return Ok(None) };
        let lines: Vec<ItemRow> = items::table
            .filter(items::plan_hash.eq(&row.hash))
            .order(items::number)
            .load(self.conn)
            .doing("reading a held plan's items")?;
        let told = document::hash(&row.header, lines.iter().map(|line| line.document.as_str()));
        let intact = told == row.hash;
        let mut statuses: BTreeMap<String, u64> = BTreeMap::new();
        let mut read = Vec::with_capacity(lines.len());
        let mut texts = vec![row.header.clone()];
        let mut losing: BTreeSet<ObjectId> = BTreeSet::new();
        for line in lines {
            *statuses.entry(line.status.clone()).or_insert(0) += 1;
            let item: PlanItem = document::read(&line.document, &row.hash)?;
            if item.user.is_none() {
                losing.extend(item.people().into_values().flatten());
            }
            read.push((item, line.status));
            texts.push(line.document);
        }
        let people = load_users(self.conn, UsersBy::ObjectIds(&losing))?.into_iter();
        let people =
            people.filter_map(|row| Some((row.identity?.object_id.uuid(), row.email))).collect();
        let plan = stored(row, statuses)?;
        Ok(Some(PlanDetail { plan, items: read, intact, lines: texts, people }))
    }

    /// Plans that wait for a person.
    pub fn pending_plans(&mut self) -> Result<PendingPlans, Error> {
        let made: Vec<Time> = plans::table
            .filter(plans::closed_at.is_null().and(plans::status.eq("pending")))
            .select(plans::created_at)
            .order(plans::created_at)
            .load(self.conn)
            .doing("counting held plans")?;
        let oldest = made.first().map(|time| time.0);
        Ok(PendingPlans { plans: made.len() as u64, oldest })
    }

    /// Forgets plans that were over before `limit`; returns how many.
    pub fn prune_plans(&mut self, limit: DateTime<Utc>) -> Result<usize, Error> {
        diesel::delete(plans::table.filter(plans::closed_at.lt(Time(limit))))
            .execute(self.conn)
            .doing("pruning held plans")
    }
}

fn approval(row: &PlanRow) -> Approval {
    Approval {
        plan: row.hash.clone(),
        by: row.decided_by.clone().unwrap_or_default(),
        user_id: row.decided_by_user_id,
        break_glass: row.break_glass.clone(),
    }
}

fn outlook(row: &PlanRow) -> Result<Outlook, Error> {
    let PlanHeader { emptied, without_admin, .. } = document::read(&row.header, &row.hash)?;
    Ok(Outlook { emptied, without_admin })
}

fn stored(row: PlanRow, statuses: BTreeMap<String, u64>) -> Result<StoredPlan, Error> {
    Ok(StoredPlan {
        header: document::read(&row.header, &row.hash)?,
        hash: row.hash,
        status: row.status,
        decided_at: row.decided_at.map(|time| time.0),
        decided_by: row.decided_by,
        break_glass: row.break_glass,
        reason: row.reason,
        closed_at: row.closed_at.map(|time| time.0),
        statuses,
    })
}

/// Who would lose each product by what is held, and who would gain it.
fn people_of(held: &BTreeMap<Item, NewItem>) -> [Cost; 2] {
    let mut people = [Cost::new(), Cost::new()];
    for (item, new) in held {
        let told = &mut people[usize::from(item.gives())];
        for (product, who) in &new.cost {
            told.entry(product.clone()).or_default().extend(who);
        }
    }
    people
}
