//! A database that other services made and filled before the first sync.

use crate::prelude::*;
use crate::schema::{CLIENT_ROWS, clients};
use nexus_dirsync::directory::ObjectId;
use nexus_dirsync::store::Error;

const TEAM: Groups<'_> = &[("readers", &["ada", "bob"])];

/// The client's tables, as a service with other habits would have made them.
fn foreign_model(on: On) -> &'static str {
    match on {
        On::Postgres => include_str!("../migrations/takeover_postgres.sql"),
        On::Sqlite => include_str!("../migrations/takeover_sqlite.sql"),
    }
}

/// A platform whose tables are there before the daemon comes.
async fn taken_over(on: On, model: &str) -> World {
    let world = World::before_migration(on, company(TEAM));
    world.sql(model);
    world.sql(CLIENT_ROWS);
    let rows = clients(&world.database);
    world.store.migrate().await.unwrap();
    assert!(clients(&world.database) == rows, "{on:?}: migrating changes no row");
    world
}

#[tokio::test]
async fn tables_of_other_services_are_taken_over_with_every_row() {
    for on in BOTH {
        let world = taken_over(on, foreign_model(on)).await;
        let rows = clients(&world.database);
        world.run(Full).await;
        world.link("sample", id("readers"));
        let after = clients(&world.database);
        let adopted = "Ada by hand";
        for (table, rows) in rows {
            for row in rows.iter().filter(|row| !row.contains(adopted)) {
                assert!(after[&table].contains(row), "{on:?} {table} keeps {row}");
            }
        }
        assert_eq!(world.user("ada"), "ada|ada@contoso.example|user|live", "{on:?}: adopted");
        assert_eq!(world.lines("id", "users WHERE name = 'ada'"), ["1"], "{on:?}: the same row");
        assert_eq!(world.who("sample"), ["Robot", "ada", "bob"], "{on:?}");
        let new = [0, 1].map(|at| format!("later{at}"));
        for name in &new {
            world.follow(|tenant| hire(tenant, name, "readers")).await;
        }
        world.assert_equals_tenant().await;
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn tables_without_keys_are_taken_over_too() {
    let keyless = foreign_model(On::Postgres)
        .replace(",\n  PRIMARY KEY (product_id, aad_group_id)", "")
        .replace(",\n  PRIMARY KEY (user_id, product_id)", "");
    assert!(!keyless.contains("KEY (product_id") && !keyless.contains("KEY (user_id"));
    let mut world = taken_over(On::Postgres, &keyless).await;
    world.registry(vec![entry("registered", &["readers"], None)]);
    world.run(Full).await;
    assert_eq!(world.who("registered"), ["ada", "bob"]);
    world.assert_equals_tenant().await;
}

#[tokio::test]
async fn other_services_go_on_numbering_their_rows() {
    for on in BOTH {
        let mut world = taken_over(on, foreign_model(on)).await;
        world.registry(vec![entry("registered", &["readers"], None)]);
        world.run(Full).await;
        // In PostgreSQL this table's ids come from a sequence that no column owns.
        world.sql("INSERT INTO products (name) VALUES ('next'), ('after next')");
        world.sql("INSERT INTO aad_groups (external_id, display_name) VALUES ('x', 'x')");
        world.registry(vec![entry("registered", &["readers"], None), entry("more", &[], None)]);
        world.run(Delta).await;
        world.sql("INSERT INTO products (name) VALUES ('last')");
        assert_eq!(world.database.count("products"), 7, "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_linked_row_whose_id_is_none_is_a_finding_until_people_correct_it() {
    for on in BOTH {
        let world = taken_over(on, foreign_model(on)).await;
        world.run(Full).await;
        assert_eq!(world.findings(), ["group_id_invalid|no object id"], "{on:?}");
        assert_eq!(world.who("bare"), [""; 0], "{on:?}");
        world.assert_rests().await;
        world.sql("DELETE FROM product_aad_groups WHERE aad_group_id = 2");
        world.run(Delta).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}: no link, no finding");
        world.link("bare", id("readers"));
        assert_eq!(world.who("bare"), ["ada", "bob"], "{on:?}");
    }
}

/// Links to a row that is nobody's give nothing, say so, and hold up nobody.
#[tokio::test]
async fn a_linked_row_that_is_no_groups_is_a_finding_and_stops_nothing() {
    let group = id("readers").to_string();
    let spellings =
        [group.to_uppercase(), format!("{group} "), format!("{{{group}}}"), group.replace('-', "")];
    for (on, spelled) in BOTH.iter().flat_map(|on| spellings.iter().map(move |it| (*on, it))) {
        for first in [Delta, Full] {
            let at = format!("{on:?} {spelled:?} {first}");
            let world = World::new(on, company(TEAM)).await;
            world.run(Full).await;
            world.link("app", id("readers"));
            world.sql(&format!(
                "INSERT INTO aad_groups (external_id, display_name) VALUES ('{spelled}', 'by hand');
                 INSERT INTO products (name) VALUES ('tool');
                 INSERT INTO product_aad_groups (product_id, aad_group_id)
                 SELECT p.id, g.id FROM products p, aad_groups g
                 WHERE p.name = 'tool' AND g.external_id = '{spelled}'"
            ));
            world.run(first).await;
            assert_eq!(world.findings(), [format!("group_id_invalid|{spelled}")], "{at}");
            world.follow(|tenant| tenant.remove_member(id("readers"), id("ada"))).await;
            world.run(Full).await;
            assert_eq!((world.who("app"), world.who("tool")), (vec!["bob".into()], vec![]), "{at}");
            world.assert_rests().await;
            world.assert_audit_whole().await;
            world.sql(&format!(
                "DELETE FROM product_aad_groups WHERE aad_group_id IN
                 (SELECT id FROM aad_groups WHERE external_id = '{spelled}')"
            ));
            world.run(Delta).await;
            assert_eq!(world.findings(), [""; 0], "{at}");
        }
    }
}

/// Whose row it is was settled when it was taken over: an id that people write over it takes
/// nobody's access, gives nobody any, stops no run, and is told until they write it back.
#[tokio::test]
async fn a_row_that_people_give_another_groups_id_stays_its_groups() {
    let tenant: Groups<'_> = &[("readers", &["ada", "bob"]), ("elsewhere", &["ada", "emil"])];
    for (on, everything) in BOTH.into_iter().flat_map(|on| [(on, true), (on, false)]) {
        for (first, second) in [(Delta, Full), (Full, Delta)] {
            let at = format!("{on:?}, everything: {everything}, {first}");
            let mut world = World::new(on, company(tenant)).await;
            world.settings.all_groups = false;
            world.settings.all_users = everything;
            world.link("app", id("readers"));
            world.run(Full).await;
            let point = |world: &World, to: &str, from: &str| {
                world.sql(&format!(
                    "UPDATE aad_groups SET external_id = '{}' WHERE external_id = '{}'",
                    id(to),
                    id(from)
                ));
            };
            point(&world, "elsewhere", "readers");
            // The other group is wanted as well, and cannot have a row.
            world.settings.admin_groups = [ObjectId::new(id("elsewhere"))].into();
            let told = format!("group_id_invalid|{}", id("elsewhere"));
            for mode in [first, second] {
                world.run(mode).await;
                assert_eq!(world.who("app"), ["ada", "bob"], "{at}");
                assert!(world.findings().contains(&told), "{at}: {:?}", world.findings());
            }
            world.follow(|tenant| tenant.remove_member(id("readers"), id("bob"))).await;
            assert_eq!(world.who("app"), ["ada"], "{at}: it is followed");
            point(&world, "readers", "elsewhere");
            world.run(Delta).await;
            world.run(Full).await;
            assert_eq!(world.findings(), [""; 0], "{at}");
            assert_eq!(world.who("app"), ["ada"], "{at}");
            assert!(world.user("emil").contains("admin"), "{at}: the other has its row");
            world.assert_rests().await;
        }
    }
}

/// The audit carries a row as it is, also where people spell an id otherwise.
#[tokio::test]
async fn the_audit_keeps_the_spelling_of_a_row_that_is_taken_over() {
    for on in BOTH {
        let world = World::new(on, company(TEAM)).await;
        let spelt = id("readers").to_string().to_uppercase();
        world.sql(&format!(
            "INSERT INTO aad_groups (external_id, display_name) VALUES ('{spelt}', 'by hand')"
        ));
        world.run(Full).await;
        assert_eq!(
            world.lines("external_id", "aad_groups"),
            std::slice::from_ref(&spelt),
            "{on:?}"
        );
        let field = |column: &str| match on {
            On::Postgres => format!("{column} ->> 'external_id'"),
            On::Sqlite => format!("json_extract({column}, '$.external_id')"),
        };
        let told = world.lines(
            &format!("{}, {}", field("before"), field("after")),
            "audit_logs WHERE entity_type = 'aad_group' AND action = 'update'",
        );
        assert_eq!(told, [format!("{spelt}|{spelt}")], "{on:?}");
        world.follow(|tenant| tenant.soft_delete_group(id("readers"))).await;
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn ids_given_by_hand_beyond_the_sequence_are_passed_by() {
    for on in BOTH {
        let mut world = World::new(on, company(TEAM)).await;
        world.sql(CLIENT_ROWS);
        world.registry(vec![entry("registered", &["readers"], Some("bob"))]);
        world.run(Full).await;
        assert_eq!(world.who("registered"), ["ada", "bob"], "{on:?}");
        world.assert_equals_tenant().await;
    }
}

#[tokio::test]
async fn a_type_of_the_models_name_with_other_labels_is_refused_and_nothing_is_made() {
    for (made, told) in [
        (
            "CREATE TYPE resource_type AS ENUM ('lamp', 'agent')",
            "type resource_type exists but is not that of the data model (it has lamp, agent; it lacks application, mcp_server, database, storage)",
        ),
        (
            "CREATE TYPE audit_action AS ENUM ()",
            "type audit_action exists but is not that of the data model (it has no labels; it lacks create, update,",
        ),
        (
            "CREATE DOMAIN user_role AS text",
            "type user_role exists but is not that of the data model (it is no enum;",
        ),
    ] {
        let database = Database::new(On::Postgres);
        database.sql(made);
        let refused = database.store().migrate().await.unwrap_err();
        assert!(matches!(refused, Error::Schema(_)), "{made}: {refused}");
        let refused = refused.to_string();
        for part in [told, "ALTER TYPE"] {
            assert!(refused.contains(part), "{made}: {part} in {refused}");
        }
        assert_eq!(database.dump().len(), 0, "{made}: nothing is made");
    }
    // More labels than the model's do no harm, nor does a type that no table of ours uses.
    let database = Database::new(On::Postgres);
    database.sql(
        "CREATE TYPE product_role AS ENUM ('lead', 'admin', 'member');
         CREATE TYPE environment_type AS ENUM ('moon');
         CREATE TABLE environments (id integer PRIMARY KEY, name text, type environment_type, created_at timestamp)",
    );
    database.store().migrate().await.unwrap();
}

#[tokio::test]
async fn a_table_that_is_not_the_model_is_refused_by_name_and_nothing_is_made() {
    let foreign = [
        ("users", "CREATE TABLE users (id integer PRIMARY KEY, login varchar NOT NULL)"),
        ("aad_groups", "CREATE TABLE aad_groups (id integer PRIMARY KEY, display_name varchar)"),
        ("audit_logs", "CREATE TABLE audit_logs (id bigint PRIMARY KEY, message text)"),
        ("environments", "CREATE TABLE environments (name varchar PRIMARY KEY)"),
    ];
    for on in BOTH {
        for (table, made) in foreign {
            let database = Database::new(on);
            database.sql(made);
            let before = database.dump();
            let refused = database.store().migrate().await.unwrap_err();
            assert!(matches!(refused, Error::Schema(_)), "{on:?} {table}: {refused:?}");
            let told = refused.to_string();
            assert!(told.contains(&format!("\"{table}\"")), "{on:?}: {told}");
            assert!(database.dump() == before, "{on:?} {table}: nothing is made");
        }
    }
}

/// A row without what every run needs is met before the first run, by name.
#[tokio::test]
async fn rows_without_a_value_are_refused_by_name_and_nothing_is_made() {
    for on in BOTH {
        for (table, column) in [
            ("users", "created_at"),
            ("users", "name"),
            ("products", "updated_at"),
            ("aad_groups", "display_name"),
        ] {
            let database = Database::new(on);
            database.sql(&foreign_model(on).replace(" NOT NULL", ""));
            database.sql(CLIENT_ROWS);
            database.sql(&format!("UPDATE {table} SET {column} = NULL"));
            let before = database.dump();
            let refused = database.store().migrate().await.unwrap_err().to_string();
            let told = refused.contains(&format!("\"{table}\"")) && refused.contains(column);
            assert!(told && refused.contains("UPDATE"), "{on:?}: {refused}");
            assert!(database.dump() == before, "{on:?} {table}: nothing is made");
        }
    }
}

/// Types that the daemon could not write are met before it writes.
#[tokio::test]
async fn columns_of_other_types_are_refused_by_name() {
    let users = |id: &str, email: &str, role: &str| {
        format!(
            "CREATE TYPE short_role AS ENUM ('admin');
             CREATE TABLE users (id {id} PRIMARY KEY, email {email} UNIQUE NOT NULL, name varchar NOT NULL,
               role {role} NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL)"
        )
    };
    for (column, made) in [
        ("users.id", users("uuid", "varchar", "varchar")),
        ("users.id", users("bigint", "varchar", "varchar")),
        ("users.email", users("integer", "bytea", "varchar")),
        ("users.role", users("integer", "varchar", "short_role")),
    ] {
        let database = Database::new(On::Postgres);
        database.sql(&made);
        let refused = database.store().migrate().await.unwrap_err();
        let told = refused.to_string();
        let (table, column) = column.split_once('.').unwrap();
        assert!(told.contains(&format!("\"{table}\"")) && told.contains(column), "{told}");
    }
}
