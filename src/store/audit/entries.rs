//! What one run wrote into the audit, for whoever shows a run.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;

use crate::store::schema::audit_logs;
use crate::store::types::{Json, Label, Time};
use crate::store::{Doing, Error, Tx};

/// An entry of the audit as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Its number.
    pub id: i64,
    /// The kind of row that changed.
    pub entity: String,
    /// The id of that row.
    pub entity_id: i32,
    /// What happened to it.
    pub action: String,
    /// The row before.
    pub before: Option<Value>,
    /// The row after.
    pub after: Option<Value>,
    /// Who did it in which run, and why.
    pub metadata: Option<Value>,
}

type Row = (i64, Label, i32, Label, Option<Json>, Option<Json>, Option<Json>);

impl Tx<'_> {
    /// The first entries of the run that began at `began`, in the order of writing: a
    /// run's entries all carry the time at which it began.
    pub fn audit_of_run(
        &mut self,
        began: DateTime<Utc>,
        rows_max: i64,
    ) -> Result<Vec<AuditEntry>, Error> {
        let rows: Vec<Row> = audit_logs::table
            .filter(audit_logs::created_at.eq(Time(began)))
            .filter(audit_logs::actor_type.eq(Label::of("system")))
            .order(audit_logs::id)
            .limit(rows_max)
            .select((
                audit_logs::id,
                audit_logs::entity_type,
                audit_logs::entity_id,
                audit_logs::action,
                audit_logs::before,
                audit_logs::after,
                audit_logs::metadata,
            ))
            .load(self.conn)
            .doing("reading the audit")?;
        rows.into_iter().map(entry).collect()
    }
}

fn entry(
    (id, entity, entity_id, action, before, after, metadata): Row,
) -> Result<AuditEntry, Error> {
    Ok(AuditEntry {
        id,
        entity: entity.0.into_owned(),
        entity_id,
        action: action.0.into_owned(),
        before: super::parse(id, before)?,
        after: super::parse(id, after)?,
        metadata: super::parse(id, metadata)?,
    })
}
