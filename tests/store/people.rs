//! Addresses, names, roles and adoption: the hard cases, on both databases.

use crate::prelude::*;
use graph_simulator::{Effect, Fault};

const TEAM: Groups<'_> = &[("readers", &["ada", "bob"]), ("admins", &[])];

async fn team(on: On) -> World {
    let world = World::new(on, company(TEAM)).await;
    world.run(Full).await;
    world
}

#[tokio::test]
async fn mail_addresses_are_swapped_within_a_run() {
    for on in BOTH {
        let world = team(on).await;
        let mark = world.audit_mark();
        world
            .follow(|tenant| {
                tenant.update_user(id("ada"), |user| user.mail = Some(address("bob")));
                tenant.update_user(id("bob"), |user| user.mail = Some(address("ada")));
            })
            .await;
        let expected = ["ada|bob@contoso.example|user|live", "bob|ada@contoso.example|user|live"];
        assert_eq!(world.users(), expected, "{on:?}");
        assert_eq!(world.audit_since(mark), ["user|update|2"], "{on:?}");
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn the_holder_of_a_duplicate_address_keeps_it_and_the_other_takes_its_upn() {
    for on in BOTH {
        let world = team(on).await;
        world
            .follow(|tenant| {
                tenant.create_user(graph_simulator::NewUser {
                    mail: Some(address("ADA")),
                    ..person("zoe")
                });
                tenant.update_user(id("bob"), |user| user.mail = None);
            })
            .await;
        assert_eq!(world.user("ada"), "ada|ada@contoso.example|user|live", "{on:?}");
        assert_eq!(world.user("bob"), "bob|bob@contoso.example|user|live", "{on:?}: the UPN");
        assert_eq!(world.user("zoe"), "zoe|zoe@contoso.example|user|live", "{on:?}");
        world.follow(|tenant| tenant.soft_delete_user(id("ada"))).await;
        assert_eq!(world.user("zoe"), "zoe|ADA@contoso.example|user|live", "{on:?}: it came free");
        let placeholder = format!("ada|{}@removed.invalid|user|removed", id("ada"));
        assert_eq!(world.user("ada"), placeholder, "{on:?}");
        world
            .follow(|tenant| tenant.update_user(id("zoe"), |user| user.mail = Some(address("zoe"))))
            .await;
        world.follow(|tenant| tenant.restore_user(id("ada"))).await;
        assert_eq!(world.user("ada"), "ada|ada@contoso.example|user|live", "{on:?}: back");
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn somebody_whose_addresses_are_all_taken_is_a_finding_and_no_row() {
    for on in BOTH {
        let world = team(on).await;
        let twin = graph_simulator::NewUser {
            mail: Some(address("ada")),
            user_principal_name: address("bob"),
            ..person("twin")
        };
        world.follow(|tenant| tenant.create_user(twin)).await;
        assert_eq!(world.user("twin"), "", "{on:?}");
        assert_eq!(world.findings(), [format!("address_conflict|{}", id("twin"))], "{on:?}");
        world
            .follow(|tenant| {
                tenant.update_user(id("ada"), |user| user.mail = Some(address("ada.b")));
            })
            .await;
        assert_eq!(world.user("twin"), "twin|ada@contoso.example|user|live", "{on:?}");
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_row_made_by_people_is_adopted_by_a_live_member_alone() {
    for on in BOTH {
        let world = team(on).await;
        for name in ["Hand Made", "Guest Row", "Chief"] {
            let email = name.replace(' ', ".");
            world.sql(&format!(
                "INSERT INTO users (email, name) VALUES ('{email}@contoso.example', '{name}')"
            ));
        }
        world.sql("UPDATE users SET role = 'admin' WHERE name = 'Chief'");
        world
            .follow(|tenant| {
                tenant.create_user(person("hand.made"));
                tenant.create_user(guest("guest.row"));
                tenant.create_user(person("chief"));
            })
            .await;
        let rows = world.lines("name, email", "users WHERE email LIKE '%.%@%' OR name = 'Chief'");
        assert_eq!(
            rows,
            [
                "Chief|Chief@contoso.example",
                "Guest Row|Guest.Row@contoso.example",
                "hand.made|hand.made@contoso.example"
            ],
            "{on:?}: adopted by the member, not by the guest, not an admin's"
        );
        let findings = world.findings();
        assert!(
            findings.contains(&format!("adoption_waits|{}", id("chief"))),
            "{on:?} {findings:?}"
        );
        assert_eq!(world.user("guest.row"), "", "{on:?}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn names_that_break_careless_code_are_kept() {
    let long = "ä".repeat(256);
    let odd = [
        "nul\u{0}inside",
        "محمد علي",
        "\u{202e}right to left",
        long.as_str(),
        "'); DROP TABLE users;--",
        "🚀\t\"\\",
    ];
    for on in BOTH {
        let world = team(on).await;
        world
            .follow(|tenant| {
                for (at, name) in odd.iter().enumerate() {
                    let new = person(&format!("odd{at}"));
                    tenant.create_user(graph_simulator::NewUser {
                        display_name: (*name).into(),
                        ..new
                    });
                }
                tenant.rename_group(id("readers"), odd[0]);
            })
            .await;
        for (at, name) in odd.iter().enumerate() {
            let expected = name.replace('\0', "\u{fffd}");
            let row = world.user(&format!("odd{at}"));
            assert!(row.starts_with(&format!("{expected}|")), "{on:?} {row}");
        }
        // Changed rows travel another way than new ones.
        world
            .follow(|tenant| {
                for (at, name) in odd.iter().enumerate() {
                    let renamed = format!("{name}!");
                    tenant.update_user(id(&format!("odd{at}")), |user| {
                        user.display_name = Some(renamed);
                    });
                }
            })
            .await;
        assert!(world.user("odd0").starts_with("nul\u{fffd}inside!"), "{on:?}");
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn switches_decide_about_new_rows_and_never_about_access() {
    for on in BOTH {
        let mut world = team(on).await;
        world.link("app", id("readers"));
        world.settings.include_guests = false;
        world.settings.include_disabled = false;
        world
            .follow(|tenant| {
                tenant.create_user(guest("gus"));
                tenant.create_user(graph_simulator::NewUser {
                    account_enabled: Some(false),
                    ..person("dan")
                });
                for name in ["gus", "dan"] {
                    tenant.add_member(id("readers"), id(name));
                }
                tenant.update_user(id("bob"), |user| user.user_type = Some("Guest".into()));
            })
            .await;
        assert_eq!(
            (world.user("gus"), world.user("dan")),
            (String::new(), String::new()),
            "{on:?}"
        );
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}: a row that exists keeps its access");
        world.settings.include_guests = true;
        world.settings.include_disabled = true;
        world.run(Full).await;
        assert!(world.user("gus").ends_with("live"), "{on:?}");
        assert!(world.user("dan").ends_with("disabled"), "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob", "gus"], "{on:?}");
        world.assert_equals_tenant().await;
    }
}

/// No index finds it, so nothing else may: full and delta runs would differ.
#[tokio::test]
async fn an_address_with_a_blank_beside_it_is_nobodys_in_any_mode() {
    for (on, mode) in BOTH.into_iter().flat_map(|on| [(on, Full), (on, Delta)]) {
        let world = team(on).await;
        let email = format!("{} ", address("zoe"));
        world.sql(&format!("INSERT INTO users (email, name) VALUES ('{email}', 'Zoe by hand')"));
        world.member("tool", "Zoe by hand", "admin");
        world.edit(|tenant| hire(tenant, "zoe", "readers"));
        world.run(mode).await;
        assert!(world.user("zoe").ends_with("live"), "{on:?} {mode}: a row of her own");
        assert_eq!(world.pending().await.len(), 0, "{on:?} {mode}");
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

/// Azure AD cannot clear it, so a round without it is not done with: it is told again.
#[tokio::test]
async fn a_lost_account_state_is_told_and_read_again() {
    for on in BOTH {
        let world = team(on).await;
        world.link("app", id("readers"));
        let silent = Effect::OmitKeys(vec!["accountEnabled".to_owned()]);
        let silent = world.simulator.inject(Fault::on("users/delta", silent));
        world
            .follow(|tenant| {
                for name in ["ada", "bob"] {
                    tenant.update_user(id(name), |user| user.account_enabled = Some(false));
                }
            })
            .await;
        assert_eq!(world.findings(), ["permission_missing|users"], "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
        world.simulator.clear_fault(silent);
        world.run(Delta).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        assert_eq!(world.who("app"), [""; 0], "{on:?}");
        world.assert_rests().await;
    }
}

/// An answer without a type makes nobody a member, and an owner least of all.
#[tokio::test]
async fn a_guest_whose_type_is_not_shown_stays_one() {
    for on in BOTH {
        let mut world = team(on).await;
        world
            .follow(|tenant| {
                tenant.create_user(guest("gil"));
                tenant.add_member(id("readers"), id("gil"));
            })
            .await;
        world.registry(vec![entry("app", &["readers"], Some("gil"))]);
        world.run(Full).await;
        let silent = Effect::OmitKeys(vec!["userType".to_owned()]);
        let silent = world.simulator.inject(Fault::on("users/delta", silent));
        world
            .follow(|tenant| tenant.update_user(id("gil"), |u| u.mail = Some(address("gil.new"))))
            .await;
        assert_eq!(world.database.count("product_members"), 0, "{on:?}");
        world.simulator.clear_fault(silent);
        world.run(Full).await;
        assert_eq!(world.database.count("product_members"), 0, "{on:?}");
        assert!(world.user("gil").contains("gil.new"), "{on:?}: the rest was believed");
        world.assert_rests().await;
    }
}

/// Where all guests become members nothing was lost, so nothing is waited for.
#[tokio::test]
async fn guests_may_all_become_members() {
    for on in BOTH {
        let world = team(on).await;
        world.link("app", id("readers"));
        let visitors = ["gus", "ida", "kim"];
        world
            .follow(|tenant| {
                for name in visitors {
                    tenant.create_user(guest(name));
                    tenant.add_member(id("readers"), id(name));
                }
            })
            .await;
        let link = || world.lines("users_link", "dirsync_cursors");
        let before = link();
        world.edit(|tenant| {
            for name in visitors {
                tenant.update_user(id(name), |user| user.user_type = Some("Member".into()));
            }
        });
        world.run(Full).await;
        assert_eq!(world.findings(), [""; 0], "{on:?}");
        assert_ne!(link(), before, "{on:?}: the round is done with");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

#[tokio::test]
async fn admin_groups_give_the_role_and_take_back_only_what_they_gave() {
    for on in BOTH {
        let mut world = team(on).await;
        world.sql("UPDATE users SET role = 'admin' WHERE name = 'bob'");
        world.settings.admin_groups =
            BTreeSet::from([nexus_dirsync::directory::ObjectId::new(id("admins"))]);
        let join = |tenant: &mut graph_simulator::Tenant| {
            tenant.add_member(id("admins"), id("ada"));
            tenant.add_member(id("admins"), id("bob"));
        };
        world.follow(join).await;
        assert_eq!(world.user("ada"), "ada|ada@contoso.example|admin|live", "{on:?}");
        world
            .follow(|tenant| {
                tenant.remove_member(id("admins"), id("ada"));
                tenant.remove_member(id("admins"), id("bob"));
            })
            .await;
        assert_eq!(world.user("ada"), "ada|ada@contoso.example|user|live", "{on:?}");
        assert_eq!(
            world.user("bob"),
            "bob|bob@contoso.example|admin|live",
            "{on:?}: given by people"
        );
        world.settings.admin_groups.clear();
        world.follow(join).await;
        assert_eq!(
            world.user("ada"),
            "ada|ada@contoso.example|user|live",
            "{on:?}: none configured"
        );
    }
}

#[tokio::test]
async fn an_unknown_account_state_changes_nothing() {
    for on in BOTH {
        let world = team(on).await;
        world
            .follow(|tenant| {
                tenant.update_user(id("ada"), |user| user.account_enabled = None);
                tenant.create_user(graph_simulator::NewUser {
                    account_enabled: None,
                    ..person("new")
                });
            })
            .await;
        assert!(world.user("ada").ends_with("live"), "{on:?}");
        assert!(!world.user("new").ends_with("live"), "{on:?}");
    }
}

#[tokio::test]
async fn letter_case_does_not_count_in_any_alphabet_nor_in_any_mode() {
    for on in BOTH {
        for mode in [Delta, Full] {
            let world = team(on).await;
            world
                .sql("INSERT INTO users (email, name) VALUES ('ÉMILE@contoso.example', 'by hand')");
            world.edit(|tenant| {
                tenant.create_user(person("émile"));
            });
            world.run(mode).await;
            assert_eq!(world.database.count("users"), 3, "{on:?} {mode}: {:?}", world.users());
            assert_eq!(
                world.user("émile"),
                "émile|émile@contoso.example|user|live",
                "{on:?} {mode}"
            );
        }
    }
}

#[tokio::test]
async fn the_audit_says_how_it_is_known_that_somebody_was_disabled_or_deleted() {
    for on in BOTH {
        let world = World::new(on, company(&[("team", &["ada", "bob"])])).await;
        world.run(Full).await;
        let told = |since: u64| {
            world.lines(
                "action, replace(CAST(metadata AS text), ' ', '') LIKE '%\"evidence\":\"shown\"%', \
                 replace(CAST(metadata AS text), ' ', '') LIKE '%\"evidence\":\"delta_tombstone\"%'",
                &format!("audit_logs WHERE id > {since} AND entity_type = 'user'"),
            )
        };
        let (yes, no) = if on == On::Sqlite { ("1", "0") } else { ("t", "f") };
        for enabled in [false, true] {
            let since = world.audit_mark();
            let set = |user: &mut graph_simulator::User| user.account_enabled = Some(enabled);
            world.follow(|tenant| tenant.update_user(id("ada"), set)).await;
            assert_eq!(told(since), [format!("status_change|{yes}|{no}")], "{on:?} {enabled}");
        }
        let since = world.audit_mark();
        world.follow(|tenant| tenant.soft_delete_user(id("ada"))).await;
        assert_eq!(told(since), [format!("status_change|{no}|{yes}")], "{on:?}");
    }
}
