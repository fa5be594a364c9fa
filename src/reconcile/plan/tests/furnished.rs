//! Random platforms: switches, links, a registry, and rows that people made.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::model::Platform;
use super::tenants::group_ids;
use crate::reconcile::world::{HandMade, ProductRole, ProductRow, RegistryEntry, Role, UserRow};

/// A platform with links, a registry, admins and rows that people made.
pub(super) fn furnished() -> impl Strategy<Value = Platform> {
    let local = prop::collection::vec(
        (prop::sample::select(vec!["p@x", "Q@x", "r@x", "P@x"]), 0..3_u8),
        0..3,
    );
    let groups = prop::sample::subsequence(group_ids(), 0..3);
    let switches = (prop::bool::ANY, prop::bool::ANY, prop::bool::ANY);
    (local, groups.clone(), groups, switches, prop::bool::ANY).prop_map(
        |(local, admins, linked, (guests, disabled, members), registered)| {
            let mut platform = Platform::new();
            platform.policy.include_guests = guests;
            platform.policy.include_disabled = disabled;
            platform.policy.members_only = members;
            platform.policy.admin_groups = admins.into_iter().collect();
            platform.products.insert("p".to_owned(), product(&platform));
            for group in linked {
                platform.links.insert(group, BTreeSet::from(["p".to_owned()]));
            }
            platform.registry.wanted = registered.then(registry);
            let emails: BTreeMap<&str, u8> = local.into_iter().collect();
            for (email, weight) in emails {
                let made = hand_made(&mut platform, email, weight);
                platform.local.push(made);
            }
            platform
        },
    )
}

fn product(platform: &Platform) -> ProductRow {
    let now = platform.policy.now;
    let name = "p".to_owned();
    ProductRow {
        id: Some(0),
        name,
        description: None,
        created_at: now,
        updated_at: now,
        ours: false,
    }
}

fn registry() -> Vec<RegistryEntry> {
    let entry = |product: &str, groups: &[&str], owner: &str| RegistryEntry {
        product: product.to_owned(),
        description: String::new(),
        groups: groups.iter().map(|name| (*name).to_owned()).collect(),
        owner: Some(owner.to_owned()),
    };
    vec![entry("p", &["A", "GRP"], "ada"), entry("q", &["grp"], "BOB")]
}

fn hand_made(platform: &mut Platform, email: &str, weight: u8) -> HandMade {
    let now = platform.policy.now;
    let row = UserRow {
        id: Some(platform.next_row()),
        email: email.to_owned(),
        name: email.to_owned(),
        role: if weight == 1 { Role::Admin } else { Role::User },
        created_at: now,
        updated_at: now,
        identity: None,
    };
    let role = (weight == 2).then(|| ("p".to_owned(), ProductRole::Member));
    HandMade { row, products: role.into_iter().collect() }
}
