//! Whether types that other services made are the enums of the client's data model.
//!
//! The first migration takes a type of such a name as it is, so its labels must do for the
//! table that it is about to make: a label that is missing would only show at a later write.

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Text};

use super::super::SchemaState;
use crate::store::connection::Conn;
use crate::store::{Doing, Error};

/// Each type that the first migration makes: the tables that use it, and its labels.
const ENUMS: &[(&str, &str, &[&str])] = &[
    ("resource_type", "resources", &["application", "agent", "mcp_server", "database", "storage"]),
    ("resource_status", "resources", &["active", "inactive", "provisioning"]),
    ("environment_type", "environments", &["development", "staging", "production"]),
    ("deployment_status", "resource_deployments", &["deployed", "pending", "failed"]),
    ("user_role", "users", &["admin", "user"]),
    ("product_role", "product_members", &["admin", "member"]),
    ("audit_actor_type", "audit_logs", &["user", "system", "service"]),
    (
        "audit_entity_type",
        "audit_logs",
        &[
            "user",
            "product",
            "aad_group",
            "product_aad_group",
            "product_member",
            "resource",
            "environment",
            "resource_deployment",
        ],
    ),
    (
        "audit_action",
        "audit_logs",
        &["create", "update", "delete", "deploy", "undeploy", "link", "unlink", "status_change"],
    ),
];

/// A type as it is.
#[derive(QueryableByName)]
struct Type {
    #[diesel(sql_type = Bool)]
    is_enum: bool,
    #[diesel(sql_type = Array<Text>)]
    labels: Vec<String>,
}

/// Refuses types that a table which is still to be made could not use; on PostgreSQL alone.
pub(super) fn check(conn: &mut Conn, table: &str) -> Result<(), Error> {
    for (name, _, wanted) in ENUMS.iter().filter(|(_, of, _)| *of == table) {
        let sql = format!(
            "SELECT typtype = 'e' AS is_enum,
                    ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid
                           ORDER BY enumsortorder) AS labels
               FROM pg_type t WHERE oid = to_regtype('{name}')"
        );
        let Conn::Postgres(pg) = conn else { return Ok(()) };
        let found: Option<Type> = diesel::sql_query(sql)
            .get_result(pg)
            .optional()
            .doing("looking at types of other services")?;
        if let Some(what) = found.and_then(|found| wrong(name, wanted, &found)) {
            return Err(Error::Schema(SchemaState::Foreign(what).to_string()));
        }
    }
    Ok(())
}

/// What is wrong with a type, and what to do about it.
fn wrong(name: &str, wanted: &[&str], found: &Type) -> Option<String> {
    let lacks = |label: &&&str| !found.labels.iter().any(|known| known == **label);
    let lacking: Vec<&str> = wanted.iter().filter(lacks).copied().collect();
    if lacking.is_empty() {
        return None;
    }
    let (has, remedy) = match &found.labels[..] {
        _ if !found.is_enum => ("it is no enum".to_owned(), String::new()),
        labels => {
            let has = if labels.is_empty() { "no labels".to_owned() } else { labels.join(", ") };
            let add =
                format!(", add what it lacks (ALTER TYPE {name} ADD VALUE '{}' …)", lacking[0]);
            (format!("it has {has}"), add)
        }
    };
    let lacking = lacking.join(", ");
    Some(format!(
        "type {name} exists but is not that of the data model ({has}; it lacks {lacking}); rename it (ALTER TYPE {name} RENAME TO …){remedy}, or use another database"
    ))
}
