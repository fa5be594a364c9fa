//! Whether tables that other services made are those of the client's data model.
//!
//! Asked before the first migration touches them. Names must be the model's; types
//! must be such that the daemon can read and write them, whatever an enum is called.

mod enums;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::super::connection::Conn;
use super::super::{Doing, Error};
use super::SchemaState;

/// What the daemon needs of a column.
#[derive(Clone, Copy)]
enum Need {
    /// Nothing: it never reads or writes it.
    There,
    Integer,
    Bigint,
    Words,
    Time,
    Json,
    /// An enum with at least these labels, under any name, or text.
    Label(&'static [&'static str]),
}

use Need::{Bigint, Integer, Json, Label, There, Time, Words};

type Table = (&'static str, &'static [(&'static str, Need)]);

const MODEL: &[Table] = &[
    (
        "products",
        &[
            ("id", Integer),
            ("name", Words),
            ("description", Words),
            ("created_at", Time),
            ("updated_at", Time),
        ],
    ),
    (
        "resources",
        &[
            ("id", Integer),
            ("name", There),
            ("type", There),
            ("product_id", Integer),
            ("status", There),
            ("config", There),
            ("created_at", There),
            ("updated_at", There),
        ],
    ),
    ("environments", &[("id", Integer), ("name", There), ("type", There), ("created_at", There)]),
    (
        "resource_deployments",
        &[
            ("resource_id", Integer),
            ("environment_id", Integer),
            ("version", There),
            ("status", There),
            ("deployed_at", There),
            ("deployed_by", Integer),
        ],
    ),
    (
        "users",
        &[
            ("id", Integer),
            ("email", Words),
            ("name", Words),
            ("role", Label(&["admin", "user"])),
            ("created_at", Time),
            ("updated_at", Time),
        ],
    ),
    (
        "aad_groups",
        &[
            ("id", Integer),
            ("external_id", Words),
            ("display_name", Words),
            ("created_at", Time),
            ("updated_at", Time),
        ],
    ),
    (
        "product_aad_groups",
        &[("product_id", Integer), ("aad_group_id", Integer), ("created_at", Time)],
    ),
    (
        "product_members",
        &[
            ("user_id", Integer),
            ("product_id", Integer),
            ("role", Label(&["admin", "member"])),
            ("joined_at", Time),
        ],
    ),
    (
        "audit_logs",
        &[
            ("id", Bigint),
            ("actor_user_id", Integer),
            ("actor_type", Label(&["system"])),
            (
                "entity_type",
                Label(&["user", "product", "aad_group", "product_aad_group", "product_member"]),
            ),
            ("entity_id", Integer),
            ("action", Label(&["create", "update", "delete", "link", "unlink", "status_change"])),
            ("before", Json),
            ("after", Json),
            ("metadata", Json),
            ("created_at", Time),
        ],
    ),
];

/// A column as it is.
#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    /// The type's name; none where the database does not hold columns to types.
    #[diesel(sql_type = Nullable<Text>)]
    kind: Option<String>,
    /// The labels of an enum, each with a comma after it.
    #[diesel(sql_type = Nullable<Text>)]
    labels: Option<String>,
}

/// Refuses a table of the model's name that is not the model's table, by name.
pub(super) fn check(conn: &mut Conn) -> Result<(), Error> {
    for (table, needs) in MODEL {
        let columns = columns(conn, table)?;
        let wrong: Vec<String> =
            needs.iter().filter_map(|(name, need)| wrong(&columns, name, *need)).collect();
        if !columns.is_empty() && !wrong.is_empty() {
            let what = format!(
                "\"{table}\" exists but is not the table of the data model ({}); rename it or use another database",
                wrong.join(", ")
            );
            return Err(Error::Schema(SchemaState::Foreign(what).to_string()));
        }
        if !columns.is_empty() && READ_WHOLE.contains(table) {
            require_values(conn, table, needs)?;
        }
        if columns.is_empty() && matches!(conn, Conn::Postgres(_)) {
            enums::check(conn, table)?;
        }
    }
    Ok(())
}

/// Tables of which every row is read, whoever made it: all but the description is needed.
const READ_WHOLE: [&str; 5] =
    ["products", "users", "aad_groups", "product_aad_groups", "product_members"];

/// Refuses rows without a value that every run would stumble upon.
fn require_values(
    conn: &mut Conn,
    table: &str,
    needs: &[(&'static str, Need)],
) -> Result<(), Error> {
    for (column, _) in needs.iter().filter(|(column, _)| *column != "description") {
        let sql = format!("SELECT count(*) AS count FROM {table} WHERE {column} IS NULL");
        let Rows { count } =
            diesel::sql_query(sql).get_result(conn).doing("looking at rows of other services")?;
        if count > 0 {
            let what = format!(
                "\"{table}\" has {count} row(s) without {column}, which the data model asks for; give them a value (UPDATE {table} SET {column} = … WHERE {column} IS NULL) and run this again"
            );
            return Err(Error::Schema(SchemaState::Foreign(what).to_string()));
        }
    }
    Ok(())
}

/// How many rows there are.
#[derive(QueryableByName)]
struct Rows {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The columns of a table or view; none where there is none.
fn columns(conn: &mut Conn, table: &str) -> Result<Vec<Column>, Error> {
    let sql = match conn {
        Conn::Postgres(_) => format!(
            "SELECT a.attname::text AS name, t.typname::text AS kind,
                    (SELECT string_agg(enumlabel || ',', '') FROM pg_enum WHERE enumtypid = t.oid) AS labels
               FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
              WHERE a.attrelid = to_regclass('{table}') AND a.attnum > 0 AND NOT a.attisdropped"
        ),
        Conn::Sqlite(_) => {
            format!("SELECT name, NULL AS kind, NULL AS labels FROM pragma_table_info('{table}')")
        }
    };
    diesel::sql_query(sql).load(conn).doing("looking at tables of other services")
}

/// What is wrong with a column, if anything.
fn wrong(columns: &[Column], name: &str, need: Need) -> Option<String> {
    let Some(column) = columns.iter().find(|column| column.name == name) else {
        return Some(format!("it has no column {name}"));
    };
    let is = column.kind.as_deref()?;
    let fits = |names: &[&str]| names.contains(&is);
    match (need, &column.labels) {
        (There, _) => None,
        (Label(wanted), Some(labels)) => {
            let has = |label: &&str| labels.split(',').any(|known| known == *label);
            let missing = wanted.iter().find(|label| !has(label))?;
            Some(format!("the type of {name} has no label {missing}"))
        }
        (Integer, _) if fits(&["int4"]) => None,
        (Bigint, _) if fits(&["int8"]) => None,
        (Words | Label(_), _) if fits(&["varchar", "text"]) => None,
        (Time, _) if fits(&["timestamptz", "timestamp"]) => None,
        (Json, _) if fits(&["jsonb"]) => None,
        _ => Some(format!("{name} is of type {is}")),
    }
}
