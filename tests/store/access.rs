//! `product_access`, row by row: who counts, over which path, from which moment.

use crate::prelude::*;

const TEAM: Groups<'_> = &[("readers", &["ada", "bob"]), ("outer", &["readers", "cem"])];

/// `product|user|role|source|group` of the whole view.
fn view(world: &World) -> Vec<String> {
    world.lines(
        "p.name, u.name, a.role, a.source, g.display_name",
        "product_access a JOIN products p ON p.id = a.product_id JOIN users u ON u.id = a.user_id
           LEFT JOIN aad_groups g ON g.id = a.aad_group_id",
    )
}

async fn team(on: On) -> World {
    let world = World::new(on, company(TEAM)).await;
    world.run(Full).await;
    world
}

#[tokio::test]
async fn each_path_is_a_row_and_a_link_by_people_counts_at_once() {
    for on in BOTH {
        let world = team(on).await;
        assert_eq!(view(&world), [""; 0], "{on:?}: nothing is linked");
        world.link("app", id("outer"));
        let nested = ["app|ada|member|aad_group|outer", "app|bob|member|aad_group|outer"];
        assert_eq!(view(&world), [&nested[..], &["app|cem|member|aad_group|outer"]].concat());
        world.link("app", id("readers"));
        world.member("app", "ada", "admin");
        let ada = [
            "app|ada|admin|product_member",
            "app|ada|member|aad_group|outer",
            "app|ada|member|aad_group|readers",
        ];
        assert_eq!(view(&world)[..3], ada, "{on:?}: three ways are three rows");
        world.sql("DELETE FROM product_aad_groups");
        assert_eq!(
            view(&world),
            ["app|ada|admin|product_member"],
            "{on:?}: an unlink counts at once"
        );
    }
}

#[tokio::test]
async fn only_live_users_count_and_rows_made_by_people_are_live() {
    for on in BOTH {
        let world = team(on).await;
        world.link("app", id("readers"));
        world.sql("INSERT INTO users (email, name) VALUES ('robot@contoso.example', 'robot')");
        for name in ["robot", "ada"] {
            world.member("app", name, "member");
        }
        for (state, sees_ada) in [("live", true), ("disabled", false), ("removed", false)] {
            world.sql(&format!(
                "UPDATE dirsync_user_identities SET state = '{state}' WHERE object_id = '{}'",
                id("ada")
            ));
            let who = world.who("app");
            assert_eq!(who.contains(&"ada".to_owned()), sees_ada, "{on:?} {state}");
            assert!(who.contains(&"robot".to_owned()), "{on:?}: no identity means live");
        }
    }
}

#[tokio::test]
async fn a_group_that_was_never_read_or_is_removed_gives_nothing() {
    for on in BOTH {
        let world = team(on).await;
        world.link("app", id("elsewhere"));
        assert_eq!(world.who("app"), [""; 0], "{on:?}: a group never read gives nothing");
        world.link("app", id("readers"));
        assert_eq!(world.who("app"), ["ada", "bob"]);
        let state = |state: &str| {
            let of = format!("WHERE object_id = '{}'", id("readers"));
            world.sql(&format!("UPDATE dirsync_aad_groups SET state = '{state}' {of}"));
            world.who("app")
        };
        assert_eq!(state("removed"), [""; 0], "{on:?}: a removed group gives nothing");
        assert_eq!(state("live"), ["ada", "bob"], "{on:?}: its members were kept");
    }
}

#[tokio::test]
async fn explaining_names_the_nested_groups_on_the_way() {
    for on in BOTH {
        let world = team(on).await;
        world.link("app", id("outer"));
        let paths = world.store.read(|tx| tx.access_explain(&address("ADA"), "app")).await.unwrap();
        let Some([path]) = paths.as_deref() else { panic!("one path, not {paths:?}") };
        assert_eq!(path.via, ["readers", "outer"], "{on:?}");
        let none = world.store.read(|tx| tx.access_explain(&address("dora"), "app")).await.unwrap();
        assert_eq!(none, Some(vec![]), "{on:?}: nobody of that address");
        let counts = world.store.read(|tx| tx.access_counts()).await.unwrap();
        assert_eq!(counts["app"], 3, "{on:?}");
    }
}
