//! Reads the audit's rows one by one: each must fit itself, and what stood there before it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::chronicle::Chronicle;
use super::replay::{Replay, RowText};
use super::{Divergence, FORGOT, Verification, WRITER, parse};
use crate::reconcile::report::Action;
use crate::store::Error;
use crate::store::types::{Json, Label, Time};

/// A row of the audit as it is loaded.
pub(super) type AuditRow = (i64, Label, i32, Label, Time, Option<Json>, Option<Json>, Option<Json>);

/// What was read so far, and what it makes of the rows.
pub(super) struct Reader {
    replay: Replay,
    chronicle: Chronicle,
    verification: Verification,
    /// Ends of what nobody told the beginning of, until the row that they go with is met.
    loose: Vec<Loose>,
}

/// The end of a link or product membership that may be people's: it is in order if the
/// same run purges its group or user.
struct Loose {
    run: Value,
    /// Entity and id of the row whose purge would explain it.
    with: (&'static str, i64),
    divergence: Divergence,
}

/// One row of the daemon, understood.
struct Told<'a> {
    audit_id: i64,
    entity: &'a str,
    id: i64,
    action: &'a str,
    before: Option<Value>,
    after: Option<Value>,
    run: Value,
}

impl Reader {
    pub(super) fn new(chronicle: Chronicle) -> Self {
        let (replay, verification) = (Replay::default(), Verification::default());
        Self { replay, chronicle, verification, loose: Vec::new() }
    }

    /// What was found, and what the rows make of the tables.
    pub(super) fn finish(self) -> (Replay, Verification) {
        let Self { replay, chronicle, mut verification, loose } = self;
        verification.divergences.extend(loose.into_iter().map(|loose| loose.divergence));
        verification.divergences.extend(chronicle.into_divergences());
        (replay, verification)
    }

    pub(super) fn take(&mut self, row: AuditRow) -> Result<(), Error> {
        let (audit_id, entity, entity_id, action, Time(created_at), before, after, metadata) = row;
        let mut metadata = parse(audit_id, metadata)?.unwrap_or_default();
        if metadata["writer"] != WRITER {
            return Ok(());
        }
        self.verification.rows += 1;
        if metadata.get(FORGOT).is_some() {
            if !self.chronicle.forget(audit_id, created_at) {
                return Ok(());
            }
            // Whatever was the daemon's is people's from here on.
            self.replay = Replay::default();
            self.verification.foreign.clear();
            self.verification.divergences.clear();
            self.loose.clear();
            return Ok(());
        }
        self.chronicle.take(audit_id, created_at, &metadata, (&entity.0, &action.0));
        let told = Told {
            audit_id,
            entity: &entity.0,
            id: entity_id.into(),
            action: &action.0,
            before: parse(audit_id, before)?,
            after: parse(audit_id, after)?,
            run: metadata["run_id"].take(),
        };
        if let Some(what) = told.misfit() {
            self.say(audit_id, what);
        }
        self.replay_row(&told);
        Ok(())
    }

    fn replay_row(&mut self, told: &Told<'_>) {
        let Some(key) = told.key() else {
            return self.say(told.audit_id, format!("names no {} that there can be", told.entity));
        };
        let Replay { users, groups, products, links, members, .. } = &mut self.replay;
        let after = told.after.as_ref().map(RowText::new);
        let stood = match (told.entity, key) {
            ("user", Key::One(id)) => replace(users, id, after),
            ("aad_group", Key::One(id)) => replace(groups, id, after),
            ("aad_group", Key::Two(group, user)) => return self.membership(told, (group, user)),
            ("product", Key::One(id)) => replace(products, id, after),
            ("product_aad_group", Key::Two(a, b)) => replace(links, (a, b), after),
            (_, Key::Two(a, b)) => replace(members, (a, b), after),
            (_, Key::One(_)) => return,
        };
        if told.action == Action::Delete.label() {
            let purged =
                |loose: &Loose| loose.run == told.run && loose.with == (told.entity, told.id);
            self.loose.retain(|loose| !purged(loose));
        }
        self.compare(told, key, stood.as_ref());
    }

    /// Compares what the row says stood there with what the rows above it say.
    fn compare(&mut self, told: &Told<'_>, key: Key, stood: Option<&RowText>) {
        match (&told.before, stood) {
            (Some(before), Some(stood)) if RowText::new(before) == *stood => {}
            (None, None) => {}
            (Some(before), None) if told.is_peoples(before) => {}
            (Some(_), None) => {
                let what = "ends or changes a row that no audit row above it tells of";
                let divergence = at(told.audit_id, what.to_owned());
                match told.purged_with(key) {
                    Some(with) => {
                        self.loose.push(Loose { run: told.run.clone(), with, divergence });
                    }
                    None => self.verification.divergences.push(divergence),
                }
            }
            (_, Some(_)) => self.verification.foreign.push(Divergence {
                entity: told.entity.to_owned(),
                id: told.id.to_string(),
                what: format!("somebody else changed the row before audit row {}", told.audit_id),
            }),
        }
    }

    /// Nobody but the daemon writes effective members, so that nothing is people's here.
    fn membership(&mut self, told: &Told<'_>, key: (i64, i64)) {
        if told.after.is_some() {
            if !self.replay.memberships.insert(key) {
                self.say(told.audit_id, "links what the audit has linked already".to_owned());
            }
        } else if !self.replay.memberships.remove(&key) {
            self.say(told.audit_id, "unlinks what the audit has never linked".to_owned());
        }
    }

    fn say(&mut self, audit_id: i64, what: String) {
        self.verification.divergences.push(at(audit_id, what));
    }
}

/// What identifies a row.
#[derive(Clone, Copy)]
enum Key {
    One(i64),
    Two(i64, i64),
}

impl Told<'_> {
    fn either(&self) -> Option<&Value> {
        self.before.as_ref().or(self.after.as_ref())
    }

    fn is_membership(&self) -> bool {
        self.entity == "aad_group" && self.either().is_some_and(|row| row.get("user_id").is_some())
    }

    fn key(&self) -> Option<Key> {
        let field = |name: &str| self.either().and_then(|row| row[name].as_i64());
        match self.entity {
            "aad_group" if self.is_membership() => {
                Some(Key::Two(field("aad_group_id")?, field("user_id")?))
            }
            "user" | "aad_group" | "product" => Some(Key::One(self.id)),
            "product_aad_group" => Some(Key::Two(field("product_id")?, field("aad_group_id")?)),
            "product_member" => Some(Key::Two(field("product_id")?, field("user_id")?)),
            _ => None,
        }
    }

    /// Whether the row that stood there was not the daemon's yet: it is adopted or taken over.
    fn is_peoples(&self, before: &Value) -> bool {
        match self.entity {
            "user" => before["identity"].is_null(),
            "aad_group" => before["state"].is_null(),
            _ => false,
        }
    }

    /// The purge that would explain the end of what people made.
    fn purged_with(&self, key: Key) -> Option<(&'static str, i64)> {
        match (self.entity, key) {
            ("product_aad_group", Key::Two(_, group)) => Some(("aad_group", group)),
            ("product_member", Key::Two(_, user)) if self.after.is_none() => Some(("user", user)),
            _ => None,
        }
    }

    /// What does not fit: the action to what is told, or what is told to the row.
    fn misfit(&self) -> Option<String> {
        let fits = self.fitting();
        if fits != Some(self.action) {
            let meant = fits.unwrap_or("no change at all");
            return Some(format!("says {}, but before and after tell {meant}", self.action));
        }
        let own = match self.entity {
            "aad_group" if self.is_membership() => "aad_group_id",
            "product_aad_group" | "product_member" => "product_id",
            _ => "id",
        };
        let other = |row: &&Value| row[own].as_i64() != Some(self.id);
        let differs = self.before.iter().chain(&self.after).find(other);
        differs.map(|row| format!("is about {} {}, but tells {}", self.entity, self.id, row[own]))
    }

    /// The action that `before` and `after` tell.
    fn fitting(&self) -> Option<&'static str> {
        let linked = self.entity == "product_aad_group" || self.is_membership();
        let action = match (&self.before, &self.after) {
            (None, None) => return None,
            (None, Some(_)) if linked => Action::Link,
            (Some(_), None) if linked => Action::Unlink,
            (Some(_), Some(_)) if linked => return None,
            (None, Some(_)) => Action::Create,
            (Some(_), None) => Action::Delete,
            (Some(before), Some(_)) if self.is_peoples(before) => Action::Update,
            (Some(before), Some(after)) if state(before) != state(after) => Action::StatusChange,
            (Some(_), Some(_)) => Action::Update,
        };
        Some(action.label())
    }
}

/// The state of a user or a group; nothing else has one.
fn state(row: &Value) -> Option<&Value> {
    row.get("identity").map_or_else(|| row.get("state"), |identity| identity.get("state"))
}

fn at(audit_id: i64, what: String) -> Divergence {
    Divergence { entity: "audit_logs".to_owned(), id: audit_id.to_string(), what }
}

fn replace<K: Ord>(
    rows: &mut BTreeMap<K, RowText>,
    key: K,
    after: Option<RowText>,
) -> Option<RowText> {
    match after {
        Some(after) => rows.insert(key, after),
        None => rows.remove(&key),
    }
}
