//! The audit trail: one row for each decided change, and the proof that it is whole.
//!
//! Owns the shape of `before`, `after` and `metadata`, and the replay that rebuilds
//! the daemon's rows from them.

mod chronicle;
mod entries;
mod replay;
mod shape;
mod take;

pub use entries::AuditEntry;
pub use replay::{Divergence, Verification};
pub(super) use shape::{
    group_json, link_json, member_json, membership_json, product_json, user_json, user_text,
};

use chrono::{SubsecRound, Utc};
use diesel::prelude::*;
use serde_json::{Map, Value, json};

use super::bulk::{ROWS_MAX, insert_rows};
use super::schema::audit_logs;
use super::types::{Json, Label, Time};
use super::{Belongings, Doing, Error, RunInfo, Tx};
use crate::directory::Evidence;
use crate::directory::proof::{Receipt, Record};
use crate::reconcile::guard::{Approval, Release};
use crate::reconcile::report::{Action, Entity};

/// What the daemon signs its rows with.
pub(super) const WRITER: &str = "nexus-dirsync";

#[derive(Debug, Insertable)]
#[diesel(table_name = audit_logs, treat_none_as_default_value = false)]
struct NewAuditRow {
    actor_user_id: Option<i32>,
    actor_type: Label,
    entity_type: Label,
    entity_id: i32,
    action: Label,
    before: Option<Json>,
    after: Option<Json>,
    metadata: Option<Json>,
    created_at: Time,
}

/// Collects audit rows and writes them in large statements.
pub(super) struct AuditLog {
    rows: Vec<NewAuditRow>,
    signature: Map<String, Value>,
    /// The metadata of a row without evidence and products, which most rows have.
    plain: String,
    at: Time,
    written: u64,
}

/// One entry before it is written.
pub(super) struct Entry {
    pub(super) entity: Entity,
    pub(super) entity_id: i32,
    pub(super) action: Action,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) evidence: Option<Evidence>,
    /// What the evidence rests on, where this run saw it.
    pub(super) record: Option<Record>,
    /// Products gained or lost, with the key to name them under.
    pub(super) products: Option<(&'static str, Vec<String>)>,
    /// Who let it through, where it was held.
    pub(super) approval: Option<Release>,
}

impl AuditLog {
    pub(super) fn new(info: &RunInfo) -> Self {
        let mut signature = Map::new();
        signature.insert("writer".into(), json!(WRITER));
        signature.insert("run_id".into(), json!(info.id));
        signature.insert("trigger".into(), json!(info.trigger.label()));
        signature.insert("mode".into(), json!(info.mode.label()));
        if let Some(request_id) = &info.request_id {
            signature.insert("request_id".into(), json!(request_id));
        }
        let plain = Value::Object(signature.clone()).to_string();
        Self { rows: Vec::new(), signature, plain, at: Time(info.now), written: 0 }
    }

    /// Adds an entry; writes when enough have come together.
    pub(super) fn add(&mut self, tx: &mut Tx<'_>, entry: Entry) -> Result<(), Error> {
        let Entry { entity, entity_id, action, before, after, .. } = entry;
        let Entry { evidence, record, products, approval, .. } = entry;
        let metadata = if evidence.is_none() && products.is_none() && approval.is_none() {
            self.plain.clone()
        } else {
            let mut metadata = self.signature.clone();
            let known_when_held = approval.as_ref().and_then(|release| release.evidence);
            if let Some(evidence) = known_when_held.or(evidence) {
                metadata.insert("evidence".into(), json!(evidence.label()));
                // What a later sighting rests on is not what this removal rests on.
                if let Some(record) = record.filter(|record| record.evidence == evidence) {
                    metadata.insert("proof".into(), proof(&record));
                }
            }
            if let Some((key, products)) = products {
                metadata.insert(key.into(), json!(products));
            }
            if let Some(release) = approval {
                metadata.insert("approval".into(), approval_json(&release.approval));
            }
            Value::Object(metadata).to_string()
        };
        self.rows.push(NewAuditRow {
            actor_user_id: None,
            actor_type: Label::of("system"),
            entity_type: Label::of(entity.label()),
            entity_id,
            action: Label::of(action.label()),
            before: before.map(Json),
            after: after.map(Json),
            metadata: Some(Json(metadata)),
            created_at: self.at,
        });
        if self.rows.len() >= ROWS_MAX { self.flush(tx) } else { Ok(()) }
    }

    fn flush(&mut self, tx: &mut Tx<'_>) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        tx.make_room("audit_logs", self.rows.len())?;
        self.written += self.rows.len() as u64;
        insert_rows!(tx.conn, audit_logs::table, &self.rows, "writing the audit")?;
        self.rows.clear();
        Ok(())
    }

    /// Writes the rest; returns how many entries there were.
    pub(super) fn finish(mut self, tx: &mut Tx<'_>) -> Result<u64, Error> {
        self.flush(tx)?;
        Ok(self.written)
    }
}

impl Tx<'_> {
    /// What this role may do with the audit beyond reading and adding to it. Empty is
    /// what `docs/database-roles.sql` makes of it; an embedded database knows no roles.
    pub fn excess_audit_rights(&mut self) -> Result<Vec<String>, Error> {
        #[derive(QueryableByName)]
        struct Right {
            #[diesel(sql_type = diesel::sql_types::Text)]
            name: String,
        }
        if !super::types::is_postgres(self.conn) {
            return Ok(Vec::new());
        }
        let rights: Vec<Right> = diesel::sql_query(
            "SELECT name FROM unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS name
              WHERE has_table_privilege('audit_logs', name)
             UNION ALL
             SELECT 'INSERT (id)' WHERE has_column_privilege('audit_logs', 'id', 'INSERT')",
        )
        .load(self.conn)
        .doing("reading what the role may do")?;
        Ok(rights.into_iter().map(|right| right.name).collect())
    }
}

/// What can be looked up in Graph's own logs.
fn proof(record: &Record) -> Value {
    let Record { evidence: _, receipt: Receipt { request_id, at }, answers } = record;
    json!({ "answers": answers, "request_id": request_id, "read_at": at })
}

fn approval_json(approval: &Approval) -> Value {
    let Approval { plan, by, user_id, break_glass } = approval;
    json!({ "plan": plan, "by": by, "user_id": user_id, "break_glass": break_glass })
}

impl Tx<'_> {
    /// Says that the daemon's tables are given up: from here on nothing is the daemon's.
    pub(super) fn note_forgetting(&mut self, belongings: &Belongings) -> Result<(), Error> {
        let Belongings { people, admins, groups, registry, names } = belongings;
        let forgot = json!({
            "users": people, "admins": admins, "aad_groups": groups,
            "registry_rows": registry, "registry_names": names,
        });
        let row = NewAuditRow {
            actor_user_id: None,
            actor_type: Label::of("system"),
            entity_type: Label::of(Entity::User.label()),
            entity_id: 0,
            action: Label::of(Action::Delete.label()),
            before: None,
            after: None,
            metadata: Some(Json(json!({ "writer": WRITER, FORGOT: forgot }).to_string())),
            created_at: Time(Utc::now().trunc_subsecs(6)),
        };
        self.make_room("audit_logs", 1)?;
        insert_rows!(self.conn, audit_logs::table, [row], "writing the audit")?;
        Ok(())
    }
}

/// The key of `metadata` that says what was given up.
const FORGOT: &str = "forgot";

/// A stored document; says in which row one that is none was found.
fn parse(audit_id: i64, json: Option<Json>) -> Result<Option<Value>, Error> {
    json.map(|Json(text)| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| Error::Corrupt(format!("audit row {audit_id}: {error}")))
}
