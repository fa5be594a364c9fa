//! What must hold of the database, judged by the tenant and by the audit alone.

use std::collections::{BTreeMap, BTreeSet};

use nexus_dirsync::registry::Registry;
use serde_json::Value;
use uuid::Uuid;

use crate::stage::Stage;

impl Stage {
    /// Database, audit and its history: all that can be asked without a registry.
    pub async fn assert_converged(&self) {
        self.world.assert_equals_tenant().await;
        self.assert_told_once();
    }

    /// Each audit row belongs to one recorded run, and each run wrote as many as it says:
    /// nothing was lost half-way, nothing was done twice. What the audit made and did not
    /// take away again is what the tables hold.
    pub fn assert_told_once(&self) {
        let mut sql = self.sql();
        sql.hold_still();
        let mut told: BTreeMap<String, u64> = BTreeMap::new();
        let mut ledger = Ledger::default();
        for row in sql.cells(&self.history()) {
            let row: Value = serde_json::from_str(&row).unwrap();
            let run = row["metadata"]["run_id"].as_str().unwrap().to_owned();
            *told.entry(run).or_default() += 1;
            ledger.take(&row);
        }
        for report in sql.cells("SELECT CAST(report AS text) AS cell FROM dirsync_runs") {
            let report: Value = serde_json::from_str(&report).unwrap();
            let changes = report["changes"].as_object().unwrap().values();
            let changes: u64 = changes.map(|count| count.as_u64().unwrap()).sum();
            let run = report["run_id"].as_str().unwrap();
            assert_eq!(told.remove(run).unwrap_or(0), changes, "audit rows of run {run}");
        }
        assert_eq!(told, BTreeMap::new(), "audit rows of runs that never committed");
        for (kind, from) in LEDGER {
            let kept: BTreeSet<String> = sql.cells(from).into_iter().collect();
            assert_eq!(ledger.kept(kind), kept, "{kind}: what the audit made, and what is there");
        }
    }

    fn history(&self) -> String {
        let columns = ["entity_type", "entity_id", "action", "before", "after", "metadata"];
        let build = if self.world.database.url.starts_with("sqlite") {
            let parts = columns.map(|column| match column {
                "before" | "after" | "metadata" => format!("'{column}', json({column})"),
                _ => format!("'{column}', {column}"),
            });
            format!("json_object({})", parts.join(", "))
        } else {
            let parts = columns.map(|column| format!("'{column}', {column}"));
            format!("json_build_object({})::text", parts.join(", "))
        };
        format!("SELECT {build} AS cell FROM audit_logs ORDER BY id")
    }

    /// The view yields exactly the live people of each linked group. Groups are those
    /// which had the registry's names at first: names are bound to objects.
    pub fn assert_view(&self, registry: &Registry, groups: &BTreeMap<String, Uuid>) {
        for entry in &registry.entries {
            let expected: BTreeSet<(String, Uuid)> = self.world.simulator.read(|tenant| {
                let linked = entry.groups.iter().map(|name| groups[&name.to_lowercase()]);
                let live = |user: &Uuid| {
                    tenant.user(*user).is_some_and(|user| {
                        !user.is_deleted() && user.account_enabled == Some(true)
                    })
                };
                linked
                    .filter(|id| tenant.group(*id).is_some_and(|group| !group.is_deleted()))
                    .flat_map(|id| {
                        tenant.effective_users(id).into_iter().map(move |user| (id, user))
                    })
                    .filter(|(_, user)| live(user))
                    .map(|(group, user)| (group.to_string(), user))
                    .collect()
            });
            let seen: BTreeSet<(String, Uuid)> = self.paths(&entry.product);
            assert_eq!(seen, expected, "paths over groups to {}", entry.product);
        }
    }

    fn paths(&self, product: &str) -> BTreeSet<(String, Uuid)> {
        let sql = format!(
            "SELECT g.external_id || ' ' || CAST(i.object_id AS text) AS cell \
             FROM product_access a JOIN products p ON p.id = a.product_id \
             JOIN dirsync_user_identities i ON i.user_id = a.user_id \
             JOIN aad_groups g ON g.id = a.aad_group_id \
             WHERE a.source = 'aad_group' AND p.name = '{product}'"
        );
        let rows = self.sql().cells(&sql);
        let distinct: BTreeSet<_> = rows
            .iter()
            .map(|row| {
                let (group, user) = row.split_once(' ').unwrap();
                (group.to_owned(), user.parse().unwrap())
            })
            .collect();
        assert_eq!(distinct.len(), rows.len(), "{product}: one row a path");
        distinct
    }
}

/// Kinds of the ledger, and where their rows are. Rows of people are not in it: what was
/// adopted had been made by somebody else.
const LEDGER: [(&str, &str); 4] = [
    (
        "aad_group true",
        "SELECT concat_ws(' ', 'null', aad_group_id, user_id) AS cell FROM dirsync_group_members",
    ),
    (
        "product_aad_group true",
        "SELECT concat_ws(' ', product_id, aad_group_id, 'null') AS cell FROM dirsync_registry_links",
    ),
    (
        "product_member false",
        "SELECT concat_ws(' ', product_id, 'null', user_id) AS cell FROM dirsync_registry_members",
    ),
    ("product false", "SELECT CAST(product_id AS text) AS cell FROM dirsync_registry_products"),
];

/// Follows the audit: what is made twice or taken away twice was told twice.
#[derive(Default)]
struct Ledger {
    present: BTreeSet<(String, String)>,
}

impl Ledger {
    fn kept(&self, kind: &str) -> BTreeSet<String> {
        let kept = self.present.iter().filter(|(known, _)| known == kind);
        kept.map(|(_, key)| key.clone()).collect()
    }

    fn take(&mut self, row: &Value) {
        let entity = row["entity_type"].as_str().unwrap();
        let action = row["action"].as_str().unwrap();
        let whole = if row["after"].is_null() { &row["before"] } else { &row["after"] };
        let key = match (entity, action) {
            ("aad_group" | "product_aad_group", "link" | "unlink") | ("product_member", _) => {
                ["product_id", "aad_group_id", "user_id"].map(|id| whole[id].to_string()).join(" ")
            }
            _ => row["entity_id"].to_string(),
        };
        let key = (format!("{entity} {}", action.ends_with("link")), key);
        match action {
            "create" | "link" => assert!(self.present.insert(key), "made twice: {row}"),
            "delete" | "unlink" => assert!(self.present.remove(&key), "taken away twice: {row}"),
            _ => assert_ne!(row["before"], row["after"], "no change: {row}"),
        }
    }
}
