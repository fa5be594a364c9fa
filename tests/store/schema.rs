//! Migrations: what they make, that they go both ways, and what they keep out.

use crate::model::{MODEL, Type};
use crate::prelude::*;
use crate::support::sql::Dump;
use nexus_dirsync::store::{Error, SchemaState, Store};

pub(crate) const CLIENT_ROWS: &str = include_str!("../migrations/0001_client_model.sql");

/// Sample rows of the daemon's own migrations, in their order.
fn own_rows() -> Vec<String> {
    let mut files = listed("tests/migrations");
    files.retain(|file| file.starts_with("00") && !file.starts_with("0001"));
    let read = |file: &String| std::fs::read_to_string(format!("tests/migrations/{file}"));
    files.iter().map(|file| read(file).unwrap()).collect()
}

/// The migrations that this version knows, oldest first.
fn known() -> Vec<String> {
    let of_dir = |dir: String| dir.split('_').next().unwrap().replace('-', "");
    listed("migrations/sqlite").into_iter().map(of_dir).collect()
}

fn listed(dir: &str) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn migrated(on: On) -> (Database, Store) {
    let database = Database::new(on);
    let store = database.store();
    store.migrate().await.unwrap();
    (database, store)
}

/// The rows of the client's nine tables.
pub(crate) fn clients(database: &Database) -> Dump {
    let mut dump = database.dump();
    dump.retain(|table, _| MODEL.iter().any(|(name, _)| name == table));
    dump
}

fn postgres_columns(database: &Database, table: &str) -> Vec<String> {
    let mut columns = database.lines(
        "lpad(a.attnum::text, 2), a.attname, CASE t.typtype WHEN 'e' THEN
           (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)
           ELSE t.typname::text END",
        &format!(
            "pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
              WHERE a.attrelid = '{table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped"
        ),
    );
    for column in &mut columns {
        column.drain(..3);
    }
    columns
}

#[tokio::test]
async fn postgresql_has_the_model_with_native_types_and_enums() {
    let (database, _store) = migrated(On::Postgres).await;
    for (table, columns) in MODEL {
        let expected: Vec<String> = columns
            .iter()
            .map(|(name, is)| {
                let is = match is {
                    Type::Integer => "int4".to_owned(),
                    Type::Bigint => "int8".to_owned(),
                    Type::Varchar => "varchar".to_owned(),
                    Type::Text => "text".to_owned(),
                    Type::Timestamp => "timestamptz".to_owned(),
                    Type::Jsonb => "jsonb".to_owned(),
                    Type::Enum(labels) => labels.join(","),
                };
                format!("{name}|{is}")
            })
            .collect();
        assert_eq!(postgres_columns(&database, table), expected, "{table}");
    }
}

#[tokio::test]
async fn sqlite_has_the_model_with_checked_text() {
    let (database, _store) = migrated(On::Sqlite).await;
    database.sql(CLIENT_ROWS);
    for (table, columns) in MODEL {
        let stored = database
            .lines("printf('%02d', cid), name, type", &format!("pragma_table_info('{table}')"));
        let expected: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(at, (name, is))| {
                let is =
                    if matches!(is, Type::Integer | Type::Bigint) { "INTEGER" } else { "TEXT" };
                format!("{at:02}|{name}|{is}")
            })
            .collect();
        assert_eq!(stored, expected, "{table}");
        for (column, is) in columns {
            let set =
                |value: &str| database.try_sql(&format!("UPDATE {table} SET {column} = '{value}'"));
            match is {
                Type::Enum(labels) => {
                    for label in *labels {
                        set(label)
                            .unwrap_or_else(|why| panic!("{table}.{column} = {label}: {why}"));
                    }
                    assert!(set("nonsense").is_err(), "{table}.{column}");
                }
                Type::Jsonb => assert!(set("{nonsense").is_err(), "{table}.{column}"),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn checks_of_json_let_null_pass_whatever_sqlite_writes() {
    let (database, _store) = migrated(On::Sqlite).await;
    let lines = database.lines("replace(sql, char(10), char(9))", "sqlite_master");
    let checks: Vec<&str> = lines
        .iter()
        .flat_map(|sql| sql.split('\t'))
        .filter(|line| line.contains("json_valid("))
        .collect();
    assert!(checks.len() >= 4, "{checks:?}");
    for check in checks {
        let (_, rest) = check.split_once("json_valid(").unwrap();
        let (column, _) = rest.split_once(')').unwrap();
        let by_itself = format!("CHECK ({column} IS NULL OR json_valid({column}))");
        assert!(check.contains(&by_itself) || check.contains("NOT NULL"), "{check}");
    }
}

#[tokio::test]
async fn every_migration_goes_up_and_down_and_keeps_the_clients_rows() {
    for on in BOTH {
        let (database, store) = migrated(on).await;
        let empty = database.dump();
        database.sql(CLIENT_ROWS);
        // Rows of the first schema of ours meet every migration after it.
        let own = &known()[1..];
        for version in own[1..].iter().rev() {
            assert_eq!(store.revert().await.unwrap(), *version, "{on:?}");
        }
        let mut samples = own_rows().into_iter();
        database.sql(&samples.next().unwrap());
        assert_eq!(store.migrate().await.unwrap(), own[1..], "{on:?}");
        for rows in samples {
            database.sql(&rows);
        }
        let rows = clients(&database);
        assert!(
            database.dump().values().all(|rows| !rows.is_empty()),
            "{on:?}: sample data everywhere"
        );
        for version in own.iter().rev() {
            if version == "dirsync0002" {
                let full = database.dump();
                let refused = store.revert().await.unwrap_err();
                assert!(matches!(refused, Error::Forgetting(_)), "{on:?}: {refused}");
                assert!(database.dump() == full, "{on:?}: nothing was changed");
                assert_eq!(store.revert_and_forget().await.unwrap(), *version, "{on:?}");
                database.sql("DELETE FROM audit_logs WHERE entity_id = 0");
            } else {
                assert_eq!(store.revert().await.unwrap(), *version, "{on:?}");
            }
            let SchemaState::Behind(pending) = store.schema().await.unwrap() else { panic!() };
            assert_eq!(&pending[0], version, "{on:?}");
            assert!(clients(&database) == rows, "{on:?}: the way down takes no row of the client");
        }
        let refused = store.revert().await.unwrap_err();
        assert!(matches!(refused, Error::Migration(_)), "{on:?}: {refused}");
        assert!(clients(&database) == rows, "{on:?}: filled tables stay");
        assert_eq!(store.migrate().await.unwrap(), own, "{on:?}");
        assert!(clients(&database) == rows, "{on:?}");
        for table in [
            "audit_logs",
            "product_members",
            "product_aad_groups",
            "aad_groups",
            "resource_deployments",
            "users",
            "environments",
            "resources",
            "products",
        ] {
            database.sql(&format!("DELETE FROM {table}"));
        }
        for version in known().iter().rev() {
            assert_eq!(store.revert().await.unwrap(), *version, "{on:?}");
        }
        let nothing = store.revert().await.unwrap_err();
        assert!(nothing.to_string().contains("nothing to take back"), "{on:?}: {nothing}");
        let left: Vec<_> = database.dump().into_keys().collect();
        assert_eq!(left, ["__diesel_schema_migrations"], "{on:?}: nothing is left");
        assert_eq!(store.migrate().await.unwrap(), known(), "{on:?}");
        assert!(database.dump().keys().eq(empty.keys()), "{on:?}");
    }
}

#[tokio::test]
async fn processes_that_migrate_at_once_do_it_once() {
    for on in BOTH {
        let database = Database::new(on);
        let stores = [database.store(), database.store(), database.store()];
        let [one, two, three] = &stores;
        let (one, two, three) = tokio::join!(one.migrate(), two.migrate(), three.migrate());
        let mut applied: Vec<_> = [one, two, three].into_iter().flat_map(Result::unwrap).collect();
        applied.sort();
        assert_eq!(applied, known(), "{on:?}");
        stores[0].ready().await.unwrap();
    }
}

#[tokio::test]
async fn an_older_or_newer_schema_is_refused_with_the_remedy() {
    for on in BOTH {
        let database = Database::new(on);
        let store = database.store();
        let told = store.ready().await.unwrap_err().to_string();
        let lacking = match on {
            On::Postgres => "dirsync0001",
            On::Sqlite => "there is no database at",
        };
        assert!(told.contains(lacking) && told.contains("nexus-dirsync migrate"), "{on:?} {told}");
        assert_eq!(database.dump().len(), 0, "{on:?}: looking makes nothing");
        store.migrate().await.unwrap();
        store.ready().await.unwrap();
        database.sql(
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('dirsync9999'), ('20300101')",
        );
        assert_eq!(
            store.schema().await.unwrap(),
            SchemaState::Ahead(vec!["dirsync9999".to_owned()])
        );
        let told = store.migrate().await.unwrap_err().to_string();
        assert!(told.contains("newer version"), "{on:?} {told}");
    }
}

#[tokio::test]
async fn rules_of_deletion_lose_no_history() {
    for on in BOTH {
        let (database, _store) = migrated(on).await;
        database.sql(CLIENT_ROWS);
        let rows = clients(&database);
        for needed in [
            "users WHERE id = (SELECT min(deployed_by) FROM resource_deployments)",
            "users WHERE id = (SELECT min(actor_user_id) FROM audit_logs)",
            "users WHERE id IN (SELECT user_id FROM product_members)",
            "products WHERE id IN (SELECT product_id FROM resources)",
            "products WHERE id IN (SELECT product_id FROM product_aad_groups)",
            "resources WHERE id IN (SELECT resource_id FROM resource_deployments)",
            "environments WHERE id IN (SELECT environment_id FROM resource_deployments)",
            "aad_groups WHERE id IN (SELECT aad_group_id FROM product_aad_groups)",
        ] {
            assert!(database.count(needed) > 0, "the sample has {needed}");
            assert!(
                database.try_sql(&format!("DELETE FROM {needed}")).is_err(),
                "{on:?}: {needed}"
            );
        }
        assert!(clients(&database) == rows, "{on:?}");
    }
}

#[tokio::test]
async fn keys_are_unique() {
    for on in BOTH {
        let (database, _store) = migrated(on).await;
        database.sql(CLIENT_ROWS);
        for twice in [
            "INSERT INTO users (email, name) SELECT email, 'other' FROM users",
            "INSERT INTO products (name) SELECT name FROM products",
            "INSERT INTO aad_groups (external_id, display_name) SELECT external_id, 'other' FROM aad_groups",
            "INSERT INTO product_aad_groups (product_id, aad_group_id) SELECT product_id, aad_group_id FROM product_aad_groups",
            "INSERT INTO product_members (user_id, product_id) SELECT user_id, product_id FROM product_members",
        ] {
            assert!(database.try_sql(twice).is_err(), "{on:?}: {twice}");
        }
    }
}

#[tokio::test]
async fn updated_at_is_kept_true() {
    for on in BOTH {
        let (database, _store) = migrated(on).await;
        database.sql(CLIENT_ROWS);
        for (table, change) in [
            ("products", "description = 'other'"),
            ("resources", "status = 'inactive'"),
            ("users", "name = 'other'"),
            ("aad_groups", "display_name = 'other'"),
        ] {
            let at = || database.lines("updated_at", &format!("{table} WHERE id = 1")).remove(0);
            let set =
                |change: &str| database.sql(&format!("UPDATE {table} SET {change} WHERE id = 1"));
            let before = at();
            set("id = id");
            let (column, _) = change.split_once(" = ").unwrap();
            set(&format!("{column} = {column}"));
            assert_eq!(at(), before, "{on:?} {table}: nothing changed");
            set(change);
            assert!(at() > before, "{on:?} {table}: a change moves it");
            set(&format!("{change}, updated_at = '2001-02-03T04:05:06.000Z'"));
            assert!(
                at().starts_with("2001-02-03"),
                "{on:?} {table}: a writer that says so is believed"
            );
        }
    }
}
