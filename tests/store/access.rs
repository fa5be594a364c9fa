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

/// The ways that are told, and whether there are more.
async fn ways(world: &World, name: &str) -> (Vec<String>, bool) {
    let email = address(name);
    let paths = world.store.read(move |tx| tx.access_explain(&email, "app")).await.unwrap();
    let paths = paths.expect("there is the product");
    let told = paths.iter().map(|path| path.via.join(">")).collect();
    (told, paths.iter().any(|path| path.more))
}

const DIAMOND: Groups<'_> = &[
    ("left", &["ada"]),
    ("right", &["ada"]),
    ("outer", &["left", "right", "ada"]),
    ("other", &["right"]),
];

#[tokio::test]
async fn every_way_is_told_whatever_groups_are_called() {
    for on in BOTH {
        let world = World::new(on, company(DIAMOND)).await;
        world.edit(|tenant| tenant.rename_group(id("other"), "outer"));
        world.run(Full).await;
        world.link("app", id("outer"));
        world.link("app", id("other"));
        world.run(Full).await;
        let (mut told, more) = ways(&world, "ada").await;
        told.sort();
        assert_eq!(told, ["left>outer", "outer", "right>outer", "right>outer"], "{on:?}");
        assert!(!more, "{on:?}");
    }
}

#[tokio::test]
async fn what_is_kept_without_a_way_or_leads_through_a_removed_group_is_told_as_that() {
    for on in BOTH {
        let world = World::new(on, company(DIAMOND)).await;
        world.link("app", id("other"));
        world.run(Full).await;
        assert_eq!(ways(&world, "ada").await.0, ["right>other"], "{on:?}");
        for lost in [
            format!(
                "UPDATE dirsync_observed_groups SET presence = 'gone' WHERE object_id = '{}'",
                id("right")
            ),
            format!("DELETE FROM dirsync_observed_edges WHERE group_id = '{}'", id("other")),
        ] {
            world.sql(&lost);
            let (email, none) = (address("ada"), Vec::<String>::new());
            let paths = world.store.read(move |tx| tx.access_explain(&email, "app")).await.unwrap();
            let Some([path]) = paths.as_deref() else { panic!("{on:?}: {paths:?}") };
            assert_eq!((&*path.row.source, &path.via), ("aad_group", &none), "{on:?}");
        }
    }
}

#[tokio::test]
async fn groups_nested_in_each_other_end_and_the_limit_is_told() {
    const NAMES: [&str; 8] = ["g1", "g2", "g3", "g4", "g5", "g6", "g7", "g8"];
    // Of five groups that are all in each other 1 + 3 + 6 + 6 ways lead from one to another.
    for (size, expected, more) in [(5, 16, false), (8, 100, true)] {
        for on in BOTH {
            let groups: Vec<(&str, Vec<&str>)> = NAMES[..size]
                .iter()
                .map(|name| {
                    let others = NAMES[..size].iter().copied().filter(|other| other != name);
                    (*name, others.chain((*name == "g1").then_some("ada")).collect())
                })
                .collect();
            let groups: Vec<(&str, &[&str])> =
                groups.iter().map(|(name, members)| (*name, members.as_slice())).collect();
            let world = World::new(on, company(&groups)).await;
            world.link("app", id(NAMES[size - 1]));
            world.run(Full).await;
            let (told, cut) = ways(&world, "ada").await;
            assert_eq!((told.len(), cut), (expected, more), "{on:?}");
            assert_eq!(told[0], format!("g1>g{size}"), "{on:?}: the shortest comes first");
            assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), expected, "{on:?}");
        }
    }
}
