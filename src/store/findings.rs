//! Findings: what a person should look at. Opened once, reworded when they change,
//! resolved when they are over, pruned after their retention.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;

use super::bulk::{self, Target};
use super::schema::dirsync_findings;
use super::types::Time;
use super::{Doing, Error, Tx};
use crate::reconcile::plan::Plan;
use crate::reconcile::report::FindingKind;

const FINDINGS: Target = Target {
    name: "dirsync_findings",
    key: &["kind", "subject"],
    set: &["message", "first_seen_at", "last_seen_at", "resolved_at"],
};
const RESOLVED: Target =
    Target { name: "dirsync_findings", key: &["kind", "subject"], set: &["resolved_at"] };

#[derive(Serialize)]
struct FindingRow<'a> {
    kind: &'static str,
    subject: &'a str,
    message: &'a str,
    first_seen_at: Time,
    last_seen_at: Time,
    resolved_at: Option<Time>,
}

#[derive(Serialize)]
struct ResolvedRow<'a> {
    kind: &'static str,
    subject: &'a str,
    resolved_at: Time,
}

impl Tx<'_> {
    /// Findings that are open, with their message.
    pub fn open_findings(&mut self) -> Result<BTreeMap<(FindingKind, String), String>, Error> {
        let rows: Vec<(String, String, String)> = dirsync_findings::table
            .filter(dirsync_findings::resolved_at.is_null())
            .select((dirsync_findings::kind, dirsync_findings::subject, dirsync_findings::message))
            .load(self.conn)
            .doing("reading findings")?;
        Ok(rows
            .into_iter()
            .filter_map(|(kind, subject, message)| {
                Some(((FindingKind::parse(&kind)?, subject), message))
            })
            .collect())
    }

    /// Since when each open finding is open.
    pub(super) fn findings_since(
        &mut self,
    ) -> Result<BTreeMap<(FindingKind, String), DateTime<Utc>>, Error> {
        let rows: Vec<(String, String, Time)> = dirsync_findings::table
            .filter(dirsync_findings::resolved_at.is_null())
            .select((
                dirsync_findings::kind,
                dirsync_findings::subject,
                dirsync_findings::first_seen_at,
            ))
            .load(self.conn)
            .doing("reading findings")?;
        Ok(rows
            .into_iter()
            .filter_map(|(kind, subject, since)| {
                Some(((FindingKind::parse(&kind)?, subject), since.0))
            })
            .collect())
    }

    /// Writes what a plan found, and what is over. A finding that is reworded stays open since
    /// it was first seen.
    pub(super) fn write_findings(&mut self, plan: &Plan, now: DateTime<Utc>) -> Result<(), Error> {
        let since = if plan.raised.is_empty() { BTreeMap::new() } else { self.findings_since()? };
        let raised: Vec<FindingRow<'_>> = plan
            .raised
            .iter()
            .map(|(key @ (kind, subject), message)| FindingRow {
                kind: kind.label(),
                subject,
                message,
                first_seen_at: Time(since.get(key).copied().unwrap_or(now)),
                last_seen_at: Time(now),
                resolved_at: None,
            })
            .collect();
        bulk::upsert(self.conn, &FINDINGS, &raised, "writing findings")?;
        let resolved: Vec<ResolvedRow<'_>> = plan
            .resolved
            .iter()
            .map(|(kind, subject)| ResolvedRow {
                kind: kind.label(),
                subject,
                resolved_at: Time(now),
            })
            .collect();
        bulk::update(self.conn, &RESOLVED, &resolved, "resolving findings")?;
        Ok(())
    }

    /// Opens, rewords or ends a finding that no plan tells of, as the leader of `epoch`.
    pub fn keep_finding(
        &mut self,
        epoch: Option<i64>,
        (kind, subject): (FindingKind, &str),
        message: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        epoch.map_or(Ok(()), |epoch| self.pass_fence(epoch))?;
        let key = (kind, subject.to_owned());
        let open = self.open_findings()?;
        let mut plan = Plan::default();
        match (message, open.get(&key)) {
            (Some(message), known) if known.is_none_or(|known| known != message) => {
                plan.raised.insert(key, message.to_owned());
            }
            (None, Some(_)) => drop(plan.resolved.insert(key)),
            (Some(_) | None, _) => return Ok(()),
        }
        self.write_findings(&plan, now)
    }

    /// Deletes findings that were resolved before `limit`; returns how many.
    pub fn prune_findings(&mut self, limit: DateTime<Utc>) -> Result<usize, Error> {
        diesel::delete(
            dirsync_findings::table.filter(dirsync_findings::resolved_at.lt(Time(limit))),
        )
        .execute(self.conn)
        .doing("pruning findings")
    }

    /// Open findings by kind.
    pub fn count_findings(&mut self) -> Result<BTreeMap<FindingKind, u64>, Error> {
        let mut counts = BTreeMap::new();
        for (kind, _) in self.open_findings()?.into_keys() {
            *counts.entry(kind).or_insert(0) += 1;
        }
        Ok(counts)
    }
}
